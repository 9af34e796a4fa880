"""How repositories elsewhere are reached, by pgBackRest's files and by restic, and that no secret is in an argument."""

import importlib.util
import pathlib

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[4]
spec = importlib.util.spec_from_file_location("postgresql_backup_places", ROOT / "plugins/filter/postgresql_backup_places.py")
filters = importlib.util.module_from_spec(spec)
spec.loader.exec_module(filters)

PATH = {"type": "path", "path": "/srv/backups"}
S3 = {"type": "s3", "path": "/shop", "bucket": "b", "endpoint": "s3.example.org", "region": "eu", "key": "AKIA", "secret": "swordfish"}
SFTP = {"type": "sftp", "path": "/b/shop", "host": "192.0.2.9", "port": 2222, "user": "keeper", "private_key": "PRIVATE\n", "host_keys": ["ssh-ed25519 AAAA me@x"]}


def test_places_are_named_without_secrets():
    assert filters.postgresql_backup_place_names([PATH, S3, SFTP]) == ["/srv/backups", "b/shop at s3.example.org", "/b/shop of keeper at 192.0.2.9"]


def test_a_store_is_reached_by_its_endpoint_and_with_its_own_authority():
    (place,) = filters.postgresql_backup_places([PATH, S3 | {"port": "9443", "uri_style": "path", "ca": "CA"}], "of the site")
    assert place["number"] == 2
    assert place["address"] == ["s3.example.org", 9443]
    assert place["environment"]["RESTIC_REPOSITORY"] == "s3:https://s3.example.org:9443/b/shop/restic"
    assert place["environment"]["RESTIC_PASSWORD"] == "of the site"
    assert place["environment"]["AWS_SECRET_ACCESS_KEY"] == "swordfish"
    assert place["options"] == ["-o", "s3.bucket-lookup=path", "-o", "s3.region=eu", "--cacert", "/etc/pgbackrest/repository-2.crt"]


def test_an_account_is_reached_by_its_key_and_the_servers_alone():
    (place,) = filters.postgresql_backup_places([SFTP | {"passphrase": "of the row"}], "of the site")
    assert place["environment"] == {"RESTIC_PASSWORD": "of the row", "RESTIC_REPOSITORY": "sftp://keeper@192.0.2.9//b/shop/restic"}
    command = place["options"][1]
    assert command.startswith("sftp.command=ssh -F none ")
    assert command.endswith(" -i /etc/pgbackrest/repository-1.key -p 2222 keeper@192.0.2.9 -s sftp")
    assert {"StrictHostKeyChecking=yes", "UserKnownHostsFile=/etc/pgbackrest/known_hosts", "BatchMode=yes"} <= set(command.split())


def test_an_address_of_many_colons_is_no_path():
    (place,) = filters.postgresql_backup_places([SFTP | {"host": "2001:db8::9"}], "of the site")
    assert place["environment"]["RESTIC_REPOSITORY"] == "sftp://keeper@[2001:db8::9]//b/shop/restic"


@pytest.mark.parametrize("passphrase", ["", None])
def test_where_nothing_is_encrypted_restic_has_a_word(passphrase):
    assert filters.postgresql_backup_places([S3], passphrase)[0]["environment"]["RESTIC_PASSWORD"] == "none"


def test_no_secret_is_among_the_options():
    rows = [S3 | {"passphrase": "of the row"}, SFTP | {"passphrase": "of the row"}]
    for place in filters.postgresql_backup_places(rows, "of the site"):
        assert not any(word in " ".join(place["options"]) for word in ("swordfish", "AKIA", "of the", "PRIVATE"))


def test_the_files_of_a_row_that_was_dropped_go():
    files = {row["dest"]: row for row in filters.postgresql_backup_place_files([S3 | {"ca": "CA"}, SFTP])}
    assert files["/etc/pgbackrest/repository-1.crt"] == {"dest": "/etc/pgbackrest/repository-1.crt", "state": "file", "content": "CA\n", "mode": "0644", "secret": False}
    key = files["/etc/pgbackrest/repository-2.key"]
    assert (key["content"], key["mode"], key["owner"], key["secret"]) == ("PRIVATE\n", "0600", "postgres", True)
    assert files["/etc/pgbackrest/known_hosts"]["content"] == "[192.0.2.9]:2222 ssh-ed25519 AAAA\n"
    assert files["/etc/pgbackrest/repository-3.key"]["state"] == "absent"
    files = {row["dest"]: row for row in filters.postgresql_backup_place_files([S3])}
    assert {row["state"] for row in files.values()} == {"absent"}


def test_a_server_on_its_usual_port_is_known_by_its_name_alone():
    files = filters.postgresql_backup_place_files([SFTP | {"port": 22}])
    assert files[-1]["content"] == "192.0.2.9 ssh-ed25519 AAAA\n"


@pytest.mark.parametrize("text", ["BEGIN\nabc\nEND", "\nBEGIN\r\nabc\r\nEND\r\n\n", "  BEGIN\n    abc\n  END"])
def test_what_is_pem_is_written_in_lines_as_programs_read_it(text):
    files = {row["dest"]: row for row in filters.postgresql_backup_place_files([SFTP | {"private_key": text}])}
    assert files["/etc/pgbackrest/repository-1.key"]["content"] == "BEGIN\nabc\nEND\n"
