# The floor of a first converge: what has to be done in any case, once, by somebody who knows the result. All packages that our host has come in
# one transaction; the virtualenv is built by the same program as ours, the fastest there is; the site is served by the same servers with the
# settings of their manuals. No hardening, backups, health checks, releases. Given: packages, address, revision, bundle.
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive
apt-get -qq update
apt-get -qq install --yes --no-install-recommends $packages >/dev/null

useradd --system --create-home --home-dir /srv/site --shell /usr/sbin/nologin site
chmod 0755 /srv/site
cd /srv/site
as_site() { runuser -u site -- env PATH="/srv/site/venv/bin:$PATH" DJANGO_SETTINGS_MODULE=demo.settings.production "$@"; }
runuser -u postgres -- psql --quiet --command "create role site login password 'site'" --command 'create database site owner site'

echo "$bundle" | base64 --decode >site.bundle
as_site git clone --quiet --branch main site.bundle code
as_site tee code/demo/settings/local.py >/dev/null <<END
SECRET_KEY = "$revision$revision"
ALLOWED_HOSTS = ["$address"]
WAGTAILADMIN_BASE_URL = "https://$address"
DATABASES = {"default": {"ENGINE": "django.db.backends.postgresql", "HOST": "127.0.0.1", "NAME": "site", "USER": "site", "PASSWORD": "site"}}
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = True
END

python3 -m venv /opt/uv
/opt/uv/bin/pip install --quiet --disable-pip-version-check uv
as_site /opt/uv/bin/uv venv --quiet venv
export UV_SYSTEM_CERTS=1 UV_COMPILE_BYTECODE=1
as_site /opt/uv/bin/uv pip install --quiet --python venv --requirement code/requirements.txt 'psycopg[binary]'
as_site python code/manage.py migrate --verbosity 0
as_site python code/manage.py collectstatic --no-input --verbosity 0

cat >/etc/systemd/system/site.service <<END
[Service]
Type=notify
User=site
Group=www-data
KillSignal=SIGQUIT
RuntimeDirectory=site
ExecStart=/usr/bin/uwsgi --master --plugin python3 --virtualenv /srv/site/venv --chdir /srv/site/code --module demo.wsgi:application \
  --env DJANGO_SETTINGS_MODULE=demo.settings.production --processes $(($(nproc) + 1)) --socket /run/site/app.sock --chmod-socket=660 --disable-logging
END
openssl req -quiet -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/CN=$address" -days 30 -keyout /etc/ssl/private/site.key -out /etc/ssl/site.crt
# A plain server block in Debian's own nginx.conf.
cat >/etc/nginx/sites-available/default <<'END'
server {
    listen 443 ssl default_server;
    ssl_certificate /etc/ssl/site.crt;
    ssl_certificate_key /etc/ssl/private/site.key;
    location /static/ { alias /srv/site/code/static/; }
    location / { include uwsgi_params; uwsgi_pass unix:/run/site/app.sock; }
}
END
systemctl start site
systemctl reload-or-restart nginx
curl --silent --fail --insecure --retry 30 --retry-all-errors --retry-delay 1 --output /dev/null "https://$address/admin/login/"
