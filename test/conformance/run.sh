#!/bin/bash
# run.sh: runs the conformance suite and the old clients against one runtime, and prints one table. Exits with 1 if a spec
# failed.
#   ENDPOINT=unix://…  a runtime that already runs on this machine; ENGINE then selects entries of skips.txt and labels the table
#   ENGINE=…           otherwise: the runtime that node.sh starts
#   ARGS=…             for `go test`, such as ARGS='-run TestExec'
#   RECORD=FILE        records all calls with `dockbridge cri record` on the node that node.sh starts, and FILE is the tape
#   TOTALS=FILE        gets `N passed, N failed, N skipped`
#   JUNIT=FILE         gets the results as JUnit's XML
set -euo pipefail
[ -z "${RECORD:-}" ] || RECORD=$(realpath -m "$RECORD")
export RECORD
cd "$(dirname "$0")"
go=$(bash ../../scripts/go.sh)

if [ -n "${ENDPOINT:-}" ]; then
  export CONFORMANCE_ENDPOINT=$ENDPOINT CONFORMANCE_RUNTIME=${ENGINE:-$ENDPOINT}
elif [ -z "${NODE_WORK:-}" ]; then
  # The tests are built before the node starts. If the build fails, the test run shows the error.
  for module in . old; do (cd $module && "$go" test -run '^$' ./... >/dev/null 2>&1) || true; done
  exec bash node.sh bash run.sh
fi

suite() {
  # A spec mostly waits, so several run at the same time even on a machine with few processors.
  # shellcheck disable=SC2086 # several arguments
  "$go" test -json -count=1 -timeout 15m -parallel 8 ${ARGS:-} . || true # the report shows failures
  # shellcheck disable=SC2016,SC2086 # the inner shell's; several arguments
  "$go" run ./serve bash -c 'cd old && CONFORMANCE_IMAGE=$CONFORMANCE_IMAGES/base:1 exec "$@"' - \
    "$go" test -json -count=1 -timeout 5m ${ARGS:-} . || true
}
suite | "$go" run ./report -skips skips.txt -runtime "$CONFORMANCE_RUNTIME" -totals "${TOTALS:-}" -junit "${JUNIT:-}"
