// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// How one participant of a load test gets from a signal socket to media: the protocol of one kind of server.
///
/// It owns the socket and all that is said on it; the connections belong to ``LoadPeer``, which does what the signals
/// say.
protocol LoadSignalling: AnyObject {
    var socket: SignalSocket { get }

    /// Sends and takes what can be; call whenever the socket is readable or writable.
    func advance(_ handle: (LoadSignal) -> Void)
    /// Says what must be said from time to time.
    func keepAlive(at now: MonotonicTime)
    /// Tells the server that the participant goes.
    func leave()
}

/// What signalling has for a participant.
enum LoadSignal {
    /// The server let us in; the bytes that end the frames it makes up itself.
    case joined(serverTrailer: [UInt8])
    /// The server's side of a connection, first or again.
    case transport(RemoteTransport, LoadDirection)
    /// A candidate of the server's, an attribute text beginning with `candidate:`.
    case candidate(String)
    /// Streams that the server will send, by SSRC; those of before may be among them.
    case streams([UInt32])
    /// Turned away before the upgrade.
    case refused(status: Int, body: String)
    /// It is over; why, in words.
    case failed(String)
}

/// Which of a participant's connections is meant. Servers with one for both ways have one for both.
enum LoadDirection {
    case sending
    case receiving
}

/// What a description of ours says of a connection.
struct LoadEndpoint {
    var credentials: ICECredentials
    var fingerprint: CertificateFingerprint
}
