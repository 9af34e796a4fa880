# What our servers stand beside, on the floor: gunicorn behind Debian's nginx as gunicorn's manual has it, and a second nginx that is tuned by
# hand. Workers are as many as gunicorn's manual advises (twice the cores and one) for sync, which does one request at a time; gthread has as
# many processes as our uWSGI, of four threads each. Prints the versions.
set -euo pipefail
cd /srv/site
runuser -u site -- env UV_SYSTEM_CERTS=1 /opt/uv/bin/uv pip install --quiet --compile-bytecode --python venv gunicorn
start_gunicorn() {
  systemctl is-active --quiet "gunicorn-$1" && return
  systemd-run --quiet --unit="gunicorn-$1" --uid=site --gid=www-data --working-directory=/srv/site/code --property=RuntimeDirectory="gunicorn-$1" \
    --setenv=DJANGO_SETTINGS_MODULE=demo.settings.production \
    /srv/site/venv/bin/gunicorn --umask 7 --bind "unix:/run/gunicorn-$1/app.sock" --worker-class "$@" demo.wsgi:application
}
start_gunicorn sync --workers $((2 * $(nproc) + 1))
start_gunicorn gthread --workers $(($(nproc) + 1)) --threads 4

certificate='ssl_certificate /etc/ssl/site.crt; ssl_certificate_key /etc/ssl/private/site.key;'
: >/etc/nginx/conf.d/gunicorn.conf
for pair in sync:8443 gthread:8444; do
  cat >>/etc/nginx/conf.d/gunicorn.conf <<END
upstream ${pair%:*} { server unix:/run/gunicorn-${pair%:*}/app.sock fail_timeout=0; }
server {
    listen ${pair#*:} ssl;
    $certificate
    location / {
        proxy_set_header X-Forwarded-For \$proxy_add_x_forwarded_for;
        proxy_set_header X-Forwarded-Proto \$scheme;
        proxy_set_header Host \$host;
        proxy_redirect off;
        proxy_pass http://${pair%:*};
    }
}
END
done
systemctl reload nginx

# What tuning guides agree on; the log is kept, as an operator would, but written in blocks.
cat >/etc/nginx/tuned.conf <<END
user www-data;
worker_processes auto;
worker_rlimit_nofile 65536;
pid /run/nginx-tuned.pid;
events { worker_connections 8192; multi_accept on; }
http {
    include mime.types;
    sendfile on; tcp_nopush on; tcp_nodelay on;
    keepalive_requests 100000; keepalive_timeout 65;
    open_file_cache max=10000 inactive=60s; open_file_cache_valid 30s; open_file_cache_min_uses 1; open_file_cache_errors on;
    access_log /var/log/nginx/tuned.log combined buffer=64k flush=5s;
    ssl_protocols TLSv1.2 TLSv1.3; ssl_session_cache shared:tuned:10m; ssl_session_timeout 1d; ssl_buffer_size 4k;
    gzip on; gzip_types text/css text/javascript application/json image/svg+xml;
    server {
        listen 9443 ssl reuseport backlog=4096;
        $certificate
        location /static/ { alias /srv/site/code/static/; }
    }
}
END
systemctl is-active --quiet nginx-tuned || systemd-run --quiet --unit=nginx-tuned nginx -c /etc/nginx/tuned.conf -g 'daemon off;'
for port in 8443 8444; do
  curl --silent --fail --insecure --retry 30 --retry-all-errors --retry-delay 1 --output /dev/null "https://$address:$port/trivial/"
done
