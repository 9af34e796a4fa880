"""The first hour of somebody new, counted: from README.md, a laptop and a bare machine to a page that `curl` trusts."""

import io
import re
import shlex
import subprocess
import tarfile

import pytest
from person import Person
from playing import ROOT, SSH_CONFIG, Site

testinfra_hosts = ["ansible://web"]
pytestmark = pytest.mark.long

INVENTORY = ROOT / "molecule/inventories/first_hour.yml"
SITE = "ann.lab.test"
AUTHORITY = "https://authority.lab.test:14000/dir"
MOST_MINUTES, MOST_QUESTIONS = 15, 12


def section():
    """README.md as far as somebody new reads it: from its beginning to the end of the way to a machine of one's own."""
    return (ROOT / "README.md").read_text().partition("\n## Day to day")[0]


def commands(address):
    """What README.md says to type there, one after the other, for a machine with this address."""
    block = re.search(r"^## From the demo to your own machine.*?```sh\n(.*?)```", section(), re.DOTALL | re.MULTILINE)[1]
    return [re.sub(r" +#.*", "", line).replace("203.0.113.10", address) for line in block.splitlines()]


def furnished(site, internet, path):
    """Pack the home of somebody new: this checkout, a project, an SSH key, and what only a lab needs (whom its authority is trusted by)."""
    listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True)
    with tarfile.open(path, "w") as home:
        for name in filter(lambda name: name and (ROOT / name).exists(), listed.stdout.split("\0")):
            home.add(ROOT / name, f"selfhost/{name}")
        home.add(site.repository.directory, "shop")
        for name in ("id_ed25519", "id_ed25519.pub"):
            home.add(SSH_CONFIG.parent / name, f".ssh/{name}")
        home.add(SSH_CONFIG.parent / "id_ed25519.pub", ".ssh/authorized_keys")
        home.add(SSH_CONFIG.parent / "internet/authority.pem", "lab/authority.pem")
        root = internet.root().encode()
        member = tarfile.TarInfo("lab/root.pem")
        member.size = len(root)
        home.addfile(member, io.BytesIO(root))


@pytest.fixture(scope="module")
def hosts(site, internet, tmp_path_factory):
    """A laptop and a bare machine, which the name leads to."""
    hosts = Site(str(INVENTORY))
    home = tmp_path_factory.mktemp("laptop") / "home.tar"
    furnished(site, internet, home)
    try:
        hosts.apply("../molecule/internet/laptop", "-e", f"lab_home={home}")
        internet.lead(shop=site.addresses["web1"], ann=hosts.addresses["machine"])
        yield hosts
    finally:
        subprocess.run(["docker", "rm", "--force", *(f"selfhost-internet-{name}" for name in hosts.addresses)], check=True, capture_output=True)
        internet.lead(shop=site.addresses["web1"])


def test_from_the_readme_to_a_page_that_curl_trusts(hosts, figure, artifacts):
    """In a quarter of an hour of a person's time, and with no more than a dozen questions or edits."""
    ann = Person(hosts.addresses["laptop"])
    ann.reads(section())
    ann.runs("cd selfhost")
    answers = {
        rb"continue connecting \(\S+\)\? $": "yes",
        rb"1\. [^\n]*: $": "~/shop", rb"2\. [^\n]*: $": "", rb"3\. [^\n]*: $": hosts.addresses["machine"], rb"4\. [^\n]*: $": SITE, rb"5\. [^\n]*: $": "",
    }  # fmt: skip
    lab = []
    for command in commands(hosts.addresses["machine"]):
        ann.runs(command, answers)
        if command.startswith("cd "):
            # A real authority needs no word: Let's Encrypt is asked where nothing is said, and Debian trusts its server.
            lab = [f"app_acme_directory: {AUTHORITY}", """app_acme_ca: "{{ lookup('ansible.builtin.file', '/home/ann/lab/authority.pem') }}\""""]
            ann.arranges(f"printf '%s\\n' {shlex.join(lab)} >>group_vars/all/app.yml")
    shown = ann.runs(f"curl --silent --show-error --output page --write-out '%{{http_code}}\\n' --cacert ~/lab/root.pem https://{SITE}/")
    (artifacts / "first-hour.txt").write_text(ann.seen)
    figure(f"the first hour: {ann.report()}; {len(lab)} lines more for the lab's authority")
    assert "\n200\n" in shown, shown
    assert len(ann.questions) + len(ann.edits) <= MOST_QUESTIONS, ann.questions + ann.edits
    assert ann.minutes <= MOST_MINUTES
