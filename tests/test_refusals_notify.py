"""Bad input about whom a site tells is refused in one sentence, before any host is touched."""

MAIL = {"notify_mail_to": ["ops@example.org"], "notify_relay": "mail.example.org"}
LOGIN = {"notify_relay_user": "shop", "notify_relay_password": "hunter2"}

BAD = [
    ({"notify_mail_to": "ops"}, "notify_mail_to holds ops: give a list of addresses"),
    ({"notify_mail_to": ["ops"]}, "notify_mail_to holds ops: give a list of addresses"),
    ({"notify_mail_to": ["a@example.org, b@example.org"]}, "notify_mail_to holds a@example.org, b@example.org: give a list of addresses"),
    ({"notify_mail_to": ["a@example.org\nBcc: b@example.org"]}, "notify_mail_to holds a@example.org"),
    ({"notify_mail_to": ["ops@example.org"]}, "notify_relay is not set: give the mail server"),
    (MAIL | {"notify_relay": "mail.example.org:25"}, "notify_relay is 'mail.example.org:25': give a name or an address, and the port as"),
    (MAIL | {"notify_relay": "smtp://mail"}, "notify_relay is 'smtp://mail': give a name or an address"),
    (MAIL | {"notify_mail_from": "Shop"}, "notify_mail_from is 'Shop': give one address"),
    (MAIL | {"notify_relay_port": "smtp"}, "notify_relay_port is 'smtp': give a port number from 1 to 65535"),
    (MAIL | {"notify_relay_tls": "ssl"}, "notify_relay_tls is 'ssl': give starttls, tls or none"),
    (MAIL | {"notify_relay_user": "shop"}, "notify_relay_user and notify_relay_password belong together: set both"),
    (MAIL | {"vault_notify_relay_password": "hunter2"}, "notify_relay_user and notify_relay_password belong together: set both"),
    (MAIL | LOGIN | {"notify_relay_tls": "none"}, "notify_relay_tls is none, and notify_relay_password would go in the clear"),
    (MAIL | {"notify_relay_ca": "/etc/ssl/ca.pem"}, "notify_relay_ca is no certificate in PEM form: give the text of the file"),
    ({"notify_urls": "https://hunter2.example.org"}, "notify_urls has to be a list"),
    ({"notify_urls": ["https://example.org/a", "hunter2.example.org/b"]}, "notify_urls has no URL in entry 2: give https://"),
    ({"vault_notify_urls": ["https://hunter2 .example.org"]}, "notify_urls has no URL in entry 1: give https://"),
    ({"notify_heartbeat_url": "hc-ping.example.org/hunter2"}, "notify_heartbeat_url is no URL that can be asked"),
    ({"notify_heartbeat_url": "slack://hunter2"}, "notify_heartbeat_url is no URL that can be asked"),
    ({"notify_url": ["https://example.org"]}, "notify_url is no variable of this collection, and notify_urls is one"),
]

GOOD = [
    MAIL,
    MAIL | LOGIN,
    MAIL | {"notify_relay": "2001:db8::25", "notify_relay_port": 465, "notify_relay_tls": "tls"},
    MAIL | {"notify_relay_tls": "none", "notify_relay": "127.0.0.1", "notify_relay_port": "25"},
    {"notify_urls": ["https://example.org/hook", "slack://a/b/c", "matrixs://user:password@example.org/#ops"]},
    {"notify_heartbeat_url": "https://hc-ping.example.org/0"},
]


def test_each_is_refused_in_one_sentence_and_good_ones_are_not(each_is_refused):
    each_is_refused(BAD, "notify", good=GOOD)
