#!/bin/bash
# inside.sh: runs as guest.service in the guest, which powers off when this script ends. The host sees the output at once, and
# gets the files in $results at the end, on the third disk.
set -uo pipefail
export PATH=/dockbridge/bin:$PATH HOME=/root
export CRICTL=/dockbridge/bin/crictl CONFORMANCE_ENDPOINT=unix:///var/run/cri-dockerd.sock
results=/run/results
mkdir -p "$results"
cd /dockbridge || exit
# shellcheck source=/dev/null
. ./guest.env # the host's settings
say() { printf '%4d s  %s\n' "$(cut -d. -f1 /proc/uptime)" "$*"; }

finish() {
  journalctl -b -o short-monotonic --no-pager >"$results/journal.log" 2>&1
  for disk in /dev/pmem?; do
    [ "$(head -c 7 "$disk" | tr -d '\0')" != results ] || tar -C "$results" -cf "$disk" .
  done
  sync
  say 'the guest ends'
}
trap finish EXIT

network() { # sets up addresses and a default route as on a node, but nothing answers behind the route
  ip link add eth0 type bridge
  ip address add 198.51.100.1/24 dev eth0
  ip -6 address add 2001:db8:10::1/64 dev eth0 nodad
  ip link set eth0 up
  ip route add default via 198.51.100.254
  echo 1 >/proc/sys/net/ipv4/ip_forward
  mkdir -p /etc/cni/net.d
  cat >/etc/cni/net.d/10-guest.conflist <<'S'
{ "cniVersion": "1.0.0", "name": "guest", "plugins": [
  { "type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": true, "hairpinMode": true,
    "ipam": { "type": "host-local", "ranges": [[{ "subnet": "10.99.0.0/16" }], [{ "subnet": "fd00:99::/64" }]],
      "routes": [{ "dst": "0.0.0.0/0" }, { "dst": "::/0" }] } },
  { "type": "portmap", "snat": true, "capabilities": { "portMappings": true } } ] }
S
}

step() { # NAME COMMAND...: runs the command and passes its exit code to the host
  local name=$1 began=$SECONDS code=0
  shift
  [ "$name" = node ] || [ -z "$ONLY" ] || [[ " $ONLY " == *" $name "* ]] || return 0
  say "$name"
  "$@" </dev/null || code=$?
  echo "$code" >"$results/$name.exit"
  say "$name ended with $code after $((SECONDS - began)) s"
  return $code
}

start_node() { # follows docs/install.md and docs/kubeadm.md
  network
  mkdir -p /etc/docker /var/lib/kubelet
  echo '{ "live-restore": true }' >/etc/docker/daemon.json
  # No kubelet runs here. The doctor reads this file, which kubeadm writes on each node.
  cp examples/kubelet-config.yaml /var/lib/kubelet/config.yaml
  systemctl start docker && say 'docker has started' || return
  dpkg --install packages/dockbridge_*.deb | cat && say 'dockbridge is installed' || return
  # dpkg sees this file as settings that the node has changed.
  cp examples/config.yaml /etc/dockbridge/config.yaml
  # containerd also answers CRI, and crictl would ask it first (docs/install.md).
  printf '%s-endpoint: unix:///var/run/cri-dockerd.sock\n' runtime image >/etc/crictl.yaml
  systemctl enable --now dockbridge.service
}

registry() { # COMMAND...: runs it next to the suite's registry, which answers under the names of public registries
  serve -suite test/conformance -listen 127.0.0.1:80 "$@"
}

upstream() { # FOCUS
  # One spec pulls a published image by its digest, and nobody can build that image again.
  registry critest -runtime-endpoint "$CONFORMANCE_ENDPOINT" -image-endpoint "$CONFORMANCE_ENDPOINT" -ginkgo.no-color -ginkgo.focus "$1" \
    -ginkgo.skip 'public image with digest' -ginkgo.json-report "$results/critest.json" >"$results/critest.log" 2>&1
}

ours() { # PATTERN
  local engine
  engine=$(dockerd --version | grep -oE '[0-9]+\.[0-9]+' | head -1)
  cd test/conformance || return
  conformance.test -test.v=test2json -test.timeout 60m -test.parallel 4 -test.run "$1" 2>&1 | test2json -t >"$results/ours.json"
  report -skips skips.txt -runtime "$engine" -totals "$results/ours.totals" <"$results/ours.json"
}

integration() { # FILE...
  # These tests start a dockbridge of their own, and an Engine can have only one.
  if systemctl is-active --quiet dockbridge; then systemctl stop dockbridge; fi
  DOCKBRIDGE_TEST_DOCKER_HOST=unix:///var/run/docker.sock node node_modules/jest/bin/jest.js --runInBand --ci --json \
    --outputFile="$results/jest.json" --runTestsByPath "${@/#/test/integration/}" 2>&1 | cat # jest would draw its progress on a terminal
}

say "$(uname -r), cgroup $(stat -fc %T /sys/fs/cgroup), AppArmor $(cat /sys/module/apparmor/parameters/enabled)"
step node start_node || exit
docker info >"$results/docker-info.txt" 2>&1
step walk registry bash test/guest/walk.sh
if [ -n "$SHORT" ]; then
  step critest upstream AppArmor
  step package registry bash test/guest/package.sh packages
  step integration integration cgroup-v2.test.js
else
  step crictl registry bash test/conformance/crictl.sh
  step critest upstream 'AppArmor|OOM|Security Context'
  step conformance ours .
  step package registry bash test/guest/package.sh packages
  step integration integration {cgroup-v2,container-resources,stats,pod-stats,pod-metrics,sandbox-config,container-security}.test.js
fi
touch "$results/complete"
