"""A backup and a restore of two gigabytes, beside plain copies of the same data on the same disk."""

from lab import ARCHIVED
from report import row

# Letters at random: they compress to three quarters.
FILL = """
cd / && runuser -u postgres -- createdb filled
runuser -u postgres -- psql --quiet --command 'create table filled (line text)' filled
head --bytes={bytes} /dev/urandom | base64 --wrap=1000 | runuser -u postgres -- psql --quiet --command 'copy filled from stdin' filled
runuser -u postgres -- psql --quiet --command vacuum --command checkpoint filled
"""
COPY = "data=$(runuser -u postgres -- psql -At --command 'show data_directory')\nrm -rf /var/tmp/{to}\ncp -a {of} /var/tmp/{to}\nsync --file-system /var/tmp"


def measure(lab):
    """Return the rows of part g."""
    inventory = lab.site()
    megabytes = max(20, round(2048 * lab.scale))
    lab.ssh("h1", "set -euo pipefail" + FILL.format(bytes=megabytes * 1_000_000 * 3 // 4) + ARCHIVED)
    figures = {name: [] for name in ("backup", "copy", "restore", "back")}

    def on_host(script):
        return lab.ssh("h1", f"set -e\ncd /\n{script}")[0]

    for _run in range(lab.runs):
        figures["copy"].append(on_host(COPY.format(of="$data", to="copy")))
        figures["backup"].append(lab.play(inventory, "backup", "-e", "backup_type=full")["seconds"])
        figures["restore"].append(lab.play(inventory, "restore")["seconds"])
        figures["back"].append(on_host(COPY.format(of="/var/tmp/copy", to="back")))
        lab.play(inventory, "restore", "-e", "restore_remove=true")
        on_host("rm -rf /var/tmp/copy /var/tmp/back")
    lab.ssh("h1", "cd / && runuser -u postgres -- dropdb filled")
    return [
        row(f"backup.yml, full, {megabytes} MB", figures["backup"], "s", figures["copy"], "cp -a, sync"),
        row(f"restore.yml, {megabytes} MB, up and answering", figures["restore"], "s", figures["back"], "cp -a, sync"),
    ]
