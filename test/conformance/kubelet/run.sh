#!/bin/bash
# run.sh: a kubelet of Kubernetes' own, without a cluster, with static pods on a node that node.sh starts (ENGINE=…).
#   KUBELET=FILE  a kubelet to use instead of the one that is built from Kubernetes' Go module
#   ARGS=…        for `go test`, such as ARGS='-run TestPods/Probes'
#   TOTALS=FILE   gets `N passed, N failed, N skipped`
set -euo pipefail
cd "$(dirname "$0")"
go=$(bash ../../../scripts/go.sh)
export CGO_ENABLED=0

build_kubelet() { # DIR VERSION: a killed run leaves no half of it
  local work
  mkdir -p "$1"
  exec 7>"$1.lock"
  flock 7
  if [ ! -x "$1/kubelet" ]; then
    echo "kubelet: building kubelet $2, which takes minutes, once" >&2
    work=$(mktemp -d "$1/building.XXXXXX")
    "$go" build -o "$work/kubelet" -ldflags "-s -w -X k8s.io/component-base/version.gitVersion=v$2 \
      -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=$(cut -d. -f2 <<<"$2")" \
      k8s.io/kubernetes/cmd/kubelet || { rm -rf "$work"; return 1; }
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
  "$go" build -o /dev/null ./healthd
  "$go" test -run '^$' . >/dev/null 2>&1 || true # a failure shows when the tests run
  exec bash ../node.sh bash run.sh
fi

# The kubelet changes what is the whole machine's.
settings=(vm/overcommit_memory vm/panic_on_oom kernel/panic kernel/panic_on_oops kernel/keys/root_maxkeys kernel/keys/root_maxbytes)
declare -A before
made=''
for setting in "${settings[@]}"; do before[$setting]=$(cat "/proc/sys/$setting" 2>/dev/null) || unset "before[$setting]"; done
finish() {
  local code=$? setting group
  set +e
  [ ! -s "$NODE_WORK/kubelet.pid" ] || kill -KILL "$(<"$NODE_WORK/kubelet.pid")" 2>/dev/null
  for setting in "${!before[@]}"; do echo "${before[$setting]}" >"/proc/sys/$setting"; done
  # What still has processes stays until the Engine ends.
  for group in /sys/fs/cgroup/{,*/}kubepods; do
    [ ! -d "$group" ] || find "$group" -depth -type d -exec rmdir {} + 2>/dev/null
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
"$go" build -ldflags '-s -w' -o "$HEALTHD" ./healthd
# shellcheck disable=SC2086 # several arguments
{ "$go" test -json -count=1 -timeout 40m -parallel 32 ${ARGS:-} . || true; } | # the report tells a failure
  (cd .. && "$go" run ./report -suite kubelet -runtime "$CONFORMANCE_RUNTIME" -totals "${TOTALS:-}")
