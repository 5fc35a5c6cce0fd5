// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// Media transport: ports, advertised addresses, STUN servers, buffers.
package struct RTCConfiguration: Equatable, Sendable {
    /// The shortest times between two key frame requests for one layer.
    package struct KeyFrameThrottle: Equatable, Sendable {
        package var low: Duration
        package var middle: Duration
        package var high: Duration
    }

    /// The UDP port of the first media worker; each further worker has the next port.
    package var udpPort: Int
    package var workerCount: Int
    /// Addresses put into candidates; empty means those of the machine's interfaces.
    package var nodeAddresses: [String]
    /// Whether our STUN and TURN servers are asked for our address, as nobody named it.
    package var asksForExternalAddress: Bool
    /// Whether the addresses of the interfaces are offered beside ``nodeAddresses``.
    package var advertisesInterfaces: Bool
    /// `host:port` of the STUN servers told to clients.
    package var stunServers: [String]
    package var enablesLoopbackCandidate: Bool
    /// Packets kept per video and audio stream for retransmission.
    package var videoBufferPackets: Int
    package var audioBufferPackets: Int
    package var keyFrameThrottle: KeyFrameThrottle

    /// Every worker's UDP port.
    package var udpPorts: ClosedRange<Int> { udpPort...(udpPort + workerCount - 1) }

    static let udpPortKey = ConfigurationKey(
        "rtc.udp_port", .text, default: "7882", example: "7882",
        "UDP port of the first media worker; a range a-b sets the number of workers")
    static let workersKey = ConfigurationKey(
        "rtc.workers", .integer(1...64), default: "1", "media workers, each with a UDP port of its own from udp_port on"
    )
    static let nodeIPKey = ConfigurationKey(
        "rtc.node_ip", .addresses, example: "203.0.113.7",
        "addresses told to clients, IPv4 and IPv6; empty: those of the interfaces")
    static let externalIPKey = ConfigurationKey(
        "rtc.use_external_ip", .boolean, default: "false",
        "ask the servers of stun_servers and turn_servers for our address; nobody else is asked, and node_ip wins")
    static let internalIPKey = ConfigurationKey(
        "rtc.advertise_internal_ip", .boolean, default: "false",
        "offer the addresses of the interfaces beside node_ip: people inside a NAT need no hairpin")
    static let tcpPortKey = ConfigurationKey(
        "rtc.tcp_port", .integer(0...65535), default: "0", "no effect: media runs over UDP only")
    static let stunServersKey = ConfigurationKey(
        "rtc.stun_servers", .texts, example: "[stun.example.org:3478]", "STUN servers told to clients, host:port")
    static let loopbackKey = ConfigurationKey(
        "rtc.enable_loopback_candidate", .boolean, default: "false", development: "true",
        "offer 127.0.0.1 and ::1 as candidates")
    static let videoBufferKey = ConfigurationKey(
        "rtc.packet_buffer_size_video", .integer(64...8192), default: "500", "packets kept per video stream")
    static let audioBufferKey = ConfigurationKey(
        "rtc.packet_buffer_size_audio", .integer(16...8192), default: "200", "packets kept per audio stream")
    static let lowThrottleKey = ConfigurationKey(
        "rtc.pli_throttle.low_quality", .duration, default: "500ms", "least time between key frame requests, low layer")
    static let middleThrottleKey = ConfigurationKey(
        "rtc.pli_throttle.mid_quality", .duration, default: "500ms", "the same, middle layer")
    static let highThrottleKey = ConfigurationKey(
        "rtc.pli_throttle.high_quality", .duration, default: "500ms", "the same, high layer")

    static let keys = [
        udpPortKey, workersKey, nodeIPKey, externalIPKey, internalIPKey, tcpPortKey, stunServersKey, loopbackKey,
        videoBufferKey, audioBufferKey, lowThrottleKey, middleThrottleKey, highThrottleKey,
    ]

    init(reading values: inout ConfigurationReader) {
        let ports = Self.ports(&values)
        self.udpPort = ports.lowerBound
        var workers = values.integer(Self.workersKey)
        if ports.count > 1 {
            if values.isSet(Self.workersKey), workers != ports.count {
                values.fail(
                    Self.workersKey,
                    "rtc.workers is \(workers), but the range of rtc.udp_port has \(ports.count) ports",
                    correction: String(ports.count))
            }
            workers = ports.count
            values.record(Self.workersKey, String(workers), origin: values.origin(of: Self.udpPortKey))
        } else if udpPort + workers - 1 > 65535 {
            values.fail(
                Self.udpPortKey, "\(workers) workers from port \(udpPort) on pass the last port, 65535",
                correction: String(65536 - workers))
            workers = 1
        }
        self.workerCount = workers
        self.nodeAddresses = values.addresses(Self.nodeIPKey)
        self.asksForExternalAddress = values.boolean(Self.externalIPKey) && nodeAddresses.isEmpty
        self.advertisesInterfaces = values.boolean(Self.internalIPKey)
        self.stunServers = values.texts(Self.stunServersKey)
        self.enablesLoopbackCandidate = values.boolean(Self.loopbackKey)
        self.videoBufferPackets = values.integer(Self.videoBufferKey)
        self.audioBufferPackets = values.integer(Self.audioBufferKey)
        self.keyFrameThrottle = KeyFrameThrottle(
            low: values.duration(Self.lowThrottleKey), middle: values.duration(Self.middleThrottleKey),
            high: values.duration(Self.highThrottleKey))
        noteUnsupported(&values)
    }

    private func noteUnsupported(_ values: inout ConfigurationReader) {
        if asksForExternalAddress, stunServers.isEmpty, !values.isSet(TURNConfiguration.serversKey) {
            values.report(
                ConfigurationFinding(
                    .warning, at: values.origin(of: Self.externalIPKey),
                    "rtc.use_external_ip has nobody to ask: rtc.stun_servers and rtc.turn_servers are empty",
                    correction: ConfigurationValues.nestedLine(
                        Self.nodeIPKey.path, value: "203.0.113.7  # your public address")))
        }
        if values.integer(Self.tcpPortKey) != 0 {
            values.report(
                ConfigurationFinding(
                    .note, at: values.origin(of: Self.tcpPortKey),
                    "rtc.tcp_port has no effect: media runs over UDP port \(udpPort) only"))
        }
    }

    /// `7882` or `7882-7885`.
    private static func ports(_ values: inout ConfigurationReader) -> ClosedRange<Int> {
        let text = values.text(udpPortKey) ?? udpPortKey.defaultText
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        let numbers = parts.compactMap { Int($0.filter { !$0.isWhitespace }) }.filter { (1...65535).contains($0) }
        if numbers.count == parts.count, let first = numbers.first, let last = numbers.last, parts.count <= 2,
            first <= last
        {
            if last - first < 64 {
                values.record(udpPortKey, first == last ? String(first) : "\(first)-\(last)")
                return first...last
            }
            values.fail(
                udpPortKey, "rtc.udp_port names \(last - first + 1) ports; each belongs to a media worker, 64 at most",
                correction: String(first))
        } else {
            values.fail(udpPortKey, "rtc.udp_port must be a port from 1 to 65535, or a range such as 7882-7885")
        }
        return 7882...7882
    }
}
