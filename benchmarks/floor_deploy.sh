# The floor of a deploy: what has to be done in any case where the requirements are the same. The new code takes the place of the old one, and
# visitors wait for the restart. Given: address, revision, bundle.
set -euo pipefail
cd /srv/site/code
as_site() { runuser -u site -- env DJANGO_SETTINGS_MODULE=demo.settings.production "$@"; }
echo "$bundle" | base64 --decode >/srv/site/site.bundle
as_site git fetch --quiet origin main
as_site git checkout --quiet --detach "$revision"
as_site /srv/site/venv/bin/python manage.py migrate --verbosity 0
as_site /srv/site/venv/bin/python manage.py collectstatic --no-input --verbosity 0
systemctl restart site
curl --silent --fail --insecure --retry 30 --retry-all-errors --retry-delay 1 --output /dev/null "https://$address/admin/login/"
