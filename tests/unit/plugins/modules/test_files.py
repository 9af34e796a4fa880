"""Files of a role: written as they have to be, once, and never through a link of another account."""

import base64
import copy
import grp
import json
import os
import pathlib
import pwd
import subprocess

import pytest
import yaml
from ansible_collections.selfhost.django.plugins.action.files import Variables
from ansible_collections.selfhost.django.plugins.module_utils.files import place
from ansible_collections.selfhost.django.plugins.module_utils.paths import UnsafePath

ROOT = pathlib.Path(__file__).resolve().parents[4]
OWNER, GROUP = pwd.getpwuid(os.getuid()).pw_name, grp.getgrgid(os.getgid()).gr_name


def entry(path, content="new\n", **values):
    row = {"dest": str(path), "content": base64.b64encode(content.encode()).decode(), "owner": OWNER, "group": GROUP, "mode": "0644"}
    return row | {"state": "file", "validate": None, "secret": False} | values


def run(words):
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def test_it_is_written_once_with_its_mode(tmp_path):
    path = tmp_path / "a" / "b" / "file"
    assert place(entry(path, mode="0640"), False, run)["after"] == "new\n"
    assert (path.read_text(), path.stat().st_mode & 0o7777) == ("new\n", 0o640)
    before = path.stat()
    assert place(entry(path, mode="0640"), False, run) is None
    assert path.stat().st_ino == before.st_ino


@pytest.mark.parametrize(
    ("values", "before", "after"),
    [
        ({}, "old\n", "new\n"),
        ({"secret": True}, "(secret)\n", "(another secret)\n"),
        ({"content": "old\n", "mode": "0600"}, " 0644\n", f"{OWNER}:{GROUP} 0600\n"),
    ],
    ids=["content", "secret", "mode"],
)
def test_a_dry_run_shows_the_difference_and_writes_nothing(tmp_path, values, before, after):
    path = tmp_path / "file"
    path.write_text("old\n")
    path.chmod(0o644)
    row = place(entry(path, **values), True, run)
    assert row["before"].endswith(before) and row["after"] == after
    assert path.read_text() == "old\n"


def test_a_dry_run_knows_a_bare_host(tmp_path):
    row = place(entry(tmp_path / "none" / "file", owner="nobody-of-that-name", validate="/no/such/program %s"), True, run)
    assert (row["before"], row["after"]) == ("", "new\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.getuid() != 0, reason="trials are made in /run")
def test_what_is_refused_is_not_written(tmp_path):
    path = tmp_path / "file"
    path.write_text("old\n")
    with pytest.raises(UnsafePath, match=r"file is refused by `sh -c '.*`: no good$"):
        place(entry(path, validate="sh -c 'grep -q old %s || { echo no good >&2; exit 3; }'"), False, run)
    assert path.read_text() == "old\n"
    assert place(entry(path, validate="grep -q new %s"), False, run)
    assert path.read_text() == "new\n"
    assert not list(pathlib.Path("/run").glob("selfhost-validate*"))


def test_an_account_that_is_not_there_is_told(tmp_path):
    with pytest.raises(UnsafePath, match="There is no user nobody-of-that-name on this host"):
        place(entry(tmp_path / "file", owner="nobody-of-that-name"), False, run)


def test_a_link_in_its_place_is_replaced_and_a_directory_is_not(tmp_path):
    other = tmp_path / "other"
    other.write_text("untouched\n")
    (tmp_path / "file").symlink_to(other)
    assert place(entry(tmp_path / "file"), False, run)
    assert not (tmp_path / "file").is_symlink() and other.read_text() == "untouched\n"
    (tmp_path / "folder").mkdir()
    with pytest.raises(UnsafePath, match="folder is a directory: move it away"):
        place(entry(tmp_path / "folder"), False, run)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder away")
def test_no_link_of_another_account_is_followed(tmp_path):
    tmp_path.chmod(0o777)
    target = tmp_path / "target"
    target.mkdir()
    (tmp_path / "link").symlink_to(target)
    os.chown(tmp_path / "link", 65534, 65534, follow_symlinks=False)
    with pytest.raises(UnsafePath, match="link is a link to"):
        place(entry(tmp_path / "link" / "file"), False, run)
    assert list(target.iterdir()) == []


def test_a_role_s_templates_files_and_globs_come_in_one_task(tmp_path):
    role = tmp_path / "roles/shop"
    for name, text in {
        "templates/b.conf.j2": "{{ shop_name }} {{ item }}\n",
        "templates/a.conf.j2": "{% if true %}\nname={{ shop_name }}\n{% endif %}\n", "files/tool": "#!/bin/sh\n", "files/lib/one.py": "1\n",
        "files/lib/two.py": "2\n", "files/lib/no.txt": "", "defaults/main.yml": "shop_name: é\n",
    }.items():  # fmt: skip
        (role / name).parent.mkdir(parents=True, exist_ok=True)
        (role / name).write_text(text)
    there = {"owner": OWNER, "group": GROUP}
    task = {
        "name": "Install",
        "selfhost.django.files": {
            "files": [
                {"template": "a.conf.j2", "dest": f"{tmp_path}/etc/", **there},
                {"template": "b.conf.j2", "vars": {"item": "one"}, "dest": f"{tmp_path}/etc/one", **there},
                {"template": "b.conf.j2", "vars": {"item": "two"}, "dest": f"{tmp_path}/etc/two", **there},
                {"src": "tool", "dest": f"{tmp_path}/bin/renamed", "mode": "0755", **there},
                {"src": "lib/*.py", "dest": f"{tmp_path}/lib/", **there},
                {"content": "swordfish\n", "dest": f"{tmp_path}/key", "mode": "0600", "secret": True, **there},
            ]
        },
        "register": "done",
    }
    (role / "tasks").mkdir()
    (role / "tasks/main.yml").write_text(yaml.safe_dump([task, {"debug": {"msg": "FILES {{ done.changed_files | to_json }}"}}]))
    (tmp_path / "play.yml").write_text(yaml.safe_dump([{"hosts": "localhost", "connection": "local", "gather_facts": False, "roles": ["shop"]}]))

    environment = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}

    def play(*arguments):
        done = subprocess.run(
            ["ansible-playbook", "--diff", *arguments], cwd=tmp_path, capture_output=True, text=True, check=True,
            env=environment | {"ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".collections"), "ANSIBLE_NOCOLOR": "1", "ANSIBLE_ROLES_PATH": str(role.parent)},
        ).stdout  # fmt: skip
        assert "swordfish" not in done
        return done

    names = ["etc/a.conf", "etc/one", "etc/two", "bin/renamed", "lib/one.py", "lib/two.py", "key"]
    dry = play("--check", "play.yml")
    assert json.dumps([f"{tmp_path}/{name}" for name in names]) in dry.replace('\\"', '"') and "+name=é" in dry
    assert not (tmp_path / "etc").exists()
    again = play("play.yml", "play.yml")
    assert [(tmp_path / name).read_text() for name in names] == ["name=é\n", "é one\n", "é two\n", "#!/bin/sh\n", "1\n", "2\n", "swordfish\n"]
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in names] == [0o644, 0o644, 0o644, 0o755, 0o644, 0o644, 0o600]
    assert "changed=1" in again and again.count("FILES [") == 2 and again.count("FILES []") == 1


def test_a_directory_is_made_once_and_what_is_in_it_stays(tmp_path):
    path = tmp_path / "above" / "directory"
    wanted = entry(path, state="directory", mode="0750")
    assert place(wanted, True, run)["before"] == "" and not path.exists()
    assert place(wanted, False, run)["after"].endswith("mode 0750\n")
    assert path.stat().st_mode & 0o7777 == 0o750
    (path / "file").write_text("")
    assert place(wanted, False, run) is None
    path.chmod(0o700)
    assert place(wanted, False, run)["before"].endswith("mode 0700\n")
    assert (path / "file").exists() and path.stat().st_mode & 0o7777 == 0o750


def test_a_link_leads_where_it_has_to(tmp_path):
    path = tmp_path / "venv"
    wanted = entry(path, content="../../venvs/new", state="link")
    assert place(wanted, True, run) == {"before_header": str(path), "after_header": str(path), "before": "", "after": "-> ../../venvs/new\n"}
    assert not path.is_symlink()
    for before in (None, "../../venvs/old", "a file"):
        path.unlink(missing_ok=True)
        if before:
            path.symlink_to(before) if "/" in before else path.write_text(before)
        assert place(wanted, False, run)["after"] == "-> ../../venvs/new\n"
        assert os.readlink(path) == "../../venvs/new" and os.listdir(tmp_path) == ["venv"]
        assert place(wanted, False, run) is None
    path.unlink()
    path.mkdir()
    with pytest.raises(UnsafePath, match="is a directory"):
        place(wanted, False, run)


def test_what_is_not_to_be_there_is_removed_once(tmp_path):
    path, target = tmp_path / "link", tmp_path / "target"
    target.write_text("stays\n")
    path.symlink_to(target)
    wanted = entry(path, state="absent")
    assert place(wanted, True, run) and path.is_symlink()
    assert place(wanted, False, run) and not path.is_symlink() and target.exists()
    assert place(wanted, False, run) is None
    assert place(entry(tmp_path / "none" / "file", state="absent"), False, run) is None
    assert place(entry(target, state="absent"), False, run)["before"] == "stays\n"


def test_a_file_of_somebody_elses_keeps_its_content(tmp_path):
    path, link = tmp_path / "file", tmp_path / "link"
    wanted = entry(path, content="", state="kept", mode="0600")
    assert place(wanted, False, run) is None and not path.exists()
    assert place(entry(tmp_path / "none" / "file", state="kept"), False, run) is None and not (tmp_path / "none").exists()
    path.write_text("theirs\n")
    path.chmod(0o644)
    assert place(wanted, True, run)["after"].endswith(" 0600\n") and path.stat().st_mode & 0o7777 == 0o644
    assert place(wanted, False, run)["before"].endswith(" 0644\n")
    assert (path.read_text(), path.stat().st_mode & 0o7777) == ("theirs\n", 0o600)
    assert place(wanted, False, run) is None
    link.symlink_to(path)
    assert place(entry(link, content="", state="kept", mode="0644"), False, run) is None and path.stat().st_mode & 0o7777 == 0o600


def test_a_directory_is_not_removed(tmp_path):
    with pytest.raises(UnsafePath, match="is a directory: move it away"):
        place(entry(tmp_path, state="absent"), False, run)


def test_no_fact_is_copied_for_a_template():
    facts = {"packages": ["git"]}
    variables = Variables({"ansible_facts": facts})
    copied = copy.deepcopy(variables)
    copied["template_path"] = "a.conf.j2"
    assert copied["ansible_facts"] is facts and "template_path" not in variables


def test_an_endless_file_in_its_place_is_replaced_and_not_read_to_its_end(tmp_path):
    path = tmp_path / "file"
    with open(path, "wb") as file:
        file.truncate(2 << 40)
    assert place(entry(path), False, run)["after"] == "new\n"
    assert path.read_text() == "new\n"
