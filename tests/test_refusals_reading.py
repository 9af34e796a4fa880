"""What cannot be read is told by its name, once, and never passed over as if it were not there."""

import re

import pytest
import yaml
from ansible_collections.selfhost.django.plugins.plugin_utils.inputs import INVENTORY, names
from ansible_collections.selfhost.django.plugins.plugin_utils.inputs.reading import ROLES
from conftest import GROUPS


class Closed(str):
    """A text that is in the vault by itself, and that no password opens."""


yaml.SafeDumper.add_representer(Closed, lambda dumper, text: dumper.represent_scalar("!vault", str(text), style="|"))
CLOSED = Closed("$ANSIBLE_VAULT;1.1;AES256\n6162\n")

UNREADABLE = [
    ({"vault_postgresql_backup_passphrase": "{{ vault_pasphrase }}"}, "vault_postgresql_backup_passphrase cannot be read: 'vault_pasphrase' is undefined."),
    ({"vault_notify_urls": "{{ of_nobody }}"}, "vault_notify_urls cannot be read: 'of_nobody' is undefined."),
    ({"vault_notify_urls": ["{{ of_nobody }}"]}, "vault_notify_urls cannot be read: 'of_nobody' is undefined."),
    ({"vault_app_repository_key": "{{ of_nobody }}"}, "vault_app_repository_key cannot be read: 'of_nobody' is undefined."),
    ({"vault_app_acme_hmac_key": "{{ of_nobody }}"}, "vault_app_acme_hmac_key cannot be read: 'of_nobody' is undefined."),
    ({"app_secret_key": None, "vault_app_secret_key": "{{ of_nobody }}"}, "vault_app_secret_key cannot be read: 'of_nobody' is undefined."),
    ({"app_secret_key": "{{ vault_app_secret_key }}", "vault_app_secret_key": "{{ of_nobody }}"}, "vault_app_secret_key cannot be read: 'of_nobody' is"),
    ({"vault_etcd_password": 'aaa"a {{swordfish}}'}, "vault_etcd_password cannot be read: give what it names in {{ }}, or write a secret that has"),
    ({"vault_notify_urls": ["https://me:a{{swordfish}}@example.org"]}, "vault_notify_urls cannot be read: give what it names in {{ }}, or write a secret"),
    ({"restore_target_time": "{{ of_nobody }}"}, "restore_target_time cannot be read: 'of_nobody' is undefined."),
    ({"app_secret_key": CLOSED}, "app_secret_key cannot be read: "),
    ({"app_environment": {"TOKEN": CLOSED}}, "app_environment cannot be read: "),
    ({"vault_postgresql_backup_passphrase": CLOSED}, "vault_postgresql_backup_passphrase cannot be read: "),
    ({"app_secret_key": "{{ vault_app_secret_key }}", "vault_app_secret_key": CLOSED}, "vault_app_secret_key cannot be read: "),
    ({"app_secret_key": "{{ sealed }}", "sealed": CLOSED}, "app_secret_key cannot be read: "),
]


def test_what_cannot_be_read_is_told_once(each_is_refused):
    each_is_refused(UNREADABLE, *INVENTORY)


def test_a_vault_that_does_not_open_is_told_once(preflight):
    code, output = preflight(app_secret_key="{{ vault_app_secret_key }}", vault_app_secret_key=CLOSED)
    assert code != 0 and " ".join(output.split()).count("vault_app_secret_key cannot be read") == 1, output


def test_what_is_in_the_vault_stands_in_the_way_of_nothing_that_asks_for_something_else(sentences):
    assert sentences(None, ["status"], vault_notify_urls="{{ of_nobody }}") == []


def test_the_names_in_the_vault_are_those_that_defaults_read():
    read = {name for path in ROLES.glob("*/defaults/main.yml") for name in re.findall(r"\bvault_\w+", path.read_text())}
    assert read == set(names.VAULT)


def test_the_words_are_those_that_defaults_and_playbooks_read():
    places = [*ROLES.glob("*/defaults/main.yml"), *ROLES.glob("*/vars/main.yml"), *ROLES.parent.glob("playbooks/*.yml")]
    first = "backup|deploy|maintenance|reboot|rebuild|restore|rollback|switchover|upgrade"
    read = {name for path in places for name in re.findall(rf"\b((?:{first})(?:_[a-z_]+)?) *\| *default\(", path.read_text())}
    assert read == set(names.WORDS) and set(names.SWITCHES) < read


def test_what_breaks_a_check_is_told_by_the_role(controller, monkeypatch):
    def breaks(site):
        raise LookupError("nothing is there.")

    monkeypatch.setitem(INVENTORY, "guard", (breaks, ()))
    assert controller.sentences(GROUPS, {"app_name": "shop"}, ["guard"]) == ["guard's inputs cannot be read: nothing is there."]


COLUMNS = [
    ({"nginx_static_locations": [{"url": ["/a/"], "path": "/b"}]}, "nginx_static_locations holds {'path': '/b', 'url': ['/a/']}"),
    ({"app_timers": [{"name": "a", "command": "b", "schedule": "daily", "persistent": "maybe"}]},
     "app_timers has to be a list of mappings in which persistent is true or false."),
]  # fmt: skip


def test_columns_are_of_their_kind(each_is_refused):
    each_is_refused(COLUMNS, "app", "nginx")


# --- Words of the command line ------------------------------------------------------------------


@pytest.mark.parametrize("word", sorted(names.SWITCHES))
def test_yes_or_no_is_one_of_both(sentences, word):
    groups, check = ({"database": ["db1", "db2"]}, "switchover") if word == "switchover_force" else (None, "restore_media")
    (said,) = sentences(groups, [check], **{word: "maybe"})
    assert said.startswith(f"{word} is 'maybe': give true") or said == f"{word} has to be true or false."
    for value in ("yes", "false", True):
        assert not [sentence for sentence in sentences(groups, ["status"], **{word: value}) if word in sentence]


WORDS = [
    ({"status_strct": "true"}, "status_strct is no variable of this collection, and status_strict is one"),
    ({"status_htm": "page.html"}, "status_htm is no variable of this collection, and status_html is one"),
    ({"status_strict": "maybe"}, "status_strict has to be true or false."),
    ({"status_disk_percent": 850}, "status_disk_percent is '850': give a whole number from 1 to 100."),
    ({"status_memory_percent": 0}, "status_memory_percent is '0': give a whole number from 1 to 100."),
    ({"reboot_al": "true"}, "reboot_al is no variable of this collection, and reboot_all is one"),
]


def test_words_of_a_page(each_is_refused):
    good = [{}, {"status_html": "page.html", "status_strict": "true"}, {"app_setting_module": "a", "hardening_swap_mb": 1, "status_paths": ["/"]}]
    each_is_refused(WORDS, "status", good=good)


def test_words_of_a_reboot(each_is_refused):
    bad = [
        ({"reboot_all": "maybe"}, "reboot_all has to be true or false."),
        ({"hardening_reboot_timeout_seconds": -5}, "hardening_reboot_timeout_seconds is '-5'"),
    ]
    each_is_refused(bad, "reboot", good=[{"reboot_all": "yes"}, {"hardening_swap_mb": 1}])


def test_every_playbook_refuses_before_it_does_anything():
    """doctor.yml tells of bad input with all the rest, and two are parts of others."""
    first = {path.stem: yaml.safe_load(path.read_text())[0].get("ansible.builtin.import_playbook") for path in ROLES.parent.glob("playbooks/*.yml")}
    assert {name for name, imported in first.items() if imported != "preflight.yml"} == {"doctor", "look", "packages", "preflight"}


# --- Numbers --------------------------------------------------------------------------------------


# Told by other names: with what they have to go with, and by the word of the command line.
WITH_OTHERS = {"postgresql_failover_loop_seconds", "postgresql_failover_retry_seconds", "postgresql_restore_repository"}


def test_every_number_has_its_bounds(controller):
    """Without, a slip of the pen would be told by whatever program reads it, or by none."""
    hosts = ["site1", "site2", "site3"]
    groups = {"web": hosts[:1], "database": hosts[:2], "balancer": hosts[2:], "backup": hosts[2:], "etcd": hosts, "logs": hosts[2:]}
    site = {"app_name": "shop", "app_addresses": {host: f"192.0.2.{number}" for number, host in enumerate(hosts, 1)}}
    site |= {name: "p" * 16 for name in names.VAULT if name.endswith("_password")}
    numbers = {}
    for name, option in controller.sites(groups, site)[0].inputs.items():
        if option["type"] in ("int", "float"):
            numbers.setdefault(option["role"], []).append(name)
    for role, of_role in numbers.items():
        checks = [role] if role in INVENTORY else ["app", "restore", "status"]
        said = " ".join(controller.sentences(groups, site | dict.fromkeys(of_role, -7), checks))
        assert [name for name in of_role if not re.search(rf"\b{name}\b", said) and name not in WITH_OTHERS] == []
