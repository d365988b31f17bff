#!/bin/bash
# walk.sh: restarts dockbridge and dockerd with systemd while pods run, and checks the pods, their logs and their reported
# states. Runs in the guest, with crictl. Exits with 1 if a check fails.
set -euo pipefail
# shellcheck source=pods.sh
. "${BASH_SOURCE[0]%/*}/pods.sh"

crictl pull "$image" >/dev/null
read -r pod container < <(make_pod one)
pid=$(process "$container")
echo 'a pod runs, in the slices that kubelet names'
lives_on one "$container" "$pid"

echo 'systemctl restart dockbridge'
systemctl restart dockbridge
lives_on one "$container" "$pid"

echo 'dockbridge is killed, and started again by systemd'
main=$(main_process)
systemctl kill --signal KILL dockbridge
again() { [ "$(main_process)" != "$main" ] && answers; }
eventually again
lives_on one "$container" "$pid"

echo 'systemctl daemon-reload'
systemctl daemon-reload
lives_on one "$container" "$pid"

echo 'systemctl restart docker, with live-restore'
is live-restore "$(docker info --format '{{.LiveRestoreEnabled}}')" true
systemctl restart docker
eventually answers
lives_on one "$container" "$pid"
crictl exec "$container" true || wrong 'exec fails'

echo 'systemctl restart docker, without live-restore'
# The file sets the key to false, because a running dockerd keeps its setting if the key is missing.
echo '{ "live-restore": false }' >/etc/docker/daemon.json
systemctl reload docker
lost() { docker info --format '{{.LiveRestoreEnabled}}' | grep -q false; }
eventually lost
systemctl restart docker
ended() { [ "$(state "$container")" = CONTAINER_EXITED ] && [ "$(pod_state "$pod")" = SANDBOX_NOTREADY ]; }
eventually ended
is state "$(state "$container")" CONTAINER_EXITED
whole one
is 'processes of the pod' "$(pgrep -cf 'while :; do echo line' || true)" 0
# kubelet would now make the next pod.
read -r other second < <(make_pod two)
is 'state of the next pod' "$(state "$second")" CONTAINER_RUNNING
grows two
for id in "$pod" "$other"; do remove_pod "$id"; done
no_pods
# kubelet has to remove the slice, because systemd keeps a slice that was not stopped.
empty() { ! grep -q 'populated 1' /sys/fs/cgroup/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podone.slice/cgroup.events; }
eventually empty
is 'messages that systemd did not accept' "$(journalctl -b -u dockbridge --no-pager | grep -c 'Cannot notify systemd' || true)" 0

echo 'journalctl -p warning, which shows only warnings and errors'
# dockbridge does not read a file whose name ends in .yml, and warns about it at its start.
mkdir -p /etc/dockbridge/config.d
touch /etc/dockbridge/config.d/node.yml
systemctl restart dockbridge
eventually answers
lines() { journalctl -b -u dockbridge -o cat --no-pager "$@" | grep '^{\|^<[0-7]>'; } # without systemd's own lines
is 'warnings about the file' "$(lines -p warning | grep -c 'node\.yml')" 1
is 'less severe lines among the warnings' "$(lines -p warning | grep -c '"level":"\(info\|debug\)"' || true)" 0
is 'lines that still begin with their priority' "$(lines | grep -c '^<' || true)" 0
rm /etc/dockbridge/config.d/node.yml

# Restores the node.
echo '{ "live-restore": true }' >/etc/docker/daemon.json
systemctl reload docker

end
