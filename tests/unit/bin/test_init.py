"""What `selfhost init` makes of answers and of a repository."""

import importlib.machinery
import importlib.util
import pathlib
import re
import subprocess
import sys

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[3]
PROGRAM = ROOT / "bin/selfhost-init"
loader = importlib.machinery.SourceFileLoader("selfhost_init", str(PROGRAM))
init = importlib.util.module_from_spec(importlib.util.spec_from_loader("selfhost_init", loader))
# Nothing is left beside the program.
sys.dont_write_bytecode, before = True, sys.dont_write_bytecode
loader.exec_module(init)
sys.dont_write_bytecode = before

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIG2s8m8sZ4HC5p3RT3iVg2943hjpF8cQ9ITTlFH3VA6c me@laptop"
ANSWERS = {"repository": "https://git.example.org/team/shop.git", "name": "shop", "host": "192.0.2.1", "key": KEY, "admin": "ops", "domains": []}


@pytest.mark.parametrize(
    ("repository", "name"),
    [
        ("https://git.example.org/team/shop.git", "shop"), ("git@git.example.org:team/My-Shop.git", "my_shop"), ("/home/me/code/shop/", "shop"),
        ("git@host:shop", "shop"), ("https://git.example.org/2fa", "fa"), ("https://git.example.org/---", "app"),
    ],
)  # fmt: skip
def test_a_name_for_the_application(repository, name):
    assert init.name_of(repository) == name


MANAGE = 'os.environ.setdefault("DJANGO_SETTINGS_MODULE", "%s")'


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, {}),
        ({"README.md": ""}, {}),
        (
            {"manage.py": MANAGE % "shop.settings", "shop/wsgi.py": ""},
            {"app_settings_module": "shop.settings", "app_wsgi_module": "shop.wsgi:application"},
        ),
        (
            {"manage.py": MANAGE % "config.settings.local", "config/wsgi.py": "", "docs/manage.py": ""},
            {"app_settings_module": "config.settings.local", "app_wsgi_module": "config.wsgi:application"},
        ),
        (
            {"src/manage.py": MANAGE % "shop.settings", "src/shop/wsgi.py": ""},
            {"app_subdirectory": "src", "app_settings_module": "shop.settings", "app_wsgi_module": "shop.wsgi:application"},
        ),
        ({"manage.py": MANAGE.replace('"', "'") % "settings"}, {"app_settings_module": "settings"}),
        ({"manage.py": "main()"}, {}),
    ],
)
def test_what_a_repository_tells(files, expected):
    assert init.project((list(files), files.get)) == expected


def test_a_branch_of_another_name():
    assert init.default_branch("ref: refs/heads/master\tHEAD\nabc\tHEAD\n") == "master"
    assert init.default_branch("abc\tHEAD\n") == ""


def test_files_of_a_machine_that_has_an_address_alone():
    files = {path: yaml.safe_load(text) for path, text in init.files_of(ANSWERS, {}).items() if path.endswith(".yml")}
    assert files == {
        "hosts.yml": {"web": {"hosts": {"site": {"ansible_host": "192.0.2.1"}}}, "database": {"hosts": {"site": None}}},
        "group_vars/all/app.yml": {"app_name": "shop", "app_repository": "https://git.example.org/team/shop.git"},
        "group_vars/all/network.yml": {"ansible_user": "ops", "hardening_admins": [{"name": "ops", "keys": [KEY]}]},
    }


def test_files_name_what_differs_from_the_defaults():
    found = {"app_version": "master", "app_settings_module": "config.settings", "app_wsgi_module": "shop.wsgi:application"}
    files = init.files_of(ANSWERS | {"domains": ["www.example.org", "example.org"]}, found)
    assert yaml.safe_load(files["hosts.yml"])["web"] == {"hosts": {"www.example.org": {"ansible_host": "192.0.2.1"}}}
    assert yaml.safe_load(files["group_vars/all/app.yml"]) == {
        "app_name": "shop", "app_repository": "https://git.example.org/team/shop.git", "app_domains": ["www.example.org", "example.org"],
        "app_version": "master", "app_settings_module": "config.settings",
    }  # fmt: skip
    assert all(len(line) <= 160 for text in files.values() for line in text.splitlines())


def test_keys(tmp_path):
    (tmp_path / "id.pub").write_text(KEY + "\n")
    (tmp_path / "id").write_text(f"-----BEGIN OPENSSH {'PRIVATE'} KEY-----\n")
    assert init.checked_key(KEY) == init.checked_key(str(tmp_path / "id.pub")) == KEY
    with pytest.raises(init.Mistake, match="holds no public key: give the file that ends with .pub"):
        init.checked_key(str(tmp_path / "id"))
    with pytest.raises(init.Mistake, match="is no file and no public key"):
        init.checked_key(str(tmp_path / "nothing"))


def test_every_secret_that_a_role_asks_of_the_vault_for_is_made():
    texts = "".join(path.read_text() for path in ROOT.glob("roles/*/defaults/main.yml"))
    wanted = set(re.findall(r"vault_(\w+)", texts))
    # What only its owner has, and what a site has had before.
    theirs = re.compile(".*(key|token|eab|former|notify).*")
    assert not [name for name in wanted - set(init.SECRETS) if not theirs.fullmatch(name)]
    assert set(init.SECRETS) <= wanted


def run(*words):
    return subprocess.run([sys.executable, PROGRAM, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True)


def test_a_folder_that_is_used_is_left_alone(tmp_path):
    (tmp_path / "mine").write_text("mine")
    done = run(tmp_path, "--repository=x", "--host=192.0.2.1", f"--key={KEY}")
    assert (done.returncode, [path.name for path in tmp_path.iterdir()]) == (2, ["mine"])
    assert "is there and not empty: name a new folder; nothing in it was changed." in done.stderr


@pytest.mark.parametrize(("left_out", "sentence"), [("--repository", "--repository is missing:"), ("--host", "--host is missing:"), ("--key", "no public key")])
def test_what_nobody_answers_is_a_sentence(tmp_path, left_out, sentence):
    words = {"--repository": "/nowhere/shop", "--host": "192.0.2.1", "--key": KEY} | ({"--key": "/nowhere.pub"} if left_out == "--key" else {})
    done = run(tmp_path / "site", *(f"{option}={value}" for option, value in words.items() if option != left_out or left_out == "--key"))
    assert (done.returncode, sentence in done.stderr, (tmp_path / "site").exists()) == (2, True, False), done.stderr
