#!/bin/bash
# build.sh DIR: builds the suite for `dockbridge cri conformance` into DIR, which can then be copied to any machine of this
# architecture. That machine needs neither Go nor Debian. The build is quick if nothing has changed.
#   DIR/suite         runs the other programs and reports
#   DIR/specs, DIR/old-clients, DIR/test2json
#   DIR/images/       layers of the images that the suite's registry serves
#   DIR/skips.txt     and the sources of the specs, so that people can look up a failure
set -euo pipefail
out=$(realpath -m "${1:?usage: build.sh DIR}")
cd "$(dirname "$0")"
go=$(bash ../../scripts/go.sh)
mkdir -p "$out/old" "$out/images"

export CGO_ENABLED=0
"$go" build -trimpath -o "$out/suite" ./suite
"$go" build -trimpath -o "$out/test2json" cmd/test2json
"$go" test -trimpath -c -o "$out/specs" .
"$go" -C old test -trimpath -c -o "$out/old-clients" .

rm -f "$out"/*_test.go "$out"/old/*_test.go
cp ./*_test.go skips.txt "$out/"
cp old/*_test.go "$out/old/"
if [ -z "$(find "$out/images/base.tar" -newer images/build.sh -newer images/probe.c -newer ../../scripts/busybox-root.sh 2>/dev/null)" ]; then
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  bash images/build.sh "$work"
  cp "$work/base.tar" "$out/images/base.tar.new" # nginx.tar is for upstream's suite
  mv "$out/images/base.tar.new" "$out/images/base.tar"
fi
