#!/usr/bin/env bash
# This source file is part of Callbridge, calls for Matrix homeservers.
# Copyright 2026 the Callbridge authors.
# SPDX-License-Identifier: Apache-2.0
#

# Builds the parser fuzzers of Fuzz with the address sanitizer and runs each for a while, two at a time.
#
#   Scripts/fuzz.sh [--seconds 60] [--jobs 2] [fuzzer …]
#
# A fuzzer is the name of a folder in Fuzz, such as SDP; none means all. Exit 1 when one found something: the input that
# does it stays in .build/fuzz/found, and the line to repeat it with is printed. What was learned is kept in
# .build/fuzz/corpus and used again; the seeds in Fuzz/Corpus are only read.

set -euo pipefail
cd "$(dirname "$0")/.."

usage() {
    echo "usage: Scripts/fuzz.sh [--seconds 60] [--jobs 2] [fuzzer ...]" >&2
    echo "fuzzers: ${all[*]}" >&2
    exit 2
}

all=()
for folder in Fuzz/*/*Fuzzer.swift; do all+=("$(basename "$(dirname "$folder")")"); done

seconds=60
jobs=2
fuzzers=()
while [ $# -gt 0 ]; do
    case "$1" in
        --seconds | --jobs)
            [[ "${2:-}" =~ ^[1-9][0-9]*$ ]] || usage
            if [ "$1" = --seconds ]; then seconds=$2; else jobs=$2; fi
            shift 2
            ;;
        -*) usage ;;
        *)
            [ -f "Fuzz/$1/$1Fuzzer.swift" ] || usage
            fuzzers+=("$1")
            shift
            ;;
    esac
done
[ ${#fuzzers[@]} -gt 0 ] || fuzzers=("${all[@]}")

build=.build/fuzz
mkdir -p "$build/found" "$build/corpus" "$build/logs"

# Continuous integration tries the same inputs each time, so that a change is judged by what it changes; everybody
# else's runs try others.
seed=0
[ -z "${CI:-}" ] || seed=1

# A trap is libFuzzer's to report; Swift's own report of it confuses the address sanitizer.
export SWIFT_BACKTRACE=enable=no

# Optimised, or a minute would not be long; traps and preconditions stay in. Testable, so that the parsers which nobody
# outside the target calls are reached too. Both sanitizers are named once more in one option, as the compiler follows
# only the last of those the package manager makes, and would leave out the coverage.
for fuzzer in "${fuzzers[@]}"; do
    echo "fuzz: building $fuzzer"
    CALLBRIDGE_FUZZ=1 swift build --quiet -c release --scratch-path "$build" --product "Fuzz$fuzzer" \
        --sanitize fuzzer --sanitize address -Xswiftc -sanitize=fuzzer,address -Xswiftc -parse-as-library \
        -Xswiftc -enable-testing
done

# Prints nothing but its verdict; libFuzzer's own words go to a log.
run() {
    local fuzzer=$1 log=$build/logs/$1.log began=$SECONDS
    mkdir -p "$build/corpus/$fuzzer"
    # A found input of a former run must not be taken for one of this run.
    rm -f "$build/found/$fuzzer-"*
    if "$build/release/Fuzz$fuzzer" "$build/corpus/$fuzzer" "Fuzz/Corpus/$fuzzer" \
        -max_total_time="$seconds" -timeout=30 -rss_limit_mb=2048 -malloc_limit_mb=256 -max_len=16384 \
        -seed="$seed" -use_value_profile=1 -print_final_stats=1 -artifact_prefix="$build/found/$fuzzer-" > "$log" 2>&1; then
        printf 'ok    %-12s %9s inputs, %5s features kept, %s s\n' "$fuzzer" \
            "$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")" \
            "$(sed -n 's/.* ft: \([0-9]*\) .*/\1/p' "$log" | tail -1)" "$((SECONDS - began))"
        return 0
    fi
    printf 'FOUND %-12s see %s\n' "$fuzzer" "$log"
    grep -m 5 -E 'ERROR: |Fatal error|SUMMARY: |libFuzzer: ' "$log" | sed 's/^/      /' || true
    local input
    for input in "$build/found/$fuzzer-"*; do
        [ -f "$input" ] && echo "      repeat with: $build/release/Fuzz$fuzzer $input"
    done
    return 1
}

failed=0
running=0
for fuzzer in "${fuzzers[@]}"; do
    if [ "$running" -ge "$jobs" ]; then
        wait -n || failed=1
        running=$((running - 1))
    fi
    run "$fuzzer" &
    running=$((running + 1))
done
while [ "$running" -gt 0 ]; do
    wait -n || failed=1
    running=$((running - 1))
done
exit "$failed"
