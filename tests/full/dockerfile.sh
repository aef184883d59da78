#!/bin/bash
# Builds the whole of deploy/Dockerfile, the stage that compiles included, as root with buildah. No image can be had from
# elsewhere, so that stage stands on this machine's own files and toolchain, which are only lent to it.
# It takes ten minutes on two cores.
set -euo pipefail
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
store=(--root "$work/root" --runroot "$work/run" --storage-driver=vfs)
trap 'buildah "${store[@]}" rm --all >/dev/null 2>&1 || true; rm -rf "$work"' EXIT

cargo=${CARGO_HOME:-$HOME/.cargo} rustup=${RUSTUP_HOME:-$HOME/.rustup}
cat >"$work/Base" <<BASE
FROM scratch
COPY links /
ENV PATH=$cargo/bin:/usr/sbin:/usr/bin CARGO_HOME=$cargo RUSTUP_HOME=$rustup HOME=/root
BASE
mkdir -p "$work/links"
for folder in bin sbin lib lib64; do
    ln -s "usr/$folder" "$work/links/$folder"
done
mkdir -p "$work/links"/{tmp,usr,etc,root,src}
buildah "${store[@]}" bud --quiet --file "$work/Base" --tag base "$work" >/dev/null
lent=()
for folder in /usr /etc; do
    lent+=(--volume "$folder:$folder:ro")
done
lent+=(--volume "$cargo:$cargo")
[ ! -d "$rustup" ] || lent+=(--volume "$rustup:$rustup:ro")

buildah "${store[@]}" bud --isolation chroot --format docker "${lent[@]}" --build-arg BUILD_IMAGE=localhost/base \
    --file deploy/Dockerfile --tag flockd .
container=$(buildah "${store[@]}" from flockd)
mounted=$(buildah "${store[@]}" mount "$container")
size=$(du --summarize --bytes "$mounted" | cut -f1)
[ "$size" -le 40000000 ] || { echo "the image has $size bytes, more than 40 MB" >&2; exit 1; }
chroot --userspec=10001:10001 "$mounted" /usr/bin/flockd --version
[ -s "$mounted/usr/share/doc/flockd/third-party-licenses.txt" ] || { echo "the image has no licenses" >&2; exit 1; }
readelf --section-headers --wide "$mounted/usr/bin/flockd" | grep -qF .dep-v0 || { echo "the program does not list its libraries" >&2; exit 1; }
echo "the image of the whole Dockerfile has $size bytes"
