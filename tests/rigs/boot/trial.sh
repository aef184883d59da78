# The life of the Debian package on a machine with systemd. Runs in the copy that boot.sh makes; each step ends with what is
# looked at from outside, under a heading.
cd /trial
export DEBIAN_FRONTEND=noninteractive
flockd() { runuser -u flockd -- flockd --config /etc/flockd/flock.toml "$@"; }
# Waits are far longer than anything takes, also on a busy machine.
says() { timeout 300 sh -c "journalctl --unit flockd --output cat --follow --lines all | grep --max-count=1 -- '$1'"; }
# What is said from a moment on, which `mark` names.
mark() { cursor=$(journalctl --unit flockd --lines 0 --show-cursor | sed -n 's/^-- cursor: //p'); }
says_next() {
    timeout 300 sh -c "journalctl --unit flockd --output cat --follow --after-cursor '$cursor' | grep --max-count=1 -- '$1'"
}
# Waits until the manager shows this of the service: it may hear of it later than the journal.
until_shows() {
    timeout 300 sh -c "until systemctl show flockd --property '$1' | grep --quiet -- '$2'; do sleep 0.1; done"
}
shows() { systemctl show flockd --property "$1" | sort; }
step() { echo "== $1"; }
drop_in() {
    mkdir -p /etc/systemd/system/flockd.service.d
    printf '[Service]\n%s\n' "$1" >/etc/systemd/system/flockd.service.d/trial.conf
    systemctl daemon-reload
}

step installed
dpkg --install old.deb
until_shows StatusText '1 bot'
shows Type,ActiveState,SubState,UnitFileState,StatusText,User,WatchdogUSec
until_shows WatchdogTimestamp '=.' && echo "the watchdog was fed"
stat --format '%n %a %U:%G' /etc/flockd/secrets /var/lib/flockd /var/lib/flockd/flock.db

step posting
cat >>/etc/flockd/flock.toml <<'FLOCK'
[bots.often]
network = "feed"
poem = "poems/harbour.txt"
schedule = "* * * * * *"
FLOCK
says 'reloaded: came often'
says 'posted:' >/dev/null && echo posted
systemctl reload flockd && echo "reload: $?"
flockd status
flockd health

step "a broken configuration"
cp /etc/flockd/flock.toml good
echo nonsense >>/etc/flockd/flock.toml
says 'not reloaded'
systemctl is-active flockd
journalctl --unit flockd --priority warning --output cat | sed 's/^/grave: /'
systemctl restart flockd
shows ActiveState,Result,ExecMainStatus
cp good /etc/flockd/flock.toml
systemctl start flockd && systemctl is-active flockd

step killed
drop_in RestartSec=100ms
before=$(systemctl show flockd --property MainPID --value)
mark
systemctl kill --signal=KILL flockd
says_next 'the flock is up'
until_shows ActiveState =active
[ "$(systemctl show flockd --property MainPID --value)" != "$before" ] && shows NRestarts,ActiveState

step stuck
drop_in 'RestartSec=100ms
WatchdogSec=5'
systemctl restart flockd
mark
systemctl kill --signal=STOP flockd
says_next 'Watchdog timeout'
says_next 'the flock is up'
until_shows ActiveState =active
shows ActiveState

step upgraded
rm -r /etc/systemd/system/flockd.service.d
before=$(systemctl show flockd --property MainPID --value)
dpkg --install new.deb
dpkg-query --show flockd
[ "$(systemctl show flockd --property MainPID --value)" != "$before" ] && shows ActiveState
grep --count often /etc/flockd/flock.toml

step stopped
mark
systemctl stop flockd
shows ActiveState,Result
says_next 'stopped; everything is recorded'

step removed
systemctl start flockd
dpkg --remove flockd
systemctl is-active flockd
ls /usr/bin/flockd
ls /etc/flockd /var/lib/flockd

step purged
dpkg --purge flockd
ls /etc/flockd
ls /var/lib/flockd/flock.db
step end
