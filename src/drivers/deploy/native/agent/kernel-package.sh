#!/bin/bash
# Fetches a Debian kernel package and unpacks it, without installing it. Prints the folder: boot/vmlinuz-VERSION, lib/modules/VERSION.
# Usage: kernel-package.sh cloud-amd64|amd64 CACHE-FOLDER
# KERNEL_PACKAGE=linux-image-... takes that very one instead of the newest.
set -euo pipefail
flavour=$1 cache=$2
# To the end of what apt says: who stops reading in the middle lets it die of SIGPIPE, which counts as a failure here.
first() { awk -v pattern="$1" '!found && $0 ~ pattern { print $2; found = 1 }'; }
package=${KERNEL_PACKAGE:-$(apt-cache depends "linux-image-$flavour" | first 'Depends: linux-image-[0-9]')}
[ -n "$package" ] || {
  echo "apt knows no linux-image-$flavour: run apt-get update on a Debian system" >&2
  exit 1
}
version=$(apt-cache show "$package" | first '^Version:')
root=$cache/${package}_${version//:/-}
if [ ! -e "$root/.complete" ]; then
  rm -rf "$root"
  mkdir -p "$root"
  # As root, apt downloads as its own user, who may not write here: that is a warning only.
  (cd "$root" && apt-get download -q "$package=$version" >/dev/null 2>"$root/download.log") || {
    cat "$root/download.log" >&2
    exit 1
  }
  dpkg-deb -x "$root"/*.deb "$root"
  rm -f "$root"/*.deb "$root/download.log"
  modules=("$root"/lib/modules/*)
  depmod -b "$root" "${modules[0]##*/}"
  touch "$root/.complete"
fi
echo "$root"
