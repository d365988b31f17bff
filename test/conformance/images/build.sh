#!/bin/bash
# build.sh DIR: writes the layers of the images in the conformance suite's registry, from Debian's packages.
#   DIR/base.tar    busybox, a set-uid `nnp`, `udp-echo`, `pause`
#   DIR/nginx.tar   Debian's nginx with its libraries, if the machine has it; only the upstream suite needs it
set -euo pipefail
out=${1:?usage: build.sh DIR}
here=$(cd "$(dirname "$0")" && pwd)
export PATH=$PATH:/usr/sbin:/sbin
mkdir -p "$out"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

pack() { # ROOT NAME
  tar -C "$1" --owner=0 --group=0 --numeric-owner --sort=name --mtime=@0 -cf "$out/$2.tar" .
}

base=$work/base
bash "$here/../../../scripts/busybox-root.sh" "$base"
mkdir -p "$base/var/log"
gcc -static -Os -s -o "$base/bin/pause" "$here/probe.c"
ln "$base/bin/pause" "$base/bin/udp-echo"
install -m 6755 "$base/bin/pause" "$base/bin/nnp"
echo 'tester2:x:1001:1001:tester2:/home:/bin/sh' >>"$base/etc/passwd"
# A user with a group that only the image knows.
echo 'group-in-image:x:50000:tester' >>"$base/etc/group"
pack "$base" base

nginx=$(command -v nginx) || exit 0
root=$work/nginx
mkdir -p "$root"/{usr/sbin,etc/nginx,var/log/nginx,var/lib/nginx,var/run}
install "$nginx" "$root/usr/sbin/nginx"
ldd "$nginx" | grep -o '/[^ ]*' | while read -r library; do
  [ -e "$base$library" ] || install -D "$library" "$root$library"
done
for port in 80 12003; do
  cat >"$root/etc/nginx/$port.conf" <<S
user root; daemon off; pid /var/run/nginx.pid; error_log stderr; worker_processes 1;
events { worker_connections 64; }
http { access_log off; server { listen $port; location / { root /www; index index.html; } } }
S
done
pack "$root" nginx
