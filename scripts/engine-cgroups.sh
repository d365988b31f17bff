# The cgroups of a private Engine. engine.sh sources this file, which uses its variables and functions.
# shellcheck shell=bash

ensure_cgroups() { # mounts the cgroups, as cgroupfs-mount does, on a machine without an init system
  local controller
  grep -qE ' /sys/fs/cgroup[ /]' /proc/mounts && return
  mount -t tmpfs -o mode=755 cgroup /sys/fs/cgroup
  awk '!/^#/ && $4 == 1 { print $1 }' /proc/cgroups | while read -r controller; do
    mkdir "/sys/fs/cgroup/$controller"
    mount -t cgroup -o "$controller" cgroup "/sys/fs/cgroup/$controller" || rmdir "/sys/fs/cgroup/$controller"
  done
}

cgroup_parents() { # prints the top cgroups in each hierarchy in which Docker and pods create their cgroups
  find /sys/fs/cgroup -mindepth 1 -maxdepth 2 -type d \( -name docker -o -name 'kubepods*' -o -name 'dockbridge*' \)
}

container_cgroups() { # IDS, one a line: prints the cgroups of these containers, the deepest first
  [ -z "$1" ] || find /sys/fs/cgroup -depth -type d | grep -F -e "$1" || true
}

remove_cgroups() { # IDS, one a line
  local group
  # The cgroup of a killed process becomes empty a moment after the process has ended.
  for _ in {1..50}; do
    container_cgroups "$1" | xargs -r rmdir 2>/dev/null || true
    [ -n "$(container_cgroups "$1")" ] || break
    sleep 0.1
  done
  # Engines in all network namespaces share these cgroups, so the last Engine removes them.
  [ -z "$(other_engines machine)" ] || return 0
  # rmdir refuses a cgroup with processes or children, so another Engine's cgroups survive.
  # shellcheck disable=SC2154 # engine.sh sets it
  cgroup_parents | grep -vxFf "$state/cgroups" | while read -r group; do
    find "$group" -depth -type d -exec rmdir {} \; 2>/dev/null || true
  done || true
}
