"""Other names, headers, and parts that not everybody sees, as a visitor meets them."""

import json
import re
import subprocess

import pytest
from naming import NAME

testinfra_hosts = ["ansible://web"]
OTHERS = {name: f"{name}.lab.test" for name in ("www", "second")}


@pytest.fixture(scope="module")
def staged(site, internet):
    """The site with other names, and of which visitors without a password see little."""
    internet.lead(shop=site.addresses["web1"], **dict.fromkeys(OTHERS, site.addresses["web1"]))
    # As mkpasswd makes it, which this machine may not have.
    secret = subprocess.run(["openssl", "passwd", "-6", "-stdin"], input="a password", text=True, capture_output=True, check=True).stdout.strip()
    variables = {
        "app_domains": [NAME, *OTHERS.values()], "app_domains_served": [OTHERS["second"]], "nginx_hidden_from_search": True,
        "nginx_protected": [{"path": "/status/", "networks": []}, {"path": "/", "users": {"ann": secret}}],
        "nginx_redirects": [{"from": "/old/", "to": "/new/?a=b", "status": 308}], "nginx_headers": {"Permissions-Policy": 'camera=(self "https://a.se")'},
    }  # fmt: skip
    # The application is told its names, too; a deploy has the certificate asked for.
    site.apply("deploy", "-e", json.dumps(variables))
    internet.wait(NAME, *OTHERS.values())
    yield
    site.apply("deploy")
    internet.wait(NAME)


def test_other_names_lead_to_the_first_and_keep_path_and_query(site, internet, staged):
    for name in OTHERS.values():
        assert internet.trusted(name)
    answer = site.get("/a/?b=c", name=OTHERS["www"])
    assert (answer.status_code, answer.headers["Location"]) == (308, f"https://{NAME}/a/?b=c")
    assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"
    assert site.get("/", name=OTHERS["second"], auth=("ann", "a password")).status_code == 200


def test_who_has_no_password_sees_nothing_and_its_files_neither(site, staged):
    page = site.get("/", auth=("ann", "a password"))
    assert page.status_code == 200
    asset = re.search(r'"(/static/[^"]+)"', page.text)[1]
    assert site.get(asset, auth=("ann", "a password")).status_code == 200
    for path in ("/", asset, "//", "/%2e/", "/media/", "/nothing/"):
        assert site.get(path).status_code == 401, path
    assert site.get("/", auth=("ann", "another")).status_code == 401
    # The longest path counts, and nobody's network is among its own.
    for path in ("/status/", "/x/../status/", "//status/", "/%73tatus/"):
        assert site.get(path, auth=("ann", "a password")).status_code in (403, 404), path
    assert site.hosts["web1"].check_output("stat -c '%U %G %a' /etc/nginx/probe/users-2") == "root www-data 640"


def test_search_engines_are_kept_away_and_headers_and_redirects_are_there(site, staged):
    robots = site.get("/robots.txt")
    assert robots.status_code == 200 and "Disallow: /\n" in robots.text
    answer = site.get("/", auth=("ann", "a password"))
    assert answer.headers["X-Robots-Tag"] == "noindex, nofollow" and answer.headers["Permissions-Policy"] == 'camera=(self "https://a.se")'
    moved = site.get("/old/")
    assert (moved.status_code, moved.headers["Location"]) == (308, "/new/?a=b")
