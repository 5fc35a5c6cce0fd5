// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// Keys of LiveKit's configuration that mean nothing here: a stock `livekit.yaml` is understood without changes.
enum LiveKitOnlyKeys {
    private static let oneNode = "Callbridge is one process and needs no store or message bus"
    private static let oneSocket = "all media shares one UDP port per worker"
    private static let noTURN = "there is no TURN server inside; name one in rtc.turn_servers"
    private static let addresses = "advertised addresses come from rtc.node_ip or the interfaces"
    private static let fixed = "the value is built in"

    static let keys: [ConfigurationKey] = [
        accepted("rtc.port_range_start", oneSocket), accepted("rtc.port_range_end", oneSocket),
        accepted("rtc.external_ip_only", addresses), accepted("rtc.skip_external_ip_validation", addresses),
        accepted("rtc.interfaces", addresses),
        accepted("rtc.ips", addresses), accepted("rtc.use_ice_lite", "ICE-lite is always used"),
        accepted("rtc.use_mdns", "mDNS names are never advertised"),
        accepted("rtc.force_tcp", "media runs over UDP only"),
        accepted("rtc.allow_tcp_fallback", "media runs over UDP only"),
        accepted("rtc.tcp_fallback_rtt_threshold", "media runs over UDP only"),
        accepted("rtc.allow_udp_unstable_fallback", "media runs over UDP only"),
        accepted("rtc.congestion_control", fixed), accepted("rtc.reconnect_on_publication_error", fixed),
        accepted("rtc.reconnect_on_subscription_error", fixed), accepted("rtc.reconnect_on_data_channel_error", fixed),
        accepted("rtc.data_channel_max_buffered_amount", fixed), accepted("rtc.datachannel_slow_threshold", fixed),
        accepted("rtc.datachannel_lossy_target_latency", fixed),
        accepted("rtc.datachannel_data_track_target_latency", fixed),
        accepted("rtc.batch_io", "system calls are always batched"), accepted("rtc.enable_warp", "not supported"),
        accepted("rtc.packet_buffer_size", "use rtc.packet_buffer_size_video and rtc.packet_buffer_size_audio"),
        accepted("rtc.strict_acks", fixed), accepted("rtc.forward_stats", "not supported"),
        accepted("room.playout_delay", "not supported"), accepted("room.sync_streams", "not supported"),
        accepted("room.create_room_timeout", oneNode), accepted("room.create_room_attempts", oneNode),
        accepted("room.create_room_enabled", fixed), accepted("room.update_batch_target_size", fixed),
        accepted("room.enable_full_room_in_webhooks", "webhooks are not sent"),
        accepted("room.room_configurations", "not supported"), accepted("room.metadata", "not supported"),
        accepted("room.max_metadata_size", "use limit.max_metadata_size"),
        accepted("audio.active_red_encoding", "RED is forwarded, not made"),
        accepted("video", fixed), accepted("redis", oneNode),
        accepted("turn.domain", noTURN), accepted("turn.tls_port", noTURN), accepted("turn.udp_port", noTURN),
        accepted("turn.external_tls", noTURN), accepted("turn.cert_file", noTURN), accepted("turn.key_file", noTURN),
        accepted("turn.relay_range_start", noTURN), accepted("turn.relay_range_end", noTURN),
        accepted("turn.ttl_seconds", noTURN), accepted("turn.per_user_relay_allocation_limit", noTURN),
        accepted("turn.allow_restricted_peer_cidrs", noTURN), accepted("turn.deny_peer_cidrs", noTURN),
        accepted("turn.bind_addresses", noTURN), accepted("webhook", "webhooks are not sent"),
        accepted("limit.num_tracks", "use limit.max_tracks_per_participant and limit.max_participants"),
        accepted("limit.bytes_per_sec", "use limit.max_participants"),
        accepted("limit.max_data_blob_size", "not supported"), accepted("logging.pion_level", fixed),
        accepted("logging.component_levels", "use logging.level"), accepted("logging.sample", "nothing is sampled"),
        accepted("log_level", "use logging.level"), accepted("development", "use --dev"),
        accepted("debug_handler_port", "not supported"), accepted("node_selector", oneNode),
        accepted("signal_relay", oneNode), accepted("psrpc", oneNode), accepted("node_stats", oneNode),
        accepted("metric", fixed), accepted("trace", "not supported"), accepted("ingress", "not supported"),
        accepted("egress", "not supported"), accepted("sip", "not supported"), accepted("agents", "not supported"),
        accepted("api", fixed), accepted("enable_data_tracks", fixed), accepted("enable_participant_data_blob", fixed),
    ]

    private static func accepted(_ path: String, _ reason: String) -> ConfigurationKey {
        // A tree takes any value, and none of it is ever printed.
        ConfigurationKey(path, .tree, isSecret: true, use: .accepted(reason), "no effect: " + reason)
    }
}
