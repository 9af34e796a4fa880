"""The certificates on the page: who renews each, and what is a problem."""

import pytest
from ansible_collections.selfhost.django.plugins.module_utils.certificate_rows import certificate_rows

DAY = 86400
GOOD = {"name": "port 443", "end": 80 * DAY, "self_signed": False, "issuer": "Let's Encrypt, R11", "names": ["shop.se"], "source": "acme", "sentence": ""}


class Page:
    """Notes what is called a problem."""

    def __init__(self):
        self.said = []

    def problem(self, host, about, text, level="bad"):
        assert about == "certificate/asked/port 443"
        self.said.append((host, level, text))


def rows(**given):
    page = Page()
    return certificate_rows(page, "web1", {"now": 0, "certificates": [GOOD | given]}), page.said


@pytest.mark.parametrize(
    ("given", "row"),
    [
        ({}, ["shop.se", "Let's Encrypt, R11", "80", "the host itself, by ACME"]),
        ({"source": "files"}, ["shop.se", "Let's Encrypt, R11", "80", "whoever provides it"]),
        ({"source": "self_signed", "self_signed": True}, ["shop.se", "self-signed", "80", "site.yml"]),
        ({"source": None, "names": ["a", "b", "c", "d"]}, ["a, b, c and 1 more", "Let's Encrypt, R11", "80", "site.yml"]),
    ],
)
def test_a_row_says_who_renews_it(given, row):
    assert rows(**given) == ([["web1", "port 443", *row]], [])


def test_what_stands_in_the_way_matters_more_while_visitors_see_a_self_signed_one():
    assert rows(sentence="No record.")[1] == [("web1", "warn", "No record.")]
    assert rows(sentence="No record.", self_signed=True)[1] == [("web1", "bad", "No record.")]
    ((_host, level, text),) = rows(self_signed=True)[1]
    assert level == "bad" and text.startswith("Visitors see a self-signed certificate: none was obtained yet.")


def test_one_that_cannot_be_read_is_told_elsewhere_and_has_no_row():
    assert certificate_rows(Page(), "web1", {"now": 0, "certificates": [{"name": "port 443", "error": "no TLS", "sentence": ""}]}) == []
    assert certificate_rows(Page(), "web1", {"now": 0, "certificates": "no openssl"}) == []
    assert certificate_rows(Page(), "web1", {"now": 0}) == []
