// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// Why a session description was refused, and where in it the fault lies. Never carries text of the description.
package struct SDPError: Error, Equatable, Sendable {
    package enum Reason: Equatable, Sendable {
        case descriptionTooLong(byteCount: Int, limit: Int)
        case lineTooLong(byteCount: Int, limit: Int)
        case tooManySections(limit: Int)
        case tooManyAttributes(limit: Int)
        case tooManyFormats(limit: Int)
        /// More streams, stream groups, rids or groups than any client sends.
        case tooManyValues(SDPAttribute.Name, limit: Int)
        /// A line that is not `<letter>=<value>`, or whose value does not follow its grammar.
        case malformedLine
        /// NUL, a bare carriage return, or bytes that are not UTF-8.
        case notText
        /// A description that does not begin with `v=0`, `o=`, `s=`.
        case missingPreamble
        case malformedAttribute(SDPAttribute.Name)
        case missingAttribute(SDPAttribute.Name)
        case duplicateMid
        case unknownMidInGroup
        case duplicatePayloadType(UInt8)
        case duplicateExtensionID(UInt8)
        /// Sections of one bundle that disagree about their common transport (RFC 8843 §7.3).
        case conflictingTransport(SDPAttribute.Name)
        /// Fingerprints were given, none of them with sha-256.
        case unsupportedFingerprint
        /// `holdconn`, or a role an answer cannot take (RFC 8842 §5.3).
        case unsupportedSetup
        /// Nothing in the description can carry media or data.
        case noUsableSection
        /// An answer with another number of sections than its offer (RFC 3264 §6).
        case sectionCountDiffers(offered: Int, answered: Int)
        /// An answer whose section differs from the offered one in kind or mid.
        case sectionDiffers
    }

    package enum Place: Equatable, Sendable {
        case description
        /// Line number, counted from 1.
        case line(Int)
        case session
        /// Index of the media section, counted from 0.
        case section(Int)
    }

    package var reason: Reason
    package var place: Place

    package init(_ reason: Reason, at place: Place) {
        self.reason = reason
        self.place = place
    }
}

extension SDPError: CustomStringConvertible {
    package var description: String {
        switch place {
        case .description: "session description: \(reason)"
        case .line(let line): "session description, line \(line): \(reason)"
        case .session: "session description, session level: \(reason)"
        case .section(let index): "session description, media section \(index): \(reason)"
        }
    }
}
