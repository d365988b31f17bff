#!/bin/bash
# run.sh: tests dockbridge on a node like those of users: a Debian 12 with systemd, cgroup v2 and AppArmor, which runs in qemu
# without KVM (docs/adr/0035). Needs root, a Debian mirror and, once, a Go module proxy.
#   SHORT=1       the short form
#   GUEST=forky   Debian testing instead: a newer kernel, systemd and Engine
#   ONLY='STEP …' runs only these steps: walk, crictl, critest, conformance, package, integration
#   TOTALS=FILE   gets `N passed, N failed, N skipped`
#   GUEST_KEEP=DIR  gets the guest's console, journal and reports
#   GUEST_LIMIT=S   seconds after which the guest is ended in any state; default: 7200, or 900 with SHORT
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
export PATH=$PATH:/usr/sbin:/sbin
say() { echo "guest: $*" >&2; }
die() { say "$*"; exit 1; }

[ "$(id -u)" = 0 ] || die 'must be root'
[ "$(uname -m)" = x86_64 ] || die "the guest is an amd64 machine, this one is $(uname -m)"
bash ../../scripts/setup.sh guest
root=$(bash root.sh "${GUEST:-bookworm}")

work=$(mktemp -d /var/tmp/dockbridge-guest.XXXXXX)
qemu='' reader=''
finish() {
  local code=$?
  trap '' INT TERM HUP
  [ -z "$qemu" ] || kill "$qemu" 2>/dev/null || true # timeout passes the signal on to qemu
  [ -z "$reader" ] || kill "$reader" 2>/dev/null || true
  if [ -n "${GUEST_KEEP:-}" ]; then
    mkdir -p "$GUEST_KEEP"
    cp -r "$work"/{console,progress,results} "$GUEST_KEEP/" 2>/dev/null || true
  fi
  rm -rf "$work"
  exit $code
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

bash tree.sh "$work"
echo results >"$work/results.img" # the guest recognizes the disk by this word
truncate -s 128M "$work/results.img"
: >"$work/progress"
limit=${GUEST_LIMIT:-$([ -n "${SHORT:-}" ] && echo 900 || echo 7200)}
say "starting the guest; it has $limit s"
# KVM is not used, because it may hang on virtual machines that offer it.
# The guest's clock advances by a nanosecond with each instruction, and jumps ahead when the guest sleeps. So no time
# limit in the guest depends on how busy this machine is. Such a clock allows only one processor. The guest's disks are in
# memory, because the clock would run ahead while the guest waits for a real disk.
dimm() { # NAME FILE SHARED
  dimms+=(-object "memory-backend-file,id=$1,mem-path=$2,share=$3,size=$(stat -Lc %s "$2")" -device "nvdimm,memdev=$1")
}
dimms=()
dimm root "$root/root.img" off # writes stay in memory
dimm tree "$work/tree.img" off
dimm results "$work/results.img" on
timeout -k 10 "$limit" qemu-system-x86_64 -nodefaults -no-user-config -no-reboot -machine pc,nvdimm=on -accel tcg,thread=single \
  -icount shift=0,sleep=off -rtc clock=vm -cpu qemu64,+ssse3,+sse4.1,+sse4.2,+popcnt,+cx16 -smp 1 -m 3072,slots=3,maxmem=16G "${dimms[@]}" \
  -nic none -display none -kernel "$root/vmlinuz" -initrd "$root/initrd" \
  -append 'console=ttyS0 quiet panic=-1 mitigations=off no_timer_check transparent_hugepage=never module_blacklist=kvm_amd,btrfs' \
  -serial "file:$work/console" -serial "file:$work/progress" </dev/null >"$work/qemu.log" 2>&1 &
qemu=$!
tail -n +1 -f "$work/progress" 2>/dev/null &
reader=$!
code=0
wait $qemu || code=$?
qemu=''
# If the guest wrote nothing to the disk, tar finds no archive there.
mkdir "$work/results"
tar -C "$work/results" -xf "$work/results.img" 2>/dev/null || true
if [ ! -e "$work/results/complete" ]; then
  [ $code != 124 ] || say "the guest was ended after $limit s"
  say "the guest did not finish (qemu ended with $code); its last output and its console:"
  tail -qn 5 "$work/qemu.log" "$work/progress" >&2
  tail -n 40 "$work/console" >&2
fi
node totals.mjs "$work/results" "${TOTALS:-}"
