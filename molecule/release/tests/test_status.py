"""The page on how the site is: what an operator reads when all is well, and when it is not."""

import re
import shutil

import yaml
from playwright.sync_api import sync_playwright

testinfra_hosts = ["ansible://probe"]


def problems(run):
    """The problems and warnings of the page, by host."""
    return re.findall(r"^\s*(?:!!|!) +(\S+) +(.*)$", run.output, re.M)


def test_a_good_site_on_one_page(site, tmp_path, artifacts):
    page = tmp_path / "status.html"
    run = site.apply("status", "-e", f"status_html={page}")
    # The page that it was asked for, and nothing else.
    assert sum(map(int, re.findall(r"changed=(\d+)", run.output))) == 1
    assert "Visitors are not answered" not in run.output and "could not be" not in run.output
    for name, release in site.current().items():
        (row,) = re.findall(rf"^ *{name} +{release} .*$", run.output, re.M)
        assert re.search(r"yes, [\d.]+ s +yes, [\d.]+ s +all applied", row), row
        assert re.search(rf"^ *{name} +primary +\d+", run.output, re.M)
        assert re.search(rf"^ *{name} +(full|archive) +ok", run.output, re.M)
        assert re.search(rf"^ *{name} +up for .* \d+ \(self-signed\)", run.output, re.M)

    # One file, with nothing from elsewhere, that a phone shows without scrolling sideways.
    html = page.read_text()
    assert not re.search(r"<script|<link|src=|url\(|@import|https?://", html)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium") or "/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"])
        for device, width, scheme in (("phone", 390, "dark"), ("desk", 1280, "light")):
            context = browser.new_context(viewport={"width": width, "height": 844}, color_scheme=scheme)
            tab = context.new_page()
            tab.goto(page.as_uri())
            assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
            assert all(tab.get_by_text(name, exact=True).first.is_visible() for name in site.web)
            tab.screenshot(path=artifacts / f"status-{device}.png", full_page=True)
        browser.close()


def test_problems_come_first_and_a_host_that_is_down_is_one_of_them(site, tmp_path):
    """The release is stopped, and one more host in the inventory is not there."""
    elsewhere = tmp_path / "elsewhere.yml"
    # A name of nobody (RFC 6761).
    elsewhere.write_text(yaml.safe_dump({"lab": {"hosts": {"nobody": {"ansible_host": "nobody.invalid"}}}}))
    first, release = next(iter(site.current().items()))
    host = site.hosts[first]
    host.check_output(f"systemctl stop probe@{release}.socket probe@{release}.service")
    try:
        run = site.play("status", "-i", elsewhere, "-e", "status_strict=true")
        shown = site.play("status", "-i", elsewhere)
    finally:
        host.check_output("systemctl restart probe.service")
        site.wait("the release", lambda: site.serves(first))
    assert run.code != 0 and shown.code == 0, run.output[-4000:]
    found = problems(run)
    said = " ".join(text for host, text in found if host == first)
    assert f"Release {release} is the current one, but its unit does not run." in said, run.output[-4000:]
    assert "Visitors are not answered: / answered 50" in said and "The release does not answer its health checks: / gave no connection" in said
    assert {host for host, text in found if text == "The host could not be reached."} == {"nobody"}
    assert re.search(r"\d+ problems.* on \d+ hosts?\.", run.output)
    assert run.output.index("Visitors are not answered") < run.output.index("WEB HOSTS")
    assert [host for host, _text in problems(site.play("status")) if _text.startswith(("Visitors", "Release"))] == []
