# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""Repositories that are elsewhere: what they are called, the files that lead to them, and how restic reaches each."""

from __future__ import annotations

from ansible_collections.selfhost.django.plugins.module_utils.hosts import host_in_url

FOLDER = "/etc/pgbackrest"
KNOWN_HOSTS = f"{FOLDER}/known_hosts"
PORTS = {"s3": 443, "sftp": 22}
# Keys and certificates of so many rows are looked for, so that those of a row that was dropped go.
SWEPT = 8


def _port(row):
    return int(row.get("port") or PORTS[row["type"]])


def _at(host, port):
    """Return a host as a file of known hosts names it."""
    return host if port == PORTS["sftp"] else f"[{host}]:{port}"


def _lines(text):
    """Return what PEM has in lines as programs read it, however it was indented or its lines were ended."""
    return "".join(f"{line.strip()}\n" for line in text.strip().splitlines())


def postgresql_backup_place_names(rows):
    """Return in words where each repository is, in their order."""
    return [
        row["path"] if row["type"] == "path"
        else f"{row['bucket']}{row['path']} at {row['endpoint']}" if row["type"] == "s3"
        else f"{row['path']} of {row['user']} at {row['host']}"
        for row in rows
    ]  # fmt: skip


def postgresql_backup_place_files(rows):
    """Return the files that lead to the repositories, as rows of the action `files`: authorities, private keys, keys of servers."""
    files = []
    for number in range(1, max(len(rows), SWEPT) + 1):
        row = rows[number - 1] if number <= len(rows) else {}
        for name, suffix in (("ca", "crt"), ("private_key", "key")):
            entry = {"dest": f"{FOLDER}/repository-{number}.{suffix}", "state": "absent"}
            if row.get(name):
                secret = name == "private_key"
                # ssh takes no key that others read, and root reads it as well.
                entry |= {"state": "file", "content": _lines(row[name]), "mode": "0600" if secret else "0644", "secret": secret}
                entry |= {"owner": "postgres", "group": "postgres"} if secret else {}
            files.append(entry)
    lines = [f"{_at(row['host'], _port(row))} {' '.join(key.split()[:2])}" for row in rows if row["type"] == "sftp" for key in row["host_keys"]]
    return [*files, {"dest": KNOWN_HOSTS, "content": "".join(f"{line}\n" for line in lines)} if lines else {"dest": KNOWN_HOSTS, "state": "absent"}]


def postgresql_backup_places(rows, passphrase=""):
    """Return how dumps and copies of uploads get to each repository that is elsewhere: rows of number, address, environment and options of restic.

    `reader` is what of the environment is another one for who only reads. There are secrets in it: it is for a file that root and postgres alone read.
    """
    places = []
    for number, row in enumerate(rows, 1):
        if row["type"] == "path":
            continue
        host, port = row["endpoint" if row["type"] == "s3" else "host"], _port(row)
        # restic knows no repository without a passphrase.
        environment, options = {"RESTIC_PASSWORD": row.get("passphrase") or passphrase or "none"}, []
        if row["type"] == "s3":
            environment |= {
                "RESTIC_REPOSITORY": f"s3:https://{host_in_url(host)}:{port}/{row['bucket']}{row['path']}/restic",
                "AWS_ACCESS_KEY_ID": row["key"], "AWS_SECRET_ACCESS_KEY": row["secret"], "AWS_DEFAULT_REGION": row["region"],
            }  # fmt: skip
            options += ["-o", f"s3.bucket-lookup={'path' if row.get('uri_style') == 'path' else 'dns'}", "-o", f"s3.region={row['region']}"]
            options += ["--cacert", f"{FOLDER}/repository-{number}.crt"] if row.get("ca") else []
        else:
            environment["RESTIC_REPOSITORY"] = f"sftp://{row['user']}@{host_in_url(host)}/{row['path']}/restic"
            words = {
                "BatchMode": "yes", "StrictHostKeyChecking": "yes", "UserKnownHostsFile": KNOWN_HOSTS, "GlobalKnownHostsFile": "/dev/null",
                "IdentitiesOnly": "yes", "IdentityAgent": "none", "ConnectTimeout": "20", "ServerAliveInterval": "20",
            }  # fmt: skip
            settings = " ".join(f"-o {name}={value}" for name, value in words.items())
            command = f"ssh -F none {settings} -i {FOLDER}/repository-{number}.key -p {port} {row['user']}@{host} -s sftp"
            options += ["-o", f"sftp.command={command}"]
        reader = {"AWS_ACCESS_KEY_ID": row["reader_key"], "AWS_SECRET_ACCESS_KEY": row["reader_secret"]} if row.get("reader_key") else {}
        places.append({"number": number, "address": [host, port], "environment": environment, "reader": reader, "options": options})
    return places


class FilterModule:
    """Registers the filters."""

    def filters(self):
        """Return the filters of this file by name."""
        return {
            "postgresql_backup_place_files": postgresql_backup_place_files,
            "postgresql_backup_place_names": postgresql_backup_place_names,
            "postgresql_backup_places": postgresql_backup_places,
        }
