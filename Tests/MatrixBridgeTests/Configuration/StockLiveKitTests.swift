// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import MatrixBridge

@Suite("A stock livekit.yaml is understood without changes")
struct StockLiveKitTests {
    /// Every key LiveKit's configuration has, with values of our own.
    static let text = """
        port: 7880
        bind_addresses: ["", 127.0.0.1]
        region: here
        prometheus_port: 6789
        prometheus: {port: 6790, username: scrape, password: \(Sample.secret)}
        debug_handler_port: {port: 6060}
        log_level: info
        development: false
        rtc:
          tcp_port: 7881
          udp_port: 7882
          port_range_start: 50000
          port_range_end: 60000
          use_external_ip: false
          node_ip: 192.0.2.1,2001:db8::1
          external_ip_only: false
          advertise_internal_ip: false
          skip_external_ip_validation: false
          use_ice_lite: true
          stun_servers: [stun.example.org:3478]
          turn_servers:
            - host: turn.example.org
              port: 443
              protocol: tls
              username: someone
              credential: \(Sample.secret)
            - {host: turn.example.org, port: 3478, protocol: udp, secret: \(Sample.secret), ttl: 14400}
          interfaces: {includes: [en0], excludes: [docker0]}
          ips: {includes: [10.0.0.0/8], excludes: [192.168.0.0/16]}
          enable_loopback_candidate: false
          use_mdns: false
          force_tcp: false
          packet_buffer_size_video: 500
          packet_buffer_size_audio: 200
          pli_throttle: {low_quality: 500ms, mid_quality: 1s, high_quality: 1s}
          congestion_control: {enabled: true, allow_pause: false, use_send_side_bwe: false}
          allow_tcp_fallback: true
          tcp_fallback_rtt_threshold: 0
          allow_udp_unstable_fallback: false
          reconnect_on_publication_error: false
          reconnect_on_subscription_error: false
          reconnect_on_data_channel_error: false
          data_channel_max_buffered_amount: 0
          datachannel_slow_threshold: 0
          datachannel_lossy_target_latency: 0
          datachannel_data_track_target_latency: 100ms
          batch_io: {batch_size: 128, max_flush_interval: 2ms}
          enable_warp: false
        keys:
          APIone: \(Sample.secret)
          APItwo: \(Sample.secret)2
        room:
          auto_create: true
          empty_timeout: 300
          departure_timeout: 20
          max_participants: 0
          enabled_codecs:
            - mime: audio/opus
            - mime: video/h264
              fmtp_line: level-asymmetry-allowed=1
          enable_remote_unmute: true
          playout_delay: {enabled: true, min: 100, max: 2000}
          sync_streams: false
          create_room_timeout: 10s
          create_room_attempts: 3
          update_batch_target_size: 131072
          enable_full_room_in_webhooks: false
          room_configurations: {preset: {empty_timeout: 10}}
        audio:
          active_level: 35
          min_percentile: 40
          update_interval: 400
          smooth_intervals: 2
          active_red_encoding: false
        video: {dynacast_pause_delay: 5s, codec_regression_threshold: 5}
        redis: {address: "localhost:6379", username: u, password: \(Sample.secret), db: 0, use_tls: false}
        turn:
          enabled: false
          domain: turn.example.org
          tls_port: 5349
          udp_port: 3478
          external_tls: false
          cert_file: /c
          key_file: /k
          relay_range_start: 30000
          relay_range_end: 40000
          ttl_seconds: 300
          per_user_relay_allocation_limit: 12
          allow_restricted_peer_cidrs: []
          deny_peer_cidrs: []
        webhook: {api_key: APIone, urls: [https://example.org/hook], filter_params: {}}
        limit:
          num_tracks: -1
          bytes_per_sec: 1000000000
          subscription_limit_video: 0
          subscription_limit_audio: 0
          max_metadata_size: 524288
          max_attributes_size: 65536
          max_room_name_length: 256
          max_participant_identity_length: 256
          max_participant_name_length: 256
          signal_message_size_limit: 2097152
          max_api_request_body_size: 10485760
          max_data_blob_size: 64000
        logging: {level: info, json: false, pion_level: error, sample: false}
        node_selector: {kind: any, sort_by: random}
        signal_relay: {retry_timeout: 7500ms}
        psrpc: {max_attempts: 3}
        node_stats: {stats_update_interval: 2s}
        enable_data_tracks: true
        enable_participant_data_blob: true
        """

    static func reading() -> ConfigurationReading {
        // An empty address means all addresses to LiveKit.
        ConfigurationReading(of: ConfigurationSources(environment: ["LIVEKIT_CONFIG": text]))
    }

    @Test("no warnings but that of the password which never expires, no faults, only notes")
    func accepted() {
        let reading = Self.reading()
        let others = reading.findings.filter { $0.severity != .note && !$0.problem.contains("never expire") }
        #expect(others.report == "")
        #expect(reading.configuration != nil)
    }

    @Test("the values arrive")
    func values() throws {
        let configuration = try #require(Self.reading().configuration)
        #expect(configuration.keys.pairs.map(\.name) == ["APIone", "APItwo"])
        #expect(configuration.server.prometheusPort == 6790)
        #expect(configuration.rtc.nodeAddresses == ["192.0.2.1", "2001:db8::1"])
        #expect(configuration.turn.servers.count == 2)
        #expect(configuration.room.allowsRemoteUnmute)
        #expect(
            configuration.room.enabledCodecs == [
                RoomConfiguration.Codec(mime: "audio/opus"),
                RoomConfiguration.Codec(mime: "video/H264", formatParameters: "level-asymmetry-allowed=1"),
            ])
    }
}
