"""A private repository, behind a real SSH server: its key, the server's key, submodules, tags, and a package of the same server."""

import json
import subprocess

import pytest

testinfra_hosts = ["ansible://probe"]

PORT = 2222
URL = f"ssh://git@127.0.0.1:{PORT}/var/git/site.git"
# Serves nothing but git, to nobody but the holder of the key. A tag is on a commit that no branch leads to.
SERVER = f"""
set -eu
useradd --system --home-dir /var/git --create-home --shell /bin/sh --password '*' git
cd /var/git
umask 022
export HOME=/var/git
git config --global safe.directory '*'
mkdir -m 0700 .ssh
printf 'restrict,command="git-shell -c \\\\"$SSH_ORIGINAL_COMMAND\\\\"" %s\\n' "$1" >.ssh/authorized_keys
ssh-keygen -q -t ed25519 -N '' -f host_key
printf '%s\\n' 'Port {PORT}' 'ListenAddress 127.0.0.1' 'HostKey /var/git/host_key' 'PidFile none' 'AllowUsers git' \
    'PasswordAuthentication no' 'KbdInteractiveAuthentication no' 'UsePAM no' >sshd_config
git init --quiet --bare --initial-branch=main theme.git
git init --quiet --bare --initial-branch=main site.git
export GIT_AUTHOR_NAME=probe GIT_AUTHOR_EMAIL=probe@localhost GIT_COMMITTER_NAME=probe GIT_COMMITTER_EMAIL=probe@localhost
git init --quiet --initial-branch=main theme
echo submodule >theme/THEME
echo 'name = "package"' >theme/probetheme.py
printf '%s\n' '[project]' 'name = "probetheme"' 'version = "1"' '[tool.setuptools]' 'py-modules = ["probetheme"]' >theme/pyproject.toml
git -C theme add .
git -C theme commit --quiet --message=theme
git -C theme push --quiet /var/git/theme.git main
git init --quiet --initial-branch=main site
cd site
git fetch --quiet /srv/probe/build/repository.git refs/remotes/origin/main
git reset --quiet --hard FETCH_HEAD
git push --quiet /var/git/site.git main
git config --file .gitmodules submodule.theme.path theme
git config --file .gitmodules submodule.theme.url ../theme.git
echo 'probetheme @ git+ssh://git@127.0.0.1:{PORT}/var/git/theme.git' >>requirements.txt
git add .gitmodules requirements.txt
git update-index --add --cacheinfo "160000,$(git -C ../theme rev-parse main),theme"
git commit --quiet --message='with a submodule'
git tag with-a-submodule
git push --quiet /var/git/site.git with-a-submodule
chown --recursive git: /var/git
systemd-run --quiet --collect --unit=git-server /usr/sbin/sshd -D -f /var/git/sshd_config
"""


@pytest.fixture(scope="module")
def key(tmp_path_factory):
    """A pair of keys, private and public."""
    file = tmp_path_factory.mktemp("keys") / "deploy"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "deploy", "-f", file], check=True)
    return file.read_text(), file.with_suffix(".pub").read_text().strip()


@pytest.fixture(scope="module", autouse=True)
def server(site, key):
    site.each("sh -euc %s server %s", SERVER, key[1])
    yield
    site.each("systemctl stop git-server; userdel --remove git; ! test -e /var/git")
    site.apply("deploy")


def test_a_private_repository_is_read_with_its_key_from_the_server_that_is_known(site, key, tmp_path):
    before = site.version()
    theirs = [f"[127.0.0.1]:{PORT} {own}" for own in site.each("cut -d' ' -f1,2 /var/git/host_key.pub").values()]
    variables = tmp_path / "variables.json"

    def deploy(private, host_keys, *arguments):
        variables.write_text(
            json.dumps({"app_repository": URL, "vault_app_repository_key": private, "app_repository_host_keys": host_keys})
        )
        return site.play("deploy", "-e", f"@{variables}", "-e", "deploy_version=with-a-submodule", "-vvv", "--diff", *arguments)

    # Somebody else's server, and somebody else's key.
    other = tmp_path / "other"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", other], check=True)
    strange_host_key = f"[127.0.0.1]:{PORT} " + " ".join(other.with_suffix(".pub").read_text().split()[:2])
    for private, host_keys, reason in [
        (key[0], [strange_host_key], "Host key verification failed"),
        (other.read_text(), theirs, "Permission denied (publickey)"),
    ]:
        run = deploy(private, host_keys, "--check")
        assert run.code != 0
        text = run.text.replace("''", "'")
        assert "The release failed in step 'fetch'" in text and reason in text, run.output[-4000:]
        assert site.version() == before

    run = deploy(key[0], theirs)
    assert run.code == 0, run.output[-4000:]
    assert site.version() == before
    # Its first line is that of every key; the others are its own.
    secret = [line for line in key[0].splitlines() if "-----" not in line]
    assert len(secret) > 3 and [line for line in secret if line in run.output] == []
    for host in site.hosts.values():
        assert host.check_output("cat /srv/probe/current/code/theme/THEME") == "submodule"
        assert host.check_output("probe-run python -c 'import probetheme; print(probetheme.name)'") == "package"
        file = host.file("/srv/probe/build/repository_key")
        assert (file.user, file.mode) == ("probe-build", 0o600)
        # Whoever breaks into the application has no key to its source.
        unit = "probe@$(basename $(readlink /srv/probe/current)).service"
        seen = host.run(f"nsenter --target $(systemctl show --property MainPID --value {unit}) --mount cat /srv/probe/build/repository_key")
        assert secret[0] not in seen.stdout


def test_a_path_without_a_repository_is_said(site):
    before = site.version()
    run = site.play("deploy", "-e", "app_repository=/nowhere")
    assert run.code != 0
    assert "app_repository /nowhere is no Git repository on this machine" in run.text, run.output[-4000:]
    assert site.version() == before
