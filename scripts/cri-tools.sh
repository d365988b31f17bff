#!/bin/bash
# cri-tools.sh: builds critest and crictl once from cri-tools' Go module, and prints the directory with both.
set -euo pipefail
version=v1.37.0
tools=${DOCKBRIDGE_CACHE:-/var/cache/dockbridge}/cri-tools-$version
bash "$(dirname "${BASH_SOURCE[0]}")/go-programs.sh" "$tools" sigs.k8s.io/cri-tools $version \
  h1:BmTImEoTX3KPXCLwmIU9mfCC8umUqF4R8WibY9eVU9Y= critest=test:./cmd/critest crictl=./cmd/crictl -- \
  -ldflags "-s -w -X sigs.k8s.io/cri-tools/pkg/version.Version=$version"
echo "$tools"
