#!/usr/bin/env bash
# This source file is part of Callbridge, calls for Matrix homeservers.
# Copyright 2026 the Callbridge authors.
# SPDX-License-Identifier: Apache-2.0
#

# Builds and runs the benchmark of the packet path: Benchmarks/Sources/hotpath. Exit 1 when a threshold is missed,
# 2 when it cannot be built.

set -euo pipefail
cd "$(dirname "$0")/.."

CALLBRIDGE_BENCHMARKS=1 swift build -c release --scratch-path .build/benchmarks --product hotpath \
    -Xswiftc -enable-testing || exit 2
exec .build/benchmarks/release/hotpath
