#!/bin/bash
# A small systemctl for a node that has no systemd. It starts the commands of real unit files as daemons, and honours LimitNOFILE=
# and EnvironmentFile=. X-Socket= names the socket that shows that the unit is ready; systemd ignores such keys.
#
#   systemctl.sh start|stop|restart|is-active UNIT...   enable|disable [--now] UNIT...   daemon-reload
set -euo pipefail
shopt -s nullglob
state=/run/test-units logs=/var/log/test-units
mkdir -p "$state" "$logs"

die() { echo "systemctl: $*" >&2; exit 1; }

setting() { # UNIT KEY: prints the last value, from the unit and then from its drop-ins
  cat "/etc/systemd/system/$1" "/etc/systemd/system/$1".d/*.conf | sed -n "s/^$2=//p" | tail -n 1
}

alive() { # UNIT: prints its process. A zombie does not count, and a file of an earlier life neither
  local pid line
  [ ! -e "$state/$1.socket" ] || { echo 0; return; }
  pid=$(cat "$state/$1" 2>/dev/null) && { read -r line <"/proc/$pid/stat"; } 2>/dev/null || return 1
  line=${line##*) }
  [ "${line:0:1}" != Z ] && echo "$pid"
}

start() { # UNIT
  local command file limit pid socket try
  [ -e "/etc/systemd/system/$1" ] || die "Unit $1 not found."
  ! alive "$1" >/dev/null || return 0
  if [[ $1 == *.socket ]]; then touch "$state/$1.socket"; return; fi
  command=$(setting "$1" ExecStart) socket=$(setting "$1" X-Socket) limit=$(setting "$1" LimitNOFILE)
  file=$(setting "$1" EnvironmentFile)
  rm -f "${socket:-/nowhere}"
  (
    if [ -n "$limit" ]; then ulimit -Sn "${limit%:*}" && ulimit -Hn "${limit#*:}"; fi
    # shellcheck disable=SC1090 # The unit names the file.
    if [ -n "$file" ]; then set -a && . "${file#-}" && set +a; fi
    # The command uses variables as $NAME, as in systemd.
    eval "exec setsid $command"
  ) >>"$logs/$1.log" 2>&1 </dev/null &
  pid=$!
  echo "$pid" >"$state/$1"
  for ((try = 0; try < 600; try++)); do
    [ -n "$(alive "$1")" ] || die "$1 has ended: $(tail -n 3 "$logs/$1.log")"
    if [ -z "$socket" ] || [ -S "$socket" ]; then return; fi
    sleep 0.1
  done
  die "$1 does not listen on $socket"
}

stop() { # UNIT
  local pid try
  rm -f "$state/$1.socket"
  pid=$(alive "$1") || return 0
  kill -TERM "$pid"
  for ((try = 0; try < 900; try++)); do
    alive "$1" >/dev/null || return 0
    sleep 0.1
  done
  kill -KILL "$pid"
  die "$1 had to be killed"
}

command=${1:-} now='' units=()
for word in "${@:2}"; do
  case $word in --now) now=yes ;; -*) die "unknown option $word" ;; *) units+=("$word") ;; esac
done
case $command in
  daemon-reload) ;;
  start | stop) for unit in "${units[@]}"; do "$command" "$unit"; done ;;
  restart) for unit in "${units[@]}"; do stop "$unit" && start "$unit"; done ;;
  enable | disable)
    for unit in "${units[@]}"; do
      [ -e "/etc/systemd/system/$unit" ] || die "Unit $unit not found."
      if [ "$command" = enable ]; then touch "$state/$unit.enabled"; else rm -f "$state/$unit.enabled"; fi
      [ -z "$now" ] || if [ "$command" = enable ]; then start "$unit"; else stop "$unit"; fi
    done
    ;;
  is-active | is-enabled)
    code=3
    for unit in "${units[@]}"; do
      if [ "$command" = is-enabled ]; then answer=$([ -e "$state/$unit.enabled" ] && echo enabled || echo disabled)
      else answer=$(alive "$unit" >/dev/null && echo active || echo inactive); fi
      echo "$answer"
      case $answer in active | enabled) code=0 ;; esac
    done
    exit $code
    ;;
  *) die "unknown command '$command'" ;;
esac
