"""A primary and a standby find each other again after a reboot of either, and the site works before and after."""

import contextlib
import time
import uuid

import pytest
import requests


def write(site, text):
    """Whether the site keeps a note."""
    with contextlib.suppress(requests.RequestException):
        return site.post("/write/", data={"text": text}, timeout=60).status_code == 200


def held(site, name, text):
    return site.sql(name, f"SELECT count(*) FROM pages_note WHERE text = '{text}'", database="probe") == "1"


@pytest.mark.parametrize("role", ["standby", "primary", "web"])
def test_a_host_takes_its_place_again_after_a_reboot(site, figure, role):
    primary, (standby,) = site.primary(), site.standbys()
    name = {"primary": primary, "standby": standby, "web": site.groups["web"][0]}[role]
    before, after = (f"{when} {role} {uuid.uuid4().hex}" for when in ("before", "after"))
    assert write(site, before)

    site.reboot(name)
    started = time.monotonic()
    site.wait("the standby to stream", lambda: site.streaming() == 1, seconds=600)
    site.wait("the site to keep a note", lambda: write(site, after), seconds=600)
    figure(f"after a reboot of the {role}: streaming, and the site writing, {time.monotonic() - started:.0f} s after SSH")

    assert (site.primary(), site.standbys()) == (primary, [standby]), "each is what it was"
    for text in (before, after):
        assert held(site, primary, text)
        site.wait("the note on the standby", lambda text=text: held(site, standby, text), seconds=60)
    assert site.hosts[name].run("systemctl is-system-running --wait").stdout.strip() == "running"


def test_a_dry_run_over_everything_finds_nothing_to_do(site):
    run = site.apply("site", "--check")
    changed = {line.split()[0]: line.split("changed=")[1].split()[0] for line in run.output.splitlines() if "changed=" in line}
    assert set(changed.values()) == {"0"}, run.output
