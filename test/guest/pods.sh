# Functions for walk.sh and package.sh. They use crictl to make pods whose containers log a counter, and check these pods
# later. Both scripts run in bash with `set -euo pipefail`, and call `end` last.
# shellcheck shell=bash
work=/var/log/pods/guest
image=${CONFORMANCE_IMAGES:?}/base:1
failed=0

: >/run/crictl.yaml
export CRI_CONFIG_FILE=/run/crictl.yaml
crictl() { command crictl --timeout 60s --runtime-endpoint "$CONFORMANCE_ENDPOINT" "$@" </dev/null; }
wrong() { echo "WRONG: $*"; failed=1; }
end() { # exits with 1 if a check has failed
  [ $failed = 1 ] || echo "${0##*/}: all checks passed"
  exit $failed
}
is() { # WHAT FOUND WANTED: checks that the two values are equal
  if [ "$2" = "$3" ]; then echo "  $1: $2"; else wrong "$1: '$2', not '$3'"; fi
}
eventually() { # COMMAND...: repeats the command until it succeeds, for at most a minute
  # The guest's clock skips the time that the guest sleeps, but each check takes real time.
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
remove_pod() { crictl stopp "$1" >/dev/null && crictl rmp "$1" >/dev/null; }
state() { crictl inspect --output go-template --template '{{.status.state}}' "$1"; }
pod_state() { crictl inspectp --output go-template --template '{{.status.state}}' "$1"; }
process() { docker inspect --format '{{.State.Pid}}' "$1"; }
main_process() { systemctl show --property MainPID --value dockbridge; }
answers() { crictl version >/dev/null; }
lines() { wc -l <"$work/$1.log"; }
grows() { # NAME: waits until the log gets another line
  local before
  before=$(lines "$1")
  longer() { [ "$(lines "$1")" -gt "$before" ]; }
  eventually longer "$1"
}
whole() { # NAME: checks that the log has each line once and in order
  is "wrong lines in the log of $1" "$(awk '{ if ($5 != NR - 1) n++ } END { print n + 0 }' "$work/$1.log")" 0
}
group() { cat "/sys/fs/cgroup/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod$1.slice/docker-$2.scope/$3"; }

lives_on() { # NAME CONTAINER PID: checks that the container still runs in this process, with its log and its limits
  is state "$(state "$2")" CONTAINER_RUNNING
  is 'its process' "$(process "$2")" "$3"
  grows "$1"
  whole "$1"
  is memory.max "$(group "$1" "$2" memory.max)" 67108864
  # systemd resets memory.oom.group when it rereads its units, and dockbridge sets it again.
  grouped() { [ "$(group "$1" "$2" memory.oom.group)" = 1 ]; }
  eventually grouped "$1" "$2"
}

no_pods() { # checks that the Engine has no pods, and that CNI keeps no address
  is pods "$(crictl pods --quiet | wc -l)" 0
  is 'addresses in use' "$(find /var/lib/cni/networks/guest -type f ! -name 'last_*' ! -name lock | wc -l)" 0
}
