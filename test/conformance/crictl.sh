#!/bin/bash
# crictl.sh: runs the README's crictl session, as a person would on a node, and checks the output. It prints the
# commands and the beginning of their output, and exits with 1 if a check fails.
#   CRICTL                the path of crictl
#   CONFORMANCE_ENDPOINT  the runtime: unix://…
#   CONFORMANCE_IMAGES    a registry that has base:1 (serve/)
set -euo pipefail
work=$(mktemp -d)
image=$CONFORMANCE_IMAGES/base:1
failed=0 output='' background=()
trap 'kill "${background[@]}" 2>/dev/null || true; rm -rf "$work"' EXIT

: >"$work/crictl.yaml"
export CRI_CONFIG_FILE=$work/crictl.yaml
crictl() { "$CRICTL" --timeout 30s --runtime-endpoint "$CONFORMANCE_ENDPOINT" "$@"; }

wrong() { echo "WRONG: $*" >&2; failed=1; }

types() { # ARGUMENTS...: runs crictl and sets `output`
  echo "\$ crictl $*"
  output=$(crictl "$@" 2>"$work/errors" </dev/null) || wrong "crictl $1 failed: $(<"$work/errors")"
  shows
}

shows() { head -12 <<<"$output" | cut -c1-180; }

sees() { # PATTERN...: checks that `output` matches each pattern
  local pattern
  for pattern in "$@"; do
    grep -qE -- "$pattern" <<<"$output" || wrong "not seen: $pattern"
  done
}

eventually() { # COMMAND...: repeats the command until it succeeds, for at most 30 s
  local tries
  for tries in {1..300}; do
    "$@" && return
    sleep 0.1
  done
  wrong "not within $((tries / 10)) s: $*"
}

cat >"$work/pod.json" <<S
{ "metadata": { "name": "walk", "namespace": "default", "uid": "walk-1", "attempt": 0 }, "hostname": "walk",
  "labels": { "io.kubernetes.pod.name": "walk", "io.kubernetes.pod.namespace": "default", "io.kubernetes.pod.uid": "walk-1" },
  "log_directory": "$work/logs", "linux": {} }
S
container() { # NAME SCRIPT [MORE]: writes the container's configuration
  cat >"$work/$1.json" <<S
{ "metadata": { "name": "$1", "attempt": 0 }, "image": { "image": "$image" }, "command": ["sh", "-c", "$2"],
  "labels": { "io.kubernetes.container.name": "$1", "io.kubernetes.pod.name": "walk", "io.kubernetes.pod.namespace": "default" },
  "log_path": "$1/0.log", "linux": { "resources": { "memory_limit_in_bytes": 100663296 } }${3:-} }
S
}
mkdir -p "$work/logs"
container web 'echo serving; exec httpd -f -p 80 -h /www'
container shell 'exec sh' ', "stdin": true'
container counter 'for i in 1 2 3 4 5; do echo line $i; sleep 0.3; done'

# --- the node
types version
sees 'RuntimeName: +[a-z]' 'RuntimeApiVersion: +v1'
types info
sees '"RuntimeReady"' '"NetworkReady"'
[ "$(grep -c '"status": true' <<<"$output")" -ge 2 ] || wrong 'the node is not ready'

# --- images
types pull "$image"
sees 'Image is up to date for sha256:[0-9a-f]{64}'
types images
sees "^$CONFORMANCE_IMAGES/base +1 +[0-9a-f]{13} +[0-9.]+[kM]B"
types inspecti "$image"
sees '"repoTags"' "$image"
types imagefsinfo
sees '"mountpoint"' '"usedBytes"'

# --- a pod with containers
crictl events >"$work/events" 2>&1 </dev/null &
background+=($!)
types runp "$work/pod.json"
sees '^[0-9a-f]{64}$'
pod=$output
ids=()
for name in web shell counter; do
  types create "$pod" "$work/$name.json" "$work/pod.json"
  sees '^[0-9a-f]{64}$'
  ids+=("$output")
  types start "$output"
done
web=${ids[0]} shell=${ids[1]} counter=${ids[2]}
types pods
sees "^${pod:0:13} .* Ready +walk +default +0 "
types ps
sees "^${web:0:13} .* Running +web +0 +${pod:0:13} +walk"
types inspectp "$pod"
sees '"state": "SANDBOX_READY"' '"ip": "[0-9.]+"'
types inspect "${web:0:10}"
sees '"state": "CONTAINER_RUNNING"' "\"id\": \"$web\"" '"imageRef"'

# --- inside
types exec -s "$web" hostname
sees '^walk$'
echo "\$ crictl exec -it ${web:0:13} sh"
output=$(printf 'echo I am on $(hostname) with $(tty); exit\n' |
  script -qec "'$CRICTL' --timeout 30s --runtime-endpoint '$CONFORMANCE_ENDPOINT' exec -it $web sh" /dev/null) || wrong 'exec -it failed'
shows
sees 'I am on walk with /dev/pts/'
echo "\$ echo 'echo hello' | crictl attach -i ${shell:0:13}"
# `exit` ends the shell, and with it the container and the attach.
output=$({ echo 'echo hello from the shell'; sleep 2; echo exit; } | crictl attach -i "$shell") || wrong 'attach failed'
shows
sees '^hello from the shell$'
echo "\$ crictl port-forward ${pod:0:13} 12080:80"
crictl port-forward "$pod" 12080:80 >"$work/forward" 2>&1 </dev/null &
background+=($!)
eventually grep -q 'Forwarding from' "$work/forward"
output=$(exec 3<>/dev/tcp/127.0.0.1/12080 && printf 'GET / HTTP/1.0\r\n\r\n' >&3 && timeout 10 cat <&3) || wrong 'port-forward failed'
sees '^HTTP/1.* 200 OK' '^ok$'
types logs -f "$counter"
sees '^line 1$' '^line 5$'
types ps -a --name counter
sees 'Exited +counter'

# --- resource usage
types stats
sees "^${web:0:13} +web +[0-9.]+ +[0-9.]+[kM]?B"
types statsp
sees "walk +${pod:0:13} +[0-9.]+ +[0-9.]+[kM]?B"
types metricsp
sees 'container_cpu_usage_seconds_total' 'container_memory_working_set_bytes'
types update --memory 67108864 "$web"
types inspect "$web"
sees '"memoryLimitInBytes": "67108864"'

# --- the end
types stop --timeout 1 "$web"
types rm "$web" "$shell" "$counter"
types ps -a
if grep -q "${web:0:13}" <<<"$output"; then wrong 'a removed container is listed'; fi
types stopp "$pod"
sees "Stopped sandbox $pod"
types rmp "$pod"
sees "Removed sandbox $pod"
types rmi "$image"
sees "Deleted: $image"
types images
if grep -q "^$CONFORMANCE_IMAGES/base " <<<"$output"; then wrong 'a removed image is listed'; fi
types pull "$image"
types rmi --prune
sees "Deleted: $image"
types images
sees '/pause '
for kind in CREATED STARTED STOPPED DELETED; do
  eventually grep -q "CONTAINER_${kind}_EVENT" "$work/events"
done
echo '$ crictl events'
head -4 "$work/events" | cut -c1-180

[ $failed = 0 ] && echo 'crictl: all checks passed'
exit $failed
