#!/usr/bin/env bash
# This source file is part of Callbridge, calls for Matrix homeservers.
# Copyright 2026 the Callbridge authors.
# SPDX-License-Identifier: Apache-2.0
#

# Installs what is missing, builds Callbridge, and makes a real encrypted call between two users of a local homeserver.
#
#   Scripts/first-call.sh           stays up with the addresses printed, until Ctrl-C
#   Scripts/first-call.sh --once    ends after the call; status 0 when every step passed

set -euo pipefail
cd "$(dirname "$0")/.."

testbed=${CALLBRIDGE_TESTBED:-$PWD/.build/testbed}

Scripts/install-dependencies.sh build call
if [ -z "${CALLBRIDGE_BINARY:-}" ]; then
    echo "Building Callbridge (the first time takes some minutes)"
    swift build -c release --static-swift-stdlib --product callbridge
    export CALLBRIDGE_BINARY=$PWD/.build/release/callbridge
fi
echo
export CALLBRIDGE_TESTBED=$testbed PYTHONPATH=$PWD/Tests
exec "$testbed/clients/bin/python" -m TestBed.first_call "$@"
