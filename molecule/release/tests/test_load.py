"""Nobody notices a deploy, a rollback or a changed configuration: hosts without a balancer, under load all the time."""

import json

testinfra_hosts = ["ansible://probe"]

# Worker processes are replaced now and then under load as well.
CHANGED = {"uwsgi_options": {"max-requests": 50, "reload-mercy": 70}, "nginx_client_max_body_mb": 21}


def main_processes(site):
    """The processes of the release that serves, by host."""
    return site.each("systemctl show --property MainPID probe@$(basename $(readlink /srv/probe/current)).service")


def test_nobody_notices_a_deploy_a_rollback_or_a_changed_configuration(repository, site, figure):
    original = site.version()
    served = []
    try:
        with site.visitors() as loads:

            def during(phase, playbook, *arguments, serves):
                """Run a playbook, let everybody come again after it, and note what serves then."""
                for load in loads.values():
                    load.phase = phase
                site.apply(playbook, *arguments)
                served.extend((name, phase, load.look(), {serves}) for name, load in loads.items())

            repository.commit("good", "next")
            during("a deploy", "deploy", serves="next")
            during("a rollback", "rollback", serves=original)
            before = main_processes(site)
            during("a change of the configuration", "web", "--tags", "uwsgi,nginx", "-e", json.dumps(CHANGED), serves=original)
            # It came into force: the release was started anew.
            assert all(now != before[name] for name, now in main_processes(site).items())
    finally:
        repository.commit("good", original)
        site.apply("web", "--tags", "uwsgi,nginx")
        if set(site.versions().values()) != {original}:
            site.apply("deploy")

    for name, load in loads.items():
        figure(f"{name}, without a balancer: {load.report()}")
        assert load.versions() == {original, "next"}
    assert [row for row in served if row[2] != row[3]] == []
    assert site.version() == original
