#!/usr/bin/env bash
# This source file is part of Callbridge, calls for Matrix homeservers.
# Copyright 2026 the Callbridge authors.
# SPDX-License-Identifier: Apache-2.0
#

# Brings the Swift sources into the form of .swift-format; generated code is left alone.
#
#   Scripts/format.sh            change the files; what only a person can mend is printed
#   Scripts/format.sh --check    change nothing; print the findings and exit 1 when there are any

set -euo pipefail
cd "$(dirname "$0")/.."

check=no
case "${1:-}" in
    "") ;;
    --check) check=yes ;;
    *)
        echo "usage: Scripts/format.sh [--check]" >&2
        exit 2
        ;;
esac

mapfile -d '' -t files < <(
    find Package.swift Sources Tests Fuzz Benchmarks -name '*.swift' ! -path '*/Generated/*' -print0 | sort -z)

if [ "$check" = no ]; then
    swift format format --in-place --parallel --configuration .swift-format "${files[@]}"
fi
if swift format lint --strict --parallel --configuration .swift-format "${files[@]}"; then
    echo "format: ${#files[@]} files, no findings"
else
    echo "format: see the findings above; Scripts/format.sh mends most of them" >&2
    exit 1
fi
