#!/bin/bash
# Prints the path of a kubectl of 1.32 or newer, for tests; Debian 12's own is too old for WebSockets, so Debian 13's is
# unpacked into a directory of ours, once. $KUBECTL names another one to use instead.
set -euo pipefail
cache=${DOCKBRIDGE_CACHE:-/var/cache/dockbridge}/kubectl
suite=trixie

if [ -n "${KUBECTL:-}" ]; then echo "$KUBECTL" && exit; fi
mkdir -p "$cache"
exec 9>"$cache/lock"
flock 9
if [ ! -x "$cache/$suite/kubectl" ]; then
  apt=$(mktemp -d)
  trap 'rm -rf "$apt"' EXIT
  mkdir -p "$apt"/{lists/partial,cache/archives/partial,root}
  # The machine's own mirror of Debian, in either notation of apt's.
  mirror=$(sed -nE 's,^(URIs:|deb) .*(https?://[^ ]*/debian)/?( .*)?$,\2,p' \
    /etc/apt/sources.list.d/*.sources /etc/apt/sources.list 2>/dev/null || true)
  mirror=${mirror%%$'\n'*}
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] ${mirror:-http://deb.debian.org/debian} $suite main" >"$apt/sources.list"
  options=(-qq -oDir::Etc::sourcelist="$apt/sources.list" -oDir::Etc::sourceparts=/dev/null
    -oDir::State::Lists="$apt/lists" -oDir::Cache="$apt/cache" -oDir::State::status=/dev/null -oAPT::Sandbox::User=root)
  (
    cd "$apt"
    apt-get "${options[@]}" update && apt-get "${options[@]}" download kubectl && dpkg -x ./*.deb root
  ) >"$apt/log" 2>&1 || { cat "$apt/log" >&2; echo 'kubectl: cannot be had from Debian' >&2; exit 1; }
  mkdir -p "$cache/$suite"
  # Into place in one step: a killed run leaves nothing half.
  install -m 755 "$apt/root/usr/bin/kubectl" "$cache/$suite/kubectl.new"
  mv "$cache/$suite/kubectl.new" "$cache/$suite/kubectl"
fi
echo "$cache/$suite/kubectl"
