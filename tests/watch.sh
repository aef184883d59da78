#!/usr/bin/env bash
# Runs tests, and ends them when they hang: `tests/watch.sh COMMAND...`. Each wait in a test has its own limit; this is the
# net below them. libtest tells which tests have been running for a minute. If one of them goes on for FLOCKD_TEST_LIMIT_S
# seconds more, or if nothing at all is printed for as long, this says which tests those are and what their processes wait
# for, ends everything, and exits with 1. Otherwise the output and the exit status are those of the command.
set -euo pipefail
limit=${FLOCKD_TEST_LIMIT_S:-1200}

# The command gets a process group of its own, by which it can be ended.
pipes=$(mktemp -d)
mkfifo "$pipes/out"
set -m
"$@" </dev/null >"$pipes/out" &
set +m
command=$!
exec {out}<"$pipes/out"
rm -r "$pipes"

# Its process, and all that they started.
processes() {
    ps -e -o pid= -o ppid= | awk -v root="$command" '
        { parent[$1] = $2 }
        END {
            for (pid in parent) {
                for (at = pid; at != root && at in parent; at = parent[at]);
                if (at == root) print pid
            }
        }'
}

# Some processes leave the group, such as browsers.
end() {
    local all
    all=$(processes)
    # shellcheck disable=SC2086
    kill -TERM -- "-$command" $all 2>/dev/null || true
    for _ in {1..100}; do
        # shellcheck disable=SC2086
        kill -0 -- "-$command" $all 2>/dev/null || return 0
        sleep 0.1
    done
    # shellcheck disable=SC2086
    kill -KILL -- "-$command" $all 2>/dev/null || true
}
trap 'end; exit 130' INT
trap 'end; exit 143' TERM HUP

declare -A late=() # When each test that was announced has to be done.

report() {
    local all
    all=$(processes | paste -sd,)
    echo "tests/watch.sh: $1"
    if [ ${#late[@]} -gt 0 ]; then
        echo "tests that have been running for more than a minute:"
        printf '    %s\n' "${!late[@]}" | sort
    fi
    [ -n "$all" ] || return 0
    echo "processes:"
    ps -ww --forest -o pid,ppid,stat,wchan:20,etime,args -p "$all" | cut -c -300
    echo "threads:"
    ps -L -o pid,lwp,stat,wchan:20,comm -p "$all"
}

hangs() {
    [ -z "$part" ] || printf '%s\n' "$part"
    report "$1" >&2 || true
    end
    exit 1
}

# What a line says of the tests. With one test at a time, libtest writes the beginning of its line before it runs.
note() {
    local name
    if [[ $1 =~ test\ (.+)\ has\ been\ running\ for\ over\ [0-9]+\ seconds ]]; then
        name=${BASH_REMATCH[1]##* ... test }
        late[$name]=$((SECONDS + limit))
    elif [[ $1 =~ test\ (.+)\ \.\.\.\ (ok|FAILED|ignored) ]]; then
        name=${BASH_REMATCH[1]}
        unset "late[${name% - should panic}]"
    elif [[ $1 == 'test result: '* ]] || { [ ${#late[@]} = 1 ] && [[ $1 =~ ^(ok|FAILED) ]]; }; then
        late=()
    fi
}

part='' gone='' silent=$((SECONDS + limit))
while :; do
    for name in "${!late[@]}"; do
        ((SECONDS < late[$name])) || hangs "a test has not ended for $limit s after it was announced as slow"
    done
    ((SECONDS < silent)) || hangs "nothing was printed for $limit s"
    status=0
    IFS= read -r -t 1 line <&"$out" || status=$?
    part+=$line
    if [ $status = 0 ]; then
        printf '%s\n' "$part"
        note "$part"
        part='' silent=$((SECONDS + limit))
    elif [ $status -le 128 ] || [ -n "$gone" ]; then
        break
    else
        [ -z "$line" ] || silent=$((SECONDS + limit))
        # What it leaves behind may hold the pipe open. What it has written is read first.
        kill -0 "$command" 2>/dev/null || gone=yes
    fi
done
printf '%s' "$part"
wait "$command"
