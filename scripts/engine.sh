#!/bin/bash
# Starts and stops a private Docker Engine for tests and the demo. Everything that the Engine and this script make is below
# one directory or is recorded there, so that `stop` leaves the machine as it was. Needs root.
#
#   engine.sh start [--name NAME] [--owner PID] [-- DOCKERD OPTIONS]   prints DOCKER_HOST=unix://...
#   engine.sh stop [--name NAME]             ends it and removes its data; succeeds if there is none
#   engine.sh halt [--name NAME]             ends only dockerd, as `systemctl stop docker` does; data stays
#   engine.sh relaunch [--name NAME]         starts a halted or killed Engine again, same data, same address
#   engine.sh with [--name NAME] [--reuse] CMD...   runs CMD with DOCKER_HOST set, and stops the Engine after it;
#                                            --reuse: uses $DOCKER_HOST or the machine's Engine if one answers
#
# --owner PID: after that process has ended, the next `start` of any name removes this Engine.
# DOCKBRIDGE_TEST_ENGINE=20.10|26.1|28.5[-containerd]|29[-graphdriver]: the Engine and image store (engine-version.sh).
# The default is the installed dockerd. DOCKBRIDGE_ENGINE_ROOT: the directory for all Engines; default: /var/tmp.
# daemon-json.mjs makes the configuration.
#
# Two Engines in one network namespace conflict: a starting dockerd flushes the other's DOCKER chains. So an Engine that is
# alone runs with Docker's defaults ("full"). Next to another Engine, or the remains of one, it runs as a "guest":
# --iptables=false, its own bridge and address pool, and its own rules with its name in them.
set -euo pipefail
shopt -s nullglob
export PATH=$PATH:/usr/sbin:/sbin

root=${DOCKBRIDGE_ENGINE_ROOT:-/var/tmp}
name=default owner='' reuse='' options=() dir='' state=''

say() { echo "engine: $*" >&2; }
die() { say "$*"; exit 1; }

use() { # NAME
  [[ $1 =~ ^[a-z0-9][a-z0-9-]{0,30}$ ]] || die "bad name '$1'"
  name=$1 dir=$root/dockbridge-engine-$1 state=$root/dockbridge-engine-$1/state
}

# shellcheck source=scripts/engine-cgroups.sh
. "${BASH_SOURCE[0]%/*}/engine-cgroups.sh"

# --- processes: a pid may be reused, so it is stored together with its start time

start_time() { # PID
  local line fields
  { read -r line <"/proc/$1/stat"; } 2>/dev/null || return 1
  read -ra fields <<<"${line##*) }"
  [ "${fields[0]}" != Z ] && echo "${fields[19]}"
}

remember() { # FILE PID
  echo "$2 $(start_time "$2" || echo gone)" >"$1"
}

alive() { # FILE: prints the pid if the remembered process still runs
  local pid started
  read -r pid started 2>/dev/null <"$1" || return 1
  [ "$(start_time "$pid")" = "$started" ] && echo "$pid"
}

wait_gone() { # FILE SECONDS
  local tries=$(($2 * 20))
  while alive "$1" >/dev/null; do
    ((tries-- > 0)) || return 1
    sleep 0.05
  done
}

own_processes() { # prints the pids of the Engine's helpers: by our directory in their command line, and `runc init` by its state
  local process comm
  # One grep for all of them, because a node with a thousand processes would otherwise need thousands of forks.
  for process in $(grep -laF "$dir/" /proc/[0-9]*/cmdline 2>/dev/null); do
    process=${process%/cmdline}
    { read -r comm <"$process/comm"; } 2>/dev/null || continue
    case $comm in dockerd* | containerd* | docker-proxy* | runc*) echo "${process#/proc/}" ;; esac
  done
  for process in $(grep -lzxF init /proc/[0-9]*/cmdline 2>/dev/null); do
    process=${process%/cmdline}
    ! is_own_init "$process" || echo "${process#/proc/}"
  done
  return 0
}

# `runc init` waits to become a container's first process. It waits forever if dockerd was killed and the container is
# gone. The process is ours if the state directory in its environment is below our directory. Newer versions of runc have
# no such variable, but keep a FIFO below our directory open.
is_own_init() { # /proc/PID
  [ "$(tr '\0' ' ' 2>/dev/null <"$1/cmdline")" = 'runc init ' ] || return 1
  grep -qzF "_LIBCONTAINER_STATEDIR=$dir/" "$1/environ" 2>/dev/null ||
    find "$1/fd" -lname "$dir/*/exec.fifo" 2>/dev/null | grep -q .
}

container_ids() {
  local path
  for path in "$dir"/data/{,*.*/}containers/*; do echo "${path##*/}"; done
}

container_processes() {
  local ids
  ids=$(container_ids)
  [ -z "$ids" ] || grep -lF -e "$ids" /proc/[0-9]*/cgroup 2>/dev/null | cut -d/ -f3 || true
}

# Prints the pids of other dockerd processes. `machine`: all of them; `all`: those in our network namespace; without an
# argument: those in our network namespace that are not guests.
other_engines() { # [all|machine]
  local process comm mine
  mine=$(alive "$state/dockerd" || true)
  for process in /proc/[0-9]*; do
    { read -r comm <"$process/comm"; } 2>/dev/null || continue
    [[ $comm == dockerd && ${process#/proc/} != "$mine" ]] || continue
    [[ ${1:-} == machine || $process/ns/net -ef /proc/self/ns/net ]] || continue
    if [ -z "${1:-}" ] && tr '\0' ' ' 2>/dev/null <"$process/cmdline" | grep -qe '--iptables=false'; then continue; fi
    # start_time fails for a zombie, so zombies are not printed.
    if start_time "${process#/proc/}" >/dev/null; then echo "${process#/proc/}"; fi
  done
}

# --- network

iptables_commands() {
  local command
  for command in iptables ip6tables; do
    if command -v $command-save >/dev/null; then echo $command; fi
  done
}

alone() {
  local command
  # /sys shows the links of the namespace that it was mounted in.
  [ -z "$(other_engines)" ] && ! grep -q '^ *docker0:' /proc/self/net/dev || return 1
  for command in $(iptables_commands); do
    ! "$command-save" 2>/dev/null | grep -q '^:DOCKER' || return 1
  done
}

forward_policy() { # iptables|ip6tables
  { "$1-save" 2>/dev/null || true; } | sed -n '/^[*]/h; /^:FORWARD/{x; /filter/{x; s/^:FORWARD \([A-Z]*\).*/\1/p; q}; x}'
}

guest_rules() { # -I|-D
  local net
  command -v iptables >/dev/null || return 0
  for net in $(<"$state/nets"); do
    iptables -w "$1" FORWARD -s "$net" -m comment --comment "dockbridge-engine-$name" -j ACCEPT
    iptables -w "$1" FORWARD -d "$net" -m comment --comment "dockbridge-engine-$name" -j ACCEPT
    iptables -w -t nat "$1" POSTROUTING -s "$net" ! -d "$net" -m comment --comment "dockbridge-engine-$name" -j MASQUERADE
  done
}

prepare_guest() { # makes the bridge, which must exist before dockerd starts
  local number bridge
  bridge=dbe-$(printf %s "$name" | cksum | cut -d' ' -f1)
  for ((number = 0; number < 256; number++)); do
    ip -4 -o address | grep -q "inet 10\.213\.$number\." || break
  done
  echo "$bridge" >"$state/bridge"
  echo "10.213.$number.0/24" >"$state/nets"
  ip link add "$bridge" type bridge
  ip address add "10.213.$number.1/24" dev "$bridge"
  ip link set "$bridge" up
  guest_rules -I
  # There is no --default-address-pool, because with it dockerd deletes docker0 at each restart, even another Engine's.
  printf '%s\n' --bridge "$bridge" --iptables=false --ip6tables=false >>"$state/args"
}

network_bridges() { # prints bridges of user-defined networks, from the Engine's database, because dockerd may be dead
  grep -haoE 'br-[0-9a-f]{12}' "$dir"/data/{,*.*/}network/files/local-kv.db 2>/dev/null | sort -u || true
}

remove_docker_rules() { # removes the rules that dockerd adds in "full" mode, and no others
  local command hex='[0-9a-f]' bridge script
  bridge="br-$(printf "$hex%.0s" {1..12})"
  for command in $(iptables_commands); do
    script=$("$command-save" 2>/dev/null | awk -v bridge="docker0|$bridge" '
      /^\*/ { table = $0; flush = drop = undo = "" }
      /^:DOCKER/ { chain = substr($1, 2); flush = flush "-F " chain "\n"; drop = drop "-X " chain "\n" }
      /^-A/ && $2 !~ /^DOCKER/ && (/ -j DOCKER/ || $0 ~ bridge || ($3 == "-s" && $5 == "-d" && $4 == $6 && /MASQUERADE/)) {
        sub(/^-A/, "-D"); undo = undo $0 "\n"
      }
      /^COMMIT/ && flush undo != "" { printf "%s\n%s%s%sCOMMIT\n", table, flush, undo, drop }')
    [ -z "$script" ] || "$command-restore" -w -n <<<"$script" || say "could not remove Docker's $command rules"
    [ "$(forward_policy "$command")" != DROP ] || [ "$(<"$state/forward-policy.$command")" = DROP ] ||
      "$command" -w -P FORWARD ACCEPT
  done
}

remove_shim_sockets() { # IDS: removes the sockets of killed shims. All containerds share their directory; a hash is the name.
  local id address
  for id in $1; do
    address=$(printf %s "$dir/exec/containerd/containerd.sock/moby/$id" | sha256sum)
    rm -f "/run/containerd/s/${address%% *}"
  done
}

# --- the Engine

answers() { # ADDRESS SECONDS [PID]: waits until GET /_ping is answered. Fails after the time, or when PID has died.
  node -e '
    const [address, seconds, pid] = process.argv.slice(1);
    const url = new URL(address);
    const target = url.protocol === "unix:" ? { socketPath: url.pathname } : { host: url.hostname, port: url.port || 2375 };
    const end = Date.now() + seconds * 1000;
    const again = () => {
      try { if (pid) process.kill(Number(pid), 0); } catch { process.exit(1); }
      if (Date.now() >= end) process.exit(1);
      setTimeout(attempt, 50);
    };
    const attempt = () => {
      const request = require("http").get({ ...target, path: "/_ping", timeout: 2000 }, (reply) => {
        reply.resume();
        if (reply.statusCode === 200) process.exit(0);
        again();
      });
      request.on("timeout", () => request.destroy());
      request.on("error", again);
    };
    attempt();
  ' "$@" 2>/dev/null
}

launch() {
  local pid args
  mapfile -t args <"$state/args"
  # Removes pid files of dead processes. dockerd would take a zombie, or another process with the same pid, for a running Engine.
  pid=$(cat "$dir/exec/containerd/containerd.pid" 2>/dev/null || echo 0)
  # The containerd of a killed dockerd dies a moment later, and the next dockerd would wait for it in vain.
  for _ in {1..400}; do
    start_time "$pid" >/dev/null && grep -qaF "$dir/" "/proc/$pid/cmdline" 2>/dev/null || break
    kill -KILL "$pid" 2>/dev/null || true
    sleep 0.05
  done
  start_time "$pid" >/dev/null || rm -f "$dir/exec/containerd/containerd.pid"
  rm -f "$dir/docker.sock" "$dir/dockerd.pid"
  PATH=$(<"$state/path") setsid dockerd "${args[@]}" >>"$dir/dockerd.log" 2>&1 </dev/null 8>&- &
  pid=$!
  remember "$state/dockerd" $pid
  disown
  answers "unix://$dir/docker.sock" 180 $pid || { tail -5 "$dir/dockerd.log" >&2; return 1; }
  echo "DOCKER_HOST=unix://$dir/docker.sock"
}

start() {
  local mode=full command wanted=${DOCKBRIDGE_TEST_ENGINE:-} path=''
  local version=${BASH_SOURCE[0]%/*}/engine-version.sh
  [ "$(id -u)" = 0 ] || die 'must be root'
  [ -z "$wanted" ] || path=$(bash "$version" "$wanted")
  for command in dockerd containerd ip node; do
    command -v "$command" >/dev/null || die "$command is missing (run: make setup)"
  done
  sweep
  if alive "$state/dockerd" >/dev/null; then die "'$name' runs already"; fi
  destroy
  ensure_cgroups
  mkdir -p "$state"
  [ -z "$owner" ] || remember "$state/owner" "$owner"
  cp /proc/sys/net/ipv4/ip_forward "$state/ip_forward"
  # An empty docker cgroup may belong to another private Engine, and the last Engine removes it. The machine's own Engine makes
  # it again when needed.
  cgroup_parents | grep -v '/docker$' >"$state/cgroups" || true
  [ ! -d /run/docker ] || touch "$state/run-docker"
  for command in iptables ip6tables; do
    forward_policy $command >"$state/forward-policy.$command"
  done
  echo "$path$PATH" >"$state/path"
  printf '%s\n' --config-file "$dir/daemon.json" --data-root "$dir/data" --exec-root "$dir/exec" \
    --pidfile "$dir/dockerd.pid" --host "unix://$dir/docker.sock" --group root >"$state/args"
  alone || mode=guest
  echo $mode >"$state/mode"
  # dockerd would otherwise read /etc/docker/daemon.json, which is for the machine's Engine.
  PATH=$path$PATH node "${BASH_SOURCE[0]%/*}/daemon-json.mjs" "$dir" "$wanted" $mode >"$dir/daemon.json"
  [ $mode = full ] || prepare_guest
  [ ${#options[@]} = 0 ] || printf '%s\n' "${options[@]}" >>"$state/args"
  say "starting '$name' ($mode) in $dir"
  launch || { destroy; die "'$name' did not start"; }
}

halt() {
  local pid
  pid=$(alive "$state/dockerd") || return 0
  kill -CONT "$pid" && kill -TERM "$pid"
  wait_gone "$state/dockerd" 120 || die "'$name' does not end"
}

destroy() { # works also for an Engine that was killed or only half started
  local pid ids bridges point link mode others
  [ -d "$dir" ] || return 0
  [ -f "$state/args" ] || { rm -rf "$dir"; return; }
  ids=$(container_ids)
  bridges=$(network_bridges)
  mode=$(cat "$state/mode" 2>/dev/null || echo guest)
  if pid=$(alive "$state/dockerd"); then
    kill -CONT "$pid" 2>/dev/null || true
    kill -TERM "$pid" 2>/dev/null || true
    for _ in {1..100}; do
      # dockerd would wait 10 s or more for each container. Test containers need no time to end.
      container_processes | xargs -r kill -KILL 2>/dev/null || true
      wait_gone "$state/dockerd" 0 && break
      sleep 0.1
    done
    kill -KILL "$pid" 2>/dev/null || true
  fi
  for _ in {1..50}; do
    pid="$(own_processes) $(container_processes)"
    [ -n "${pid// /}" ] || break
    # shellcheck disable=SC2086
    kill -KILL $pid 2>/dev/null || true
    sleep 0.1
  done
  for _ in 1 2 3; do
    awk -v below="$dir/" 'index($5, below) == 1 { print $5 }' /proc/self/mountinfo | tac | while read -r point; do
      umount "$point" 2>/dev/null || umount -l "$point" 2>/dev/null || true
    done
  done

  others=$(other_engines)
  if [ "$mode" = full ] && [ -z "$others" ]; then bridges="$bridges docker0"; fi
  if [ -f "$state/bridge" ]; then link=$(<"$state/bridge") && bridges="$bridges $link"; fi
  for link in $bridges; do ip link delete "$link" 2>/dev/null || true; done
  if [ -f "$state/nets" ]; then guest_rules -D 2>/dev/null || true; fi
  if [ "$mode" = full ] && [ -z "$others" ]; then
    remove_docker_rules
    [ -n "$(other_engines all)" ] || cat "$state/ip_forward" >/proc/sys/net/ipv4/ip_forward
  fi
  remove_cgroups "$ids"
  remove_shim_sockets "$ids"
  [ -e "$state/run-docker" ] || rmdir /run/docker/plugins /run/docker 2>/dev/null || true
  rm -rf "$dir"
}

sweep() { # removes Engines whose owner died without stopping them
  local keep=$name other
  for other in "$root"/dockbridge-engine-*/state/owner; do
    alive "$other" >/dev/null && continue
    other=${other%/state/owner}
    use "${other##*/dockbridge-engine-}"
    say "clearing away '$name': its owner is gone"
    destroy
  done
  use "$keep"
}

run_with() { # CMD...
  local host code=0 child='' interrupted=''
  if [ -n "$reuse" ]; then
    for host in ${DOCKER_HOST:-} unix:///var/run/docker.sock; do
      if answers "$host" 0; then
        say "using the Engine at $host"
        DOCKER_HOST=$host exec "$@"
      fi
    done
  fi
  # Ctrl-C reaches the command by itself, so this script stays to clean up. SIGTERM reaches only this script, which passes it on.
  trap 'interrupted=yes' INT
  trap 'interrupted=yes; [ -z "$child" ] || kill -TERM "$child" 2>/dev/null' TERM HUP
  host=$("$0" start --name "$name" --owner $$) || exit 1
  if [ -z "$interrupted" ]; then
    # Without env, a background command would ignore Ctrl-C.
    DOCKER_HOST=${host#DOCKER_HOST=} env --default-signal=INT,QUIT "$@" <&0 &
    child=$!
    while :; do
      interrupted=''
      code=0
      wait $child || code=$?
      [ -n "$interrupted" ] || break
    done
  else
    code=130
  fi
  trap '' INT TERM HUP
  "$0" stop --name "$name"
  exit $code
}

locked() { # COMMAND...: allows one start or stop at a time on this machine, because Engines share iptables, bridges and addresses
  (
    exec 8>"$root/dockbridge-engine.lock"
    flock 8
    "$@"
  )
}

command=${1:-}
[ $# = 0 ] || shift
use "$name"
while [ $# -gt 0 ]; do
  case $1 in
    --name) use "${2:?--name needs a value}" && shift 2 ;;
    --owner) owner=${2:?--owner needs a value} && shift 2 ;;
    --reuse) reuse=yes && shift ;;
    --) shift && options=("$@") && break ;;
    -*) die "unknown option $1" ;;
    *) break ;;
  esac
done
case $command in
  start) locked start ;;
  stop) locked destroy ;;
  halt) halt ;;
  relaunch) [ -f "$state/args" ] || die "there is no '$name'"; halt; locked launch ;;
  with) [ $# -gt 0 ] || die 'with: no command is given'; run_with "$@" ;;
  *) sed -n '2,/^set /s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
