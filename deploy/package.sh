#!/bin/sh
# Makes the Debian package in target/debian: `deploy/package.sh [ARGUMENTS OF CARGO-DEB]`, with cargo-deb installed
# (`cargo install cargo-deb`). What is in it stands in Cargo.toml, under `package.metadata.deb`; manual pages and completions
# come from the program itself. PROFILE=dev takes the program that tests have built.
set -eu
cd "$(dirname "$0")/.."
profile=${PROFILE:-release}
case $profile in
    dev) folder=debug ;;
    *) folder=$profile ;;
esac
[ "$profile" = dev ] || cargo build --locked --profile "$profile"
target=${CARGO_TARGET_DIR:-target}
flockd=$target/$folder/flockd

made=target/package
rm -rf "$made"
mkdir -p "$made/completions" "$made/man"
"$flockd" man --to "$made/man"
for shell in bash zsh fish; do
    "$flockd" completions "$shell" >"$made/completions/$shell"
done
exec cargo deb --no-build --locked --profile "$profile" "$@"
