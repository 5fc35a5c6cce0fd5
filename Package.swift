// swift-tools-version: 6.2
// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import PackageDescription

let settings: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
]

// Without MemberImportVisibility: in whole-module builds the compiler takes the fields of the system's socket types for
// those of whatever C module it saw first, and then asks for an import of that.
let socketSettings = Array(settings.dropLast())

let package = Package(
    name: "callbridge",
    products: [
        .executable(name: "callbridge", targets: ["MatrixBridge"])
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-protobuf", from: "1.39.0"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    ],
    targets: [
        // MARK: The product

        .executableTarget(
            name: "MatrixBridge",
            dependencies: [
                "CallEvents", "CCurl", "COpenSSLShims", "CPostgreSQL", "CResolv", "CSQLite", "FocusSFU", "OlmE2EE",
                "TURNCreds",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOConcurrencyHelpers", package: "swift-nio"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
                .product(name: "Yams", package: "Yams"),
            ],
            resources: [.embedInCode("TestCallPage")],
            swiftSettings: settings
        ),
        .target(
            name: "FocusSFU",
            dependencies: [
                "CDatagramIO", "COpenSSLShims", "CUsrSCTP", "CZlib",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOConcurrencyHelpers", package: "swift-nio"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOWebSocket", package: "swift-nio"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "SwiftProtobuf", package: "swift-protobuf"),
            ],
            swiftSettings: socketSettings
        ),
        .target(name: "CallEvents", swiftSettings: settings),
        .target(name: "OlmE2EE", dependencies: ["CallEvents", "COlm", "COpenSSLShims"], swiftSettings: settings),
        .target(name: "TURNCreds", dependencies: ["COpenSSLShims"], swiftSettings: settings),

        // MARK: C at the edge

        .target(name: "CDatagramIO"),
        .target(name: "COpenSSLShims"),
        .target(name: "CUsrSCTP"),
        .systemLibrary(name: "CCurl", pkgConfig: "libcurl", providers: [.apt(["libcurl4-openssl-dev"])]),
        .systemLibrary(name: "COlm", pkgConfig: "olm", providers: [.apt(["libolm-dev"])]),
        .systemLibrary(name: "CPostgreSQL", pkgConfig: "libpq", providers: [.apt(["libpq-dev"])]),
        .systemLibrary(name: "CResolv"),
        .systemLibrary(name: "CSQLite", pkgConfig: "sqlite3", providers: [.apt(["libsqlite3-dev"])]),
        .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),

        // MARK: Tests

        .systemLibrary(
            name: "CSRTP", path: "Tests/CSRTP", pkgConfig: "libsrtp2", providers: [.apt(["libsrtp2-dev"])]),
        .testTarget(name: "CallEventsTests", dependencies: ["CallEvents"], swiftSettings: settings),
        .testTarget(
            name: "FocusSFUTests",
            dependencies: [
                "CDatagramIO", "COpenSSLShims", "CSRTP", "FocusSFU",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOConcurrencyHelpers", package: "swift-nio"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOWebSocket", package: "swift-nio"),
                .product(name: "ServiceLifecycleTestKit", package: "swift-service-lifecycle"),
                .product(name: "SwiftProtobuf", package: "swift-protobuf"),
            ],
            swiftSettings: settings
        ),
        .testTarget(
            name: "MatrixBridgeTests",
            dependencies: [
                "CallEvents", "FocusSFU", "MatrixBridge", "OlmE2EE", "TURNCreds",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOConcurrencyHelpers", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ],
            swiftSettings: settings
        ),
        .testTarget(
            name: "OlmE2EETests", dependencies: ["CallEvents", "COpenSSLShims", "OlmE2EE"], swiftSettings: settings),
        .testTarget(name: "TURNCredsTests", dependencies: ["TURNCreds"], swiftSettings: settings),
    ],
    swiftLanguageModes: [.v6]
)

// What Scripts/fuzz.sh builds. Not for an ordinary build: libFuzzer brings the entry point.
if Context.environment["CALLBRIDGE_FUZZ"] == "1" {
    package.targets.append(.target(name: "FuzzInput", path: "Fuzz/FuzzInput", swiftSettings: settings))
    package.targets.append(
        .executableTarget(
            name: "FuzzTURN", dependencies: ["FuzzInput", "TURNCreds"], path: "Fuzz/TURN", swiftSettings: settings))
    for parser in [
        "AccessToken", "DCEP", "DTLS", "HTTP", "ICE", "JoinRequest", "RTCP", "RTP", "RoomEvent", "SCTP", "SDP", "SRTP",
        "Signal", "WebSocket",
    ] {
        package.targets.append(
            .executableTarget(
                name: "Fuzz\(parser)",
                dependencies: [
                    "CallEvents", "FocusSFU", "FuzzInput",
                    .product(name: "NIOCore", package: "swift-nio"),
                    .product(name: "NIOEmbedded", package: "swift-nio"),
                    .product(name: "NIOHTTP1", package: "swift-nio"),
                    .product(name: "NIOWebSocket", package: "swift-nio"),
                    .product(name: "SwiftProtobuf", package: "swift-protobuf"),
                ],
                path: "Fuzz/\(parser)",
                swiftSettings: settings
            ))
    }
}

// What the costs of the packet path are measured with; see Benchmarks/Sources/hotpath/HotPath.swift.
if Context.environment["CALLBRIDGE_BENCHMARKS"] == "1" {
    package.targets += [
        .target(name: "CAllocationCount", path: "Benchmarks/Sources/CAllocationCount"),
        .target(name: "CHotLoop", path: "Benchmarks/Sources/CHotLoop", linkerSettings: [.linkedLibrary("crypto")]),
        .executableTarget(
            name: "hotpath",
            dependencies: ["CAllocationCount", "CDatagramIO", "CHotLoop", "FocusSFU"],
            path: "Benchmarks/Sources/hotpath",
            swiftSettings: socketSettings
        ),
        .executableTarget(
            name: "turncreds",
            dependencies: ["TURNCreds"],
            path: "Benchmarks/Sources/turncreds",
            swiftSettings: settings
        ),
    ]
}
