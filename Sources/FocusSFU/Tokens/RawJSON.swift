// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import FoundationEssentials

/// A JSON value kept as text, for whoever knows its schema (a token's `roomConfig` is protobuf's JSON).
package struct RawJSON: Equatable, Sendable {
    /// How deep arrays and objects may be nested.
    package static let maximumDepth = 32

    /// UTF-8 JSON with sorted keys.
    package let text: String

    /// - Throws: `DecodingError` when `text` is not JSON or too deep.
    package init(text: String) throws {
        self = try JSONDecoder().decode(RawJSON.self, from: Data(text.utf8))
    }

    private enum Node: Codable {
        case null
        case bool(Bool)
        case integer(Int64)
        case number(Double)
        case string(String)
        indirect case array([Node])
        indirect case object([String: Node])

        init(from decoder: any Decoder) throws {
            guard decoder.codingPath.count < RawJSON.maximumDepth else {
                throw DecodingError.dataCorrupted(
                    .init(codingPath: decoder.codingPath, debugDescription: "nested too deep")
                )
            }
            let value = try decoder.singleValueContainer()
            if value.decodeNil() {
                self = .null
            } else if let bool = try? value.decode(Bool.self) {
                self = .bool(bool)
            } else if let integer = try? value.decode(Int64.self) {
                self = .integer(integer)
            } else if let number = try? value.decode(Double.self) {
                self = .number(number)
            } else if let string = try? value.decode(String.self) {
                self = .string(string)
            } else if (try? decoder.unkeyedContainer()) != nil {
                self = .array(try value.decode([Node].self))
            } else {
                self = .object(try value.decode([String: Node].self))
            }
        }

        func encode(to encoder: any Encoder) throws {
            var value = encoder.singleValueContainer()
            switch self {
            case .null: try value.encodeNil()
            case .bool(let bool): try value.encode(bool)
            case .integer(let integer): try value.encode(integer)
            case .number(let number): try value.encode(number)
            case .string(let string): try value.encode(string)
            case .array(let elements): try value.encode(elements)
            case .object(let members): try value.encode(members)
            }
        }
    }
}

extension RawJSON: Codable {
    package init(from decoder: any Decoder) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        text = String(decoding: try encoder.encode(try Node(from: decoder)), as: UTF8.self)
    }

    package func encode(to encoder: any Encoder) throws {
        try JSONDecoder().decode(Node.self, from: Data(text.utf8)).encode(to: encoder)
    }
}
