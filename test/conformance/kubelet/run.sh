#!/bin/bash
# run.sh: a kubelet of Kubernetes' own, without a cluster, with static pods on a node that node.sh starts (ENGINE=…).
#   KUBELET=FILE  a kubelet to use instead of the one that is built from Kubernetes' Go module
#   ARGS=…        for `go test`, such as ARGS='-run TestPods/Probes'
#   TOTALS=FILE   gets `N passed, N failed, N skipped`
set -euo pipefail
cd "$(dirname "$0")"
go=$(bash ../../../scripts/go.sh)

build() { # ARGUMENTS...: a static program
  CGO_ENABLED=0 "$go" build -ldflags "-s -w ${flags:-}" "$@"
}

build_kubelet() { # DIR VERSION: a killed run leaves no half of it
  local work try flags
  mkdir -p "$1"
  exec 7>"$1.lock"
  flock 7
  if [ ! -x "$1/kubelet" ]; then
    echo "kubelet: building kubelet $2, which takes minutes, once" >&2
    work=$(mktemp -d "$1/building.XXXXXX")
    flags="-X k8s.io/component-base/version.gitVersion=v$2 -X k8s.io/component-base/version.gitMajor=1"
    flags+=" -X k8s.io/component-base/version.gitMinor=$(cut -d. -f2 <<<"$2")"
    # A proxy, or the way to it, may fail for a moment.
    for try in 1 2 3; do
      build -o "$work/kubelet" k8s.io/kubernetes/cmd/kubelet && break
      [ $try != 3 ] || { rm -rf "$work"; exit 1; }
      sleep $((try * 5))
    done
    mv "$work/kubelet" "$1/kubelet"
    rm -rf "$work"
  fi
  exec 7>&-
}

if [ -z "${NODE_WORK:-}" ]; then
  # The node has no way out: what comes from outside comes now.
  if [ -z "${KUBELET:-}" ]; then
    version=$(sed -n 's/^\tk8s\.io\/kubernetes v\([^ ]*\).*/\1/p' go.mod)
    directory=${DOCKBRIDGE_CACHE:-/var/cache/dockbridge}/kubelet-$version
    build_kubelet "$directory" "$version"
    KUBELET=$directory/kubelet
  fi
  export KUBELET
  build -o /dev/null ./healthd
  "$go" test -run '^$' . >/dev/null 2>&1 || true # a failure shows when the tests run
  # A kubelet ends pods that it does not know: there can be one on a machine.
  exec flock -o /var/tmp/dockbridge-kubelet.lock bash ../node.sh bash run.sh
fi

# grep fails where a process has ended meanwhile, whatever it has found.
kubelet=$(grep -lx kubelet /proc/[0-9]*/comm 2>/dev/null || true)
if [ -n "$kubelet" ]; then
  echo "kubelet: one runs on this machine ($kubelet), and its pods would be ended" >&2
  exit 1
fi

# The kubelet changes what is the whole machine's.
settings=(vm/overcommit_memory vm/panic_on_oom kernel/panic kernel/panic_on_oops kernel/keys/root_maxkeys kernel/keys/root_maxbytes)
declare -A before
made=''
for setting in "${settings[@]}"; do before[$setting]=$(cat "/proc/sys/$setting" 2>/dev/null) || unset "before[$setting]"; done
finish() {
  local code=$? setting groups
  set +e
  [ ! -s "$NODE_WORK/kubelet.pid" ] || kill -KILL "$(<"$NODE_WORK/kubelet.pid")" 2>/dev/null
  for setting in "${!before[@]}"; do echo "${before[$setting]}" >"/proc/sys/$setting"; done
  # The runtime takes its groups away a moment after it said that a container has ended; groups with processes stay until
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

# Its directories have names that cannot be chosen.
[ -d /var/lib/kubelet ] || { mkdir /var/lib/kubelet && made=yes; }
for directory in /var/log /var/lib/kubelet; do
  mount -t tmpfs kubelet $directory
done
export HEALTHD=$NODE_WORK/healthd
build -o "$HEALTHD" ./healthd
# shellcheck disable=SC2086 # several arguments
{ "$go" test -json -count=1 -timeout 40m -parallel 32 ${ARGS:-} . || true; } | # the report tells a failure
  (cd .. && "$go" run ./report -suite kubelet -runtime "$CONFORMANCE_RUNTIME" -totals "${TOTALS:-}")
