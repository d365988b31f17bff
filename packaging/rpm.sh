#!/bin/bash
# Builds an RPM, with the same bytes each time from the same commit. Needs dist/ (make build).
#
#   rpm.sh ARCH DIRECTORY   amd64 or arm64: dockbridge-VERSION-1.{x86_64,aarch64}.rpm; all: dockbridge-cri-dockerd-VERSION-1.noarch.rpm
#
# SOURCE_DATE_EPOCH: the time of all files; default: the commit's. PAYLOAD: rpm's compression; default: w9.gzdio.
# TREE: a directory that tree.sh has already filled.
set -euo pipefail
here=$(cd "${BASH_SOURCE[0]%/*}" && pwd)
root=${here%/*}

arch=${1:?usage: rpm.sh ARCH DIRECTORY} out=${2:?usage: rpm.sh ARCH DIRECTORY}
: "${SOURCE_DATE_EPOCH:=$(git -C "$root" log -1 --format=%ct)}"
export SOURCE_DATE_EPOCH
umask 022

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tree=$work/tree
case $arch in
  all) name=dockbridge-cri-dockerd target=noarch ;;
  amd64) name=dockbridge target=x86_64 ;;
  arm64) name=dockbridge target=aarch64 ;;
  *) echo "rpm: no package is made for '$arch'" >&2; exit 1 ;;
esac
if [ "$arch" = all ]; then
  bash "$here/cri-dockerd/tree.sh" "$tree"
elif [ -n "${TREE:-}" ]; then
  cp -a "$TREE" "$tree"
else
  bash "$here/tree.sh" "$arch" "$tree"
fi
# On systems with RPM, /lib is a link to /usr/lib.
install -d "$tree/usr/lib/systemd"
mv "$tree/lib/systemd/system" "$tree/usr/lib/systemd/system"
rm -r "${tree:?}/lib"
[ ! -d "$tree/usr/share/zsh" ] || mv "$tree/usr/share/zsh/vendor-completions" "$tree/usr/share/zsh/site-functions"
install -D -m 644 "$root/LICENSE" "$tree/usr/share/licenses/$name/LICENSE"
find "$tree" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +

version=$(node -p 'require(process.argv[1]).version' "$root/package.json")
# Lists all files, and the directories that only this package has. Directories of the system do not belong to the package.
(cd "$tree" && find . \( -type f -o -type d \( -path ./usr/lib/dockbridge -o -path './usr/lib/dockbridge/*' -o -path ./usr/share/doc/dockbridge -o -path './usr/share/doc/dockbridge/*' -o -path './etc/dockbridge*' -o -path "./usr/share/licenses/$name" \) \) \
  -printf '%y /%P\n' | LC_ALL=C sort | sed -e 's/^d /%dir /' -e 's|^f \(/etc/.*\)|%config(noreplace) \1|' -e 's|^f \(/usr/share/licenses/.*\)|%license \1|' -e 's/^f //') >"$work/files"
mkdir -p "$work/build"
rpmbuild --quiet -bb --target "$target-linux" --buildroot "$work/build/root" \
  --define "_topdir $work/build" --define "_rpmdir $work/rpms" --define "_rpmfilename %%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm" \
  --define "_version $version" --define "_tree $tree" --define "_files $work/files" \
  --define "_binary_payload ${PAYLOAD:-w9.gzdio}" --define '_buildhost dockbridge' --define 'use_source_date_epoch_as_buildtime 1' \
  --define 'clamp_mtime_to_source_date_epoch 1' --define '_build_id_links none' --define '__os_install_post %{nil}' \
  "$here/rpm/$name.spec" >"$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }
mkdir -p "$out"
package=$name-$version-1.$target.rpm
mv "$work/rpms/$package" "$out"
echo "rpm: $out/$package is ready"
