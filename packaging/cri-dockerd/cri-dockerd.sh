#!/bin/sh
# cri-dockerd's command: runs dockbridge with cri-dockerd's flags and its different defaults. Flags, the environment and
# configuration files override these defaults.
for word; do
  case $word in
    --version | --version=true)
      # cri-dockerd prints its name, its version, and in brackets the build.
      exec echo "cri-dockerd $(/usr/bin/dockbridge --version) (dockbridge)"
      ;;
  esac
done
# With cri-dockerd, a node is not ready without a CNI configuration.
DOCKBRIDGE_DEFAULT_NETWORK_PLUGIN=cni
export DOCKBRIDGE_DEFAULT_NETWORK_PLUGIN
exec /usr/lib/dockbridge/node /usr/lib/dockbridge/main.js serve "$@"
