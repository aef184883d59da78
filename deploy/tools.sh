#!/bin/sh
# Installs the tools of a release in a folder, each in the version that is known to work, and prints the folders of their
# programs in the form of PATH: PATH=$(deploy/tools.sh FOLDER TOOL...):$PATH
# A tool that is already there is not installed again.
set -eu
folder=$1
shift

# Tools are built in here, because cargo itself leaves the folder of a failed build behind.
builds=$(mktemp -d)
trap 'rm -rf "$builds"' EXIT
trap 'exit 1' HUP INT TERM

# These tools run for seconds, so building them without optimization saves minutes. Only recognizing licenses is slow.
quick() {
    CARGO_PROFILE_DEV_DEBUG=0 CARGO_INCREMENTAL=0 cargo install --debug "$@"
}

install() {
    case $1 in
        cargo-deb) version=3.8.0 build='cargo install --no-default-features' ;;
        cargo-deny) version=0.20.2 build=quick ;;
        cargo-about) version=0.9.3 build='quick --features cli --config profile.dev.package.spdx.opt-level=3' ;;
        cargo-auditable) version=0.7.7 build=quick ;;
        *) echo "deploy/tools.sh knows no $1" >&2; exit 2 ;;
    esac
    place=$folder/$1-$version
    [ ! -x "$place/bin/$1" ] || return 0
    CARGO_TARGET_DIR=$builds/$1 $build "$1" --version "$version" --locked --quiet --root "$place" >&2
    rm -rf "${builds:?}/$1"
}

path=
for tool in "$@"; do
    install "$tool"
    path=$path${path:+:}$place/bin
done
echo "$path"
