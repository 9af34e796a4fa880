# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""What can be wrong with what a site says of its upgrades."""

from __future__ import annotations

from collections.abc import Mapping

from .values import is_list, listed, matches, text_of

KEY = "-----BEGIN PGP PUBLIC KEY BLOCK-----"


def repository(site):
    """Say what is wrong with where PostgreSQL's packages come from."""
    value = site["postgresql_repository"]
    if not isinstance(value, Mapping):
        yield "postgresql_repository has to be a mapping of uri and key, or empty."
        return
    if not value:
        return
    if strange := [name for name in value if name not in ("uri", "key", "suite", "components")]:
        yield f"postgresql_repository holds {listed(strange)}: known are uri, key, suite and components."
    if not matches(r"https?://[^\s/]+(/\S*)?", value.get("uri", "")):
        yield f"postgresql_repository has the uri '{value.get('uri', '')}': give the address of a repository, with https://."
    if not str(value.get("key", "")).strip().startswith(KEY):
        yield f"postgresql_repository has no key that signs it: give its public key in ASCII-armored form, which begins with {KEY}."
    if not matches("[A-Za-z0-9][A-Za-z0-9./_-]*", value.get("suite", "trixie-pgdg")):
        yield f"postgresql_repository has the suite '{value['suite']}': give its name, such as trixie-pgdg, or leave it out."
    components = value.get("components", ["main"])
    if not is_list(components) or not components or not all(matches("[A-Za-z0-9._-]+", part) for part in components):
        yield f"postgresql_repository has the components {text_of(components)}: give a list such as [main], or leave it out."


def upgrade_debian(site):
    """Say what is wrong with upgrade_debian.yml for this site."""
    if site["app_etcd_hosts"]:
        yield (
            "The group etcd is there: Patroni 4 of Debian 13 works reliably with 3.1 or later, Debian 12 has 3.0, and while hosts are of two Debians a server "
            "whose indexes are in another order could become the primary. Take the site back to a plain pair (README of the role postgresql, Automatic "
            "failover, Back), upgrade one host after the other, and add the group again."
        )


def upgrade_postgresql(site):
    """Say what is wrong with the wishes of upgrade_postgresql.yml."""
    back, removed = str(site["postgresql_upgrade_back"]), str(site["postgresql_upgrade_removed"])
    if back.lower() not in ("", "true", "false", "yes", "no", "lose"):
        yield f"upgrade_back is '{back}': give true, or lose where what was written since the upgrade may be lost."
    if removed and not matches("[1-9][0-9]+/main", removed):
        yield f"upgrade_remove is '{removed}': give the former cluster as version/main, such as 15/main."
    if removed and back.lower() in ("true", "yes", "lose"):
        yield "upgrade_back and upgrade_remove are given: give one of them."
    if out := [host for host in site["postgresql_hosts"] if host not in site.run]:
        yield f"--limit leaves out {listed(out)}: an upgrade needs every host of the database."
