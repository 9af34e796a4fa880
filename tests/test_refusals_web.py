"""Bad input about the web server is refused in one sentence, before any host is touched."""

from conftest import make_certificate

CERTIFICATE, KEY = make_certificate()
_, OTHER_KEY = make_certificate()

GOOD = [
    {"app_domains": ["shop.example.org", "192.0.2.7", "2001:db8::7", "localhost"]},
    {"app_domains": ["*.example.org", ".example.com"]},
    {"nginx_tls_certificate": CERTIFICATE, "nginx_tls_key": KEY},
    {"app_media_url": "", "nginx_http_port": "8080", "nginx_https_port": "8443"},
    {"nginx_name": "www.example.org"},
    {"nginx_static_locations": [{"url": "/a%20b/", "path": "/srv/x", "headers": {"Access-Control-Max-Age": 600, "X-A": 'a "b" \\'}}]},
    {"nginx_static_locations": [{"url": "/café/", "path": "/y"}]},
    {"app_path_prefix": "/my-shop/v2", "nginx_maintenance_allowed": ["203.0.113.0/24", "2001:db8::/32", "192.0.2.7"]},
]
BAD = [
    ({"app_domains": ["shop example.org"]}, "app_domains holds 'shop example.org': give host names"),
    ({"app_domains": ["https://shop.example.org"]}, "app_domains holds 'https://shop.example.org': give host names"),
    ({"app_domains": ["shop.example.org:8443"]}, "app_domains holds 'shop.example.org:8443': give host names"),
    ({"app_domains": ["192.0.2.700"]}, "app_domains holds '192.0.2.700': give host names"),
    ({"app_domains": ["a.example.org", "my_shop.example.org"]}, "app_domains holds 'my_shop.example.org': give host"),
    ({"app_domains": [7]}, "app_domains holds '7': give host names"),
    ({"app_domains": ["[2001:db8::7]"]}, "app_domains holds '[2001:db8::7]': give host names"),
    ({"app_domains": ["*.org"]}, "app_domains holds '*.org': give host names"),
    ({"app_domains": ["shop.*.org", "**.example.org"]}, "app_domains holds 'shop.*.org', '**.example.org': give host names"),
    ({"app_domains": ["*.example.org", "*.example.com"]}, "app_domains holds *.example.org, *.example.com alone: name one host too that checks ask for"),
    ({"app_domains": []}, "app_domains is empty or no list: name at least one"),
    ({"app_domains": "shop.example.org"}, "app_domains is empty or no list: name at least one"),
    ({"nginx_domains": ["*"]}, "nginx_domains holds '*': give host names"),
    ({"nginx_http_port": 0}, "nginx_http_port is '0': give a port number from 1 to 65535"),
    ({"nginx_https_port": 65536}, "nginx_https_port is '65536': give a port number from 1 to 65535"),
    ({"nginx_https_port": "https"}, "nginx_https_port is 'https': give a port number from 1 to 65535"),
    ({"nginx_client_max_body_mb": "25m"}, "nginx_client_max_body_mb is '25m': give a whole number of at least 1"),
    ({"nginx_read_timeout_seconds": 0}, "nginx_read_timeout_seconds is '0': give a whole number of at least 1"),
    ({"nginx_hsts_seconds": -1}, "nginx_hsts_seconds is '-1': give a whole number of at least 0"),
    ({"nginx_tls_certificate": CERTIFICATE}, "nginx_tls_key is not set: nginx_tls_certificate needs"),
    ({"nginx_tls_key": KEY}, "nginx_tls_certificate is not set: nginx_tls_key is of no use"),
    ({"nginx_tls_certificate": "/etc/ssl/shop.pem", "nginx_tls_key": KEY}, "nginx_tls_certificate is no certificate"),
    ({"nginx_tls_certificate": CERTIFICATE, "nginx_tls_key": "hunter2"}, "nginx_tls_key is no unencrypted private key"),
    ({"nginx_tls_certificate": CERTIFICATE, "nginx_tls_key": OTHER_KEY}, "nginx_tls_key is not the key of"),
    ({"nginx_upstream_socket": "127.0.0.1:8000"}, "nginx_upstream_socket is '127.0.0.1:8000': give the absolute path"),
    ({"nginx_static_locations": [{"url": "/", "path": "/srv/www"}]}, "nginx_static_locations holds"),
    ({"nginx_static_locations": [{"url": "/x/", "path": "/srv/a b; }"}]}, "nginx_static_locations holds"),
    ({"nginx_static_locations": [{"url": "/x/", "path": "/srv/x", "header": {"X-A": "b"}}]},
     "nginx_static_locations has to be a list of mappings with the keys url, path, kind, headers, and one has header."),
    ({"hardening_admins": [{"name": "ops", "keys": ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIC0PSmnvD4tRuHNcXQgA ops"], "sudo": False}]},
     "hardening_admins has to be a list of mappings with the keys name, keys, password, and one has sudo."),
    ({"nginx_health_checks": [{"path": "/", "txt": "a"}]}, "nginx_health_checks has txt in the check of /: the keys are path, status,"),
    ({"nginx_static_locations": "/srv/www"}, "nginx_static_locations is no list"),
    ({"nginx_static_locations": [{"url": ["/x/"], "path": "/srv/x"}]}, "nginx_static_locations holds {'path': '/srv/x', 'url': ['/x/']}: give a url below"),
    ({"nginx_static_locations": [{"url": "//x/", "path": "/srv/x"}]}, "nginx_static_locations has the url //x/, which nothing would be served by: give it"),
    ({"nginx_static_locations": [{"url": "/a b/", "path": "/x"}, {"url": "/a%20b/", "path": "/y"}]}, "nginx_static_locations has /a b/ twice: give each"),
    *[
        ({"nginx_static_locations": [{"url": "/x/", "path": "/srv/x", "headers": headers}]},
         "nginx_static_locations has headers for /x/ that are none: give a mapping of names (letters, digits, hyphens) to values of one line")
        for headers in (
            "{{ none }}", ["X-A"], {"X A": "b"}, {"X-A": None}, {"X-A": False}, {"X-A": ["b"]}, {"X-A": "$b"}, {"X-A": "a\nb"}, {"X-A": "a\rb"}, {"X-A": ""},
        )
    ],
    *[
        ({"nginx_name": name}, f"nginx_name is '{name}': give at most 31 letters, digits, dots, hyphens and underscores that begin with a letter, and no name")
        for name in (32 * "a", "", "../x", "My Site", "a;b", "conf.d", "sites-enabled", "mime.types", "5", ".x")
    ],
]


def test_each_is_refused_in_one_sentence_and_good_ones_are_not(each_is_refused):
    each_is_refused(BAD, "nginx", good=GOOD)


PATH = {"app_tls_certificate_path": "/etc/agent/shop.pem"}
BAD_TLS = [
    ({"app_tls": "letsencrypt"}, "app_tls is 'letsencrypt': give acme, files or self_signed."),
    ({"app_tls": "files"}, "app_tls is files, and neither app_tls_certificate nor app_tls_certificate_path is given"),
    ({"app_tls": "self_signed", "app_tls_certificate": CERTIFICATE, "app_tls_key": KEY}, "app_tls is self_signed, and app_tls_certificate is given"),
    (PATH | {"app_tls": "acme", "app_domains": ["shop.se"]}, "app_tls is acme, and app_tls_certificate_path is given: leave one of the two out."),
    (PATH | {"app_tls_certificate": CERTIFICATE, "app_tls_key": KEY}, "app_tls_certificate and app_tls_certificate_path are both given"),
    ({"app_tls_certificate_path": "agent/shop.pem"}, "app_tls_certificate_path is 'agent/shop.pem': give the absolute path"),
    ({"app_tls_certificate_path": "/etc/a;b.pem"}, "app_tls_certificate_path is '/etc/a;b.pem': give the absolute path"),
    (PATH | {"app_tls_key_path": "/etc/../shadow"}, "app_tls_key_path is '/etc/../shadow': give the absolute path"),
    ({"app_tls_certificate_path": "/root/shop.pem"}, "app_tls_certificate_path names /root/shop.pem: give a place outside of homes"),
    ({"app_tls_certificate_path": "/tmp/shop.pem"}, "app_tls_certificate_path names /tmp/shop.pem: give a place outside of homes and of /tmp and /var/tmp,"),
    ({"app_tls_certificate_path": "/etc/agent//shop.pem"}, "app_tls_certificate_path is '/etc/agent//shop.pem': give the absolute path"),
    (PATH | {"app_tls_key_path": "/var/tmp/shop.key"}, "app_tls_certificate_path names /var/tmp/shop.key: give a place outside"),
    ({"app_tls_certificate": CERTIFICATE}, "app_tls_key is not set: app_tls_certificate needs its private key, in PEM form, from the vault."),
    ({"app_tls_key": KEY}, "app_tls_certificate is not set: app_tls_key is of no use without the certificate, in PEM form."),
    ({"app_tls_certificate": "/etc/ssl/shop.pem", "app_tls_key": KEY}, "app_tls_certificate is no certificate in PEM form: give the text of the file"),
    ({"app_tls_certificate": CERTIFICATE, "app_tls_key": "hunter2"}, "app_tls_key is no unencrypted private key in PEM form"),
    ({"app_tls_certificate": CERTIFICATE, "app_tls_key": OTHER_KEY}, "app_tls_key is not the key of app_tls_certificate: give the two that belong together."),
    ({"app_tls": "acme", "app_domains": ["192.0.2.7"]}, "app_tls is acme, and app_domains holds 192.0.2.7: give names alone"),
    ({"app_tls": "acme", "app_domains": ["shop.test"]}, "app_tls is acme, and app_domains holds shop.test: give names of your own"),
    ({"app_tls": "acme", "app_domains": ["*.shop.se", "shop.se"]}, "app_tls is acme, and app_domains holds *.shop.se: give app_acme_dns_hooks"),
    ({"app_acme_directory": "http://ca/dir"}, "app_acme_directory is 'http://ca/dir': give the URL"),
    ({"app_acme_email": "me"}, "app_acme_email is 'me': give one mail address, or nothing."),
    ({"app_acme_key_id": "kid-1"}, "app_acme_key_id and app_acme_hmac_key belong together"),
    ({"app_acme_key_id": "kid-1", "app_acme_hmac_key": "swordfish!"}, "app_acme_key_id or app_acme_hmac_key holds what neither can"),
    ({"app_acme_ca": "/etc/ca.pem"}, "app_acme_ca is no certificate in PEM form"),
    ({"app_acme_key_type": "ed25519"}, "app_acme_key_type is 'ed25519': give ecdsa or rsa."),
    ({"acme_schedule": "at night; rm"}, "acme_schedule is 'at night; rm': give what systemd.time(7) calls a calendar event"),
    ({"acme_patience_seconds": "many"}, "acme_patience_seconds is 'many': give a whole number of at least 0."),
    ({"app_acme_dns_hooks": {"auth": "/bin/sh"}}, "app_acme_dns_hooks has to be a mapping with auth and cleanup"),
    ({"app_acme_dns_hooks": {"auth": "/bin/sh", "cleanup": "/nowhere"}}, "app_acme_dns_hooks names /nowhere: give the absolute path"),
    ({"app_acme_dns_environment": {"TOKEN": "sword\nfish"}}, "app_acme_dns_environment has to be a mapping of names"),
    ({"app_acme_dns_environment": {"TOKEN": ["swordfish"]}}, "app_acme_dns_environment has to be a mapping of names"),
    ({"app_acme_dns_environment": {True: "swordfish"}}, "app_acme_dns_environment has to be a mapping of names"),
    ({"app_public_addresses": ["lb.shop.se"]}, "app_public_addresses is ['lb.shop.se']: give a list of IP addresses"),
]
GOOD_TLS = [
    PATH, PATH | {"app_tls_key_path": "/etc/agent/shop.key", "app_tls": "files"}, {"app_domains": ["shop.se", "www.shop.se"]},
    {"app_tls": "self_signed", "app_domains": ["shop.se"]}, {"app_domains": ["shop.test"], "app_acme_directory": "https://ca.shop.test/dir"},
    {"app_domains": ["*.shop.se", "shop.se"], "app_tls": "acme", "app_acme_dns_hooks": {"auth": "/bin/sh", "cleanup": "/bin/sh"}},
    {"app_acme_key_id": "kid-1", "app_acme_hmac_key": "c3dvcmQ_-", "app_acme_email": "ops@shop.se", "app_public_addresses": ["192.0.2.7", "2001:db8::7"]},
]  # fmt: skip


def test_where_the_certificate_comes_from(each_is_refused):
    each_is_refused(BAD_TLS, "app", "nginx", good=GOOD_TLS)


HASH = "$y$j9T$swordfish$swordfish"
BAD_PARTS = [
    ({"app_domains_served": ["www.shop.se"]}, "app_domains_served holds www.shop.se: give a list of names that app_domains holds"),
    ({"nginx_headers": {"X Y": "z"}}, "nginx_headers has to be a mapping"),
    ({"nginx_headers": {"X-Y": "$host"}}, "nginx_headers has to be a mapping"),
    *[
        ({"nginx_headers": headers}, "nginx_headers has to be a mapping of names (letters, digits, hyphens) to values of one line without $; a word")
        for headers in ({"X-Y": None}, {"X-Y": ["a", "b"]}, {"X-Y": False}, {"X-Y": "a\rb"}, {"X-Y": ""}, ["X-Y"], {True: "a"})
    ],
    ({"nginx_headers": {"strict-transport-security": "max-age=1"}}, "nginx_headers holds Strict-Transport-Security"),
    ({"nginx_redirects": [{"from": "old", "to": "/new/"}]}, "nginx_redirects holds {'from': 'old', 'to': '/new/'}: give from, a path"),
    ({"nginx_redirects": [{"from": "/old", "to": "/new; }"}]}, "nginx_redirects holds {'from': '/old', 'to': '/new; }'}: give from"),
    ({"nginx_redirects": [{"from": "/old", "to": "/new", "status": 200}]}, "nginx_redirects holds {'from': '/old', 'status': 200, 'to': '/new'}"),
    ({"nginx_redirects": [{"from": "/old", "to": "/a"}, {"from": "/old", "to": "/b"}]}, "nginx_redirects sends /old to two places"),
    *[
        ({"nginx_redirects": [{"from": path, "to": "/"}]}, f"nginx_redirects holds {{'from': '{path}', 'to': '/'}}: {give}")
        for path, give in (
            ("/a%zz", "write the percent sign itself as %25"), ("/a%ff", "write the percent sign itself as %25"), ("/100%", "write the percent sign itself"),
            ("//a", "give it without //"), ("/a/%2Fb", "give it without //"), ("/a/../b", "give it without //"), ("/a/.", "give it without //"),
            ("/a%22b", "give a path without quotation marks"), ("/a%0Ab", "give a path without quotation marks"),
            ("/a?b", "give from, a path without a query, to,"),
        )
    ],
    ({"nginx_redirects": [{"from": "/a b", "to": "/"}, {"from": "/a%20b", "to": "/c"}]}, "nginx_redirects sends /a b to two places"),
    ({"nginx_redirects": [{"from": "/robots.txt", "to": "/x"}], "nginx_hidden_from_search": "yes"},
     "nginx_redirects sends /robots.txt elsewhere, which is answered already (nginx_hidden_from_search): leave one of the two out."),
    ({"nginx_redirects": [{"from": "/shop", "to": "/x"}], "app_path_prefix": "/shop"}, "nginx_redirects sends /shop elsewhere, which is answered already"),
    ({"nginx_redirects": [{"from": "/%61.txt", "to": "/x"}], "nginx_static_locations": [{"url": "/a.txt", "path": "/x"}]},
     "nginx_redirects sends /%61.txt elsewhere, which is answered already (nginx_static_locations)"),
    ({"nginx_redirects": [{"from": "/shop-unavailable.html", "to": "/x"}]}, "nginx_redirects sends /shop-unavailable.html elsewhere, which is answered"),
    ({"nginx_redirects": [{"from": "/a", "to": "https://x.se?a"}]}, "nginx_redirects holds {'from': '/a', 'to': 'https://x.se?a'}: give from"),
    ({"nginx_protected": [{"path": "/a%zz/", "networks": []}]}, "nginx_protected has the path /a%zz/, which would protect nothing: write the percent sign"),
    ({"nginx_protected": [{"path": "//admin/", "networks": []}]}, "nginx_protected has the path //admin/, which would protect nothing: give it without //"),
    ({"nginx_protected": [{"path": "/admin/?next=/", "networks": []}]}, "nginx_protected has the path /admin/?next=/: give one that begins with a slash,"),
    ({"nginx_protected": [{"path": ["/admin/"], "networks": []}]}, "nginx_protected has the path ['/admin/']: give one that begins with a slash"),
    ({"nginx_protected": [{"path": "/a b/", "networks": []}, {"path": "/a%20b/", "networks": []}]}, "nginx_protected has /a b/ twice"),
    ({"nginx_protected": [{"networks": []}]}, "nginx_protected has to be a list of mappings with path"),
    ({"nginx_protected": [{"path": "admin", "networks": []}]}, "nginx_protected has the path admin: give one that begins with a slash"),
    ({"nginx_protected": [{"path": "/"}]}, "nginx_protected has the keys path for /: give path, and networks"),
    ({"nginx_protected": [{"path": "/", "network": ["192.0.2.7"]}]}, "nginx_protected has the keys network, path for /: give path, and networks"),
    ({"nginx_protected": [{"path": "/", "networks": ["office"]}]}, "nginx_protected lets ['office'] into /: give a list of addresses"),
    ({"nginx_protected": [{"path": "/", "users": {"ann": "swordfish"}}]}, "nginx_protected gives ann no usable password for /"),
    ({"nginx_protected": [{"path": "/", "users": {"ann:": HASH}}]}, "nginx_protected gives ann: no usable password for /"),
    ({"nginx_protected": [{"path": "/", "networks": []}] * 2}, "nginx_protected has / twice"),
]
GOOD_PARTS = [
    {"app_domains": ["shop.se", "www.shop.se", "shop.dk"], "app_domains_served": ["shop.dk"]},
    {"nginx_headers": {}}, {"nginx_headers": {"Permissions-Policy": "camera=()", "X-Quoted": 'a "b"'}},
    {"nginx_redirects": [{"from": "/old/", "to": "https://blog.shop.se/new/?a=b#c", "status": 308}]},
    {"nginx_redirects": [{"from": "/a b", "to": "https://blog.shop.se"}, {"from": "/caf%C3%A9%20au%20lait/100%25", "to": "//shop.dk/"}]},
    {"nginx_redirects": [{"from": "/robots.txt", "to": "/x"}, {"from": "/static/", "to": "/x"}]},
    {"nginx_protected": [{"path": "/a%20b/", "networks": []}, {"path": "/größe/", "networks": []}]},
    {"nginx_protected": [{"path": "/", "users": {"ann": HASH}, "networks": ["203.0.113.0/24", "2001:db8::7"]}, {"path": "/admin/", "networks": []}]},
]  # fmt: skip


def test_other_names_headers_and_parts_that_not_everybody_sees(each_is_refused):
    each_is_refused(BAD_PARTS, "nginx", good=GOOD_PARTS)


def test_an_authority_is_asked_by_five_hosts_at_most(refuse, sentences):
    asked = {"app_tls": "acme", "app_domains": ["shop.se"], "app_addresses": {f"site{number}": f"192.0.2.{number}" for number in range(1, 8)}}
    groups = {"web": ["site1"], "database": ["site1"], "balancer": ["site2", "site3"]}
    assert sentences(groups, **asked) == []
    groups["balancer"] = [f"site{number}" for number in range(2, 8)]
    refuse("app_tls is acme, and visitors reach the site by 6 hosts: put one balancer in front", groups, **asked)


def test_a_refusal_tells_no_key(preflight):
    _code, output = preflight(arguments=["-vvv"], nginx_tls_certificate=CERTIFICATE, nginx_tls_key=OTHER_KEY)
    assert OTHER_KEY.splitlines()[1] not in output


SAID = [
    ({"app_path_prefix": "/shop/"}, "app_path_prefix is '/shop/': give a path such as /shop,"),
    ({"app_path_prefix": "shop"}, "app_path_prefix is 'shop': give a path such as /shop,"),
    ({"nginx_path_prefix": "/shop bag"}, "nginx_path_prefix is '/shop bag': give a path such as /shop,"),
    ({"nginx_immutable_pattern": 'a" ; b'}, "nginx_immutable_pattern is 'a\" ; b': give a regular expression without"),
    ({"nginx_maintenance_allowed": ["300.1.1.1"]}, "nginx_maintenance_allowed is ['300.1.1.1']: give a list of addresses or networks,"),
    ({"nginx_maintenance_allowed": ["office"]}, "nginx_maintenance_allowed is ['office']: give a list of addresses or networks,"),
    ({"nginx_maintenance_allowed": "203.0.113.7"}, "nginx_maintenance_allowed is 203.0.113.7: give a list of addresses or networks,"),
    ({"app_static_root": "/srv/shop/static"}, "app_static_root is '/srv/shop/static', and /srv/shop/static is what the web server serves"),
    ({"app_static_root": "/srv/shop"}, "app_static_root is '/srv/shop', and /srv/shop/static is what the web server serves"),
    ({"nginx_request_header_kb": 64}, "nginx_request_header_kb is '64': give a whole number from 4 to 40."),
    ({"nginx_rate_limits": {"path": "/login/"}}, "nginx_rate_limits has to be a list of mappings with path, requests_per_minute."),
    ({"nginx_rate_limits": [{"path": "login", "requests_per_minute": 10}]}, "nginx_rate_limits holds {'path': 'login', 'requests_per_minute': 10}: give a"),
    ({"nginx_rate_limits": [{"path": "/login/", "requests_per_minute": 0}]}, "nginx_rate_limits holds {'path': '/login/', 'requests_per_minute': 0}: give a"),
    ({"nginx_rate_limits": [{"path": "/a//b", "requests_per_minute": 9}]},
     "nginx_rate_limits holds {'path': '/a//b', 'requests_per_minute': 9}, which would limit nothing: give it without //"),
    ({"nginx_rate_limits": [{"path": "/login/"}]}, "nginx_rate_limits holds {'path': '/login/'}: give a path"),
    ({"app_static_served_by": "s3"}, "app_static_served_by is 's3': give nginx or elsewhere."),
]
MAINTENANCE = [
    ({"maintenance": "maybe"}, "maintenance is 'maybe': give -e maintenance=on or -e maintenance=off."),
    ({"maintenance": ""}, "maintenance is not set: give -e maintenance=on or -e maintenance=off."),
    ({}, "maintenance is not set: give -e maintenance=on or -e maintenance=off."),
]


def test_what_else_is_refused(each_is_refused):
    each_is_refused(SAID, "django", "nginx")


def test_wishes_of_maintenance(each_is_refused):
    wishes = [{"maintenance": wish} for wish in ("on", "off", True, False, "true", "False", "ON")]
    each_is_refused(MAINTENANCE, "nginx", "maintenance", good=wishes)
