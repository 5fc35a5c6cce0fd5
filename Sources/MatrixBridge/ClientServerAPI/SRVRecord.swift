// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import FocusSFU

/// One service record of the DNS (RFC 2782).
package struct SRVRecord: Equatable, Sendable {
    package var priority: UInt16
    package var weight: UInt16
    package var port: UInt16
    /// Without the dot at the end.
    package var target: String

    package init(priority: UInt16, weight: UInt16, port: UInt16, target: String) {
        self.priority = priority
        self.weight = weight
        self.port = port
        self.target = target
    }

    /// The record to use: the lowest priority, and among those by weight (RFC 2782, "Weight").
    ///
    /// - Parameter random: In `0..<1`.
    package static func choose(from records: [SRVRecord], random: Double) -> SRVRecord? {
        guard let priority = records.map(\.priority).min() else { return nil }
        let candidates = records.filter { $0.priority == priority }
        let total = candidates.reduce(0) { $0 + Double($1.weight) }
        var point = random * total
        for record in candidates where total > 0 {
            point -= Double(record.weight)
            if point < 0 { return record }
        }
        return candidates.first
    }

    /// Reads the SRV records out of a DNS answer (RFC 1035 §4); anything malformed ends the reading.
    ///
    /// A target of `.` says that the service does not exist there and is left out.
    package static func parse(_ answer: UnsafeRawBufferPointer) -> [SRVRecord] {
        var records: [SRVRecord] = []
        do {
            var reader = ByteReader(answer)
            try reader.skip(4)
            let questions = try reader.readUInt16()
            let answers = try reader.readUInt16()
            try reader.skip(4)
            for _ in 0..<questions {
                try skipName(&reader)
                try reader.skip(4)
            }
            for _ in 0..<answers where records.count < maximumRecords {
                try skipName(&reader)
                let type = try reader.readUInt16()
                try reader.skip(6)
                let length = Int(try reader.readUInt16())
                guard type == srvType, length >= 7 else {
                    try reader.skip(length)
                    continue
                }
                let target = reader.offset + 6
                let priority = try reader.readUInt16()
                let weight = try reader.readUInt16()
                let port = try reader.readUInt16()
                try reader.skip(length - 6)
                if let name = name(in: answer, at: target), !name.isEmpty {
                    records.append(SRVRecord(priority: priority, weight: weight, port: port, target: name))
                }
            }
        } catch {
            return records
        }
        return records
    }

    private static let srvType: UInt16 = 33
    private static let maximumRecords = 32

    private static func skipName(_ reader: inout ByteReader) throws(ByteReaderError) {
        while true {
            let length = try reader.readUInt8()
            if length == 0 { return }
            if length & 0xC0 == 0xC0 { return try reader.skip(1) }
            try reader.skip(Int(length))
        }
    }

    /// A possibly compressed name (RFC 1035 §4.1.4). Pointers must lead backwards, so the walk ends.
    private static func name(in answer: UnsafeRawBufferPointer, at start: Int) -> String? {
        var labels: [String] = []
        var offset = start
        var lowest = start
        var byteCount = 0
        while offset < answer.count {
            let length = Int(answer[offset])
            switch length {
            case 0:
                return labels.joined(separator: ".")
            case 0xC0...:
                guard offset + 1 < answer.count else { return nil }
                let pointer = (length & 0x3F) << 8 | Int(answer[offset + 1])
                guard pointer < lowest else { return nil }
                offset = pointer
                lowest = pointer
            case 1...63:
                guard offset + 1 + length <= answer.count else { return nil }
                let label = answer[offset + 1..<offset + 1 + length]
                guard label.allSatisfy(isHostNameByte) else { return nil }
                labels.append(String(decoding: label, as: UTF8.self))
                byteCount += length + 1
                guard byteCount <= 255 else { return nil }
                offset += 1 + length
            default:
                return nil
            }
        }
        return nil
    }

    private static func isHostNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"):
            true
        default: false
        }
    }
}
