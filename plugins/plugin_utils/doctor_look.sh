# What a host is, as lines of NAME=VALUE, of what Debian's smallest host has. Nothing stays changed.
export LC_ALL=C
sudo=
[ "$(id -u)" = 0 ] || sudo="sudo -n"
echo "user=$(id -un)"
$sudo true 2>/dev/null && echo root=yes || echo root=no
. /etc/os-release
echo "distribution=$ID ${VERSION_ID:-}"
echo "machine=$(uname -m)"
[ -d /run/systemd/system ] && echo systemd=yes || echo systemd=no
echo "seconds=$(date +%s)"
awk '/^MemTotal:/ { print "memory_mb=" int($2 / 1024) }' /proc/meminfo
for path in / /var /srv; do
    df -Pm "$path" | awk -v path="$path" 'END { print "disk=" path " " $4 }'
done
for version in $(ls /usr/bin | grep -E '^python3\.[0-9]+$'); do echo "python=${version#python}"; done
for address in $(hostname -I 2>/dev/null); do echo "address=$address"; done
$sudo ss -Hltnp 'sport = :80 or sport = :443' 2>/dev/null | sed -n 's/.*[:.]\(80\|443\) .*users:((\("[^"]*"\).*/listens=\1 \2/p' | tr -d '"' | sort -u
# As apt itself would, through its proxy if it has one.
index=$(apt-get --print-uris update 2>/dev/null | sed -n "s/^'\([^']*InRelease\)'.*/\1/p" | head -n 1)
if [ -n "$index" ]; then
    folder=$(mktemp -d)
    timeout 30 /usr/lib/apt/apt-helper download-file "$index" "$folder/index" >/dev/null 2>&1 && echo "mirror=yes $index" || echo "mirror=no $index"
    rm -rf "$folder"
fi
