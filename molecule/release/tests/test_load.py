"""Nobody notices a deploy, a rollback or a changed configuration: hosts without a balancer, under load all the time."""

import json

from conftest import play, versions, visitors

testinfra_hosts = ["ansible://probe"]

# Worker processes are replaced now and then under load as well.
CHANGED = {"uwsgi_options": {"max-requests": 50, "reload-mercy": 70}, "nginx_client_max_body_mb": 21}


def main_process(host):
    """The process of the release that serves."""
    return host.check_output("systemctl show --property MainPID probe@$(basename $(readlink /srv/probe/current)).service")


def test_nobody_notices_a_deploy_a_rollback_or_a_changed_configuration(repository, hosts, figure):
    (original,) = set(versions().values())
    served = []
    try:
        with visitors() as loads:

            def during(phase, playbook, *arguments, serves):
                """Run a playbook, let everybody come again after it, and note what serves then."""
                for load in loads.values():
                    load.phase = phase
                run = play(playbook, *arguments)
                assert run.code == 0, run.output[-4000:]
                served.extend((name, phase, load.look(), {serves}) for name, load in loads.items())

            repository.commit("good", "next")
            during("a deploy", "deploy", serves="next")
            during("a rollback", "rollback", serves=original)
            before = [main_process(host) for host in hosts]
            during("a change of the configuration", "web", "--tags", "uwsgi,nginx", "-e", json.dumps(CHANGED), serves=original)
            # It came into force: the release was started anew.
            assert all(main_process(host) != old for host, old in zip(hosts, before))
    finally:
        repository.commit("good", original)
        assert play("web", "--tags", "uwsgi,nginx").code == 0
        if set(versions().values()) != {original}:
            assert play("deploy").code == 0

    for name, load in loads.items():
        figure(f"{name}, without a balancer: {load.report()}")
        assert load.versions() == {original, "next"}
    assert [row for row in served if row[2] != row[3]] == []
    assert set(versions().values()) == {original}
