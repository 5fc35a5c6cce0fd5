#!/usr/bin/env bash
# This source file is part of Callbridge, calls for Matrix homeservers.
# Copyright 2026 the Callbridge authors.
# SPDX-License-Identifier: Apache-2.0
#

# Checks that every source file of ours begins with the four lines that this one has below its first.
#
#   Scripts/check-headers.sh
#
# Exit 1 with the names of the files that do not. Generated code, data and prose need no header.

set -euo pipefail
cd "$(dirname "$0")/.."

read -r -d '' header << 'HEADER' || true
This source file is part of Callbridge, calls for Matrix homeservers.
Copyright 2026 the Callbridge authors.
SPDX-License-Identifier: Apache-2.0
HEADER

# What the lines of a comment begin with, by the kind of file; tried in turn.
leaders_of() {
    case "$1" in
        *.swift | *.c | *.h | *.js | *.mjs | *.proto) echo "//" ;;
        *) echo "#" ;;
    esac
}

# Four lines of comment with the header, the last one empty, then an empty line or the end. A first line that the file's
# kind forces (`#!` of a script, the tools version of a manifest) may stand before them.
has_header() {
    local leader
    leader=$(leaders_of "$1")
    awk -v leader="$leader" -v header="$header" '
        BEGIN { count = split(header, wanted, "\n"); at = 0; good = 0 }
        NR == 1 && (/^#!/ || /^\/\/ swift-tools-version/) { next }
        {
            at++
            if (at <= count) { if ($0 != leader " " wanted[at]) exit; next }
            if (at == count + 1) { if ($0 != leader) exit; good = 1; next }
            if ($0 != "") good = 0
            exit
        }
        END { exit !good }
    ' "$1"
}

checked=0
missing=0
while IFS= read -r -d '' file; do
    checked=$((checked + 1))
    if ! has_header "$file"; then
        echo "$file: the header is missing or differs" >&2
        missing=$((missing + 1))
    fi
done < <(
    find . \( -path './.build' -o -path './.git' -o -name Generated -o -name node_modules \) -prune -o -type f \
        \( -name '*.swift' -o -name '*.c' -o -name '*.h' -o -name '*.sh' -o -name '*.py' \
        -o -name '*.js' -o -name '*.mjs' -o -name '*.proto' -o -path './.ci/*' \) -print0 | sort -z)

if [ "$missing" -gt 0 ]; then
    echo "check-headers: $missing of $checked files" >&2
    exit 1
fi
echo "check-headers: $checked files"
