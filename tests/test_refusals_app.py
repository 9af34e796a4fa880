"""Bad input about the application is refused in one sentence, before any host is touched."""

from conftest import GOOD_HOST as SITE

BAR = "-----{} OPENSSH PRIVATE KEY-----\n"
KEY = BAR.format("BEGIN") + "c3dvcmRmaXNo\n" + BAR.format("END")


def test_a_good_site_is_not_refused(preflight):
    code, output = preflight()
    assert code == 0, output


BAD = [
    ({"app_name": None}, "app_name is not set: give an identifier"),
    ({"app_name": ""}, "app_name is not set: give an identifier"),
    ({"app_name": "my-shop"}, "app_name is 'my-shop': give an identifier"),
    ({"app_name": "9lives"}, "app_name is '9lives': give an identifier"),
    ({"app_name": "s" * 32}, "app_name is 'ssss"),
    ({"app_repository": None}, "app_repository is not set: give the git URL"),
    ({"app_repository": ""}, "app_repository is not set: give the git URL"),
    ({"app_version": "--upload-pack=x"}, "app_version is '--upload-pack=x': give a branch"),
    ({"app_secret_key": None}, "app_secret_key is not set: put a random one"),
    ({"app_secret_key": ""}, "app_secret_key is not set: put a random one"),
    ({"app_secret_key": "short"}, "app_secret_key is shorter than 50 characters: put a random one"),
    ({"app_database_password": None}, "app_database_password is not set: put a random one"),
    ({"app_database_password": "hunter2"}, "app_database_password is shorter than 16 characters: put a random one"),
    ({"app_database_port": 70000}, "app_database_port is '70000': give a port number from 1 to 65535"),
    ({"app_database_port": "five"}, "app_database_port is 'five': give a port number from 1 to 65535"),
    ({"app_environment": {"MY-NAME": "x"}}, "app_environment has to be a mapping"),
    ({"app_release_steps": ["migrate", "deploy"]}, "app_release_steps names deploy: the steps are"),
    ({"app_health_checks": [{"path": "status"}]}, "app_health_checks needs at least one check"),
    ({"app_health_checks": []}, "app_health_checks needs at least one check"),
    ({"app_shared_paths": ["../../etc"]}, "app_shared_paths holds ../../etc: give paths inside the release"),
    ({"app_shared_paths": ["data", "."]}, "app_shared_paths holds .: give paths inside the release"),
    ({"app_shared_paths": ["./"]}, "app_shared_paths holds ./: give paths inside the release"),
    ({"app_media_root": "../media"}, "app_media_root is '../media': give a folder inside the release"),
    ({"app_media_root": "."}, "app_media_root is '.': give a folder inside the release"),
    ({"app_media_root": "/srv/shop/releases/media"}, "app_media_root is '/srv/shop/releases/media', and /srv/shop/releases is where releases come and go"),
    ({"app_media_root": "/srv/shop/static/media"}, "app_media_root is '/srv/shop/static/media', and /srv/shop/static is where releases come and go"),
    ({"uwsgi_backlog": "many"}, "uwsgi_backlog is 'many': give a whole number"),
]


def test_bad_values(each_is_refused):
    each_is_refused(BAD, ("app", "check"), ("uwsgi", "check"), **SITE)


def test_a_web_host_without_any_database(refuse):
    refuse("The group database has no host: name one in the inventory", groups={"web": ["site1"], "database": []})


def test_a_managed_database_needs_no_host(preflight):
    code, output = preflight(groups={"web": ["site1"], "database": []}, app_database_host="db.example.org")
    assert code == 0, output


SSH = {"app_repository": "git@git.example.org:team/shop.git"}
HOST_KEYS = ["git.example.org ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIC0PSmnvD4tRuHNcXQgA"]
BAD_CODE = [
    (SSH, "app_repository_host_keys is empty, and app_repository is behind SSH: give"),
    ({"app_repository": "ssh://git@git.example.org:2222/shop.git"}, "app_repository_host_keys is empty"),
    ({"app_repository": "https://deploy:swordfish@git.example.org/shop.git"}, "app_repository holds a password"),
    ({"app_repository_key": "swordfish"}, "app_repository_key is no private key: put the whole file"),
    ({"django_installer": "poetry"}, "django_installer is 'poetry': give uv or pip."),
    ({"uwsgi_memory_max_mb": "half"}, "uwsgi_memory_max_mb is 'half': give a whole number of at least 1."),
    ({"uwsgi_tasks_max": 0}, "uwsgi_tasks_max is '0': give a whole number of at least 1."),
]
GOOD_CODE = [
    SSH | {"app_repository_host_keys": HOST_KEYS, "app_repository_key": KEY},
    {"app_repository": "https://git.example.org:8443/shop.git"},
    {"app_repository": "/home/ops/shop"},
]


def test_code_and_its_server(each_is_refused):
    each_is_refused(BAD_CODE, ("app", "check"), ("django", "check"), ("uwsgi", "check"), good=GOOD_CODE, **SITE)


def test_a_refusal_tells_no_secret(preflight):
    _code, output = preflight(arguments=["-vvv"], app_database_password="hunter2-hunter2", app_secret_key="swordfish")
    assert "hunter2" not in output
    assert "swordfish" not in output
