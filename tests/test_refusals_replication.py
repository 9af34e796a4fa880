"""Bad input about standbys and certificates is refused in one sentence, before any host is touched."""

PASSWORD = "a-password-of-24-letters"
# Two database hosts that nothing is wrong with.
CLUSTER = {"vault_postgresql_replication_password": PASSWORD, "vault_postgresql_backup_password": PASSWORD}
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"

BAD = [
    ({"vault_postgresql_replication_password": ""}, "postgresql_replication_password is not set: put a random one"),
    ({"vault_postgresql_replication_password": "swordfish"}, "postgresql_replication_password is no line of at least 16 characters"),
    ({"postgresql_synchronous_standbys": 2}, "postgresql_synchronous_standbys is 2, and there is 1 standby: no transaction would"),
    ({"postgresql_synchronous_standbys": "all"}, "postgresql_synchronous_standbys is 'all': give a whole number"),
    ({"postgresql_slot_keep_mb": "8GB"}, "postgresql_slot_keep_mb is '8GB': give a whole number"),
    ({"postgresql_rebuild": "site9"}, "postgresql_rebuild names site9: the standbys are among site1, site2"),
    ({"postgresql_settings": {"synchronous_standby_names": "*"}}, "postgresql_settings holds synchronous_standby_names: that is set by"),
    ({"app_addresses": {"site1": "192.0.2.1", "site2": "300.1.1.1"}}, "app_address of site2 is '300.1.1.1': give each host"),
    (
        {"app_addresses": {"site1": "192.0.2.1", "site2": "db.example.org"}},
        "app_address of site2 is 'db.example.org': give each host",
    ),
    (
        {"postgresql_roles": [{"name": name, "password": PASSWORD} for name in ("shop", "replication")]},
        "postgresql_roles names replication: a role of this name is made",
    ),
    ({"certificates_renew_days": 4000}, "certificates_renew_days is '4000' and certificates_days '3650': give whole numbers"),
]


def test_each_is_refused_in_one_sentence_and_a_good_cluster_is_not(each_is_refused):
    good = {"postgresql_synchronous_standbys": 1, "postgresql_rebuild": "site2"}
    site = CLUSTER | {"app_addresses": {"site1": "192.0.2.1", "site2": "192.0.2.2"}}
    groups = {"web": ["site1"], "database": ["site1", "site2"]}
    each_is_refused(BAD, "app", "certificates", "postgresql", good=[{}, good], groups=groups, **site)


def test_a_standby_where_there_is_none(refuse):
    refuse("certificates_ca, certificates_certificate and certificates_key belong together: set all three for site1", certificates_ca=CERTIFICATE)
    refuse("postgresql_synchronous_standbys is 1, and there are 0 standbys", postgresql_synchronous_standbys=1)
    refuse("postgresql_rebuild names site1: there is no standby", postgresql_rebuild="site1")


def test_backup_hosts_need_a_password_of_their_own(sentences):
    groups = {"web": ["site1"], "database": ["site1"], "backup": ["site2"]}
    addresses = {"site1": "192.0.2.1", "site2": "192.0.2.2"}
    (said,) = sentences(groups, ["postgresql"], app_addresses=addresses)
    assert said.startswith("postgresql_receiver_password is not set: put a random one")
