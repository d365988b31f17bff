#!/bin/bash
# busybox-root.sh DIR: fills DIR with the root file system of the test images, from Debian's busybox.
set -euo pipefail
base=${1:?usage: busybox-root.sh DIR}
busybox=$(dpkg -L busybox 2>/dev/null | grep -m1 '/bin/busybox$') ||
  { echo 'busybox-root: the package busybox is missing (run: make setup)' >&2; exit 1; }

mkdir -p "$base"/{bin,etc,root,home,www,proc,sys,dev,var/run}
chmod 755 "$base"
mkdir -m 1777 "$base/tmp"

# The dynamic busybox is used, because the static one runs its own applets even when their files are masked.
# Applets are hard links, because runc follows a symlink when it masks a path and would mask all of busybox.
install "$busybox" "$base/bin/busybox"
ldd "$busybox" | grep -o '/[^ ]*' | while read -r library; do install -D "$library" "$base$library"; done
"$busybox" --list | while read -r applet; do
  [ "$applet" = busybox ] || ln -f "$base/bin/busybox" "$base/bin/$applet"
done

# Debian's busybox lacks these two.
cat >"$base/bin/pgrep" <<'S'
#!/bin/sh
found=1
for f in /proc/[0-9]*/comm; do
  read -r name 2>/dev/null < "$f" || continue
  case "$name" in *"$1"*) p=${f#/proc/}; [ "${p%/comm}" = $$ ] || { echo "${p%/comm}"; found=0; };; esac
done
exit $found
S
printf '#!/bin/sh\ncat /proc/sysvipc/shm\n' >"$base/bin/ipcs"
chmod 755 "$base/bin/pgrep" "$base/bin/ipcs"

cat >"$base/etc/passwd" <<'S'
root:x:0:0:root:/root:/bin/sh
www-data:x:33:33:www-data:/www:/bin/sh
tester:x:1000:1000:tester:/home:/bin/sh
nobody:x:65534:65534:nobody:/home:/bin/false
S
printf '%s\n' root:x:0: www-data:x:33: tester:x:1000: nogroup:x:65534: >"$base/etc/group"
echo ok >"$base/www/index.html"
