"""What the lab's hosts are made from: from a snapshot only where it is certain to be what a fresh start would give."""

import datetime
import importlib.util
import pathlib
import re
import shutil

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]
spec = importlib.util.spec_from_file_location("snapshots", ROOT / "molecule/shared/snapshots.py")
snapshots = importlib.util.module_from_spec(spec)
spec.loader.exec_module(snapshots)

NOW = datetime.datetime(2026, 1, 2, 12, tzinfo=datetime.timezone.utc)


def image(key="k", hours=1):
    """What the engine says of an image that was kept so many hours ago."""
    created = NOW - datetime.timedelta(hours=hours)
    return {"Config": {"Labels": {"selfhost.converged": key}}, "Created": created.strftime("%Y-%m-%dT%H:%M:%S.123456789Z")}


@pytest.mark.parametrize(
    ("bare", "standing", "converged", "expected"),
    [
        (True, set(), True, "bare"),
        (True, {"web1"}, False, "bare"),
        (False, set(), True, "converged"),
        (False, set(), False, "packages"),
        # Beside a host that has gone on since, one from back then would be a stranger.
        (False, {"web1"}, True, "packages"),
    ],
)
def test_origin(bare, standing, converged, expected):
    assert snapshots.origin(bare, standing, converged) == expected


@pytest.mark.parametrize(
    ("images", "expected"),
    [
        ([image()], True),
        ([image(), image(hours=11)], True),
        ([image(), None], False),
        ([image(), image(key="other")], False),
        ([image(), image(hours=13)], False),
        ([{"Config": {"Labels": None}, "Created": image()["Created"]}], False),
    ],
)
def test_usable(images, expected):
    assert snapshots.usable(images, "k", NOW) is expected


@pytest.mark.parametrize(
    ("tasks", "expected"),
    [
        (None, []),
        ([{"ansible.builtin.apt": {"name": "nginx"}}], ["nginx"]),
        ([{"ansible.builtin.apt": {"name": ["a", "b"], "state": "present"}}], [["a", "b"]]),
        ([{"ansible.builtin.apt": {"name": "telnet", "state": "absent"}}, {"ansible.builtin.apt": {"update_cache": True}}], []),
        ([{"ansible.builtin.service": {"name": "nginx"}}], []),
        (
            [{"block": [{"block": [{"ansible.builtin.apt": {"name": "a"}}]}], "rescue": [{"ansible.builtin.apt": {"name": "b"}}]}],
            ["a", "b"],
        ),
    ],
)
def test_installed(tasks, expected):
    assert list(snapshots.installed(tasks)) == expected


def test_key_tells_parts_apart():
    assert snapshots.key("ab", "c") != snapshots.key("a", "bc") != snapshots.key("abc")
    assert snapshots.key("a", b"b") == snapshots.key("a", "b")


@pytest.fixture
def checkout(tmp_path):
    """A checkout of a few files."""
    for name in ["roles/nginx/vars/main.yml", "plugins/a.py", "playbooks/site.yml", "molecule/shared/create.yml", "ansible.cfg"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "molecule/inventories").mkdir()
    (tmp_path / "molecule/inventories/release.yml").write_text("release")
    return tmp_path


def key(checkout):
    pairs = snapshots.sources(checkout, checkout / "molecule/inventories/release.yml")
    return snapshots.key(*(part for pair in pairs for part in pair))


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("roles/nginx/vars/main.yml", True),
        ("roles/nginx/templates/new.j2", True),
        ("plugins/a.py", True),
        ("playbooks/site.yml", True),
        ("molecule/shared/create.yml", True),
        ("molecule/inventories/release.yml", True),
        ("molecule/inventories/group_vars/probe.yml", True),
        ("ansible.cfg", True),
        ("requirements.txt", True),
        ("molecule/inventories/cluster.yml", False),
        ("molecule/release/tests/test_release.py", False),
        ("roles/nginx/README.md", False),
        ("plugins/__pycache__/a.pyc", False),
    ],
)
def test_what_hosts_are_made_of(checkout, name, counts):
    before = key(checkout)
    (checkout / name).parent.mkdir(parents=True, exist_ok=True)
    (checkout / name).write_text("changed")
    assert (key(checkout) != before) is counts


def test_same_files_elsewhere_have_the_same_key(checkout, tmp_path_factory):
    copy = tmp_path_factory.mktemp("copy") / "checkout"
    shutil.copytree(checkout, copy)
    assert key(copy) == key(checkout)


def test_scenarios_share_an_image_of_what_the_roles_install():
    scenarios = re.search(r"^SCENARIOS \?= (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[1].split()
    labs = [snapshots.Lab(ROOT / f"molecule/inventories/{name}.yml") for name in scenarios]
    packages = [lab.packages for lab in labs if not lab.bare]
    (thirteen,) = {tuple(some["debian-13"]) for some in packages}
    (twelve,) = {tuple(some["debian-12"]) for some in packages if "debian-12" in some}
    assert {"nginx", "nftables", "stunnel4", "pgbackrest", "uwsgi-core", "fail2ban", "postgresql-17", "patroni"} <= set(thirteen)
    assert "postgresql-15" in twelve
    # Of a subject of hardening that they skip.
    assert "aide" not in thirteen


@pytest.mark.parametrize("scenario", ["default", "demo"])
def test_where_the_first_hour_is_shown_hosts_are_bare(scenario):
    lab = snapshots.Lab(ROOT / f"molecule/inventories/{scenario}.yml")
    assert lab.bare
    assert set(lab.images.values()) <= {"selfhost-lab:debian-13", "selfhost-lab:debian-12"}


def test_fresh_starts_bare(monkeypatch):
    inventory = ROOT / "molecule/inventories/release.yml"
    monkeypatch.delenv("FRESH", raising=False)
    assert not snapshots.Lab(inventory).bare
    monkeypatch.setenv("FRESH", "1")
    assert snapshots.Lab(inventory).bare
