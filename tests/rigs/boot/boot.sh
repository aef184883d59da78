#!/bin/bash
# Boots a throw-away copy of this machine under a systemd of its own, and runs a script in it: `boot.sh FOLDER`, in a mount
# namespace of one's own (`unshare -m`). FOLDER has what is needed in /trial there, trial.sh among it; what that says is
# FOLDER/said afterwards. The copy lies over this machine's files, so nothing of what happens in it stays.
set -euo pipefail
folder=$1
mkdir "$folder/layers"
mount -t tmpfs tmpfs "$folder/layers"
cd "$folder/layers"
mkdir upper work root
mount -t overlay overlay -o lowerdir=/,upperdir=upper,workdir=work root
# A systemd wants cgroups of version 2, and nothing else in their place.
mount -t cgroup2 none /sys/fs/cgroup
mkdir root/trial
cp "$folder"/*.deb "$folder/trial.sh" root/trial
# Neither what is enabled here nor what keeps packages from starting services is part of the trial.
rm -f root/usr/sbin/policy-rc.d root/etc/machine-id
find root/etc/systemd/system/*.target.wants -type l -delete 2>/dev/null || true
mkdir -p root/etc/systemd/system/multi-user.target.wants
# There is no network, and nobody has to wait for one.
for waits in systemd-networkd-wait-online NetworkManager-wait-online ifupdown-wait-online; do
    ln -sf /dev/null "root/etc/systemd/system/$waits.service"
done
# Whatever a unit's processes write is appended: each opens the file anew, and one that begins at its start writes over what the
# others have said. `systemctl poweroff` does, where logind is not up yet.
cat >root/etc/systemd/system/trial.service <<'UNIT'
[Unit]
After=basic.target
[Service]
Type=oneshot
ExecStart=/bin/bash /trial/trial.sh
StandardOutput=append:/trial/said
StandardError=append:/trial/said
TimeoutStartSec=1200
ExecStopPost=/bin/sh -c 'exec systemctl poweroff --no-block >/dev/null 2>&1'
UNIT
ln -s ../trial.service root/etc/systemd/system/multi-user.target.wants/trial.service
ended=0
timeout --kill-after=60 1500 systemd-nspawn --quiet --register=no --keep-unit --private-network --console=pipe \
    --directory=root --boot </dev/null >"$folder/console" 2>&1 || ended=$?
[ ! -e root/trial/said ] || cp root/trial/said "$folder/said"
# The statuses of `timeout` when it had to end it, or to kill it: it was booted, and did not come to its end.
case $ended in 124 | 137) touch "$folder/hung" ;; esac
