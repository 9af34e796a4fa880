"""On Debian 12 pgBackRest knows no SFTP: an account there gets dumps and uploads, and whatever else there is of the database goes to the store."""

import secrets
import time

import pytest
import yaml
from elsewhere import DISK, MEDIA, count, held, places
from playing import ROOT, Site, finish, quick

testinfra_hosts = ["ansible://web"]
pytestmark = pytest.mark.long

STORE, ACCOUNT = "backups/older at 10.88.15.99", "/backups/older of keeper at 10.88.15.99"


@pytest.fixture(scope="module")
def older(inventory, tmp_path_factory, figure):
    """A site on the bare host of Debian 12, which keeps its backups in the same places, in folders of its own."""
    folder = tmp_path_factory.mktemp("older")
    (folder / "group_vars").symlink_to(ROOT / "molecule/inventories/group_vars")
    content = yaml.safe_load(open(inventory, encoding="utf-8"))
    lab = content["lab"]
    # Known by the folder of the inventory otherwise.
    known = {"lab_cache": str(ROOT / ".cache/lab"), "app_repository": str(ROOT / ".cache/probe/offsite")}
    lab["hosts"] = {"debian12": lab["hosts"]["debian12"] | known}
    for row in lab["vars"]["postgresql_backup_repositories"][1:]:
        row["path"] = row["path"].replace("site", "older")
    content["web"] = content["database"] = {"hosts": {"debian12": None}}
    (folder / "older.yml").write_text(yaml.safe_dump(content))
    site, begun = Site(str(folder / "older.yml")), time.monotonic()
    run = finish(site.start("site", **quick()))
    assert run.code == 0, run.output[-6000:]
    figure(f"a site on Debian 12 with places elsewhere: {time.monotonic() - begun:.0f} s")
    site.healthy()
    return site


@pytest.fixture(scope="module")
def there(older):
    return older.hosts["debian12"]


@pytest.fixture(scope="module")
def copied(older, there):
    upload = f"{secrets.token_hex(4)}.txt"
    older.upload(upload)
    there.check_output("postgresql-backup full && postgresql-backup logical && postgresql-backup media && postgresql-backup offsite")
    return upload


def test_the_account_gets_what_restic_brings_and_is_told_apart(older, there, copied):
    told = places(there)
    assert set(told) == {DISK, STORE, ACCOUNT}
    assert all(time.time() - told[STORE][what] < 600 for what in ("backup", "dumps", "uploads"))
    assert all(time.time() - told[ACCOUNT][what] < 600 for what in ("dumps", "uploads"))
    assert told[ACCOUNT]["is_partial"] and "backup" not in told[ACCOUNT]
    assert held(there, 2)
    page = older.apply("status").output
    assert ACCOUNT in page
    assert "is in /backups" not in page


def test_a_drill_goes_through_all_that_each_place_keeps(there, copied):
    said = there.check_output("postgresql-backup drill")
    assert len(said.split(" restores:")[0].split(" and ")) == 2


def test_dump_and_uploads_come_back_from_the_account_and_the_database_from_the_store(older, there, copied):
    there.check_output("rm -r /var/backups/postgresql/*")
    older.apply("restore", "-e", "restore_dump=latest", "-e", "restore_repository=3")
    assert count(there, copied, database="probe_restored") == 1
    older.apply("restore", "-e", "restore_remove=true")
    older.apply("restore_media", "-e", "restore_media=true", "-e", "restore_repository=3")
    assert there.check_output("cat %s", f"{MEDIA}.restored/{copied}") == f"content of {copied}"
    there.check_output("rm -r %s", f"{MEDIA}.restored")
    older.apply("restore", "-e", "restore_repository=2")
    assert count(there, copied, port=5433) == 1
    older.apply("restore", "-e", "restore_remove=true")
    run = older.play("restore", "-e", "restore_repository=3")
    assert run.code != 0
    assert "repository 3 holds no backup" in run.text
