#!/bin/bash
# package.sh: upgrades, removes and purges the installed package with dpkg while a pod runs. Then it installs the package
# dockbridge-cri-dockerd on the same node. Runs in the guest, with crictl. Exits with 1 if something differs from docs/install.md.
#   package.sh PACKAGES   the directory with dockbridge_*.deb, dockbridge-cri-dockerd_*.deb and next/dockbridge_*.deb
set -euo pipefail
# shellcheck source=pods.sh
. "${BASH_SOURCE[0]%/*}/pods.sh"
packages=${1:?usage: package.sh PACKAGES}
settings=/etc/dockbridge/config.yaml

dpkg() { command dpkg "$@" | cat; } # on a terminal, dpkg would print its progress
runs_on() { # checks through the Engine alone that the container still runs, because dockbridge may be gone
  is 'its process' "$(process "$container")" "$pid"
  is 'its running state, restarts and start time' "$(docker inspect --format '{{.State.Running}} {{.RestartCount}} {{.State.StartedAt}}' "$container")" "true 0 $started"
}
left() { # prints our files that are still in the directories to which packages install
  find /etc /usr /var/lib/{dockbridge,systemd,dpkg/info} -name '*dockbridge*' -o -name '*cri-docker*' 2>/dev/null | LC_ALL=C sort | paste -sd ' '
}
unit() { # UNIT: prints the state of the unit, and whether it starts at the next boot
  echo "$(systemctl is-active "$1" 2>/dev/null) $(systemctl is-enabled "$1" 2>/dev/null)"
}

echo 'dockbridge doctor'
dockbridge doctor || wrong "dockbridge doctor ends with $?"

crictl pull "$image" >/dev/null
read -r pod container < <(make_pod packaged)
pid=$(process "$container")
started=$(docker inspect --format '{{.State.StartedAt}}' "$container")
echo 'a pod runs'
lives_on packaged "$container" "$pid"

echo 'dpkg --install of a newer version, with settings that the node and the new version have changed'
main=$(main_process)
before=$(sha256sum "$settings")
newer=("$packages"/next/dockbridge_*.deb)
dpkg --force-confold --install "${newer[@]}"
version=$(dpkg-deb --field "${newer[0]}" Version)
is 'the version that the daemon reports' "$(crictl info | grep -oF "\"version\": \"$version\"")" "\"version\": \"$version\""
is dockbridge.service "$(unit dockbridge.service)" 'active enabled'
[ "$(main_process)" != "$main" ] || wrong 'the old daemon still runs'
lives_on packaged "$container" "$pid"
runs_on
is containers "$(crictl ps --all --quiet)" "$container"
is settings "$(sha256sum "$settings")" "$before"
grep -q "$version" "$settings.dpkg-dist" || wrong "there is no $settings.dpkg-dist of the new version"

echo 'dpkg --remove'
dpkg --remove dockbridge
is dockbridge.service "$(unit dockbridge.service)" 'inactive '
is 'its socket' "$(find /run/cri-dockerd.sock 2>/dev/null)" ''
is settings "$(sha256sum "$settings")" "$before"
runs_on

echo 'dpkg --purge'
dpkg --purge dockbridge
is 'what is left' "$(left)" ''
[ ! -e /run/dockbridge ] || wrong "dpkg --purge leaves /run/dockbridge"
runs_on

echo 'dpkg --install of dockbridge-cri-dockerd, with a drop-in as minikube has it'
install -d /etc/systemd/system/cri-docker.service.d
cat >/etc/systemd/system/cri-docker.service.d/10-cni.conf <<'S'
[Service]
ExecStart=
ExecStart=/usr/bin/cri-dockerd --container-runtime-endpoint fd:// --network-plugin=cni --cni-bin-dir=/usr/lib/cni --hairpin-mode=hairpin-veth
S
dpkg --install "$packages"/dockbridge{,-cri-dockerd}_*.deb
version=$(dpkg-query --show --showformat '${Version}' dockbridge-cri-dockerd)
is 'cri-dockerd --version' "$(cri-dockerd --version)" "cri-dockerd $version (dockbridge)"
for name in cri-docker.service cri-docker.socket; do is $name "$(unit $name)" 'active enabled'; done
is dockbridge.service "$(unit dockbridge.service)" 'inactive disabled'
eventually answers
lives_on packaged "$container" "$pid"
runs_on
remove_pod "$pod"
no_pods

echo 'dpkg --purge of both'
dpkg --purge dockbridge-cri-dockerd dockbridge
rm -r /etc/systemd/system/cri-docker.service.d # the drop-in does not belong to the package
is 'what is left' "$(left)" ''

end
