"""The certificate that visitors see: asked of an authority, renewed, and what they see when that does not go well."""

import json
import re
import time

from load import Load
from naming import KNOWN, NAME, OUTSIDE
from playing import ROOT

testinfra_hosts = ["ansible://web"]
TWO = json.dumps({"app_domains": [NAME, "www.lab.test"]})
SHORT = "app_acme_directory=https://authority.lab.test:14001/dir"


def problems(site):
    """What the page on the site calls a problem."""
    run = site.apply("status")
    return run, " ".join(re.findall(r"^\s*(?:!!|!) +\S+ +(.*)$", run.output, re.M))


def test_visitors_see_a_certificate_that_they_trust_and_the_page_says_who_renews_it(site, internet):
    assert internet.trusted()
    shown = internet.shown()
    assert shown.names == {NAME} and shown.days == 90
    answer = site.get("/")
    assert answer.status_code == 200 and answer.headers["Strict-Transport-Security"] == "max-age=31536000"
    run, said = problems(site)
    assert "certificate" not in said
    assert re.search(rf"^ *web1 +port 443 +{NAME} +Pebble Intermediate CA \w+ +(89|90) +the host itself, by ACME$", run.output, re.M), run.output


def test_the_key_is_roots_and_the_account_that_asks_has_nothing_else(site, internet):
    host = site.hosts["web1"]
    assert host.check_output("stat -Lc '%U %a' /etc/selfhost-acme/site.pem") == "root 600"
    assert host.check_output("stat -c '%U %a' /var/lib/selfhost-acme") == "selfhost-acme 711"
    for account in ("www-data", "probe", "nobody"):
        for path in ("/etc/selfhost-acme/acme.pem", "/var/lib/selfhost-acme/site.pem", "/var/lib/selfhost-acme/config/live/site/privkey.pem"):
            assert host.run("runuser -u %s -- cat %s", account, path).rc != 0, f"{account} reads {path}"
    assert host.run("runuser -u selfhost-acme -- cat /etc/selfhost-acme/acme.pem").rc != 0
    assert host.run("runuser -u selfhost-acme -- sh -c 'echo >/etc/selfhost-acme/x'").rc != 0
    # What is Debian's own has nothing to do with it.
    assert not host.file("/etc/letsencrypt/live").exists
    assert host.check_output("systemctl is-enabled selfhost-acme.timer") == "enabled"


def test_it_is_renewed_before_its_end_and_no_visitor_notices(site, internet, figure):
    """By what the timer starts. The other authority gives certificates of half a minute, of which twenty seconds are enough."""
    host = site.hosts["web1"]
    site.apply("web", "-e", SHORT)
    try:
        internet.wait(NAME, port=15001)
        assert not internet.trusted()
        before = internet.shown().serial
        time.sleep(21)
        with Load(site.url) as load:
            load.phase = "the renewal"
            host.check_output("systemctl start selfhost-acme.service")
            load.wait(3)
        # By the time that this is asked it may be past its half minute.
        assert internet.shown().serial != before and not internet.shown().self_signed
        figure(f"renewal: {load.report()}")
        load.check()
    finally:
        site.apply("web")
    internet.wait(NAME)


def test_a_name_that_leads_elsewhere_is_told_and_the_next_time_gets_it(site, internet, figure):
    """The former certificate is shown meanwhile; nothing is asked of the authority."""
    internet.lead(shop=site.addresses["web1"], www="203.0.113.9")
    serial = internet.shown().serial
    with Load(site.url) as load:
        load.phase = "another domain"
        run = site.apply("web", "-e", TWO)
    load.check()
    sentence = (
        "No certificate is asked for while www.lab.test leads to 203.0.113.9, which is not this site: make the record www.lab.test. A 10.88.16.13 and take "
        "away those of the wrong addresses."
    )
    assert sentence in run.text
    assert internet.shown().serial == serial and internet.trusted()
    again = site.apply("web", "-e", TWO)
    assert sum(map(int, re.findall(r"changed=(\d+)", again.output))) == 0, again.output
    _run, said = problems(site)
    assert sentence in said
    internet.lead(shop=site.addresses["web1"], www=site.addresses["web1"])
    with Load(site.url) as load:
        load.phase = "its certificate"
        # As the timer does.
        site.hosts["web1"].check_output("systemctl start selfhost-acme.service")
        internet.wait(NAME, "www.lab.test")
        load.wait(3)
    figure(f"a change of domains: {load.report()}")
    load.check()
    assert internet.trusted("www.lab.test")
    assert "certificate" not in problems(site)[1]


def test_an_authority_that_refuses_is_told_and_the_site_stays_up(site, internet):
    """It is kept from the challenge; and a domain less is a certificate of its own."""
    host = site.hosts["web1"]
    serial = internet.shown().serial
    host.check_output(
        "nft 'table inet kept { chain input { type filter hook input priority -20; ip saddr %s tcp dport 80 reject with tcp reset; }; }'", OUTSIDE
    )
    try:
        run = site.apply("web")
        assert f"The authority refuses {NAME}: " in run.text
        assert internet.shown().serial == serial and site.serves()
        assert f"The authority refuses {NAME}: " in problems(site)[1]
        assert host.check_output("systemctl is-failed selfhost-acme.service || true") == "inactive"
    finally:
        host.check_output("nft delete table inet kept")
    run = site.apply("web")
    internet.wait(NAME)
    assert sum(map(int, re.findall(r"changed=(\d+)", site.apply("web").output))) == 0


def test_from_self_signed_to_the_authority_and_no_visitor_notices(site, internet, forget, figure):
    site.apply("web", "-e", "app_tls=self_signed")
    site.wait("the self-signed certificate", lambda: internet.shown().self_signed, seconds=20)
    assert "Strict-Transport-Security" not in site.get("/").headers
    assert site.hosts["web1"].run("systemctl is-active selfhost-acme.timer").rc != 0
    forget()
    # Without a record it goes on as it is; the visitor remembers where it was.
    internet.lead()
    KNOWN[NAME] = site.addresses["web1"]
    run = site.apply("web")
    assert f"No certificate is asked for while {NAME} leads to no address: make the record {NAME}. A 10.88.16.13." in run.text
    assert internet.shown().self_signed and "Strict-Transport-Security" not in site.get("/").headers
    assert f"{NAME} leads to no address" in problems(site)[1]
    internet.lead(shop=site.addresses["web1"])
    with Load(site.url) as load:
        load.phase = "the move to the authority"
        site.apply("web")
        internet.wait(NAME)
        load.wait(3)
    figure(f"from self-signed to the authority: {load.report()}")
    load.check()
    assert site.get("/").headers["Strict-Transport-Security"] == "max-age=31536000"


def test_a_pattern_is_proved_by_the_dns(site, internet):
    """By a program of the operator's, with what it needs to know from the vault."""
    hook = str(ROOT / "molecule/internet/dns-hook")
    variables = {
        "app_domains": [NAME, "*.lab.test"], "app_acme_dns_hooks": {"auth": hook, "cleanup": hook},
        "app_acme_dns_environment": {"DNS_URL": f"http://{OUTSIDE}:8055"},
    }  # fmt: skip
    # No name has to lead here for that.
    internet.lead()
    KNOWN[NAME] = KNOWN["tenant.lab.test"] = site.addresses["web1"]
    run = site.apply("web", "-e", json.dumps(variables))
    try:
        internet.wait(NAME, "*.lab.test")
        assert internet.trusted("tenant.lab.test") and "No certificate" not in run.text
        assert site.hosts["web1"].check_output("stat -c '%U %a' /etc/selfhost-acme/environment") == "root 600"
    finally:
        internet.lead(shop=site.addresses["web1"])
        site.apply("web")
    internet.wait(NAME)


def test_a_certificate_that_lies_on_the_host_is_read_from_there(site, internet):
    host = site.hosts["web1"]
    host.check_output(
        "mkdir -p -m 0700 /etc/agent && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 7 -subj /CN=agent"
        " -addext subjectAltName=DNS:%s -keyout /etc/agent/shop.key -out /etc/agent/shop.pem 2>&1",
        NAME,
    )
    paths = json.dumps({"app_tls_certificate_path": "/etc/agent/shop.pem", "app_tls_key_path": "/etc/agent/shop.key"})
    missing = site.play("web", "-e", paths.replace("shop.pem", "missing.pem"))
    assert missing.code != 0 and "/etc/agent/missing.pem: no such file on web1." in missing.text
    site.apply("web", "-e", paths)
    try:
        site.wait("the certificate of the agent", lambda: internet.shown().days == 7, seconds=20)
    finally:
        site.apply("web")
        host.check_output("rm -r /etc/agent")
    internet.wait(NAME)


def test_no_finding_of_testssl_that_a_setting_could_mend(site, internet, artifacts):
    report = internet.testssl()
    (artifacts / "testssl.json").write_text(report)
    rows = json.loads(report)
    assert len(rows) > 50 and any(row["id"] == "TLS1_3" and row["severity"] == "OK" for row in rows), "it has looked at nothing"
    found = {row["id"]: f"{row['severity']}: {row['finding']}" for row in rows if row["severity"] in ("MEDIUM", "HIGH", "CRITICAL", "FATAL")}
    # Compressed pages, in which Django hides its tokens (its documentation, "Security", on BREACH).
    assert {name: text for name, text in found.items() if name != "BREACH"} == {}
