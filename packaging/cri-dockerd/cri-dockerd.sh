#!/bin/sh
# cri-dockerd's command: dockbridge with its flags, and with its defaults where they differ. What a flag, the environment or a
# configuration file says comes first.
for word; do
  case $word in
    --version | --version=true)
      # Its form: name, version, and in brackets what it was built from.
      exec echo "cri-dockerd $(/usr/bin/dockbridge --version) (dockbridge)"
      ;;
  esac
done
# Without a CNI configuration its nodes are not ready.
DOCKBRIDGE_DEFAULT_NETWORK_PLUGIN=cni
export DOCKBRIDGE_DEFAULT_NETWORK_PLUGIN
exec /usr/lib/dockbridge/node /usr/lib/dockbridge/main.js serve "$@"
