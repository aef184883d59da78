#!/bin/sh
# Gathers what a container needs to run flockd, and nothing else: `gather.sh BINARY FOLDER [LICENSE...]`
# That is the binary, the system libraries that it is linked with, the libraries with which glibc resolves names, an empty
# folder for the flock, and the licenses. Certificates and time zones are in the binary.
set -eu
binary=$1 root=$2
shift 2

mkdir -p "$root/usr/bin" "$root/flock" "$root/tmp" "$root/etc"
cp "$binary" "$root/usr/bin/flockd"
for license in "$@"; do
    install -D -m 644 -t "$root/usr/share/doc/flockd" "$license"
done
# Each library keeps its path, because the binary and its loader look for it there.
{
    ldd "$binary" | grep -o '/[^ ]*'
    for name in libnss_files.so.2 libnss_dns.so.2 libresolv.so.2; do
        ldconfig -p | sed -n "s/.*x86-64.*=> //;s/.*AArch64.*=> //;/\/$name\$/p" | head -n 1
    done
} | sort -u | while read -r library; do
    mkdir -p "$root$(dirname "$library")"
    cp -L "$library" "$root$library"
done
# Resolve names from the container's /etc/hosts first.
echo 'hosts: files dns' >"$root/etc/nsswitch.conf"
echo 'flockd:x:10001:10001::/flock:/nowhere' >"$root/etc/passwd"
echo 'flockd:x:10001:' >"$root/etc/group"
chmod 1777 "$root/tmp"
chown 10001:10001 "$root/flock"
