#!/usr/bin/env bash
# This source file is part of Callbridge, calls for Matrix homeservers.
# Copyright 2026 the Callbridge authors.
# SPDX-License-Identifier: Apache-2.0
#

# Installs what is missing on Debian 12; what is there already is left alone.
#
#   Scripts/install-dependencies.sh [build] [call] [tests]     without a word: all three
#
#   build   libraries to compile Callbridge
#   call    a homeserver and two clients: Synapse and the livekit SDK, from PyPI
#   tests   what the tests need beyond that: Chromium, pytest, libsrtp2, protoc, coturn, PostgreSQL, Redis
#
# Python packages go to virtual environments below CALLBRIDGE_TESTBED (default .build/testbed), Debian's packages to the
# system: that needs root or sudo, and only when something is missing. The Swift 6.3 toolchain is not installed here.

set -euo pipefail
cd "$(dirname "$0")/.."

testbed=${CALLBRIDGE_TESTBED:-$PWD/.build/testbed}
parts=("$@")
[ ${#parts[@]} -gt 0 ] || parts=(build call tests)

fail() {
    echo "error: $1 — $2 — $3" >&2
    exit 1
}

debian_packages() {
    case $1 in
        build)
            echo "libssl-dev libusrsctp-dev libsqlite3-dev libcurl4-openssl-dev libolm-dev libpq-dev zlib1g-dev"
            echo "pkg-config git ca-certificates"
            ;;
        call) echo "python3 python3-venv" ;;
        tests)
            echo "python3 python3-venv libsrtp2-dev protobuf-compiler libprotobuf-dev chromium fonts-dejavu-core"
            echo "coturn postgresql-15 redis-server sqlite3 faketime openssl nginx-light iproute2 nftables curl"
            ;;
        *) fail "there is no part '$1'" "command line" "the parts are build, call and tests" ;;
    esac
}

is_installed() {
    [ "$(dpkg-query --show --showformat='${db:Status-Status}' "$1" 2> /dev/null)" = installed ]
}

install_debian_packages() {
    local part package missing=() administrator=()
    for part in "${parts[@]}"; do
        for package in $(debian_packages "$part"); do
            is_installed "$package" || [[ " ${missing[*]-} " == *" $package "* ]] || missing+=("$package")
        done
    done
    if [ ${#missing[@]} -eq 0 ]; then
        echo "Debian packages: all there"
        return
    fi
    echo "Debian packages: ${missing[*]}"
    if [ "$(id -u)" != 0 ]; then
        sudo -n true 2> /dev/null || [ -t 0 ] && command -v sudo > /dev/null ||
            fail "packages are missing and this is not root" "Debian packages" \
                "run as root: apt-get install --no-install-recommends ${missing[*]}"
        administrator=(sudo)
    fi
    local log=$testbed/apt.log
    if ! { "${administrator[@]}" apt-get update && "${administrator[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get -o DPkg::Lock::Timeout=600 install -y --no-install-recommends "${missing[@]}"; } > "$log" 2>&1; then
        tail -n 15 "$log" >&2
        fail "apt-get did not install ${missing[*]}" "$log" \
            "is Debian's mirror reachable from here, and is there room on the disk?"
    fi
}

# python_environment NAME REQUIREMENT...
python_environment() {
    local name=$1 environment=$testbed/$1 log=$testbed/pip-$1.log
    shift
    local wanted="$*"
    if [ "$(cat "$environment/requirements" 2> /dev/null)" = "$wanted" ]; then
        echo "Python environment $name: all there"
        return
    fi
    echo "Python environment $name: $wanted"
    if ! { { [ -x "$environment/bin/python" ] || python3 -m venv "$environment"; } &&
        "$environment/bin/python" -m pip install --disable-pip-version-check --quiet "$@"; } > "$log" 2>&1; then
        tail -n 15 "$log" >&2
        fail "pip did not install $wanted" "$log" "is the Python package index reachable from here?"
    fi
    printf '%s' "$wanted" > "$environment/requirements"
}

has_part() { [[ " ${parts[*]} " == *" $1 "* ]]; }

check_swift() {
    local version
    version=$(swift --version 2> /dev/null | sed -n 's/.*Swift version \([0-9.]*\).*/\1/p' | head -n 1)
    [ -n "$version" ] ||
        fail "there is no Swift toolchain" "PATH" "install Swift 6.3, see https://www.swift.org/install/linux/"
    if [ "$(printf '%s\n6.3\n' "$version" | sort --version-sort | head -n 1)" != 6.3 ]; then
        fail "Swift $version is too old" "$(command -v swift)" \
            "install Swift 6.3, see https://www.swift.org/install/linux/"
    fi
    echo "Swift: $version"
}

mkdir -p "$testbed"
# Two installations at once would write the same environments.
exec 9> "$testbed/install.lock"
flock 9

for part in "${parts[@]}"; do debian_packages "$part" > /dev/null; done
install_debian_packages
if has_part build; then check_swift; fi
if has_part call || has_part tests; then
    python_environment synapse matrix-synapse==1.163.2 psycopg2-binary==2.9.13
    clients=(livekit==1.2.0 livekit-api==1.2.2 numpy)
    # One list for the environment: the second part adds to the first.
    if has_part tests || [ -e "$testbed/clients/with-tests" ]; then
        clients+=(playwright==1.65.2 pytest==9.0.3 PyYAML==6.0.3 vodozemac==0.10.0)
    fi
    python_environment clients "${clients[@]}"
    if has_part tests; then touch "$testbed/clients/with-tests"; fi
fi
