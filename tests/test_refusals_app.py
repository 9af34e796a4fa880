"""Bad input about the application is refused in one sentence, before any host is touched."""

import base64
import datetime

from conftest import INVENTORY

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
    ({"app_repository": "--upload-pack=x"}, "app_repository is no git URL, and no absolute path on the controller"),
    ({"app_repository": "ext::sh -c x"}, "app_repository is no git URL, and no absolute path on the controller"),
    ({"app_repository": "./shop"}, "app_repository is no git URL, and no absolute path on the controller"),
    ({"app_user": "root"}, "app_user is 'root', a name that Debian or a package has for itself: give one of the application's own, such as root_app"),
    ({"app_user": "www-data", "app_group": "www-data"}, "app_user and app_group are 'www-data', a name that Debian"),
    ({"app_name": "news"}, "app_user and app_group are 'news', a name that Debian or a package has for itself: give one of the application's own, such as"),
    ({"app_group": "sudo"}, "app_group is 'sudo', a name that Debian"),
    ({"app_user": "ops"}, "app_user is 'ops', by which somebody logs in to the hosts"),
    ({"app_group": "admins"}, "app_group is 'admins', by which somebody logs in to the hosts"),
    ({"app_build_user": "shop"}, "app_user and app_group and app_build_user are 'shop': give the account that builds a name of its own"),
    ({"app_user": "My App"}, "app_user is 'My App': give at most 32 lower-case letters"),
    ({"app_service": "nginx"}, "app_service is 'nginx', and nginx.service is another's"),
    ({"app_name": "cron"}, "app_service is 'cron', and cron.service is another's: give a name of the application's own, such as cron_app"),
    ({"app_service": "shop@x"}, "app_service is 'shop@x': give at most 31"),
    ({"app_settings_module": "shop/settings.py"}, "app_settings_module is 'shop/settings.py': give a module as Python imports it"),
    ({"app_wsgi_module": "shop.wsgi.py:"}, "app_wsgi_module is 'shop.wsgi.py:': give a module and its callable"),
    ({"app_subdirectory": "../src"}, "app_subdirectory is '../src': give the folder of manage.py inside the repository"),
    ({"app_subdirectory": "/src"}, "app_subdirectory is '/src': give the folder of manage.py"),
    ({"app_static_url": "/static"}, "app_static_url is '/static': give a path with a slash at both ends"),
    ({"app_media_url": "media/"}, "app_media_url is 'media/': give a path with a slash at both ends"),
    ({"app_version": "--upload-pack=x"}, "app_version is '--upload-pack=x': give a branch"),
    ({"app_secret_key": None}, "app_secret_key is not set: put a random one"),
    ({"app_secret_key": ""}, "app_secret_key is not set: put a random one"),
    ({"app_secret_key": "short"}, "app_secret_key is shorter than 50 characters: put a random one"),
    ({"app_database_password": None}, "app_database_password is not set: put a random one"),
    ({"app_database_password": "hunter2"}, "app_database_password is shorter than 16 characters: put a random one"),
    ({"app_database_port": 70000}, "app_database_port is '70000': give a port number from 1 to 65535"),
    ({"app_database_port": 22}, "app_database_port is 22, as is that of sshd: give each a port of its own."),
    ({"app_backup_port": 5432}, "app_backup_port is 5432, as is that of app_database_port: give each a port of its own."),
    ({"app_database_port": "five"}, "app_database_port is 'five': give a port number from 1 to 65535"),
    ({"app_database_host": "[2001:db8::7]"}, "app_database_host holds '[2001:db8::7]': give names, IP addresses without brackets and port"),
    ({"app_database_host": "db1,db2:5433"}, "app_database_host holds 'db2:5433': give names"),
    ({"app_environment": {"MY-NAME": "x"}}, "app_environment has to be a mapping"),
    ({"app_environment": {True: "x"}}, "app_environment has to be a mapping whose names are letters, digits and underscores, none beginning with a digit,"),
    ({"app_environment": {"A": ["swordfish"], "B": 1, "C": {"d": "swordfish"}}}, "app_environment has more than a text for A, C: give one text in quotes"),
    ({"app_build_environment": {"A": "b\0c"}}, "app_build_environment has more than a text for A: give one text in quotes"),
    ({"app_database_options": {"ssl-mode": "require"}}, "app_database_options has ssl-mode: give names as libpq has them (sslmode, connect_timeout)"),
    ({"app_database_options": {"sslmode": False}}, "app_database_options has sslmode: give names as libpq has them"),
    ({"app_database_options": {"options": None, "sslcert": ["a"], "sslkey": "a\nb", "sslmode": "off"}}, "app_database_options has options, sslcert, sslkey:"),
    ({"app_static_url": "static/"}, "app_static_url is 'static/': give a path with a slash at both ends, as Django has it, and below the root."),
    ({"app_static_url": "/"}, "app_static_url is '/': give a path with a slash at both ends"),
    ({"app_static_url": "/sta;tic/"}, "app_static_url is '/sta;tic/': give a path with a slash at both ends"),
    ({"app_static_url": "/sta tic/"}, "app_static_url is '/sta tic/': give a path with a slash at both ends"),
    ({"app_static_url": "//static/"}, "app_static_url is '//static/', by which nothing would be served: give it without //"),
    ({"app_media_url": "/me%dia/"}, "app_media_url is '/me%dia/', by which nothing would be served: write the percent sign itself as %25"),
    ({"app_static_url": "/media/"}, "app_static_url and app_media_url are both '/media/': give each place a URL of its own."),
    ({"app_service": "selfhost-notify"}, "app_service is 'selfhost-notify', and selfhost-notify.service is another's: give a name of the application's own,"),
    ({"app_service": "selfhost-shop"}, "app_service is 'selfhost-shop', and this collection's own units begin so: give a name of the application's own, such"),
    ({"app_name": "selfhost"}, "app_service is 'selfhost', and this collection's own units begin so"),
    ({"app_service": "certbot"}, "app_service is 'certbot', and certbot.service is another's"),
    ({"app_release_steps": ["migrate", "deploy"]}, "app_release_steps names deploy: the steps are"),
    ({"app_health_checks": [{"path": "status"}]}, "app_health_checks needs at least one check"),
    ({"app_health_checks": []}, "app_health_checks needs at least one check"),
    ({"app_health_checks": [{"path": "/a b"}]}, "app_health_checks needs at least one check"),
    ({"app_health_checks": [{"path": "/", "contains": "Welcome"}]},
     "app_health_checks has contains in the check of /: the keys are path, status, text, absent, host, headers"),
    ({"app_health_checks": [{"path": "/", "status": "OK"}]}, "app_health_checks has the status OK in the check of /: give a list of numbers"),
    ({"app_health_checks": [{"path": "/", "status": ["ok"]}]}, "app_health_checks has the status ['ok'] in the check of /: give a list of numbers"),
    ({"app_health_checks": [{"path": "/", "status": []}]}, "app_health_checks has the status [] in the check of /: give a list of numbers"),
    ({"app_health_checks": [{"path": "/", "headers": {"X-A": "a\nb"}}]}, "app_health_checks has headers in the check of /"),
    ({"app_health_checks": [{"path": "/", "headers": ["X-A"]}]}, "app_health_checks has headers in the check of /"),
    ({"app_shared_paths": ["../../etc"]}, "app_shared_paths holds ../../etc: give paths inside the release"),
    ({"app_shared_paths": ["data", "."]}, "app_shared_paths holds .: give paths inside the release"),
    ({"app_shared_paths": ["./"]}, "app_shared_paths holds ./: give paths inside the release"),
    ({"app_media_root": "../media"}, "app_media_root is '../media': give a folder inside the release"),
    ({"app_media_root": "."}, "app_media_root is '.': give a folder inside the release"),
    ({"app_media_root": "/srv/shop/releases/media"}, "app_media_root is '/srv/shop/releases/media', and /srv/shop/releases is where releases come and go"),
    ({"app_media_root": "/srv/shop/static/media"}, "app_media_root is '/srv/shop/static/media', and /srv/shop/static is where releases come and go"),
    ({"app_media_root": "/srv/shop/build/media"}, "app_media_root is '/srv/shop/build/media', and /srv/shop/build is where releases come and go"),
    ({"app_media_root": "/etc"}, "app_media_root is '/etc', and /etc is the system's: give a folder of its own, best one below /srv/shop/shared."),
    ({"app_media_root": "/tmp/media"}, "app_media_root is '/tmp/media', and /tmp is the system's: give a folder of its own"),
    ({"app_media_root": "/var/lib"}, "app_media_root is '/var/lib', and /var/lib is the system's: give a folder of its own"),
    ({"app_root": "/srv"}, "app_root is '/srv', and /srv is the system's: give a folder of its own, such as /srv/shop."),
    ({"app_static_root": "."}, "app_static_root is '.': give a folder inside the release"),
    ({"app_static_root": "../static"}, "app_static_root is '../static': give a folder inside the release"),
    ({"app_static_root": "/usr/share"}, "app_static_root is '/usr/share', and /usr is the system's: give a folder of its own, best one inside the release"),
    ({"app_static_root": "/srv/shop/releases/static"}, "app_static_root is '/srv/shop/releases/static', and /srv/shop/releases is where releases come and go"),
    ({"app_static_root": "media"}, "app_static_root is 'media', which meets media of app_media_root: let static files be collected into a folder"),
    ({"app_static_root": "public", "app_media_root": "public/media"}, "app_static_root is 'public', which meets public/media of app_media_root"),
    ({"app_static_root": "data/static", "app_shared_paths": ["log", "data/"]}, "app_static_root is 'data/static', which meets data/ of app_shared_paths"),
    ({"app_static_root": "/mnt/x", "app_media_root": "/mnt/x/media"}, "app_static_root is '/mnt/x', which meets /mnt/x/media of app_media_root"),
    ({"app_request_timeout_seconds": 0}, "app_request_timeout_seconds is '0': give a whole number of at least 1."),
    ({"app_request_header_kb": 64}, "app_request_header_kb is '64': give a whole number from 4 to 40."),
    ({"app_http3": "maybe"}, "app_http3 has to be true or false."),
    ({"app_connections_per_address": -1}, "app_connections_per_address is '-1': give a whole number of at least 0."),
    ({"uwsgi_backlog": "many"}, "uwsgi_backlog is 'many': give a whole number"),
]


def test_bad_values(each_is_refused):
    each_is_refused(BAD, "app", "uwsgi")


PLACES = [
    ({"app_root": ""}, "app_root is not set: give an absolute path of letters, digits, dots, hyphens and underscores, without a slash at its end, such as"),
    *[
        ({"app_root": path}, f"app_root is '{path}': give an absolute path of letters, digits, dots")
        for path in (
            "srv/shop", "/srv/my shop", "~/shop", "/srv/shop/", "/srv//shop", "//srv/shop", "/srv/./shop", "/srv/../etc", "/srv/shop%n", "/srv/$HOME",
            "/srv/a;b",
        )
    ],
    ({"app_root": "/home/shop"}, "app_root is '/home/shop', and its units see nothing of /home (ProtectHome=), of which a folder can be bound elsewhere"),
    ({"app_root": "/var/www"}, "app_root is '/var/www', and /var/www is the system's: give a folder of its own"),
    ({"app_root": "/run/user/1000/shop"}, "app_root is '/run/user/1000/shop', and /run is the system's"),
    ({"app_static_root": "/srv/shop/shared/media"}, "app_static_root is '/srv/shop/shared/media', which meets media of app_media_root"),
    ({"app_static_root": "sta tic"}, "app_static_root is 'sta tic': give a folder inside the release"),
    ({"app_static_root": "/srv//static"}, "app_static_root is '/srv//static': give a folder inside the release"),
    ({"app_static_root": "/srv/shop//static"}, "app_static_root is '/srv/shop//static': give a folder inside the release"),
    ({"app_static_root": "/home/shop/static"}, "app_static_root is '/home/shop/static', and its units see nothing of /home (ProtectHome=)"),
    ({"app_media_root": "/mnt/my volume"}, "app_media_root is '/mnt/my volume': give a folder inside the release, relative to the folder of manage.py, or an"),
    ({"app_media_root": "/mnt/vol%20ume"}, "app_media_root is '/mnt/vol%20ume': give a folder"),
    ({"app_media_root": "me dia"}, "app_media_root is 'me dia': give a folder"),
    ({"app_media_root": "/home/shop/media"}, "app_media_root is '/home/shop/media', and its units see nothing of /home (ProtectHome=), of which a folder can"),
    ({"app_media_path": "media"}, "app_media_path is 'media': give an absolute path of letters, digits"),
    ({"app_media_path": "/mnt/media", "app_media_root": "../x"}, "app_media_root is '../x': give a folder inside the release"),
    ({"app_media_path": ""}, "app_media_path is not set: give an absolute path"),
    ({"app_media_path": "/etc"}, "app_media_path is '/etc', and /etc is the system's"),
    ({"app_subdirectory": "my src"}, "app_subdirectory is 'my src': give the folder of manage.py inside the repository, without spaces"),
    ({"app_subdirectory": "src;id"}, "app_subdirectory is 'src;id': give the folder of manage.py"),
    ({"app_subdirectory": "~/src"}, "app_subdirectory is '~/src': give the folder of manage.py"),
    ({"app_shared_paths": ["data\n"]}, "app_shared_paths holds data : give paths inside the release"),
    ({"app_static_store": ""}, "app_static_store is not set: give an absolute path of letters, digits, dots, hyphens and underscores"),
    ({"app_static_store": "static"}, "app_static_store is 'static': give an absolute path"),
    ({"app_static_store": "/var/www//x"}, "app_static_store is '/var/www//x': give an absolute path"),
    *[
        ({"app_static_store": path}, f"app_static_store is '{path}', and {place} is the system's: give a folder of its own, best /srv/shop/static.")
        for path, place in (
            ("/etc", "/etc"), ("/var/www", "/var/www"), ("/usr/share", "/usr"), ("/var/lib/postgresql", "/var/lib/postgresql"), ("/tmp/x", "/tmp"),
        )
    ],
    ({"app_static_store": "/home/ops"}, "app_static_store is '/home/ops', and its units see nothing of /home (ProtectHome=)"),
    *[
        ({"app_static_store": path}, f"app_static_store is '{path}', and {path} is where releases come and go: give a folder of its own")
        for path in ("/srv/shop", "/srv/shop/releases", "/srv/shop/current", "/srv/shop/shared", "/srv/shop/home")
    ],
    ({"app_static_store": "/srv/shop/shared/media"}, "app_static_store is '/srv/shop/shared/media', which meets media of app_media_root: give a folder that"),
    ({"app_static_store": "/mnt/x", "app_media_root": "/mnt/x/media"}, "app_static_store is '/mnt/x', which meets /mnt/x/media of app_media_root"),
    ({"app_static_store": "/srv/shop/shared/data/x", "app_shared_paths": ["data"]}, "app_static_store is '/srv/shop/shared/data/x', which meets data of"),
    ({"app_release_log": "/var/log/deploys.jsonl"}, "app_release_log is '/var/log/deploys.jsonl', and /var/log is the system's, whose owner and mode would"),
    ({"app_release_log": ""}, "app_release_log is not set: give an absolute path"),
    ({"app_certificate_path": "/etc"}, "app_certificate_path is '/etc', and /etc is the system's, whose owner and mode would be changed"),
    *[
        ({name: f"/home/ops/{name}"}, f"{name} is '/home/ops/{name}', and its units see nothing of /home (ProtectHome=), of which a folder can be bound elsewhere")
        for name in (
            "app_certificate_path", "app_acme_path", "app_acme_certificates", "app_backup_state_path", "app_balancer_socket", "app_maintenance_file",
            "app_run_command", "app_socket",
        )
    ],
    ({"app_notify_settings": "/tmp/notify/notify.json"}, "app_notify_settings is '/tmp/notify/notify.json', and its units see nothing of /tmp (PrivateTmp=): "),
    ({"guard_candidate_path": "/"}, "guard_candidate_path is '/': give an absolute path"),
    ({"guard_candidate_path": "/var/lib"}, "guard_candidate_path is '/var/lib', and /var/lib is the system's, whose owner and mode would be changed"),
    ({"app_acme_path": "acme"}, "app_acme_path is 'acme': give an absolute path"),
    ({"app_socket": ""}, "app_socket is not set: give an absolute path"),
    ({"nginx_upstream_socket": "app.sock"}, "nginx_upstream_socket is 'app.sock': give the absolute path of a socket, of letters"),
    ({"app_path_prefix": "shop"}, "app_path_prefix is 'shop': give a path such as /shop"),
    ({"app_path_prefix": "/.."}, "app_path_prefix is '/..': give a path such as /shop"),
]  # fmt: skip
GOOD_PLACES = [
    {"app_root": "/opt/shop"},
    {"app_root": "/home/shop", "app_service_sandbox": "NoNewPrivileges=true\n"},
    {"app_media_root": "/mnt/volume/media/", "app_static_root": "/var/lib/shop/static/", "app_static_store": "/var/www/shop"},
    {"app_media_root": "/mnt/größe/@media", "app_shared_paths": ["da ta", "log/"]},
    {"app_static_store": "/srv/shop/shared/collected", "app_subdirectory": "backend/src/"},
    {"app_release_log": "/var/log/deploys/shop.jsonl", "app_certificate_path": "/etc/pki/shop"},
    {"app_release_log": "/home/ops/deploys.jsonl", "app_notify_settings": "/home/ops/notify.json", "guard_candidate_path": "/home/ops/guard"},
]


def test_places_are_told_once_and_by_the_name_that_was_written(each_is_refused):
    each_is_refused(PLACES, *INVENTORY, good=GOOD_PLACES)


SAME_PORTS = [
    ({"ansible_port": 443}, "ansible_port is 443, as is that of app_https_port: give each a port of its own, or set hardening_ssh_port where sshd has another"),
    ({"hardening_ssh_port": 80}, "hardening_ssh_port is 80, as is that of app_http_port: give each a port of its own."),
    ({"hardening_ssh_port": "0443"}, "hardening_ssh_port is 443, as is that of app_https_port"),
    ({"hardening_ssh_port": 5432}, "hardening_ssh_port is 5432, as is that of app_database_port"),
    ({"hardening_ssh_port": 8432}, "hardening_ssh_port is 8432, as is that of app_backup_port"),
    ({"nginx_https_port": 22}, "nginx_https_port is 22, as is that of sshd: give each a port of its own."),
    ({"nginx_https_port": 80}, "nginx_https_port is 80, as is that of app_http_port: give each a port of its own."),
    ({"app_http_port": "0443"}, "app_http_port is 443, as is that of app_https_port: give each a port of its own."),
    ({"media_backup_port": 22}, "media_backup_port is 22, as is that of sshd"),
    ({"logs_port": 443}, "logs_port is 443, as is that of app_https_port"),
    ({"postgresql_backup_tls_port": 5432}, "postgresql_backup_tls_port is 5432, as is that of app_database_port"),
    ({"postgresql_port": 8432, "app_database_port": 8432}, "postgresql_port is 8432, as is that of app_backup_port"),
    ({"etcd_port": 2380}, "etcd_port is 2380, as is that of app_etcd_peer_port"),
    ({"firewall_ssh_port": 2222}, "firewall_ssh_port is 2222, and sshd listens on 22 (hardening_ssh_port): leave the first one out, or nobody gets in."),
]  # fmt: skip
GOOD_PORTS = [
    {"hardening_ssh_port": 2222, "app_backup_port": 22},
    {"ansible_port": 443, "hardening_ssh_port": 22},
    {"ansible_port": "2222"},
    {"nginx_https_port": 8443, "app_backup_port": 443},
]


def test_only_one_listens_on_a_port(each_is_refused):
    each_is_refused(SAME_PORTS, *INVENTORY, good=GOOD_PORTS)


def test_a_web_host_without_any_database(refuse):
    refuse("The group database has no host: name one in the inventory", groups={"web": ["site1"], "database": []})


def test_what_is_of_little_harm_is_let_be(sentences):
    environment = {"PORT": 8000, "DEBUG": False, "SENTRY_DSN": None, "DAY": datetime.date(2026, 1, 31), "TEXT": "two\nlines"}
    options = {"sslmode": "off", "connect_timeout": 5, "options": "-c search_path=a"}
    assert sentences(app_environment=environment, app_build_environment=environment, app_database_options=options) == []
    for word in (True, "true", "on", "1", "False", 0):
        assert sentences(app_http3=word) == []


def test_a_managed_database_needs_no_host(sentences):
    assert sentences({"web": ["site1"], "database": []}, app_database_host="db.example.org") == []
    for host in ("2001:db8::7,2001:db8::8,/run/postgresql", "db1.example.org, db2.example.org", "db.example.org "):
        assert sentences({"web": ["site1"], "database": []}, app_database_host=host) == []


SSH = {"app_repository": "git@git.example.org:team/shop.git"}
WHOLE_KEY = "ssh-ed25519 " + base64.b64encode(b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + bytes(32)).decode()
HOST_KEYS = [f"git.example.org {WHOLE_KEY}"]
BAD_CODE = [
    (SSH, "app_repository_host_keys is empty, and app_repository is behind SSH: give"),
    ({"app_repository": "ssh://git@git.example.org:2222/shop.git"}, "app_repository_host_keys is empty"),
    ({"app_repository": "https://deploy:swordfish@git.example.org/shop.git"}, "app_repository holds a login"),
    ({"app_repository": "https://swordfish@git.example.org/shop.git"}, "app_repository holds a login"),
    ({"app_repository": "https://swordfish:x-oauth-basic@git.example.org/shop.git"}, "app_repository holds a login"),
    (SSH | {"app_repository_host_keys": ["# git.example.org:22 SSH-2.0"]}, "app_repository_host_keys is empty, and app_repository is behind SSH"),
    ({"app_repository": "git@[2001:db8::1]:shop.git"}, "app_repository_host_keys is empty"),
    *[
        (SSH | {"app_repository_host_keys": [*HOST_KEYS, line]}, f"app_repository_host_keys holds '{line}', no host with a whole key behind it: give the lines")
        for line in ("garbage", WHOLE_KEY, f"{WHOLE_KEY} git.example.org", HOST_KEYS[0][:-8], f"git.example.org ssh-rsa {WHOLE_KEY.split()[1]}")
    ],
    ({"app_repository": "HTTPS://token@git.example.org/shop.git"}, "app_repository is no git URL"),
    ({"app_repository": "/home/me/my\nshop"}, "app_repository is no git URL"),
    ({"app_repository_key": "swordfish"}, "app_repository_key is no private key: put the whole file"),
    ({"django_installer": "poetry"}, "django_installer is 'poetry': give uv or pip."),
    ({"uwsgi_memory_max_mb": "half"}, "uwsgi_memory_max_mb is 'half': give a whole number of at least 1."),
    ({"uwsgi_tasks_max": 0}, "uwsgi_tasks_max is '0': give a whole number of at least 1."),
    ({"uwsgi_processes": 0}, "uwsgi_processes is '0': give a whole number of at least 1."),
    ({"uwsgi_buffer_size_bytes": 65536}, "uwsgi_buffer_size_bytes is '65536': give a whole number from 4096 to 65535."),
    ({"uwsgi_buffer_size_bytes": 10}, "uwsgi_buffer_size_bytes is '10': give a whole number from 4096 to 65535."),
    ({"uwsgi_backlog": 99999999999}, "uwsgi_backlog is '99999999999': give a whole number from 1 to 2147483647."),
    ({"uwsgi_options": {"env": ["A=b", ["C=d"]], "a b": 1, "cheaper": None, "socket": "a\nb = c", "mule": {"a": 1}, "lazy-apps": True}},
     "uwsgi_options has a b, cheaper, env, mule, socket: give names as uWSGI has them, and to each a value of one line, or a list of such."),
]
GOOD_CODE = [
    SSH | {"app_repository_host_keys": HOST_KEYS, "app_repository_key": KEY},
    {"app_repository": "https://git.example.org:8443/shop.git"},
    {"uwsgi_options": {"env": ["A=b", "C=d"], "lazy-apps": True, "cheaper": 2}, "uwsgi_processes": "4"},
    {"app_repository": "/home/ops/shop"},
    {"app_repository": "/home/me/my shop"},
    {"app_repository": "git@[2001:db8::1]:shop.git", "app_repository_host_keys": [f"# of the server's owner\n[2001:db8::1]:2222 {WHOLE_KEY} comment\n\n"]},
    {"app_repository": "ssh://git@[2001:db8::1]/shop.git", "app_repository_host_keys": [f"@cert-authority *.example.org {WHOLE_KEY}", f"|1|a=|b= {WHOLE_KEY}"]},
]


def test_code_and_its_server(each_is_refused):
    each_is_refused(BAD_CODE, "app", "django", "uwsgi", good=GOOD_CODE)


FILE = {"path": "local.py", "content": "swordfish"}
FILES = [
    ({"app_files": FILE}, "app_files has to be a list of mappings with path, content and"),
    ({"app_files": ["local.py"]}, "app_files has to be a list of mappings with path, content and"),
    ({"app_files": [{"dest": "local.py", "content": "swordfish"}]}, "app_files has dest in the entry number 1: the keys are path, content,"),
    ({"app_files": [{"path": "local.py", "contents": "swordfish"}]}, "app_files has contents in the entry local.py: the keys are path, content,"),
    ({"app_files": [{"path": "local.py"}]}, "app_files lacks content in the entry local.py: give each path, content and"),
    ({"app_files": [FILE | {"path": "../local.py"}]}, "app_files has the path ../local.py: give that of a file"),
    ({"app_files": [FILE | {"path": "/etc/../etc/passwd"}]}, "app_files has the path /etc/../etc/passwd: give that of a file"),
    ({"app_files": [FILE | {"path": "conf/"}]}, "app_files has the path conf/: give that of a file"),
    ({"app_files": [FILE | {"mode": 0o640}]}, "app_files has the mode 416 in the entry local.py: give one such as \"0640\", in quotes"),
    ({"app_files": [FILE, FILE]}, "app_files names local.py twice: give each file once."),
]


def test_files_are_looked_at_key_by_key_and_their_content_is_not_told(each_is_refused):
    good = [{"app_files": [FILE | {"path": "/etc/shop.conf", "mode": "0640", "owner": "root", "group": "shop"}, FILE | {"content": ""}]}]
    each_is_refused(FILES, "app", good=good)


GIVE_VERSION = "give a branch, a tag or a commit."
MISREAD = [
    ({"app_version": 1.10}, "app_version is the number 1.1: put it into quotes, since YAML makes 1.1 of 1.10."),
    ({"app_version": 20261128}, "app_version is the number 20261128: put it into quotes"),
    ({"app_version": True}, "app_version is True, which YAML makes of a word such as yes: put it into quotes."),
    ({"app_version": datetime.date(2026, 1, 31)}, "app_version is the date 2026-01-31: put it into quotes."),
    ({"app_version": "{{ none }}"}, f"app_version is not set: {GIVE_VERSION}"),
    ({"app_version": ["main"]}, f"app_version is a list: {GIVE_VERSION}"),
    ({"app_version": {"branch": "main"}}, f"app_version is a mapping: {GIVE_VERSION}"),
    ({"app_python": 3.10}, "app_python is the number 3.1: put it into quotes, since YAML makes 3.1 of 3.10."),
    ({"app_python": False}, "app_python is False, which YAML makes of a word"),
    ({"app_python": ["python3"]}, "app_python is a list: give a path, a command (python3), or a version such as"),
    ({"deploy_version": 2.0}, "deploy_version is the number 2.0: put it into quotes"),
    *[
        ({"app_version": version}, f"app_version is '{version}': {GIVE_VERSION}")
        for version in ("", "-x", "a..b", "a b", "v1^{}", "HEAD~1", "a:b", "a@{1}", "a//b", "/a", "a/", "a.", ".a", "a/.b", "a.lock", "$(id)", "a;b", "`id`")
    ],
]
GOOD_VERSIONS = ["1.10", "shop@1.0.0", "v1.2.3+build.5", "fix/#123", "bücher", "日本", "renovate/django-5.x", "a,b=c%d", "@scope/shop@1.0", "0a1b2c3d"]


def test_what_yaml_makes_of_a_version_is_none(each_is_refused):
    each_is_refused(MISREAD, "app", good=[*({"app_version": version} for version in GOOD_VERSIONS), {"deploy_version": "20261128"}])


OF_UV = "after uv.lock may stand --extra NAME, --group NAME, --package NAME and --no-install-project, separated by spaces."
PACKAGES = [
    ({"app_python": "python3 -I"}, "app_python is 'python3 -I': give a path, a command (python3), or a version such as"),
    ({"app_python": "2.7"}, "app_python is '2.7': give a path, a command (python3), or a version such as"),
    ({"app_requirements": ["uv.lock --extras prod"]}, f"app_requirements has 'uv.lock --extras prod': {OF_UV}"),
    ({"app_requirements": ["uv.lock --group"]}, f"app_requirements has 'uv.lock --group': {OF_UV}"),
    (
        {"app_requirements": ["api/poetry.lock --no-install-project"]},
        "app_requirements has 'api/poetry.lock --no-install-project': after api/poetry.lock may stand --extra NAME and --group NAME, separated by spaces.",
    ),
    ({"app_requirements": [{"requirements": "base.txt"}]}, "app_requirements holds {'requirements': 'base.txt'}: give texts"),
    (
        {"app_requirements": ["poetry.lock", "requirements.txt"], "django_installer": "pip"},
        "app_requirements names poetry.lock, and django_installer is pip, which does not read it: leave that at uv.",
    ),
    (
        {"app_pip_arguments": ["--extra-index-url=https://x:swordfish@packages.example.org/simple/"]},
        "app_pip_arguments holds a login, which every list of processes would show: give the address as UV_EXTRA_INDEX_URL in app_build_environment.",
    ),
    (
        {"app_pip_packages": ["own @ git+https://swordfish@git.example.org/own.git"], "django_installer": "pip"},
        "app_pip_packages holds a login, which every list of processes would show: give the address as PIP_EXTRA_INDEX_URL in app_build_environment.",
    ),
    ({"app_build_environment": ["TOKEN"]}, "app_build_environment has to be a mapping whose names are letters, digits and underscores"),
    (
        {"app_environment": {"UV_INDEX_OWN_PASSWORD": "swordfish", "PIPES": "a"}},
        "app_environment has UV_INDEX_OWN_PASSWORD, which the application alone gets: give the installer its own in app_build_environment.",
    ),
    *[
        ({"app_build_commands": ["make", entry]}, "app_build_commands holds %s: give commands, and one that imports the settings as {command: …" % told)
        for entry, told in (
            ("", '""'), (5, "5"), ({"imports_settings": True}, '{"imports_settings": true}'), ({"command": "make", "environment": True}, '{"command": "make", "environment": true}'),
            ({"command": "make", "imports_settings": "all"}, '{"command": "make", "imports_settings": "all"}'),
        )
    ],
]
GOOD_PACKAGES = [
    {"app_python": "3.13"},
    {"app_python": "/opt/python/bin/python3"},
    {"app_requirements": ["uv.lock --extra postgres --group production", "-e .[extra]", "deps/pylock.web.toml --extra=postgres", "reqs/pro duction.txt"]},
    {"app_pip_packages": ["own @ git+ssh://git@git.example.org/own.git"], "app_requirements": []},
    {"app_environment": {"PIP_NO_CACHE_DIR": "1"}, "app_build_environment": {"PIP_NO_CACHE_DIR": "1", "NODE_ENV": "production"}},
    {"app_build_commands": ["npm ci\nnpm run build", {"command": "make"}, {"command": "python manage.py compilemessages", "imports_settings": True}]},
]


def test_packages_and_their_python(each_is_refused):
    each_is_refused(PACKAGES, "app", good=GOOD_PACKAGES)


NAMES = [
    ({"app_setting_module": "shop.settings"}, "app_setting_module is no variable of this collection, and app_settings_module is one: write that,"),
    ({"app_env": {}}, "app_env is no variable of this collection, and app_environment is one"),
    ({"nginx_max_body_mb": 5}, "nginx_max_body_mb is no variable of this collection, and nginx_client_max_body_mb is one"),
    ({"hardening_skips": []}, "hardening_skips is no variable of this collection, and hardening_skip is one"),
    ({"vault_app_secretkey": "x"}, "vault_app_secretkey is no variable of this collection, and vault_app_secret_key is one"),
    ({"deploy_versoin": "v1"}, "deploy_versoin is no variable of this collection, and deploy_version is one"),
    ({"rollback_too": "v1"}, "rollback_too is no variable of this collection, and rollback_to is one"),
    ({"restore_target_tme": "x"}, "restore_target_tme is no variable of this collection, and restore_target_time is one"),
]


def test_misspelt_names_are_told_with_the_one_that_is_meant(each_is_refused):
    of_their_own = {"app_theme_color": "red", "vault_mail_password": "x", "nginx_worker_class": 1, "mail_host": "x", "backup_vendor": "x"}
    each_is_refused(NAMES, "app", good=[of_their_own, {"restore_target_time": "2026-01-04 03:15Z"}])


def test_misspelt_words_of_a_restore_are_told_where_the_inventory_is_not_looked_at(sentences):
    (said,) = sentences(None, ["restore_media"], restore_meida="true", app_setting_module="shop.settings")
    assert said.startswith("restore_meida is no variable of this collection, and restore_media is one")


KINDS = [
    ({"app_shared_paths": "data"}, "app_shared_paths has to be a list."),
    ({"app_requirements": "requirements.txt", "app_build_commands": []}, "app_requirements has to be a list."),
    ({"app_release_steps": 5}, "app_release_steps has to be a list."),
    ({"app_release_steps": "build"}, "app_release_steps has to be a list."),
    ({"nginx_balancers": "192.0.2.1"}, "nginx_balancers has to be a list."),
    ({"app_root": ["/srv"]}, "app_root is '['/srv']': give an absolute path"),
    ({"app_static_url": ["/static/"]}, "app_static_url is '['/static/']': give a path"),
    ({"app_hooks": []}, "app_hooks is no mapping"),
    ({"app_processes": {}}, "app_processes has to be a list of mappings with name, command and"),
    ({"app_timers": 5}, "app_timers has to be a list of mappings with name, command, schedule and"),
    ({"app_domains": "{{ nobody_knows }}"}, "app_domains cannot be read: 'nobody_knows' is undefined"),
]


def test_what_is_of_another_kind_is_told_and_breaks_nothing(each_is_refused):
    each_is_refused(KINDS, "app", "nginx")


def test_what_the_facts_of_a_host_will_say_is_no_mistake(sentences):
    assert sentences(postgresql_memory_mb="{{ half }}", half="{{ ansible_facts['memtotal_mb'] // 2 }}", uwsgi_processes="{{ ansible_processor_vcpus }}") == []


def test_all_mistakes_are_told_in_one_answer(sentences):
    said = sentences(app_name="my-shop", app_secret_key="short", hardening_admins=[], nginx_http_port=0, postgresql_port="five")
    assert [sentence.split(" is ")[0] for sentence in said] == ["app_name", "app_secret_key", "hardening_admins", "postgresql_port", "nginx_http_port"]


def test_a_port_that_several_roles_need_is_told_once(sentences):
    said = sentences(app_http_port="web", app_database_port=0, app_backup_port=65536, app_media_backup_port=-1)
    assert [sentence.split(" is ")[0] for sentence in said] == ["app_database_port", "app_http_port", "app_backup_port", "app_media_backup_port"]


def test_web_hosts_that_ask_each_other_for_a_proof_are_known_by_addresses(sentences):
    """nginx looks names up when it starts: at a boot without a name server it would not."""
    groups, site = {"web": ["site1", "site2"]}, {"app_database_host": "db.example.net", "app_addresses": {"site1": "192.0.2.1", "site2": "web2.example.net"}}
    (said,) = sentences(groups, ["app"], app_domains=["shop.example.eu"], **site)
    assert said.startswith("app_address of site2 is 'web2.example.net': give each host")
    assert sentences(groups, ["app"], **site) == [], "nobody is asked for a proof"


def test_every_host_of_a_site_has_an_address(sentences):
    for addresses in ({}, {"site1": "192.0.2.1"}, {"site1": "192.0.2.1", "site2": ""}):
        (said,) = sentences({"web": ["site1"], "database": ["site2"]}, app_addresses=addresses)
        assert said.startswith("app_addresses lacks ") and "site2: give the address of every host of the site" in said


def test_hosts_that_know_each_other_by_their_names_have_such(sentences):
    """They stand in certificates, and in the names of replication slots."""
    for name in ("w\u00e9b1", "web 1", "web,1", "-web1", "2001:db8::1", "web1.", "$(id)"):
        (said,) = sentences({"web": ["site1", name]}, ["app"], app_database_host="db.example.net")
        assert said.startswith(f"The inventory names a host '{name}': give each host of a site with several a name")
        assert sentences({"web": [name], "database": [name]}, ["app"]) == [], "a host alone is named to nobody"
    long = "db1." + 52 * "a" + ".example.org"
    (said,) = sentences({"web": ["db-1"], "database": ["db-1", long]}, ["app"], app_addresses={"db-1": "192.0.2.1", long: "192.0.2.2"})
    assert said.startswith(f"The inventory names a database host '{long}': give one of several at most 55 characters")
    addresses = {"db-1": "192.0.2.1", "DB_1": "192.0.2.2"}
    (said,) = sentences({"web": ["db-1"], "database": ["db-1", "DB_1"]}, ["app"], app_addresses=addresses)
    assert said.startswith("The inventory names the hosts DB_1 and db-1, ")


def test_a_host_in_no_part_of_the_site_is_hardened(sentences):
    groups = {"web": ["site1"], "database": ["site1"], "others": ["site2"]}
    assert sentences(groups) == []
    assert sentences({"others": ["site2"]}, **dict.fromkeys(("app_name", "app_repository", "app_domains"))) == []
    (said,) = sentences(groups, guard_confirm_seconds=5)
    assert said.startswith("guard_confirm_seconds is '5'")


def test_a_refusal_tells_no_secret(preflight):
    code, output = preflight(arguments=["-vvv"], app_database_password="hunter2-hunter", app_secret_key="swordfish")
    assert code != 0
    assert "app_secret_key is shorter than 50 characters" in output
    assert "app_database_password is shorter than 16 characters" in output
    assert "hunter2" not in output
    assert "swordfish" not in output


# Of facts that the host will give, and that nobody has asked it for yet.
OF_FACTS = [
    {"app_environment": {"H": "{{ ansible_facts['hostname'] }}", "I": "{{ ansible_hostname }}", "V": "{{ postgresql_version }}"}},
    {"app_environment": {"H": "{{ ansible_facts['a_fact_of_its_own'] }}"}},
    {"app_domains": ["{{ ansible_facts['fqdn'] }}", "{{ ansible_facts['default_ipv4']['address'] }}"]},
    {"app_python": "/opt/python{{ ansible_facts['python_version'] }}/bin/python"},
    {"app_files": [{"path": "host.txt", "content": "{{ ansible_facts['hostname'] }}"}]},
    {"postgresql_settings": {"work_mem": "{{ ansible_facts['memtotal_mb'] // 50 }}MB"}},
    {"postgresql_packages": ["postgresql-{{ postgresql_version }}-postgis-3"], "app_database_extensions": ["postgis"]},
    {"uwsgi_processes": "{{ ansible_facts['processor_vcpus'] * 2 }}"},
]


def test_what_facts_will_give_is_judged_by_its_form(sentences):
    for case in OF_FACTS:
        assert sentences(**case) == [], case
    (said,) = sentences(app_static_root="{{ ansible_facts['hostname'] }}", app_media_root="host/media")
    assert said.startswith("app_static_root is 'host', which meets host/media of app_media_root")
    (said,) = sentences(app_environment={"H": "{{ ansible_facts['hostname'] }}{{ of_nobody }}"})
    assert said == "app_environment cannot be read: 'of_nobody' is undefined."
