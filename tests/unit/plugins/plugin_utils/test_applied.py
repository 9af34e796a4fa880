"""Which inputs the set-up of a web host reads, and that a change of one of them is seen."""

import pathlib

import pytest
from ansible_collections.selfhost.django.plugins.plugin_utils.inputs.applied import digests, reached
from ansible_collections.selfhost.django.plugins.plugin_utils.inputs.reading import ROLES, definitions, secrets
from conftest import GOOD, GROUPS


def test_names_are_followed_to_what_their_definitions_mention():
    texts = {
        "app_a": "{{ app_b }}", "app_b": "x", "__role_c": "{{ app_d | default(app_a) }}", "app_d": "", "app_e": "app_a", "app_f": "{{ deploy_version }}",
        "app_g": "app_f", "app_h": "{{ ansible_play_hosts_all }}",
    }  # fmt: skip
    assert reached(["{{ __role_c }} unknown_name"], texts) == {"__role_c", "app_a", "app_b", "app_d"}
    assert reached(["app_a app_b app_a"], {"app_a": "app_b", "app_b": "app_a"}) == {"app_a", "app_b"}
    assert reached(["app_g app_h"], texts) == {"app_g"}, "what is of one run alone is no part of it"


@pytest.fixture(scope="module")
def of(controller):
    """Return a function that returns the digests of the first host of a site."""

    known = {}

    def run(groups=None, **variables):
        case = str((groups, variables))
        if case not in known:
            (site, *_others) = controller.sites(groups or GROUPS, GOOD | variables)
            known[case] = digests(site, definitions(controller.loader), secrets(), pathlib.Path(ROLES))
        return known[case]

    return run


def changed(before, after):
    return {part: {name for name in {*before[part], *after[part]} if before[part].get(name) != after[part].get(name)} for part in before}


@pytest.mark.parametrize(
    ("variables", "of_the_host", "of_the_site"),
    [
        ({"app_system_packages": ["gettext"]}, "app_system_packages", None),
        ({"app_build_packages": ["gcc"]}, "app_build_packages", None),
        ({"app_shared_paths": ["data"]}, "app_shared_paths", "app_shared_paths"),
        ({"app_media_root": "uploads"}, "app_media_path", "app_media_root"),
        ({"app_static_url": "/assets/"}, "nginx_static_locations", None),
        ({"app_health_checks": [{"path": "/up"}]}, "nginx_health_checks", None),
        ({"uwsgi_threads": 7}, "uwsgi_threads", None),
        ({"app_domains": ["other.example.org"]}, "app_domains", None),
        ({"postgresql_port": 5433}, None, "postgresql_port"),
        ({"hardening_swap_mb": 7}, None, "hardening_swap_mb"),
    ],
)
def test_a_change_is_seen_where_it_has_to_be(of, variables, of_the_host, of_the_site):
    seen = changed(of(), of(**variables))
    assert of_the_host in seen["web"] if of_the_host else not seen["web"]
    assert of_the_site in seen["site"] if of_the_site else not seen["site"]


@pytest.mark.parametrize(
    "variables",
    [
        {"app_version": "v2"}, {"app_environment": {"A": "1"}}, {"app_build_environment": {"A": "1"}}, {"app_requirements": ["a.txt"]}, {"app_build_commands": ["make"]}, {"deploy_serial": 2},
        {"deploy_version": "v2"}, {"app_timers": [{"name": "a", "command": "b", "schedule": "daily"}]}, {"app_release_steps": ["build"]},
    ],
)  # fmt: skip
def test_what_every_release_reads_for_itself_sets_no_host_up(of, variables):
    assert changed(of(), of(**variables)) == {"web": set(), "site": set()}


def test_a_balancer_and_another_host_are_the_sites(of):
    groups = {"web": ["site1", "site2"], "database": ["site1"], "balancer": ["site2"]}
    addresses = {"app_address": "{{ {'site1': '10.0.0.1', 'site2': '10.0.0.2'}[inventory_hostname] }}"}
    seen = changed(of(groups, **addresses), of(groups, **addresses, app_domains=["other.example.org"]))
    assert "app_domains" in seen["site"]
    assert "app_web_hosts" in changed(of(), of(groups, **addresses))["site"]


def test_nothing_is_told_of_secrets(of):
    assert not secrets() & {name for names in of().values() for name in names}
    assert {"app_secret_key", "app_database_password", "app_tls_key"} <= secrets()
