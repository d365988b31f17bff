#!/bin/bash
# go-programs.sh DIR MODULE VERSION SUM PROGRAM=PACKAGE... [-- BUILD FLAGS]: builds programs of a Go module from the module
# proxy into DIR, with the versions in the module's own go.mod. Does nothing if DIR exists. A killed run leaves no incomplete
# DIR. SUM is the module's `h1:…`, as in go.sum. PROGRAM=test:PACKAGE builds a package's test binary.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

target=${1:?DIR} module=${2:?MODULE} version=${3:?VERSION} sum=${4:?SUM}
shift 4
programs=()
while [ $# -gt 0 ] && [ "$1" != -- ]; do programs+=("$1") && shift; done
[ $# = 0 ] || shift
say() { echo "go-programs: $*" >&2; }
die() { say "$*"; exit 1; }

mkdir -p "$(dirname "$target")"
exec 7>"$target.lock"
flock 7
[ ! -d "$target" ] || exit 0

go=$(bash scripts/go.sh)
work=$(mktemp -d "$(dirname "$target")/building.XXXXXX")
trap 'rm -rf "$work"' EXIT
field() { sed -n "s/^\t\"$1\": \"\(.*\)\",\{0,1\}\$/\1/p" "$work/module"; }

thrice() { # COMMAND...: tries up to three times, because the proxy or the network may fail for a moment
  local try
  for try in 1 2 3; do
    "$@" >"$work/out" 2>"$work/log" && return
    say "attempt $try: $(tail -qn 1 "$work/out" "$work/log")"
    sleep $((try * 5))
  done
  tail -qn 20 "$work/out" "$work/log" >&2
  return 1
}

say "fetching $module $version from the Go module proxy"
thrice "$go" -C "$work" mod download -json "$module@$version" ||
  die "cannot download $module $version from the Go module proxy: check GOPROXY (go env GOPROXY) and the network, then try again"
mv "$work/out" "$work/module"
[ "$(field Sum)" = "$sum" ] || die "$module $version has another checksum than expected: $(field Sum), not $sum"

for program in "${programs[@]}"; do
  package=${program#*=}
  build=(build)
  [[ $package != test:* ]] || { build=(test -c) && package=${package#test:}; }
  say "building ${program%%=*} of $module $version"
  # The module's directory is read-only. Its own go.mod and go.sum list what it needs.
  GOFLAGS=-mod=readonly thrice "$go" -C "$(field Dir)" "${build[@]}" -trimpath "$@" -o "$work/built/${program%%=*}" "$package" ||
    die "${program%%=*} of $module $version cannot be built here"
done
mv "$work/built" "$target"
