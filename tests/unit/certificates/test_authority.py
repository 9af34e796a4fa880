"""An authority of the site that its host's clock is not in is refused, and stays as it is."""

import datetime
import os
import pathlib
import subprocess
import sys

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

ROOT = pathlib.Path(__file__).resolve().parents[3]
PLAY = {"hosts": "all", "gather_facts": False, "tasks": [{"ansible.builtin.include_role": {"name": "selfhost.django.certificates", "tasks_from": "authority"}}]}
HOST = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}


def authority(folder, begin, end):
    """Write an authority that is valid from one day to another, counted from today."""
    key, today = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.timezone.utc)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "authority")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
    builder = builder.not_valid_before(today + datetime.timedelta(days=begin)).not_valid_after(today + datetime.timedelta(days=end))
    certificate = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True).sign(key, hashes.SHA256())
    folder.mkdir()
    (folder / "ca.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "ca.key").write_bytes(pem)


# Days from which and until which an authority is valid, and what is said of it.
AUTHORITIES = {"valid": (-1, 30, ""), "early": (30, 60, "certificate is not yet valid"), "late": (-60, -30, "certificate has expired")}


def test_one_that_the_clock_is_not_in_is_refused_and_stays(tmp_path):
    for name, (begin, end, _told) in AUTHORITIES.items():
        authority(tmp_path / name, begin, end)
    before = {name: (tmp_path / name / "ca.crt").read_bytes() for name in AUTHORITIES}
    hosts = {name: HOST | {"certificates_authority_hosts": [name]} for name in AUTHORITIES}
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump({"all": {"hosts": hosts}}))
    (tmp_path / "play.yml").write_text(yaml.safe_dump([PLAY]))
    done = subprocess.run(
        ["ansible-playbook", "-i", tmp_path / "hosts.yml", "-e", f"__certificates_directory={tmp_path}/{{{{ inventory_hostname }}}}", tmp_path / "play.yml"],
        cwd=ROOT, env=os.environ | {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}, capture_output=True, text=True, timeout=300,
        check=False,
    )  # fmt: skip
    output = " ".join((done.stdout + done.stderr).split())
    for name, (_begin, _end, told) in AUTHORITIES.items():
        assert (f"ca.crt of {name} is not valid now ({told})" in output) == bool(told), output
        assert (tmp_path / name / "ca.crt").read_bytes() == before[name]
    assert "PRIVATE KEY" not in output
