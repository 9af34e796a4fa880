"""The passphrase of all backups became known, and another takes its place without a moment that is in none."""

import json
import secrets
import time

import pytest
from playing import ROOT

testinfra_hosts = ["ansible://web"]


@pytest.fixture(scope="module")
def here(site):
    return site.hosts[site.web[0]]


@pytest.fixture(scope="module")
def change(site, here, tmp_path_factory):
    """Return a function that sets the database host up with other variables; afterwards it is as the inventory says."""
    file = tmp_path_factory.mktemp("variables") / "changed.json"

    def apply(**variables):
        file.write_text(json.dumps(variables))
        return site.apply("database", "-e", f"@{file}")

    yield apply
    file.write_text(json.dumps({"vault_postgresql_backup_former_passphrase": NEW}))
    site.apply("database", "-e", f"@{file}")
    here.check_output("postgresql-backup media && postgresql-backup full && postgresql-backup offsite")
    site.apply("database")


NEW = secrets.token_urlsafe(32)


def labels(host):
    told = host.check_output("runuser -u postgres -- pgbackrest --stanza=main --output=json --log-level-console=off info")
    return {row["label"]: row["database"]["repo-key"] for row in json.loads(told)[0]["backup"]}


@pytest.mark.long
def test_a_passphrase_is_replaced_by_a_new_place_beside_the_former_ones(site, here, change, figure):
    begun = time.monotonic()
    rows = site.variables["_meta"]["hostvars"][site.web[0]]["postgresql_backup_repositories"]
    former = (ROOT / ".cache/lab/offsite/backup_passphrase").read_text().split()[0]
    new_place = rows[1] | {"path": f"/site-{secrets.token_hex(3)}"}
    here.check_output("postgresql-backup media")
    known = set(labels(here))
    change(
        vault_postgresql_backup_passphrase=NEW, vault_postgresql_backup_former_passphrase=former,
        postgresql_backup_repositories=[*(row | {"passphrase": former} for row in rows), new_place],
    )  # fmt: skip
    assert 4 in {number for label, number in labels(here).items() if label not in known}
    here.check_output("postgresql-backup media && postgresql-backup offsite")
    assert int(here.check_output("postgresql-backup media-list | wc -l")) > 1
    # The former ones are dropped by the operator's word.
    change(vault_postgresql_backup_passphrase=NEW, postgresql_backup_repositories=[new_place])
    assert former not in here.check_output("cat /etc/pgbackrest/*")
    assert not here.file("/etc/pgbackrest/repository-3.key").exists
    here.check_output("postgresql-backup full && postgresql-backup drill && postgresql-backup media-list")
    figure(f"another passphrase for all backups: {time.monotonic() - begun:.0f} s")
