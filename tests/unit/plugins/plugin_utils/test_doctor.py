"""What stands in the way of a site, by what was seen."""

import pytest
from ansible_collections.selfhost.django.plugins.plugin_utils import doctor

GOOD = {
    "user": ["root"], "root": ["yes"], "distribution": ["debian 13"], "machine": ["x86_64"], "systemd": ["yes"], "seconds": ["1000000"],
    "memory_mb": ["963"], "disk": ["/ 9000", "/var 9000", "/srv 9000"], "python": ["3.13"], "address": ["192.0.2.1"],
    "mirror": ["yes http://deb.example.org/InRelease"],
}  # fmt: skip


def machine(**look):
    return list(doctor.machine("web1", GOOD | look, 1_000_060, 900, 2000))


def test_a_host_as_it_should_be():
    assert machine() == []
    assert machine(distribution=["debian 12"], listens=["443 nginx", "80 haproxy"]) == []
    # What a smaller host does not have told is no reason.
    assert list(doctor.machine("web1", {name: GOOD[name] for name in GOOD if name not in ("mirror", "disk", "address", "python")}, 1_000_000, 900, 2000)) == []


@pytest.mark.parametrize(
    ("look", "sentence"),
    [
        ({"user": ["ops"], "root": ["no"]}, "ops can log in to web1 and not become root there: let it use sudo without a password"),
        ({"distribution": ["ubuntu 24.04"]}, "web1 runs ubuntu 24.04: install Debian 13 or 12."),
        ({"distribution": ["debian 11"]}, "web1 runs debian 11: install Debian 13 or 12."),
        ({"distribution": ["debian "]}, "web1 runs debian : install Debian"),
        ({"systemd": ["no"]}, "web1 was not started by systemd:"),
        ({"memory_mb": ["470"]}, "web1 has 470 MB of memory, and a site needs 900 (doctor_memory_mb):"),
        ({"disk": ["/ 9000", "/var 120", "/srv 120"]}, "web1 has 120 MB free at /var, and a site needs 2000 (doctor_disk_mb):"),
        ({"seconds": ["1003700"]}, "The clock of web1 is 60 minutes away"),
        ({"listens": ["80 apache2"]}, "apache2 of web1 listens on port 80, where the site will:"),
        ({"mirror": ["no http://deb.example.org/InRelease"]}, "web1 cannot fetch http://deb.example.org/InRelease:"),
    ],
)
def test_what_is_wrong_with_a_host(look, sentence):
    (said,) = machine(**look)
    assert said.startswith(sentence)


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ("ssh: Could not resolve hostname nowhere: Name or service not known", "192.0.2.1 is no name that this machine can resolve: correct ansible_host of web1."),
        ("@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @ Host key verification failed.", "web1 shows another host key than the one"),
        ("Host key verification failed.", "This machine does not know the host key of 192.0.2.1 (web1): enter it once (ssh -p 2222 root@192.0.2.1)"),
        ("ops@192.0.2.1: Permission denied (publickey).", "web1 lets in neither ops nor root with your keys:"),
        ("ssh: connect to host 192.0.2.1 port 2222: Connection refused", "Nothing answers on port 2222 of 192.0.2.1 (web1):"),
        ("ssh: connect to host 192.0.2.1 port 2222: Connection timed out", "web1 does not answer at 192.0.2.1, port 2222:"),
        ("something  new\n", "web1 cannot be entered: something new."),
    ],
)
def test_why_nobody_gets_in(said, sentence):
    assert doctor.login("web1", "192.0.2.1", "2222", "ops", "root", said).startswith(sentence)


def test_what_a_host_tells():
    assert doctor.told("user=root\r\nlistens=80 nginx\nlistens=443 nginx\nLast login: x=y\n") == {"user": ["root"], "listens": ["80 nginx", "443 nginx"]}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("www.example.org", True), ("192.0.2.1", False), ("2001:db8::1", False), ("*.example.org", False), (".example.org", False),
        ("localhost", False), ("shop.test", False), ("intranet", False),
    ],
)  # fmt: skip
def test_which_names_the_internet_knows(name, expected):
    assert doctor.is_public(name) is expected


def test_names():
    entrances = {"web1": {"192.0.2.1", "2001:db8::1"}}
    assert doctor.names({"a.org": {"192.0.2.1"}, "b.org": {"2001:db8::1", "198.51.100.9"}}, entrances) == ([], [])
    problems, notes = doctor.names({"a.org": set(), "b.org": {"198.51.100.9"}}, entrances)
    assert problems == ["a.org of app_domains has no address: make an A (or AAAA) record that leads to web1 (192.0.2.1, 2001:db8::1)."]
    assert notes[0].startswith("b.org of app_domains leads to 198.51.100.9 and not to web1 (192.0.2.1, 2001:db8::1): correct its A and AAAA records, unless")


LISTING = "aaa\tHEAD\nbbb\trefs/heads/main\nccc\trefs/tags/v1.0\nddd\trefs/tags/v1.0^{}\neee\trefs/heads/feature/new\n"


@pytest.mark.parametrize(
    ("wanted", "sentence"),
    [
        ("main", ""), ("v1.0", ""), ("feature/new", ""), ("0123abc", ""),
        ("mian", "app_version mian is no branch and no tag of repo: give one that is there, such as main."),
        ("release", "app_version release is no branch and no tag of repo: give one that is there, such as main."),
    ],
)  # fmt: skip
def test_versions(wanted, sentence):
    assert doctor.version(wanted, LISTING, "repo") == sentence


def test_a_version_of_an_empty_repository():
    assert doctor.version("main", "", "repo") == "app_version main is no branch and no tag of repo: it has none."


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ("Host key verification failed.\nfatal: Could not read from remote repository.", "The server of repo shows a key that app_repository_host_keys"),
        ("git@host: Permission denied (publickey).", "repo cannot be read: app_repository may be misspelt, or needs app_repository_key"),
        ("fatal: could not read Username for 'https://host': terminal prompts disabled", "repo cannot be read: app_repository may be misspelt"),
        ("fatal: '/srv/x' does not appear to be a git repository", "repo (app_repository) cannot be read from here:"),
    ],
)
def test_why_a_repository_cannot_be_read(said, sentence):
    assert doctor.unreadable("repo", said).startswith(sentence)
