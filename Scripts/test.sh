#!/usr/bin/env bash
# This source file is part of Callbridge, calls for Matrix homeservers.
# Copyright 2026 the Callbridge authors.
# SPDX-License-Identifier: Apache-2.0
#

# Runs all tests.
#
#   Scripts/test.sh [part ...]     the parts, in this order; without a word: all of them
#
#   generated    the generated protobuf code is the one of Protos
#   unit         the unit tests, built without a warning
#   acceptance   the release build with a real homeserver and real clients, and the first call
#   thread       the unit tests under the thread sanitizer
#   address      the unit tests under the address sanitizer
#   fuzz         every parser fuzzer for a minute
#
# The five minutes of the long call are CALLBRIDGE_CALL_SECONDS. Logs are in .build/test-logs.

set -uo pipefail
cd "$(dirname "$0")/.."

testbed=${CALLBRIDGE_TESTBED:-$PWD/.build/testbed}
logs=$PWD/.build/test-logs
all=(generated unit acceptance thread address fuzz)
parts=("$@")
[ ${#parts[@]} -gt 0 ] || parts=("${all[@]}")
for part in "${parts[@]}"; do
    if [[ " ${all[*]} " != *" $part "* ]]; then
        echo "usage: Scripts/test.sh [${all[*]}]" >&2
        exit 2
    fi
done
mkdir -p "$logs"
Scripts/install-dependencies.sh || exit 1

# logged NAME COMMAND...: shows the output and keeps it.
logged() {
    local name=$1
    shift
    "$@" 2>&1 | tee "$logs/$name.log"
}

# built NAME OPTION...: builds the tests and what they test; the log is NAME. The test product by name: a build of
# everything would compile the dependencies' code generators as well.
built() {
    local name=$1
    shift
    logged "$name" swift build "$@" --product callbridgePackageTests || return 1
    # Dependencies are built without their warnings, so that every warning is ours.
    if grep -E "^$PWD/(Sources|Tests|Benchmarks|Fuzz)/.*: warning:" "$logs/$name.log"; then
        echo "error: the build has warnings — see above — correct the places named" >&2
        return 1
    fi
}

run_generated() {
    Scripts/generate-protobuf.sh --check || {
        echo "error: the generated code differs — Sources/FocusSFU/Generated — run Scripts/generate-protobuf.sh" >&2
        return 1
    }
}

# One after the other: tests that wait for sockets must not wait for the processor as well. A hanging one must not hold
# up everything else.
run_unit() { built unit-build && logged unit timeout 900 swift test --skip-build --no-parallel; }

run_acceptance() {
    logged release swift build -c release --static-swift-stdlib --product callbridge || return 1
    export CALLBRIDGE_BINARY=$PWD/.build/release/callbridge CALLBRIDGE_TESTBED=$testbed
    local status=0
    logged first-call Scripts/first-call.sh --once || status=1
    if ! logged acceptance "$testbed/clients/bin/python" -m pytest Tests/Acceptance; then
        # Encoders, a browser and a homeserver share the machine's cores: what fails once is tried again alone, and
        # named.
        echo "-- the failed ones once more"
        logged acceptance-again "$testbed/clients/bin/python" -m pytest Tests/Acceptance --last-failed || status=1
    fi
    return $status
}

# sanitized NAME: the unit tests built with that sanitizer, in a build folder of its own.
sanitized() {
    local options=(--sanitize="$1" --scratch-path ".build/$1")
    built "$1-build" "${options[@]}" || return 1
    LSAN_OPTIONS=suppressions=$PWD/Tests/Sanitizers/leaks.txt \
        TSAN_OPTIONS=suppressions=$PWD/Tests/Sanitizers/races.txt \
        logged "$1" timeout 1800 swift test "${options[@]}" --skip-build --no-parallel
}

run_thread() { sanitized thread; }

run_address() { sanitized address; }

run_fuzz() { logged fuzz Scripts/fuzz.sh --seconds 60; }

results=()
failed=0
for part in "${parts[@]}"; do
    echo
    echo "== $part"
    began=$SECONDS
    if "run_$part"; then result=passed; else
        result=FAILED
        failed=1
    fi
    results+=("$(printf '%-12s %-7s %4d s' "$part" "$result" $((SECONDS - began)))")
done

echo
echo "== summary"
printf '%s\n' "${results[@]}"
for log in unit thread address acceptance; do
    [[ " ${parts[*]} " == *" $log "* ]] || continue
    # The tools' own last words: "Test run with N tests passed", "N passed, N failed in …".
    line=$(grep -E '(Test run with [0-9]+ test|=+ .*[0-9]+ (passed|failed|error))' "$logs/$log.log" 2> /dev/null |
        tail -n 1)
    [ -z "$line" ] || printf '%-12s %s\n' "$log" "$line"
done
exit $failed
