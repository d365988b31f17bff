#!/bin/bash
# replace.sh VERSION: makes this module require Kubernetes VERSION (v1.37.2) and the staging modules that are published with it
# (v0.37.2). Kubernetes' own go.mod requires v0.0.0 of each staging module and replaces it by a directory of its repository,
# which the module on the proxy does not have. Run this script to change the version.
set -euo pipefail
cd "$(dirname "$0")"
version=${1:?which version of Kubernetes? such as v1.37.2}
go=$(bash ../../../scripts/go.sh)

# With the old replacements, go could not read the new version's modules.
sed -i '/ => k8s\.io\//d' go.mod
own=$("$go" mod download -json "k8s.io/kubernetes@$version" | sed -n 's/^\t"GoMod": "\(.*\)",$/\1/p')
edits=(-require "k8s.io/kubernetes@$version")
# Modules that Kubernetes requires in a published version stay as they are.
for module in $(awk '$2 == "v0.0.0" { print $1 }' "$own"); do
  edits+=(-replace "$module=$module@v0.${version#v1.}")
done
"$go" mod edit "${edits[@]}"
"$go" mod tidy
