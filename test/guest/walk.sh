#!/bin/bash
# walk.sh: what systemd does to dockbridge and dockerd while pods run, and whether the pods, their logs and what is said of
# them are as they should be. In the guest, with crictl; exits 1 if something is not.
set -euo pipefail
work=/var/log/pods/walk
image=${CONFORMANCE_IMAGES:?}/base:1
failed=0

: >/run/crictl.yaml
export CRI_CONFIG_FILE=/run/crictl.yaml
crictl() { command crictl --timeout 60s --runtime-endpoint "$CONFORMANCE_ENDPOINT" "$@" </dev/null; }
wrong() { echo "WRONG: $*"; failed=1; }
is() { # WHAT FOUND WANTED
  if [ "$2" = "$3" ]; then echo "  $1: $2"; else wrong "$1: '$2', not '$3'"; fi
}
eventually() { # COMMAND...
  # Sleeping costs nothing here, looking does.
  for _ in {1..30}; do
    ! "$@" 2>/dev/null || return 0
    sleep 2
  done
  wrong "not within a minute: $*"
}

make_pod() { # NAME: prints the ids of the pod and of its container
  local pod slice=kubepods-burstable-pod$1
  mkdir -p "$work"
  cat >"$work/pod.json" <<S
{ "metadata": { "name": "$1", "namespace": "default", "uid": "$1", "attempt": 0 }, "log_directory": "$work",
  "linux": { "cgroup_parent": "/kubepods.slice/kubepods-burstable.slice/$slice.slice" } }
S
  cat >"$work/container.json" <<S
{ "metadata": { "name": "main", "attempt": 0 }, "image": { "image": "$image" }, "log_path": "$1.log",
  "command": ["sh", "-c", "n=0; while :; do echo line \$n; n=\$((n+1)); sleep 1; done"],
  "linux": { "resources": { "memory_limit_in_bytes": 67108864, "unified": { "memory.oom.group": "1" } } } }
S
  pod=$(crictl runp "$work/pod.json")
  container=$(crictl create "$pod" "$work/container.json" "$work/pod.json")
  crictl start "$container" >/dev/null
  echo "$pod $container"
}
state() { crictl inspect --output go-template --template '{{.status.state}}' "$1"; }
pod_state() { crictl inspectp --output go-template --template '{{.status.state}}' "$1"; }
process() { docker inspect --format '{{.State.Pid}}' "$1"; }
answers() { crictl version >/dev/null; }
lines() { wc -l <"$work/$1.log"; }
grows() { # NAME: the log gets a line more
  local before
  before=$(lines "$1")
  longer() { [ "$(lines "$1")" -gt "$before" ]; }
  eventually longer "$1"
}
whole() { # NAME: each line once and in order
  is "wrong lines in the log of $1" "$(awk '{ if ($5 != NR - 1) n++ } END { print n + 0 }' "$work/$1.log")" 0
}
group() { cat "/sys/fs/cgroup/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod$1.slice/docker-$2.scope/$3"; }

lives_on() { # NAME CONTAINER PID
  is state "$(state "$2")" CONTAINER_RUNNING
  is 'its process' "$(process "$2")" "$3"
  grows "$1"
  whole "$1"
  is memory.max "$(group "$1" "$2" memory.max)" 67108864
  # systemd sets it back when it reads its units, and dockbridge again.
  grouped() { [ "$(group "$1" "$2" memory.oom.group)" = 1 ]; }
  eventually grouped "$1" "$2"
}

crictl pull "$image" >/dev/null
read -r pod container < <(make_pod one)
pid=$(process "$container")
echo 'a pod runs, in the slices that kubelet names'
lives_on one "$container" "$pid"

echo 'systemctl restart dockbridge'
systemctl restart dockbridge
lives_on one "$container" "$pid"

echo 'dockbridge is killed, and started again by systemd'
main=$(systemctl show --property MainPID --value dockbridge)
systemctl kill --signal KILL dockbridge
again() { [ "$(systemctl show --property MainPID --value dockbridge)" != "$main" ] && answers; }
eventually again
lives_on one "$container" "$pid"

echo 'systemctl daemon-reload'
systemctl daemon-reload
lives_on one "$container" "$pid"

echo 'systemctl restart docker, with live-restore'
echo '{ "live-restore": true }' >/etc/docker/daemon.json
systemctl reload docker
kept() { docker info --format '{{.LiveRestoreEnabled}}' | grep -q true; }
eventually kept
systemctl restart docker
eventually answers
lives_on one "$container" "$pid"
crictl exec "$container" true || wrong 'exec fails'

echo 'systemctl restart docker, without'
# A key that is not there leaves a running dockerd as it is.
echo '{ "live-restore": false }' >/etc/docker/daemon.json
systemctl reload docker
lost() { docker info --format '{{.LiveRestoreEnabled}}' | grep -q false; }
eventually lost
systemctl restart docker
ended() { [ "$(state "$container")" = CONTAINER_EXITED ] && [ "$(pod_state "$pod")" = SANDBOX_NOTREADY ]; }
eventually ended
is state "$(state "$container")" CONTAINER_EXITED
whole one
is 'processes of the pod' "$(pgrep -cf 'while :; do echo line' || true)" 0
# What kubelet does next.
read -r other second < <(make_pod two)
is 'state of the next pod' "$(state "$second")" CONTAINER_RUNNING
grows two
for id in "$pod" "$other"; do crictl stopp "$id" >/dev/null && crictl rmp "$id" >/dev/null; done
is pods "$(crictl pods --quiet | wc -l)" 0
is 'addresses in use' "$(find /var/lib/cni/networks/guest -type f ! -name 'last_*' ! -name lock | wc -l)" 0
# The slice itself is kubelet's to remove: systemd keeps one that nobody has stopped.
empty() { ! grep -q 'populated 1' /sys/fs/cgroup/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podone.slice/cgroup.events; }
eventually empty
is 'notices that systemd did not take' "$(journalctl -b -u dockbridge --no-pager | grep -c 'Cannot notify systemd' || true)" 0

[ $failed = 0 ] && echo 'walk: all as it should be'
exit $failed
