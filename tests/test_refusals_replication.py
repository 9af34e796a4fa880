"""Bad input about standbys and certificates is refused in one sentence, before any host is touched."""

import pytest
from conftest import GOOD as SITE

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
    ({"postgresql_rebuild": "site9"}, "postgresql_rebuild names site9: the standbys are among case"),
    ({"postgresql_settings": {"synchronous_standby_names": "*"}}, "postgresql_settings holds synchronous_standby_names: that is set by"),
    (
        {"app_addresses": "{{ {inventory_hostname: '192.0.2.1', 'site2': 'db.example.org'} }}"},
        "app_address of site2 is 'db.example.org': give each host",
    ),
    (
        {"postgresql_roles": [{"name": name, "password": PASSWORD} for name in ("shop", "replication")]},
        "postgresql_roles names replication: a role of this name is made",
    ),
    ({"certificates_ca": CERTIFICATE}, "certificates_ca, certificates_certificate and certificates_key belong together"),
    ({"certificates_renew_days": 4000}, "certificates_renew_days is '4000' and certificates_days '3650': give whole numbers"),
]

@pytest.fixture(scope="module")
def said(sentences):
    site = SITE | CLUSTER | {"app_database_hosts": ["{{ inventory_hostname }}", "site2"]}
    site["app_addresses"] = "{{ {inventory_hostname: '192.0.2.1', 'site2': '192.0.2.2'} }}"
    checks = [(role, "check") for role in ("app", "certificates", "postgresql")]
    return sentences([variables for variables, _sentence in BAD], *checks, **site)


@pytest.mark.parametrize(
    ("number", "sentence"), [(number, row[1]) for number, row in enumerate(BAD)], ids=[str(row[1])[:50] for row in BAD]
)
def test_bad_value(said, number, sentence):
    (sentence_said,) = said[number]
    assert sentence_said.startswith(sentence)


def test_a_good_cluster_is_not_refused(preflight):
    good = CLUSTER | {"app_addresses": {"site1": "192.0.2.1", "site2": "192.0.2.2"}, "postgresql_synchronous_standbys": 1}
    code, output = preflight(
        groups={"web": ["site1"], "database": ["site1", "site2"]}, arguments=["-e", "postgresql_rebuild=site2"], **good
    )
    assert code == 0, output


def test_a_standby_where_there_is_none(refuse):
    refuse("postgresql_synchronous_standbys is 1, and there are 0 standbys", postgresql_synchronous_standbys=1)
    refuse("postgresql_rebuild names site1: there is no standby", postgresql_rebuild="site1")


def test_backup_hosts_need_a_password_of_their_own(preflight):
    groups = {"web": ["site1"], "database": ["site1"], "backup": ["site2"]}
    addresses = {"site1": "192.0.2.1", "site2": "192.0.2.2"}
    code, output = preflight(groups=groups, arguments=["--limit", "site1"], app_addresses=addresses)
    assert code != 0
    assert "postgresql_receiver_password is not set: put a random one" in " ".join(output.split())
