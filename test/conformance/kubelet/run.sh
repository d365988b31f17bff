#!/bin/bash
# run.sh: runs a real kubelet, without a cluster, with static pods on a node that node.sh starts (ENGINE=…).
#   KUBELET=FILE  a kubelet to use in place of the one that is built from Kubernetes' Go module
#   ARGS=…        for `go test`, such as ARGS='-run TestPods/Probes'
#   TOTALS=FILE   gets `N passed, N failed, N skipped`
set -euo pipefail
cd "$(dirname "$0")"
go=$(bash ../../../scripts/go.sh)

build() { # ARGUMENTS...: builds a static program
  CGO_ENABLED=0 "$go" build -ldflags '-s -w' "$@"
}

if [ -z "${NODE_WORK:-}" ]; then
  # The node has no network, so everything from outside is downloaded now.
  KUBELET=${KUBELET:-$(bash ../../../scripts/kubelet.sh)}
  export KUBELET
  build -o /dev/null ./healthd
  "$go" test -run '^$' . >/dev/null 2>&1 || true # if this build fails, the test run shows the error
  # A kubelet ends pods that it does not know, so only one kubelet can run on a machine.
  exec flock -o /var/tmp/dockbridge-kubelet.lock bash ../node.sh bash run.sh
fi

# grep fails if a process ends while grep runs, even if grep has found another one.
kubelet=$(grep -lx kubelet /proc/[0-9]*/comm 2>/dev/null || true)
if [ -n "$kubelet" ]; then
  echo "kubelet: a kubelet already runs on this machine ($kubelet), and the tests would end its pods" >&2
  exit 1
fi

# The kubelet changes settings of the whole machine.
settings=(vm/overcommit_memory vm/panic_on_oom kernel/panic kernel/panic_on_oops kernel/keys/root_maxkeys kernel/keys/root_maxbytes)
declare -A before
made=''
for setting in "${settings[@]}"; do before[$setting]=$(cat "/proc/sys/$setting" 2>/dev/null) || unset "before[$setting]"; done
finish() {
  local code=$? setting groups
  set +e
  [ ! -s "$NODE_WORK/kubelet.pid" ] || kill -KILL "$(<"$NODE_WORK/kubelet.pid")" 2>/dev/null
  for setting in "${!before[@]}"; do echo "${before[$setting]}" >"/proc/sys/$setting"; done
  # The runtime removes the container's cgroups a moment after it reports the end. Cgroups with processes stay until
  # the Engine ends.
  for _ in {1..50}; do
    groups=$(find /sys/fs/cgroup -maxdepth 2 -name kubepods)
    [ -n "$groups" ] || break
    # shellcheck disable=SC2086 # several arguments
    find $groups -depth -type d -exec rmdir {} + 2>/dev/null
    sleep 0.2
  done
  umount -l /var/log /var/lib/kubelet
  [ -z "$made" ] || rmdir /var/lib/kubelet
  exit $code
}
trap finish EXIT

# The kubelet's directories have fixed names.
[ -d /var/lib/kubelet ] || { mkdir /var/lib/kubelet && made=yes; }
for directory in /var/log /var/lib/kubelet; do
  mount -t tmpfs kubelet $directory
done
export HEALTHD=$NODE_WORK/healthd
build -o "$HEALTHD" ./healthd
# shellcheck disable=SC2086 # several arguments
{ "$go" test -json -count=1 -timeout 40m -parallel 32 ${ARGS:-} . || true; } | # the report shows failures
  (cd .. && "$go" run ./report -suite kubelet -runtime "$CONFORMANCE_RUNTIME" -totals "${TOTALS:-}")
