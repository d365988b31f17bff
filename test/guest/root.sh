#!/bin/bash
# root.sh [SUITE]: makes the guest's root file system once from a Debian suite (bookworm), and prints the directory with
# the results: root.img, vmlinuz, initrd.
# Everything comes from the machine's Debian mirror. Other files that dockbridge needs are on a disk of their own (tree.sh).
# If the directory exists, nothing is done. A killed run leaves no incomplete directory. Needs root.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
export PATH=$PATH:/usr/sbin:/sbin LC_ALL=C

suite=${1:-bookworm}
packages=(
  systemd systemd-sysv udev dbus kmod linux-image-cloud-amd64      # a node that boots
  docker.io apparmor iptables iproute2 containernetworking-plugins # an Engine and a network of pods
  procps libstdc++6                                                # for the host's node
  libatomic1 mount                                                 # further dependencies of our package
  busybox                                                          # the content of the test images
)
[ "$suite" = bookworm ] || packages+=(docker-cli) # Debian 13 took the client out of docker.io
say() { echo "guest: $*" >&2; }
die() { say "$*"; exit 1; }

# The result depends on this script.
recipe=$(sha256sum <root.sh | cut -c1-16)
target=${DOCKBRIDGE_CACHE:-/var/cache/dockbridge}/guest-$suite-$recipe
if [ -d "$target" ]; then echo "$target" && exit; fi
if [ "${GUEST_MOUNTS:-}" != $PPID ]; then
  # The mounts of debootstrap are removed in any case.
  GUEST_MOUNTS=$$ unshare --mount --propagation slave bash root.sh "$suite"
  exit
fi
mkdir -p "${target%/*}"
exec 7>"$target.lock"
flock 7
if [ -d "$target" ]; then echo "$target" && exit; fi

mirror=$(bash ../../scripts/debian-mirror.sh)
work=$(mktemp -d "${target%/*}/building.XXXXXX")
trap 'umount -l "$work/root/proc" "$work/root/sys" 2>/dev/null || true; rm -rf "$work"' EXIT
root=$work/root
say "making a Debian $suite with debootstrap from $mirror, once"
# The kernel's package requires an initrd, which is not used.
mkdir -p "$root"/etc/initramfs-tools/conf.d
echo 'MODULES=list' >"$root/etc/initramfs-tools/conf.d/guest"
names=$(IFS=,; echo "${packages[*]}")
script=/usr/share/debootstrap/scripts/$suite
[ -e "$script" ] || script=${script%/*}/sid # a suite that is younger than this debootstrap
debootstrap --variant=minbase --include="$names" "$suite" "$root" "$mirror" "$script" >"$work/log" 2>&1 ||
  { tail -qn 20 "$work/log" "$root/debootstrap/debootstrap.log" >&2 || true; die 'debootstrap failed'; }

echo guest >"$root/etc/hostname"
: >"$root/etc/fstab" # the initrd has already mounted the root
systemd-machine-id-setup --root="$root" >/dev/null 2>&1 || echo 0123456789abcdef0123456789abcdef >"$root/etc/machine-id"
# Registry names must not be looked up, because there is no network.
printf '127.0.0.1 localhost guest registry.k8s.io k8s.gcr.io gcr.io\n::1 localhost\n' >"$root/etc/hosts"
echo 'nameserver 127.0.0.1' >"$root/etc/resolv.conf"
# The guest needs no logins, no timers, and no udev work for the links of pods. The Engine
# starts when the network is there.
for unit in getty@tty1.service serial-getty@ttyS0.service getty.target {apt-daily,apt-daily-upgrade,dpkg-db-backup,e2scrub_all,fstrim,systemd-tmpfiles-clean}.timer \
  e2scrub_reap.service proc-sys-fs-binfmt_misc.automount \
  systemd-{binfmt,journal-flush,logind,machine-id-commit,pstore,random-seed,udev-trigger,udevd,update-utmp,update-utmp-runlevel,user-sessions}.service \
  systemd-udevd-{control,kernel}.socket; do
  ln -sf /dev/null "$root/etc/systemd/system/$unit"
done
# AppArmor would compile profiles of unused programs at each start. The Engine brings its own profile.
find "$root/etc/apparmor.d" -maxdepth 1 -type f -delete
rm -f "$root"/etc/systemd/system/*.wants/{docker,containerd}.service "$root"/etc/systemd/system/*.wants/docker.socket
cat >"$root/etc/systemd/system/guest.service" <<'S'
[Unit]
Description=What the host has put on the second disk
SuccessAction=poweroff-force
FailureAction=poweroff-force
[Service]
Type=oneshot
ExecStart=/bin/bash -c 'mkdir -p /dockbridge && mount LABEL=tree /dockbridge && exec bash /dockbridge/test/guest/inside.sh'
StandardOutput=tty
StandardError=tty
TTYPath=/dev/ttyS1
TimeoutStartSec=infinity
[Install]
WantedBy=multi-user.target
S
ln -s ../guest.service "$root/etc/systemd/system/multi-user.target.wants/guest.service"

rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/usr/share/{doc,man,locale,info} "$root"/boot/initrd*
mkdir "$work/built"
cp -L "$root/vmlinuz" "$work/built/"

# An initrd that only mounts the root file system. Debian's would first search for it with udev.
initrd=$work/initrd
mkdir -p "$initrd"/{bin,dev,proc,root,modules}
cp "$root/bin/busybox" "$initrd/bin/"
chroot "$root" ldd /bin/busybox | grep -o '/[^ ]*' | while read -r library; do install -D "$root$library" "$initrd$library"; done
for module in drivers/nvdimm/{libnvdimm,nd_btt,nd_pmem} drivers/acpi/nfit/nfit; do
  # Later suites compress the modules.
  cp "$root"/lib/modules/*/kernel/$module.ko "$initrd/modules/" 2>/dev/null ||
    xz -dc "$root"/lib/modules/*/kernel/$module.ko.xz >"$initrd/modules/${module##*/}.ko"
done
cat >"$initrd/init" <<'S'
#!/bin/busybox sh
busybox mount -t devtmpfs dev /dev
for module in libnvdimm nd_btt nd_pmem nfit; do busybox insmod /modules/$module.ko; done
# All three disks, in any order.
until [ -b /dev/pmem2 ]; do busybox sleep 0.1; done
for disk in /dev/pmem?; do
  busybox mount -t ext4 "$disk" /root 2>/dev/null || continue
  [ ! -d /root/etc/systemd ] || break
  busybox umount /root
done
busybox mount -o move /dev /root/dev
exec busybox switch_root /root /sbin/init
S
chmod 755 "$initrd/init"
(cd "$initrd" && find . | busybox cpio -o -H newc 2>/dev/null) >"$work/built/initrd"

mke2fs -q -t ext4 -L root -O ^has_journal -d "$root" "$work/built/root.img" 3G >>"$work/log" 2>&1 || { tail -5 "$work/log" >&2; die 'mke2fs failed'; }
mv "$work/built" "$target"
echo "$target"
