# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""What a thing means and what to do about it, by what it is about; of several beginnings the longest holds."""

STATUS = "ansible-playbook playbooks/status.yml shows the whole site."

ADVICE = {
    "alone": "",
    "application": "Releases are seen by systemctl status 'APP@*' and journalctl -u 'APP@*'.",
    "application/beside": "The next deploy stops it.",
    "application/current": "Visitors are not served. Read journalctl -u 'APP@*'; systemctl restart APP starts it, rollback.yml goes back one release.",
    "application/lock": "A deploy goes on, or was killed: deploy.yml takes the lock of one that is dead.",
    "application/maintenance": "It ends with maintenance.yml -e maintenance=off.",
    "application/migrations": "deploy.yml applies them.",
    "application/missing": "deploy.yml installs it.",
    "application/none": "deploy.yml ships one.",
    "application/outdated": "deploy.yml starts it anew.",
    "application/process": "What it does is left undone. Read journalctl -u APP-NAME.service; systemctl restart APP-NAME.service starts it.",
    "application/release": "The application is broken or overloaded. Read journalctl -u 'APP@*'; rollback.yml goes back one release.",
    "application/timer": "What it does is left undone. Read journalctl -u APP-NAME.service; systemctl start APP-NAME.service runs it now.",
    "application/visitor": "The site is down for visitors. Read journalctl -u nginx -u 'APP@*'; rollback.yml goes back one release.",
    "backup": "Until it succeeds, a loss reaches back to the last good one. Run postgresql-backup status, and backup.yml when the cause is mended.",
    "backup/archive": "A restore to a point in time may not get past it. Read journalctl -u 'postgresql*' and run postgresql-backup check.",
    "backup/drill": "The backups may not restore. Run restore_drill.yml, and read what it says.",
    "balancer": "Visitors are sent elsewhere, if there is an elsewhere. Look at that host.",
    "balancer/visitor": "The site is down for visitors. Read journalctl -u haproxy, and look at the web hosts.",
    "certificate": "Browsers, or the site's own hosts, will refuse it. Renew it and run site.yml.",
    "certificate/asked": "Correct what the sentence names; the timer asks again twice a day, web.yml or balancer.yml at once.",
    "cut_off": "This host reaches no other host of the site: look at its network.",
    "database": "The application cannot work without it. Read journalctl -u 'postgresql@*' -u 'patroni@*'.",
    "database/connections": "New ones will be refused. Look at pg_stat_activity; restart what leaks, or raise postgresql_max_connections.",
    "database/lag": "A failover now would lose what it has not received, or wait for it. Look at the load of both servers and the network between them.",
    "database/primaries": "Look at both before one is given up; journalctl -u postgresql-guard -u 'patroni@*' says why they were not kept apart.",
    "database/primary": "Read journalctl -u 'postgresql@*' on the database hosts.",
    "database/receiver": "It falls behind, and cannot take over. If it does not come back: database.yml -e postgresql_rebuild=HOST.",
    "database/versions": "upgrade_postgresql.yml takes a server to the version that postgresql_version names.",
    "failover": "Read journalctl -u 'patroni@*'; patronictl list shows the servers.",
    "failover/paused": "patronictl resume ends it.",
    "failover/primary": "Nothing can be written. Read journalctl -u 'patroni@*' -u etcd on the database hosts.",
    "failover/restart": "patronictl restart applies it.",
    "host": STATUS,
    "logs": "It waits here, and is sent when it can be. Read journalctl -u selfhost-logs here, and -u selfhost-logs-keep on the other host.",
    "look": "What else is wrong may go unseen. Read journalctl -u selfhost-notify.",
    "machine": STATUS,
    "machine/disk": "What writes there will fail when it is full. du -xh --max-depth=2 PATH | sort -h shows what takes the room.",
    "machine/files": "Nothing new can be written there when it can hold no more. du --inodes -xh --max-depth=2 PATH | sort -h shows what has so many.",
    "machine/memory": "The kernel ends processes when there is no more. systemd-cgtop -m shows what takes it; give the host more, or uwsgi_processes fewer.",
    "machine/reboot": "An upgrade takes effect with it. Run reboot.yml.",
    "machine/unit": "Read systemctl status UNIT and journalctl -u UNIT; when it is mended: systemctl reset-failed UNIT.",
    "machine/upgrade": "Security updates are missing. Read /var/log/unattended-upgrades/, mend it, and run unattended-upgrade.",
    "neighbour": "It answers neither ping nor SSH. Look at it at your provider's; a dead primary: switchover.yml -e switchover_force=true.",
    "revisions": "deploy.yml brings them together.",
    "told": "What is told waits on the host. Run notify.yml, which says what is wrong.",
    "unkept": "It would be lost with the machine. Give the site a host in the group backup.",
    "voter": "Without a majority of voters nobody replaces a dead primary. Read journalctl -u etcd.",
}


def advice(about, application):
    """Return what to do about a thing, with the names that it is about."""
    parts = about.split("/")
    text = next((ADVICE[key] for key in ("/".join(parts[:count]) for count in range(len(parts), 0, -1)) if key in ADVICE), STATUS)
    for word, depth in (("NAME", 2), ("UNIT", 2), ("PATH", 2)):
        text = text.replace(word, "/".join(parts[depth:]) or word)
    return text.replace("APP", application)
