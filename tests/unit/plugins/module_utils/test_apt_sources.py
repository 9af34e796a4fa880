"""Where packages come from: Debian's own goes along to the next Debian, other people's only where the operator says so."""

import pytest
from ansible_collections.selfhost.django.plugins.module_utils.apt_sources import files, strange, upgraded

LIST, STANZAS = "/etc/apt/sources.list", "/etc/apt/sources.list.d/debian.sources"
NAMES = ("bookworm", "trixie")
LINES = """# deb https://deb.example.org/debian bookworm main
deb https://deb.example.org/debian bookworm main non-free-firmware # ours
deb [arch=amd64 signed-by=/usr/share/keyrings/debian.gpg] https://deb.example.org/debian bookworm-updates main
deb-src http://security.example.org/debian-security\tbookworm-security  main contrib
"""
STANZA = """Types: deb deb-src
URIs: https://deb.example.org/debian
# bookworm is what this was
Suites: bookworm bookworm-updates
 bookworm-backports
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
"""
THIRD = """Types: deb
URIs: https://packages.example.org/apt
Suites: bookworm-stable
Components: main
"""


def there(text):
    """The text with the next name in the places where a suite is."""
    return text.replace(" bookworm", " trixie").replace("\tbookworm", "\ttrixie").replace("# trixie is", "# bookworm is")


def test_lines_become_those_of_the_next_debian_and_keep_all_else():
    wanted = there(LINES).replace("# deb https://deb.example.org/debian trixie", "# deb https://deb.example.org/debian bookworm")
    assert upgraded(LIST, LINES, *NAMES) == wanted
    assert upgraded(LIST, wanted, *NAMES) == wanted
    assert strange(LIST, LINES, NAMES) == strange(LIST, wanted, NAMES) == []


def test_stanzas_too():
    text = f"{STANZA}\n{STANZA.replace('Suites', 'suites')}"
    assert upgraded(STANZAS, text, *NAMES) == there(text)
    assert strange(STANZAS, text, NAMES) == []


@pytest.mark.parametrize(
    ("path", "text", "found"),
    [
        (LIST, "deb https://packages.example.org/apt bookworm stable\n", "https://packages.example.org/apt bookworm"),
        (LIST, "deb https://packages.example.org/apt bookworm-tools main\n", "https://packages.example.org/apt bookworm-tools"),
        (LIST, "deb https://deb.example.org/debian stable main\n", "https://deb.example.org/debian stable"),
        (LIST, "deb https://deb.example.org/debian bullseye main\n", "https://deb.example.org/debian bullseye"),
        (LIST, "deb https://packages.example.org/flat ./\n", "https://packages.example.org/flat ./"),
        (STANZAS, THIRD, "https://packages.example.org/apt bookworm-stable"),
    ],
)
def test_other_peoples_stay_and_are_told_of(path, text, found):
    assert upgraded(path, text, *NAMES) == text
    assert strange(path, text, NAMES) == [found]


def test_those_that_are_named_go_along_by_their_name():
    assert upgraded(STANZAS, THIRD, *NAMES, is_named=True) == there(THIRD)
    assert upgraded(LIST, "deb https://packages.example.org/apt stable main\n", *NAMES, is_named=True) == "deb https://packages.example.org/apt stable main\n"


@pytest.mark.parametrize("text", ["", "# nothing\n", f"Enabled: no\n{THIRD}", "\n\n"])
def test_what_is_off_is_nobodys(text):
    assert strange(STANZAS, text, NAMES) == [] and upgraded(STANZAS, text, *NAMES) == text


def test_the_files_that_apt_reads(tmp_path):
    (tmp_path / "etc/apt/sources.list.d").mkdir(parents=True)
    for name in ("sources.list", "sources.list.d/a.sources", "sources.list.d/b.list", "sources.list.d/c.list.old"):
        (tmp_path / "etc/apt" / name).write_text(name)
    assert list(files(tmp_path)) == [LIST, "/etc/apt/sources.list.d/a.sources", "/etc/apt/sources.list.d/b.list"]
