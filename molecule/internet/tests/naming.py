"""A site that is known by its name, and the internet that it stands in."""

import dataclasses
import socket
import ssl
import subprocess

import playing
from cryptography import x509
from playing import SSH_CONFIG

NAME = "shop.lab.test"
# Where the name server and the authorities are (molecule/inventories/internet_outside.yml).
OUTSIDE = "10.88.16.99"
# What a visitor on this machine finds under names of the lab.
KNOWN = {}
find = socket.getaddrinfo


def getaddrinfo(host, *arguments, **options):
    return find(KNOWN.get(host, host), *arguments, **options)


class Named(playing.Site):
    """A site that answers to its names alone."""

    @property
    def url(self):
        return f"https://{NAME}"

    def request(self, method, path, host=None, timeout=60, name=NAME, **arguments):
        with self.session() as session:
            return session.request(method, f"https://{name}{path}", allow_redirects=False, timeout=timeout, **arguments)


@dataclasses.dataclass
class Shown:
    """The certificate that a visitor sees."""

    serial: int
    names: set
    days: int
    self_signed: bool


class Internet:
    """What is outside: whom names lead to, and who vouches for them."""

    def run(self, command, check=True):
        words = ["ssh", "-F", SSH_CONFIG, "-o", "BatchMode=yes", f"root@{OUTSIDE}", command]
        return subprocess.run(words, check=check, capture_output=True, text=True, timeout=600).stdout

    def lead(self, **records):
        """Let names below lab.test lead to these addresses, and no other name anywhere."""
        rows = {"authority": OUTSIDE} | records
        lines = "\n".join(f"{address} {name}.lab.test" for name, address in rows.items())
        self.run(f"echo '{lines}' >/etc/lab-names/names && systemctl restart dnsmasq")
        KNOWN.clear()
        KNOWN.update({f"{name}.lab.test": address for name, address in rows.items()})

    def begin_testssl(self, address):
        """Have a host tried by testssl, which takes as long as all other tests: what of it is no matter of one certificate."""
        self.run("rm -f /tmp/testssl.*; systemctl stop testssl 2>/dev/null || true")
        options = f"-p -s -f -P -h -U --quiet --color 0 --warnings off --ip {address} --jsonfile /tmp/testssl.json {NAME}"
        self.run(f"systemd-run --quiet --unit=testssl --collect sh -c 'testssl {options} >/tmp/testssl.log 2>&1; touch /tmp/testssl.done'")

    def testssl(self):
        """What it found, once it is through: severities and findings by what was tried."""
        playing.Site.wait("testssl", lambda: self.run("ls /tmp/testssl.done || true").strip(), seconds=600, every=3)
        return self.run("cat /tmp/testssl.json")

    def trust(self, port=15000):
        """What a visitor believes who trusts the authority of the lab, and nobody else."""
        return ssl.create_default_context(cadata=self.root(port))

    def root(self, port=15000):
        """The certificate of an authority, which is another one after each of its starts."""
        return self.run(f"curl --silent --fail --cacert /etc/pebble.pem --connect-to ::127.0.0.1: https://authority.lab.test:{port}/roots/0")

    def trusted(self, name=NAME, port=15000):
        """Whether a visitor who trusts the authority is let through to a name."""
        try:
            with socket.create_connection((name, 443), timeout=10) as plain, self.trust(port).wrap_socket(plain, server_hostname=name):
                return True
        except ssl.SSLCertVerificationError:
            return False

    def wait(self, *names, port=15000):
        """Wait until visitors who trust the authority see a certificate for exactly these names: a reload takes a moment to show."""
        playing.Site.wait("the certificate", lambda: self.shown().names == set(names) and self.trusted(port=port), seconds=20)

    @staticmethod
    def shown(name=NAME):
        """What a visitor is shown who believes everybody."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with socket.create_connection((name, 443), timeout=10) as plain, context.wrap_socket(plain, server_hostname=name) as visitor:
            seen = x509.load_der_x509_certificate(visitor.getpeercert(binary_form=True))
        names = set(seen.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName))
        return Shown(seen.serial_number, names, round((seen.not_valid_after_utc - seen.not_valid_before_utc).total_seconds() / 86400), seen.issuer == seen.subject)
