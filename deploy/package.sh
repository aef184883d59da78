#!/bin/sh
# Builds the Debian package in target/debian: `deploy/package.sh [ARGUMENTS OF CARGO-DEB]`
# It needs cargo-deb, cargo-about and cargo-auditable. To install them:
#   PATH=$(deploy/tools.sh ~/.cache/flockd-tools cargo-deb cargo-about cargo-auditable):$PATH
# Cargo.toml lists the contents of the package, under `package.metadata.deb`. Manual pages and completions come from the
# program itself. PROFILE=dev packages the program that the tests have built.
set -eu
cd "$(dirname "$0")/.."
profile=${PROFILE:-release}
case $profile in
    dev) folder=debug ;;
    *) folder=$profile ;;
esac
# The binary contains the list of its libraries, so that `cargo audit bin flockd` can report known vulnerabilities.
[ "$profile" = dev ] || cargo auditable build --locked --profile "$profile"
target=${CARGO_TARGET_DIR:-target}
flockd=$target/$folder/flockd

made=target/package
rm -rf "$made"
mkdir -p "$made/completions" "$made/man"
"$flockd" man --to "$made/man"
for shell in bash zsh fish; do
    "$flockd" completions "$shell" >"$made/completions/$shell"
done
cargo about generate --locked --output-file "$made/third-party-licenses.txt" deploy/licenses.hbs
exec cargo deb --no-build --locked --profile "$profile" "$@"
