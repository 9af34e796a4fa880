"""Bad input about a restore is refused in one sentence, before any host is touched."""

import pytest

BAD = [
    ({"restore_target_time": "2026-01-04 03:15:00"}, "restore_target_time is '2026-01-04 03:15:00': give a moment with its time zone, such as"),
    ({"restore_target_time": "2999-01-01 00:00:00+00"}, "restore_target_time is '2999-01-01 00:00:00+00', which is in the future."),
    ({"restore_target_time": "2026-01-04 03:15Z", "restore_target_name": "x"}, "restore_target_time and restore_target_name are given: give one"),
    ({"restore_dump": "latest", "restore_remove": True}, "restore_dump and restore_remove are given: give one"),
    ({"restore_in_place": True}, "restore_in_place is 'True': to put what is restored in the place of what runs, name it: shop/main."),
    ({"restore_in_place": "shop/main", "restore_dump": "latest"}, "restore_in_place is 'shop/main': to put what is restored in the place of"),
    ({"restore_target_name": "x'; DROP"}, "restore_target_name is 'x'; DROP': give the name of a restore point"),
    ({"restore_target_timeline": "0"}, "restore_target_timeline is '0': give latest, current or the number"),
    ({"restore_backup_label": "../x"}, "restore_backup_label is '../x': give the label of a backup"),
    ({"restore_repository": 2}, "restore_repository is '2': give the number of one of postgresql_backup_repositories, from 1 to 1"),
    ({"restore_dump": "dumps/shop"}, "restore_dump is 'dumps/shop': give latest, or the absolute path"),
    ({"restore_database": "shop; x"}, "restore_database is 'shop; x': give the name of a database"),
    ({"restore_database": "s" * 64}, f"restore_database is '{'s' * 64}': give the name of a database"),
    ({"postgresql_restore_headroom_mb": "much"}, "postgresql_restore_headroom_mb is 'much': give a whole number"),
    ({"postgresql_restore_port": 5432}, "postgresql_restore_port is 5432, which the server itself listens on"),
]


def test_wishes_that_cannot_be(each_is_refused):
    each_is_refused(BAD, "app", "restore", good=[{}, {"restore_target_time": "2026-01-04 03:15Z"}, {"restore_database": "s" * 63}])


@pytest.mark.parametrize(
    ("former", "name"),
    [
        ("postgresql_backup_restore_headroom_mb", "postgresql_restore_headroom_mb"),
        ("postgresql_backup_media_path", "media_backup_path"),
        ("postgresql_backup_media_port", "media_backup_port"),
        ("postgresql_backup_media_database", "app_database_name"),
    ],
)
def test_a_name_of_a_former_version_is_told_with_the_one_of_today(sentences, former, name):
    (said,) = sentences(**{former: 2048})
    assert said.startswith(f"{former} is no variable of this collection, and {name} is one")


def test_the_playbook_refuses_before_it_connects(preflight):
    code, output = preflight(playbook="restore", arguments=["-e", "restore_in_place=shop"])
    assert code != 0
    assert "restore_in_place is 'shop': to put what is restored in the place of what runs, name it: shop/main." in " ".join(output.split())


PATH = {"type": "path", "path": "/srv/backups"}
S3 = {"type": "s3", "path": "/shop", "bucket": "b", "endpoint": "s3.example.org", "region": "eu", "key": "AKIA", "secret": "swordfish-swordfish"}


@pytest.mark.parametrize(
    ("number", "wish", "is_refused"),
    [(1, {}, False), (2, {}, True), (3, {}, False), (2, {"restore_dump": "latest"}, False), (0, {}, False)],
)
def test_what_database_hosts_cannot_read_is_not_restored_from(sentences, number, wish, is_refused):
    groups = {"web": ["site1"], "database": ["site1"], "backup": ["site2"]}
    rows = [PATH, S3, S3 | {"path": "/other", "reader_key": "AKREAD", "reader_secret": "swordfish-reads"}]
    passwords = {f"vault_postgresql_{name}_password": "b" * 16 for name in ("replication", "backup")}
    said = sentences(groups, ["restore"], postgresql_backup_repositories=rows, postgresql_backup_passphrase="p" * 16, restore_repository=number,
                     app_addresses={"site1": "192.0.2.1", "site2": "192.0.2.2"}, **passwords, **wish)  # fmt: skip
    assert bool(said) is is_refused, said
    assert all(f"restore_repository is {number}, which database hosts cannot read" in sentence for sentence in said)
