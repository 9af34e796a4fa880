"""Bad input about where backups go is refused in one sentence, before any host is touched."""

import base64

import pytest

PATH = {"type": "path", "path": "/srv/backups"}
S3 = {"type": "s3", "path": "/shop", "bucket": "b", "endpoint": "s3.example.org", "region": "eu", "key": "AKIA", "secret": "swordfish-swordfish"}
# The form of a key, and none: who looks for keys in a repository is to find nothing here.
KEY = "-----BEGIN OPENSSH {0} KEY-----\n{1}\n-----END OPENSSH {0} KEY-----".format("PRIVATE", base64.b64encode(b"openssh-key-v1\0\0\0\0\4none").decode())
SECRET = {"postgresql_backup_passphrase": "p" * 16}
HOST_KEYS = ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFnUTG6qQHnSdnFUGpDCBSRlSaGiyRbsrF2Y3yFK5rQh"]
SFTP = {"type": "sftp", "path": "/b/shop", "host": "sftp.example.org", "user": "keeper", "private_key": KEY, "host_keys": HOST_KEYS}


BAD = [
    ({"postgresql_backup_repositories": []}, "postgresql_backup_repositories has to be a list of at least one repository"),
    ({"postgresql_backup_repositories": [PATH, {"type": "tape", "path": "/x"}]}, "postgresql_backup_repositories: number 2 is of type 'tape'"),
    ({"postgresql_backup_repositories": [{**S3, "secret": ""}]}, "postgresql_backup_repositories: number 1 lacks secret"),
    ({"postgresql_backup_path": "/etc"}, "postgresql_backup_path gives '/etc', and /etc is the system's: give a folder of its own, such as /var/lib/backups/shop."),
    ({"postgresql_backup_logical_path": "/var/lib"}, "postgresql_backup_logical_path gives '/var/lib', and /var/lib is the system's"),
    ({"postgresql_backup_drill_path": "/var/lib/postgresql/17/drill"}, "postgresql_backup_drill_path gives '/var/lib/postgresql/17/drill', and /var/lib/postgresql is"),
    ({"postgresql_backup_repositories": [PATH, {"type": "path", "path": "/mnt/../run/x"}]}, "postgresql_backup_repositories gives '/mnt/../run/x', and /run is"),
    *[
        ({name: path}, f"{name} gives '{path}', and its units see nothing of /home (ProtectHome=), of which a folder can be bound elsewhere (mount --bind): give")
        for name in ("postgresql_backup_path", "postgresql_backup_logical_path", "postgresql_backup_drill_path", "media_backup_path")
        for path in ("/home/backups", "/srv/../home/ops/backups")
    ],
    ({"postgresql_backup_repositories": [PATH, {"type": "path", "path": "/home/x"}]}, "postgresql_backup_repositories gives '/home/x', and its units see"),
    ({"app_backup_state_path": "/home/state"}, "app_backup_state_path is '/home/state', and its units see nothing of /home (ProtectHome=), of which"),
    ({"app_backup_command": "/tmp/backup"}, "app_backup_command is '/tmp/backup', and its units see nothing of /tmp (PrivateTmp=): give a place elsewhere."),
    ({"media_backup_uploads": "/home/shop/media"}, "media_backup_uploads is '/home/shop/media', and its units see nothing of /home (ProtectHome=)"),
    ({"media_backup_path": "/srv/shop/shared/media"}, "media_backup_path gives '/srv/shop/shared/media', which meets '/srv/shop' of app_root"),
    ({"postgresql_backup_logical_path": "/var/lib/pgbackrest/dumps"}, "postgresql_backup_logical_path gives '/var/lib/pgbackrest/dumps', which meets"),
    ({"postgresql_backup_path": "/backup", "media_backup_path": "/backup/media"}, "media_backup_path gives '/backup/media', which meets '/backup' of"),
    ({"postgresql_backup_repositories": [S3 | {"reader_key": "AKREAD"}]}, "postgresql_backup_repositories: number 1 has one of reader_key and reader_secret"),
    ({"postgresql_backup_repositories": [S3], "postgresql_backup_passphrase": ""}, "postgresql_backup_repositories: number 1 is at somebody else's and would not be"),
    ({"postgresql_backup_repositories": [S3 | {"endpoint": "https://s3.example.org"}]}, "postgresql_backup_repositories: number 1 has the endpoint 'https://s3.example.org': give a name or"),
    ({"postgresql_backup_repositories": [S3 | {"port": "https"}]}, "postgresql_backup_repositories: number 1 has the port 'https': give a number from 1"),
    ({"postgresql_backup_repositories": [S3 | {"bucket": "a/b"}]}, "postgresql_backup_repositories: number 1 has the bucket 'a/b': give letters"),
    ({"postgresql_backup_repositories": [S3 | {"ca": "/etc/ca.crt"}]}, "postgresql_backup_repositories: number 1 has a ca that is none: give it as PEM"),
    ({"postgresql_backup_repositories": [S3 | {"verify": False}]}, "postgresql_backup_repositories: number 1 has verify: a repository of type s3 has path"),
    ({"postgresql_backup_repositories": [SFTP | {"private_key": "~/.ssh/id"}]}, "postgresql_backup_repositories: number 1 has a private_key that is none: give it as PEM"),
    ({"postgresql_backup_repositories": [SFTP | {"host_keys": []}]}, "postgresql_backup_repositories: number 1 lacks host_keys"),
    ({"postgresql_backup_repositories": [SFTP | {"host_keys": ["any"]}]}, "postgresql_backup_repositories: number 1 has host_keys that are none: give a list of the server's public keys"),
    ({"postgresql_backup_repositories": [SFTP | {"user": "a b"}]}, "postgresql_backup_repositories: number 1 has the user 'a b': give letters"),
    ({"postgresql_backup_repositories": [SFTP, SFTP]}, "postgresql_backup_repositories names the same place twice"),
    ({"postgresql_backup_offsite_schedule": "daily"}, "postgresql_backup_offsite_schedule is 'daily': give the five fields"),
    ({"postgresql_backup_tablespace_paths": "tables"}, "postgresql_backup_tablespace_paths is \"tables\": give a list of absolute paths"),
    ({"postgresql_backup_logical_path": "dumps"}, "postgresql_backup_logical_path is 'dumps': give an absolute path"),
    ({"postgresql_backup_logical_retention_days": 0}, "postgresql_backup_logical_retention_days is '0': give a whole number"),
    ({"postgresql_backup_tls_port": 0}, "postgresql_backup_tls_port is '0': give a port number from 1 to 65535"),
    ({"media_backup_port": "rsync"}, "media_backup_port is 'rsync': give a port number from 1 to 65535"),
    ({"media_backup_share": "half"}, "media_backup_share is 'half': give a number from 0.01 to 1"),
    ({"app_media_root": "/mnt/data", "postgresql_backup_path": "/mnt/data/pg"}, "postgresql_backup_path gives '/mnt/data/pg', which meets '/mnt/data' of app_media"),
    ({"app_media_root": "/mnt/data", "media_backup_path": "/mnt/data/copies"}, "media_backup_path gives '/mnt/data/copies', which meets '/mnt/data' of"),
    ({"app_media_root": "/mnt/data/media", "media_backup_path": "/mnt/data"}, "media_backup_path gives '/mnt/data', which meets '/mnt/data/media'"),
    ({"app_media_path": "/mnt/data/media", "media_backup_path": "/mnt/data"}, "media_backup_path gives '/mnt/data', which meets '/mnt/data/media'"),
    ({"app_media_root": "/var/lib/pgbackrest"}, "postgresql_backup_path gives '/var/lib/pgbackrest', which meets '/var/lib/pgbackrest' of app_media_root"),
    ({"app_static_root": "/var/lib/pgbackrest"}, "postgresql_backup_path gives '/var/lib/pgbackrest', which meets '/var/lib/pgbackrest' of app_static_root"),
    ({"app_static_store": "/var/backups/postgresql/static"}, "postgresql_backup_logical_path gives '/var/backups/postgresql', which meets"),
    ({"postgresql_backup_repositories": [{"type": ["path"], "path": "/x"}]}, "postgresql_backup_repositories: number 1 is of type '['path']': known are"),
    ({"postgresql_backup_repositories": [{5: 6}]}, "postgresql_backup_repositories: number 1 is of type 'None': known are"),
    ({"postgresql_backup_repositories": [PATH | {5: 6, "a": 1}]}, "postgresql_backup_repositories: number 1 has 5, a: a repository of type path has"),
    ({"postgresql_backup_repositories": [PATH | {"path": ["/x"]}]}, "postgresql_backup_repositories: number 1 has path that is no text: give one"),
    ({"postgresql_backup_repositories": [S3 | {"passphrase": None}]}, "postgresql_backup_repositories: number 1 has a passphrase that is left open: give one"),
    ({"media_backup_schedule": "0 2 * * 8"}, "media_backup_schedule is '0 2 * * 8': give the five fields"),
    ({"media_backup_repository": -1}, "media_backup_repository is '-1': give a whole number from 0"),
    ({"postgresql_backup_check_schedule": "hourly"}, "postgresql_backup_check_schedule is 'hourly': give the five fields"),
]


def test_bad_values(each_is_refused):
    apart = {"app_media_root": "/mnt/data/media", "media_backup_path": "/mnt/data/copies", "app_static_store": "/mnt/data/static"}
    at_home = {
        "postgresql_backup_path": "/home/backups", "media_backup_path": "/home/media", "app_backup_state_path": "/home/state",
        "app_service_sandbox": "NoNewPrivileges=true\n",
    }  # fmt: skip
    good = [{"postgresql_backup_repositories": [PATH, S3, SFTP]}, apart, at_home]
    each_is_refused(BAD, "app", "postgresql_backup", "media_backup", good=good, **SECRET)


def test_the_same_path_on_two_machines_is_two_places(sentences):
    groups = {"web": ["site1"], "database": ["site2"], "backup": ["site3"]}
    addresses = {"site1": "192.0.2.1", "site2": "192.0.2.2", "site3": "192.0.2.3"}
    assert sentences(
        groups, ["postgresql_backup", "media_backup"], app_addresses=addresses, vault_postgresql_backup_password="b" * 16,
        app_media_root="/mnt/data", media_backup_path="/mnt/data/copies",
    ) == []  # fmt: skip


@pytest.mark.parametrize(
    ("database", "variables", "sentence"),
    [
        (["site1"], {"postgresql_backup_password": "hunter2"}, "postgresql_backup_password is shorter than 16 characters"),
        (
            ["site1"], {"postgresql_backup_password": "p" * 16, "postgresql_backup_repositories": [S3]},
            "postgresql_backup_repositories has none that database hosts could be restored from: give one in S3 the reader_key",
        ),
        (
            ["site1"], {"postgresql_backup_password": "p" * 16, "postgresql_backup_repositories": [SFTP]},
            "postgresql_backup_repositories has none that database hosts could be restored from",
        ),
        (["site1", "site2"], {"postgresql_backup_password": "p" * 16}, "The group backup names site2, which is in the group database too"),
    ],
    ids=["weak password", "nothing to restore from", "an account alone", "both at once"],
)  # fmt: skip
def test_a_backup_host_that_cannot_be(sentences, database, variables, sentence):
    groups = {"web": ["site1"], "database": database, "backup": ["site2"]}
    passwords = {f"vault_postgresql_{name}_password": "b" * 16 for name in ("replication", "backup")}
    (said,) = sentences(groups, app_addresses={"site1": "192.0.2.1", "site2": "192.0.2.2"}, **passwords, **SECRET, **variables)
    assert said.startswith(sentence)


@pytest.mark.parametrize(("letters", "is_refused"), [(55, False), (56, True)])
def test_backup_hosts_whose_slots_would_have_one_name(sentences, letters, is_refused):
    hosts = ["b." + "b" * (letters - 2) + "1", "b-" + "b" * (letters - 2) + "2"]
    groups = {"web": ["site1"], "database": ["site1"], "backup": hosts}
    passwords = {f"vault_postgresql_{name}_password": "b" * 16 for name in ("replication", "backup")}
    addresses = {host: f"192.0.2.{number}" for number, host in enumerate(["site1", *hosts], 1)}
    said = sentences(groups, ["postgresql_backup"], app_addresses=addresses, **passwords)
    beginning = f"The group backup names {hosts[1]}, {hosts[0]}, which are alike in their first 56 characters: "
    assert len(said) == is_refused and all(sentence.startswith(beginning) for sentence in said)


def test_several_repositories_are_not_refused_and_their_secrets_are_not_told(preflight):
    code, output = preflight(arguments=["-vvv"], postgresql_backup_repositories=[PATH, S3 | {"uri_style": "path", "retention_days": 2}, SFTP], **SECRET)
    assert code == 0, output
    assert S3["secret"] not in output
