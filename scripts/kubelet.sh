#!/bin/bash
# kubelet.sh: builds, once, the kubelet that test/conformance/kubelet/go.mod names, and prints its path. This takes minutes
# the first time. A killed run leaves no incomplete file. DOCKBRIDGE_CACHE: the directory for it; default: /var/cache/dockbridge.
set -euo pipefail
cd "${BASH_SOURCE[0]%/*}/../test/conformance/kubelet"

version=$(sed -n 's/^\tk8s\.io\/kubernetes v\([^ ]*\).*/\1/p' go.mod)
directory=${DOCKBRIDGE_CACHE:-/var/cache/dockbridge}/kubelet-$version
mkdir -p "$directory"
exec 7>"$directory.lock"
flock 7
if [ ! -x "$directory/kubelet" ]; then
  echo "kubelet: building kubelet $version, which takes minutes, once" >&2
  go=$(bash ../../../scripts/go.sh)
  work=$(mktemp -d "$directory/building.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  flags="-s -w -X k8s.io/component-base/version.gitVersion=v$version -X k8s.io/component-base/version.gitMajor=1"
  flags+=" -X k8s.io/component-base/version.gitMinor=$(cut -d. -f2 <<<"$version")"
  # The module proxy or the network may fail for a moment.
  for try in 1 2 3; do
    CGO_ENABLED=0 "$go" build -ldflags "$flags" -o "$work/kubelet" k8s.io/kubernetes/cmd/kubelet && break
    [ $try != 3 ] || exit 1
    sleep $((try * 5))
  done
  mv "$work/kubelet" "$directory/kubelet"
fi
echo "$directory/kubelet"
