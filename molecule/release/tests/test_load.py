"""Nobody notices a deploy, good or bad, nor a rollback, nor a changed configuration: hosts without a balancer, under load all the time."""

import contextlib
import json
import time

from conftest import ADDRESSES, play, versions
from load import Load

testinfra_hosts = ["ansible://probe"]

# Worker processes are replaced now and then under load as well.
CHANGED = {"uwsgi_options": {"max-requests": 50, "reload-mercy": 70}, "nginx_client_max_body_mb": 21}


def main_process(host):
    """The process of the release that serves."""
    return host.check_output("systemctl show --property MainPID probe@$(basename $(readlink /srv/probe/current)).service")


def test_nobody_notices_a_deploy_a_rollback_or_a_changed_configuration(repository, hosts, figure):
    loads = {name: Load(f"https://{address}", pause_seconds=0.3) for name, address in ADDRESSES.items()}
    (original,) = set(versions().values())
    served = []

    def during(phase, playbook, *arguments, serves, succeeds=True):
        """Run a playbook, let everybody come again after it, and note what serves then."""
        for load in loads.values():
            load.phase = phase
        run = play(playbook, *arguments)
        assert (run.code == 0) == succeeds, run.output[-4000:]
        served.extend((name, phase, load.look(), {serves}) for name, load in loads.items())

    try:
        with contextlib.ExitStack() as visitors:
            for load in loads.values():
                visitors.enter_context(load)
            for version in ("a", "b"):
                repository.commit("good", version)
                during(f"deploy of {version}", "deploy", serves=version)
            for variant in ("load", "error"):
                repository.commit(variant, f"bad, {variant}")
                during(f"a bad release ({variant})", "deploy", "-e", "django_health_timeout_seconds=3", serves="b", succeeds=False)
            during("rollback", "rollback", serves="a")
            before = [main_process(host) for host in hosts]
            during("change of the configuration", "web", "--tags", "uwsgi,nginx", "-e", json.dumps(CHANGED), serves="a")
            # It came into force: the release was started anew.
            assert all(main_process(host) != old for host, old in zip(hosts, before))
            repository.commit("good", original)
            during("the last deploy", "deploy", serves=original)
    finally:
        repository.commit("good", original)
        assert play("web", "--tags", "uwsgi,nginx").code == 0
        if set(versions().values()) != {original}:
            assert play("deploy").code == 0

    for name, load in loads.items():
        figure(f"{name}, deploys without a balancer: {load.report()}")
        load.check()
        # A release that was refused never answered a visitor.
        assert load.versions() == {original, "a", "b"}
    assert [row for row in served if row[2] != row[3]] == []
    assert set(versions().values()) == {original}
