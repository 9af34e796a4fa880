"""What runs on one host alone, a scheduler say, runs on the first web host, and moves when another is the first."""

import json

import pytest

testinfra_hosts = ["ansible://lb1"]

BEAT = {"name": "beat", "command": "python manage.py work beat", "hosts": "one"}
UNIT = "probe-beat.service"


def deploy(site, order, processes):
    site.apply("deploy", "-e", json.dumps({"app_web_hosts": order, "app_processes": processes}))


@pytest.mark.long
def test_one_scheduler_moves_with_the_order_of_the_hosts(site):
    first, second = site.web
    try:
        for here, there in ((first, second), (second, first)):
            deploy(site, [here, there], [BEAT])
            assert site.hosts[here].service(UNIT).is_running and site.hosts[here].service(UNIT).is_enabled
            assert not site.hosts[there].service(UNIT).is_running
            assert not site.hosts[there].file(f"/etc/systemd/system/{UNIT}").exists
    finally:
        deploy(site, [first, second], [])
    assert not [name for name in site.web if site.hosts[name].service(UNIT).is_running]
