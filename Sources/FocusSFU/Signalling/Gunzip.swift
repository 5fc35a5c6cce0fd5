// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CZlib

/// Inflates a gzip stream (RFC 1952) into at most `limit` bytes.
///
/// A tiny request can inflate to gigabytes; the output buffer is the bound, and going over it is an error of its own.
enum Gunzip {
    enum Failure: Error, Equatable {
        case malformed
        case tooLarge
    }

    static func inflate(_ compressed: [UInt8], limit: Int) throws(Failure) -> [UInt8] {
        var stream = z_stream()
        guard CZlib_inflateInit(&stream) == Z_OK else { throw .malformed }
        defer { inflateEnd(&stream) }
        var output: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 16 * 1024)
        var input = compressed
        let inputCount = input.count
        let outcome: Result<Void, Failure> = input.withUnsafeMutableBufferPointer { source in
            stream.next_in = source.baseAddress
            stream.avail_in = UInt32(clamping: inputCount)
            while true {
                let (status, produced) = chunk.withUnsafeMutableBufferPointer { space in
                    stream.next_out = space.baseAddress
                    stream.avail_out = UInt32(space.count)
                    let status = zlib_inflate(&stream)
                    return (status, space.count - Int(stream.avail_out))
                }
                output.append(contentsOf: chunk[..<produced])
                if output.count > limit { return .failure(.tooLarge) }
                switch status {
                case Z_STREAM_END: return .success(())
                case Z_OK where produced > 0 || stream.avail_in > 0: continue
                default: return .failure(.malformed)
                }
            }
        }
        try outcome.get()
        return output
    }

    private static func zlib_inflate(_ stream: inout z_stream) -> Int32 {
        CZlib.inflate(&stream, Z_NO_FLUSH)
    }
}
