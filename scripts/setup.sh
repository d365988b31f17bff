#!/bin/bash
# Installs what a fresh Debian 12 lacks to build, run and test dockbridge. If everything is installed, it does nothing.
#   setup.sh guest   also installs what `make guest-test` needs
#   setup.sh deb     also installs what `make deb`, `make rpm` and `make tarball` need
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH=$PATH:/usr/sbin:/sbin

# Without this lock, two simultaneous runs would fail on apt's locks and install npm's packages twice.
exec 8<package.json
flock 8

say() { echo "setup: $*"; }
die() { echo "setup: $*" >&2; exit 1; }

missing=()
need() { # PACKAGE TEST...
  local package=$1
  shift
  "$@" >/dev/null 2>&1 || missing+=("$package")
}
need docker.io command -v dockerd
need iptables command -v iptables
need iproute2 command -v ip
need containernetworking-plugins test -x /usr/lib/cni/bridge
need busybox dpkg -L busybox # the dynamic busybox, which test images contain
need docker-registry command -v docker-registry # tests pull images from it
need docker-compose command -v docker-compose # a test reads docker/compose.yaml with it
need crun command -v crun # a second runtime, for tests of RuntimeClass
need runsc command -v runsc # gVisor, also for tests of RuntimeClass
need nginx-light command -v nginx # for one of critest's images
need libseccomp-dev test -f /usr/include/seccomp.h # for building the runc of Engine 29
need pkg-config command -v pkg-config
need shellcheck command -v shellcheck # make lint
need systemd command -v systemd-analyze # make lint checks units with it; nothing starts systemd
need rpm command -v rpmbuild # tests build RPMs
need gcc command -v gcc
need libc6-dev test -f /usr/include/unistd.h
need make command -v make
need ca-certificates test -f /etc/ssl/certs/ca-certificates.crt
need chromium command -v chromium # a test opens the page of a tape in it
need openssl command -v openssl # tests make a certificate with it
if [ "${1:-}" = guest ]; then
  need debootstrap command -v debootstrap
  need qemu-system-x86 command -v qemu-system-x86_64
  need e2fsprogs command -v mke2fs
fi

if [ "${1:-}" = deb ]; then
  need gcc-aarch64-linux-gnu command -v aarch64-linux-gnu-gcc # compiles the pause image and the notify helper for arm64
  need linux-libc-dev-arm64-cross test -f /usr/aarch64-linux-gnu/include/asm/unistd.h # for the same programs
  need lintian command -v lintian
  need qemu-user-static command -v qemu-aarch64-static # runs the programs of arm64's package
fi

if [ ${#missing[@]} -gt 0 ]; then
  grep -qsE '^ID(_LIKE)?=.*debian' /etc/os-release || die "this is not Debian: install the counterparts of these packages by hand: ${missing[*]}"
  [ "$(id -u)" = 0 ] || die "must be root to install ${missing[*]} (sudo make setup)"
  log=$(mktemp) policy=''
  trap 'rm -f "$log" $policy' EXIT
  # Installing docker.io would start the machine's Engine permanently. The demo and the tests start and stop their own.
  if [ ! -e /usr/sbin/policy-rc.d ]; then
    policy=/usr/sbin/policy-rc.d
    printf '#!/bin/sh\nexit 101\n' >$policy
    chmod 755 $policy
  fi
  export DEBIAN_FRONTEND=noninteractive
  say "refreshing the package lists"
  apt-get update -qq >"$log" 2>&1 || { cat "$log" >&2; die 'apt-get update failed'; }
  say "installing ${missing[*]}"
  apt-get install -yqq --no-install-recommends "${missing[@]}" >"$log" 2>&1 </dev/null ||
    { tail -20 "$log" >&2; die 'apt-get install failed'; }
fi

node -e 'const [major, minor] = process.versions.node.split(".").map(Number);
  process.exit(major > 20 || (major === 20 && minor >= 19) ? 0 : 1);' 2>/dev/null || die 'Node.js 20.19 or newer is needed'

if [ ! -f node_modules/.package-lock.json ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
  say 'installing npm packages'
  # Installs the locked versions, like `npm ci`, but does not first remove the existing packages.
  npm install --no-save --no-progress --loglevel=error </dev/null
  touch node_modules/.package-lock.json
fi
