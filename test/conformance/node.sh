#!/bin/bash
# node.sh CMD...: runs CMD on a node with a container runtime, and then ends everything that it started. The node is a network
# and a mount namespace, with its own addresses, firewall rules, mounts and /etc/hosts, which disappear with it. Needs root.
#
#   ENGINE=20.10|26.1|28.5|28.5-containerd|29|29-graphdriver   dockbridge (dist/) on this Engine (engine-version.sh);
#                                            default: the installed Engine
#   ENGINE=containerd|containerd-2           containerd's own CRI for comparison: the installed containerd, or that of the
#                                            Debian suite with Engine 28.5
#   HOSTILE=1                                dockbridge's Engine gets every default that contradicts CRI (scripts/daemon-json.mjs)
#   RECORD=FILE                              `dockbridge cri record` runs in front of the runtime, and FILE is its tape
#   NODE_NAMES=NAME...                       more names of the node, in its /etc/hosts before the runtime starts
# CMD gets these variables: CONFORMANCE_ENDPOINT, CONFORMANCE_RUNTIME (ENGINE with its default), NODE_WORK (a directory
# that disappears with the node), and with an Engine also DOCKER_HOST, NODE_ENGINE (its name for engine.sh) and NODE_DAEMON
# (a file with dockbridge's pid; a daemon that was killed with -9 is started again).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
export PATH=$PATH:/usr/sbin:/sbin

if [ "${CONFORMANCE_NODE:-}" != $PPID ]; then
  [ "$(id -u)" = 0 ] || { echo 'node: must be root' >&2; exit 1; }
  # Mounts that are removed outside disappear here too, and mounts made here stay here.
  CONFORMANCE_NODE=$$ unshare --net --mount --propagation slave bash "$0" "$@"
  exit
fi

say() { echo "node: $*" >&2; }
die() { say "$*"; exit 1; }

runtime=${ENGINE:-installed}
work=$(mktemp -d /var/tmp/dockbridge-conformance.XXXXXX)
export NODE_WORK=$work CONFORMANCE_RUNTIME=$runtime CONFORMANCE_ENDPOINT=unix://$work/cri.sock
daemon='' engine='' recorder=''

finish() {
  local code=$?
  trap '' INT TERM HUP
  set +e # the cleanup must continue after any failure
  if [ -n "$recorder" ]; then
    kill "$recorder" 2>/dev/null
    # An incomplete tape fails the run.
    wait "$recorder" || code=1
    sed 's/^/node: recorder: /' "$work/recorder.log" >&2
  fi
  if [ -n "$daemon" ]; then
    kill "$daemon" 2>/dev/null
    wait "$daemon" 2>/dev/null
  fi
  case $runtime in
    containerd*) end_containerd ;;
    *) [ -z "$engine" ] || bash "$root/scripts/engine.sh" stop --name "$engine" || code=1 ;;
  esac
  if [ $code != 0 ] && [ -n "${CONFORMANCE_KEEP:-}" ]; then cp "$work"/*.log "$CONFORMANCE_KEEP/"; fi
  awk -v below="$work/" 'index($5, below) == 1 { print $5 }' /proc/self/mountinfo | tac | xargs -r umount -l
  rm -rf "$work"
  exit $code
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# Restarts a killed daemon as systemd does. A daemon that ends by itself is not restarted, so that the failure stays visible.
serve_again() { # COMMAND...
  local child code
  trap 'trap "" TERM; kill "$child"; wait "$child"; exit' TERM
  while :; do
    "$@" &
    child=$!
    # The file is renamed into place, so that readers never see half of it.
    echo $child >"$NODE_DAEMON.new"
    mv "$NODE_DAEMON.new" "$NODE_DAEMON"
    code=0
    wait $child || code=$?
    [ $code = 137 ] || exit $code
  done
}

prepare_namespaces() {
  # As under systemd, mounts of volumes must spread between pods and node.
  mount --make-rshared /
  # The handles of pods' namespaces belong to this node too, so those that a killed runtime leaves disappear with the node.
  mkdir -p /run/netns
  mount -t tmpfs netns /run/netns
  ip link set lo up
  # Every Kubernetes node has forwarding switched on. An Engine that switches it on itself also closes the node's FORWARD
  # chain, even between pods.
  echo 1 >/proc/sys/net/ipv4/ip_forward
  # The link is a bridge, because some kernels lack the type dummy.
  ip link add eth0 type bridge
  ip address add 198.51.100.1/24 dev eth0
  ip -6 address add 2001:db8:10::1/64 dev eth0 nodad
  ip link set eth0 up
  ip route add default via 198.51.100.254
  printf '127.0.0.1 localhost %s %s\n::1 localhost\n' "$(hostname)" "${NODE_NAMES:-}" >"$work/hosts"
  mount --bind "$work/hosts" /etc/hosts
  # This address refuses DNS requests at once. An Engine that waits for a DNS answer would delay all its pulls.
  if [ -e /etc/resolv.conf ]; then
    echo 'nameserver 127.0.0.1' >"$work/resolv.conf"
    mount --bind "$work/resolv.conf" /etc/resolv.conf
  fi
}

write_cni() {
  mkdir -p "$work/net.d"
  cat >"$work/net.d/10-conformance.conflist" <<S
{ "cniVersion": "1.0.0", "name": "conformance", "plugins": [
  { "type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": true, "hairpinMode": true,
    "ipam": { "type": "host-local", "dataDir": "$work/leases",
      "ranges": [[{ "subnet": "10.99.0.0/16" }], [{ "subnet": "fd00:99::/64" }]],
      "routes": [{ "dst": "0.0.0.0/0" }, { "dst": "::/0" }] } },
  { "type": "portmap", "snat": true, "capabilities": { "portMappings": true } } ] }
S
}

start_dockbridge() {
  [ -f "$root/dist/main.js" ] || die 'dist/ is missing (run: make build)'
  local host options=()
  engine=conformance-$$
  if [ "$runtime" != installed ]; then
    export DOCKBRIDGE_TEST_ENGINE=$runtime
    # The containerd image store does not see that upstream.sh's registry names lead to this machine.
    options=(-- --insecure-registry registry.k8s.io --insecure-registry k8s.gcr.io --insecure-registry gcr.io)
  fi
  [ -z "${HOSTILE:-}" ] || export DOCKBRIDGE_TEST_HOSTILE=1
  host=$(bash "$root/scripts/engine.sh" start --name $engine --owner $$ "${options[@]}")
  export DOCKER_HOST=${host#DOCKER_HOST=} NODE_ENGINE=$engine NODE_DAEMON=$work/daemon.pid
  serve_again node "$root/dist/main.js" serve --container-runtime-endpoint "$CONFORMANCE_ENDPOINT" \
    --docker-endpoint "$DOCKER_HOST" --state-dir "$work/state" --run-dir "$work/run" \
    --network-plugin cni --cni-conf-dir "$work/net.d" --cni-bin-dir /usr/lib/cni --cni-cache-dir "$work/cni-cache" \
    --cri-dockerd-root-directory "$work/cri-dockerd" --dockershim-root-directory "$work/dockershim" \
    --image-pull-progress-deadline 20s >"$work/daemon.log" 2>&1 </dev/null &
  daemon=$!
  [ "$runtime" != installed ] || CONFORMANCE_RUNTIME=$(dockerd --version | grep -oE '[0-9]+\.[0-9]+' | head -1)
  # The daemon cancels a stalled pull after this time.
  export CONFORMANCE_PULL_LIMIT=20s
}

# containerd's configuration names the pause image in the suite's registry, so the registry's address is fixed here.
start_containerd() {
  local path=$PATH host
  [ "$runtime" = containerd ] || path=$(bash "$root/scripts/engine-version.sh" 28.5)$PATH
  export CONFORMANCE_REGISTRY=127.0.0.1:5000
  cat >"$work/containerd.toml" <<S
version = 2
root = "$work/root"
state = "$work/state"
oom_score = 0
[grpc]
  address = "$work/cri.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "$CONFORMANCE_REGISTRY/pause:1"
  restrict_oom_score_adj = true
  enable_cdi = true
  netns_mounts_under_state_dir = true
  cdi_spec_dirs = ["/etc/cdi", "/var/run/cdi"]
  image_pull_progress_timeout = "5s"
  stream_server_address = "127.0.0.1"
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "$work/certs.d"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "$work/net.d"
S
  for host in registry.k8s.io k8s.gcr.io gcr.io; do
    mkdir -p "$work/certs.d/$host"
    printf 'server = "http://%s"\n[host."http://127.0.0.1:80"]\n' $host >"$work/certs.d/$host/hosts.toml"
  done
  # containerd has no setting for CNI results, so results of a killed containerd must disappear with the node.
  mkdir -p /var/lib/cni "$work/cni"
  mount --bind "$work/cni" /var/lib/cni
  PATH=$path containerd --config "$work/containerd.toml" >"$work/daemon.log" 2>&1 </dev/null &
  daemon=$!
  [ "$runtime" = containerd ] || export CONFORMANCE_PULL_LIMIT=5s
}

end_containerd() {
  local shim point
  umount -l /var/lib/cni 2>/dev/null
  rmdir /var/lib/cni 2>/dev/null
  for shim in $(grep -laF "$work/" /proc/[0-9]*/cmdline 2>/dev/null | cut -d/ -f3); do
    grep -qs '^containerd-shim' "/proc/$shim/comm" || continue
    pgrep -P "$shim" | xargs -r kill -KILL
    kill -KILL "$shim"
  done
  # A cgroup is empty only after its killed processes have ended.
  for _ in {1..50}; do
    [ -z "$(cat /sys/fs/cgroup/{,*/}k8s.io/*/cgroup.procs 2>/dev/null)" ] && break
    sleep 0.1
  done
  for point in /sys/fs/cgroup/{,*/}k8s.io; do
    [ ! -d "$point" ] || find "$point" -depth -type d -exec rmdir {} + 2>/dev/null || true
  done
}

answers() {
  for _ in {1..600}; do
    [ ! -S "$work/cri.sock" ] || return 0
    kill -0 "$daemon" 2>/dev/null || break
    sleep 0.1
  done
  tail -5 "$work/daemon.log" >&2
  die "the runtime did not start"
}

# The recorder has a socket of its own. The runtime keeps its socket, so that callers can restart the runtime behind the recorder.
start_recorder() {
  [ -f "$root/dist/main.js" ] || die 'dist/ is missing (run: make build)'
  node "$root/dist/main.js" cri record --listen "unix://$work/recorded.sock" --upstream "$CONFORMANCE_ENDPOINT" -o "$RECORD" \
    >"$work/recorder.log" 2>&1 </dev/null &
  recorder=$!
  for _ in {1..300}; do
    [ ! -S "$work/recorded.sock" ] || break
    kill -0 "$recorder" 2>/dev/null || die 'the recorder did not start'
    sleep 0.1
  done
  export CONFORMANCE_ENDPOINT=unix://$work/recorded.sock
}

prepare_namespaces
write_cni
case $runtime in
  containerd | containerd-2) start_containerd ;;
  *) start_dockbridge ;;
esac
answers
[ -z "${RECORD:-}" ] || start_recorder
say "$runtime is ready"
"$@"
