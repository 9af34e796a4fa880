"""What the tests of these places know of them, and how they ask."""

import json
import subprocess

from playing import SSH_CONFIG

OUTSIDE = "10.88.15.99"
MEDIA = "/srv/probe/shared/media"
STORE, ACCOUNT = "backups/site at 10.88.15.99", "/backups/site of keeper at 10.88.15.99"
DISK = "/var/lib/pgbackrest"


def outside(command):
    """Run a command where the backups of the site are kept."""
    words = ["ssh", "-F", SSH_CONFIG, "-o", "BatchMode=yes", f"root@{OUTSIDE}", command]
    return subprocess.run(words, check=True, capture_output=True, text=True, timeout=120).stdout


def places(host):
    return json.loads(host.run("postgresql-backup status --json").stdout)["places"]


def sql(host, query, database="probe", port=5432):
    return host.check_output("cd / && runuser -u postgres -- psql -XAtq -p %s -d %s -c %s", str(port), database, query)


def count(host, row, **where):
    return int(sql(host, f"SELECT count(*) FROM pages_note WHERE text = '{row}'", **where))


def information(host, number):
    told = host.check_output("runuser -u postgres -- pgbackrest --stanza=main --repo=%s --output=json --log-level-console=off info", str(number))
    return json.loads(told)[0]


def held(host, number):
    """Labels of the backups in a repository."""
    return [row["label"] for row in information(host, number)["backup"]]
