#!/usr/bin/env bash
# This source file is part of Callbridge, calls for Matrix homeservers.
# Copyright 2026 the Callbridge authors.
# SPDX-License-Identifier: Apache-2.0
#

# Writes Sources/FocusSFU/Generated from Protos.
#
#   Scripts/generate-protobuf.sh            write the files
#   Scripts/generate-protobuf.sh --check    compare only; exit 1 and show the differences
#
# Needs protoc and its types (Debian: protobuf-compiler, libprotobuf-dev) and a Swift toolchain; the Swift plugin is
# built once, from the swift-protobuf release below, into CALLBRIDGE_PROTOBUF_TOOLS (default .build/protobuf-tools).

set -euo pipefail
cd "$(dirname "$0")/.."

swift_protobuf=1.39.0
protos=Protos
output=Sources/FocusSFU/Generated
tools=${CALLBRIDGE_PROTOBUF_TOOLS:-.build/protobuf-tools}

for program in protoc swift; do
    if ! command -v "$program" > /dev/null; then
        echo "generate-protobuf: $program is missing" >&2
        [ "$program" = protoc ] && echo "generate-protobuf: on Debian, apt-get install protobuf-compiler libprotobuf-dev" >&2
        exit 2
    fi
done

check=no
case "${1:-}" in
    "") ;;
    --check) check=yes ;;
    *)
        echo "usage: Scripts/generate-protobuf.sh [--check]" >&2
        exit 2
        ;;
esac

plugin=$tools/protoc-gen-swift-$swift_protobuf
if [ ! -x "$plugin" ]; then
    mkdir -p "$tools/Sources/Anchor"
    cat > "$tools/Package.swift" << MANIFEST
// swift-tools-version: 6.2
import PackageDescription

let package = Package(
    name: "protobuf-tools",
    dependencies: [.package(url: "https://github.com/apple/swift-protobuf", exact: "$swift_protobuf")],
    targets: [
        .target(name: "Anchor", dependencies: [.product(name: "SwiftProtobuf", package: "swift-protobuf")])
    ]
)
MANIFEST
    echo "// Makes the package buildable." > "$tools/Sources/Anchor/Anchor.swift"
    swift build --package-path "$tools" -c release --product protoc-gen-swift >&2
    cp "$(swift build --package-path "$tools" -c release --show-bin-path)/protoc-gen-swift" "$plugin"
fi

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

protoc --proto_path="$protos" --plugin=protoc-gen-swift="$plugin" --swift_out="$scratch" \
    --swift_opt=Visibility=Package --swift_opt=FileNaming=DropPath --swift_opt=UseAccessLevelOnImports=true \
    "$protos"/*.proto

if [ "$check" = yes ]; then
    diff -ru "$output" "$scratch"
else
    mkdir -p "$output"
    rm -f "$output"/*.pb.swift
    cp "$scratch"/*.pb.swift "$output"/
fi
