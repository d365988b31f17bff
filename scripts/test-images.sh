#!/bin/bash
# Loads the test images into the Engine at $DOCKER_HOST (a unix:// or http:// address) without a registry:
#   dockbridge.test/busybox:1   Debian's busybox, CMD sh
#   dockbridge.test/user:1      the same with USER 1000:1000 and a marker file
# Images that are up to date are not loaded again: a label has the checksum of their sources.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
export DOCKER_HOST=${DOCKER_HOST:-unix:///var/run/docker.sock}
recipe=$({ cat "$0" "$here/busybox-root.sh" && dpkg-query -W busybox; } | sha256sum | cut -c1-16)

engine() { # METHOD PATH: the body comes from standard input; prints the reply; fails on HTTP >= 400
  node -e '
    const [method, path] = process.argv.slice(1);
    const url = new URL(process.env.DOCKER_HOST.replace(/^tcp:/, "http:"));
    const target = url.protocol === "unix:" ? { socketPath: url.pathname } : { host: url.hostname, port: url.port };
    const request = require("http").request({ ...target, method, path, timeout: 60000 }, (reply) => {
      let text = "";
      reply.setEncoding("utf8").on("data", (chunk) => (text += chunk)).on("end", () => {
        // An import that fails half-way still answers 200.
        const failed = reply.statusCode >= 400 || (method === "POST" && text.includes("errorDetail"));
        (failed ? process.stderr : process.stdout).write(text);
        process.exitCode = failed ? 1 : 0;
      });
    });
    request.on("timeout", () => request.destroy(new Error("the Engine does not answer")));
    request.on("error", (error) => { console.error("test-images: " + error.message); process.exitCode = 1; });
    process.stdin.pipe(request);
  ' "$@"
}

present() { # REF
  engine GET "/images/$1/json" </dev/null 2>/dev/null | grep -qF "\"dockbridge.test.recipe\":\"$recipe\""
}

import() { # ROOT REF CHANGE...
  local root=$1 ref=$2 change query
  shift 2
  query="fromSrc=-&repo=${ref%:*}&tag=${ref##*:}"
  for change in 'ENV PATH=/bin:/sbin:/usr/bin:/usr/sbin' 'CMD ["sh"]' "LABEL dockbridge.test.recipe=$recipe" "$@"; do
    query+="&changes=$(node -p 'encodeURIComponent(process.argv[1])' "$change")"
  done
  tar -C "$root" --owner=0 --group=0 --numeric-owner -c . | engine POST "/images/create?$query" >/dev/null
  echo "test-images: $ref" >&2
}

if present dockbridge.test/busybox:1 && present dockbridge.test/user:1; then exit; fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
base=$work/base
bash "$here/busybox-root.sh" "$base"

import "$base" dockbridge.test/busybox:1
echo user >"$base/marker"
import "$base" dockbridge.test/user:1 'USER 1000:1000'
