"""Where backups go: the first thing that is wrong is named, and no secret with it."""

import base64

import pytest
from ansible_collections.selfhost.django.plugins.plugin_utils.inputs import repositories


def wrong(rows):
    return repositories.wrong_repositories(rows, "passphrase of the site")


def private_key(cipher="none", kind="OPENSSH ", end="", more=""):
    """Return the form of a key, and none: who looks for keys in a repository is to find nothing here."""
    text = base64.b64encode(b"openssh-key-v1\0" + len(cipher).to_bytes(4, "big") + cipher.encode() + b"swordfish").decode()
    return "-----BEGIN {0}{1} KEY-----\n{2}{3}\n-----END {0}{1} KEY-----{4}".format(kind, "PRIVATE", more, text, end)


PATH = {"type": "path", "path": "/srv/backups"}
S3 = {"type": "s3", "path": "/shop", "bucket": "b", "endpoint": "s3.example.org", "region": "eu", "key": "AKIA", "secret": "swordfish-swordfish"}
PUBLIC = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFnUTG6qQHnSdnFUGpDCBSRlSaGiyRbsrF2Y3yFK5rQh"
SFTP = {"type": "sftp", "path": "/b/shop", "host": "192.0.2.9", "user": "keeper", "private_key": private_key(), "host_keys": [PUBLIC]}


@pytest.mark.parametrize(
    "rows",
    [
        [PATH], [S3], [PATH, S3 | {"uri_style": "path"}], [PATH, {**PATH, "path": "/srv/b2", "retention_days": "3"}], [SFTP],
        [S3 | {"endpoint": "2001:db8::9", "uri_style": "path"}], [S3 | {"bucket": "a.b", "uri_style": "path"}],
        [SFTP | {"private_key": private_key(end="\n")}], [SFTP | {"private_key": private_key().replace("\n", "\r\n")}],
        [SFTP | {"private_key": private_key().replace("\n", "\n  ")}], [SFTP | {"private_key": private_key(kind="RSA ")}],
        [SFTP | {"host_keys": [f"{PUBLIC} root@keeper"]}], [S3, S3 | {"path": "/shop2"}], [S3, S3 | {"bucket": "c", "path": "/shop/in"}],
        [S3 | {"reader_key": "AKREAD", "reader_secret": "reads"}],
    ],
)  # fmt: skip
def test_what_is_right(rows):
    assert wrong(rows) == ""


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        (None, "has to be a list"), ("path", "has to be a list"), ([], "has to be a list"), (["path"], "has to be a list"), (PATH, "has to be a list"),
        ([{"path": "/x"}], "number 1 is of type 'None': known are path, s3 and sftp"),
        ([PATH, {"type": "path"}], "number 2 lacks path"),
        ([PATH | {"path": "/srv/backups/"}], "number 1 has the path '/srv/backups/': give an absolute one"),
        ([S3 | {"path": "shop"}], "number 1 has the path 'shop': give an absolute one"),
        ([PATH | {"bucket": "b"}], "number 1 has bucket: a repository of type path has"),
        ([S3 | {"region": " "}], "number 1 lacks region (us-east-1 where the store has none)."),
        ([S3 | {"secret": "swordfish\nrepo1-path=/"}], "number 1 has secret of more than one line"),
        ([S3 | {"secret": "swordfish "}], "number 1 has secret that begins or ends with a space"),
        ([S3 | {"uri_style": "dns"}], "has the uri_style 'dns'"),
        ([S3 | {"endpoint": "https://s3.example.org"}], "has the endpoint 'https://s3.example.org': give a name or an address alone"),
        ([S3 | {"endpoint": "s3.example.org:9000"}], "has the endpoint 's3.example.org:9000': give a name or an address alone, such as s3.example.org; the port is a key"),
        ([S3 | {"endpoint": "[2001:db8::9]"}], "has the endpoint '[2001:db8::9]': give a name or an address alone"),
        ([S3 | {"endpoint": "s3.example.org/b"}], "has the endpoint 's3.example.org/b': give a name or an address alone"),
        ([S3 | {"endpoint": "192.0.2.9"}], "has the address '192.0.2.9' as its endpoint, which no bucket's name can stand in front of: give uri_style: path"),
        ([S3 | {"bucket": "b/shop"}], "has the bucket 'b/shop': give letters, digits, dots, underscores and hyphens; a folder in the bucket is the path"),
        ([S3 | {"bucket": "shop.backups"}], "has the bucket 'shop.backups', and no certificate of a store is good for a name with another dot: give uri_style: path"),
        ([S3 | {"reader_key": "AKIA", "reader_secret": "swordfish"}], "has the key itself as its reader_key"),
        ([SFTP | {"host": "keeper@192.0.2.9"}], "has the host 'keeper@192.0.2.9': give a name"),
        ([SFTP | {"host": "192.0.2.9:22"}], "has the host '192.0.2.9:22': give a name"),
        ([SFTP | {"host_keys": PUBLIC}], "has host_keys that are no list"),
        ([SFTP | {"host_keys": [f"192.0.2.9 {PUBLIC}"]}], "has host_keys with the name of a host before the key, as in known_hosts"),
        ([SFTP | {"host_keys": [PUBLIC[:-8]]}], "has a key of ssh-ed25519 among host_keys that is not whole"),
        ([SFTP | {"host_keys": [PUBLIC.replace("ssh-ed25519", "ssh-rsa")]}], "has a key of ssh-rsa among host_keys that is not whole"),
        ([SFTP | {"host_keys": ["SHA256:FHV2Uj4sj1t9"]}], "has host_keys that are none"),
        ([SFTP | {"host_keys": []}], "lacks host_keys (the server's public keys, as its keeper tells them)"),
        ([SFTP | {"private_key": private_key("aes256-ctr")}], "has a private_key with a passphrase, which nobody could type"),
        ([SFTP | {"private_key": private_key(kind="ENCRYPTED ")}], "has a private_key with a passphrase"),
        ([SFTP | {"private_key": private_key(kind="RSA ", more="Proc-Type: 4,ENCRYPTED\n\n")}], "has a private_key with a passphrase"),
        ([SFTP | {"private_key": private_key().replace("\n", " ")}], "has a private_key whose lines have become one: give it as a block"),
        ([SFTP | {"private_key": private_key(more="b3BlbnN\n")}], "has a private_key that is not whole"),
        ([SFTP | {"private_key": "PuTTY-User-Key-File-3: swordfish"}], "has a private_key that is none"),
        ([SFTP | {"private_key": PUBLIC}], "has a private_key that is none"),
        ([PATH | {"passphrase": "swordfish"}], "has a passphrase of less than 16 characters"),
        ([PATH | {"retention_days": 0}], "has the retention_days '0': give a whole number"),
        ([PATH | {"full_retention": 4}], "number 1 has full_retention: a repository of type path has"),
        ([PATH, PATH], "names the same place twice"),
        ([S3, S3 | {"endpoint": "S3.example.org", "port": 443, "key": "AKOTHER"}], "names the same place twice"),
        ([S3, PATH, S3 | {"path": "/shop/restic"}], "number 3 is inside of number 1: give each a folder of its own"),
        ([SFTP | {"path": "/b/shop/archive"}, SFTP], "number 1 is inside of number 2"),
    ],
)  # fmt: skip
def test_what_is_wrong(rows, sentence):
    said = wrong(rows)
    assert sentence in said
    assert said.startswith("postgresql_backup_repositories")
    assert "swordfish" not in said


@pytest.mark.parametrize(
    ("row", "is_refused"),
    [(PATH, False), (S3, True), (SFTP, True), (S3 | {"passphrase": "p" * 16}, False), (S3 | {"passphrase": ""}, False), (SFTP | {"passphrase": ""}, False)],
)
def test_what_is_at_somebody_elses_is_encrypted_unless_it_is_said(row, is_refused):
    assert ("would not be encrypted" in repositories.wrong_repositories([row])) is is_refused
