// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// Data channels: which transport an SCTP association belongs to.
extension MediaPlane {
    func makeAssociation(for transport: PeerTransport) throws(SCTPError) -> SCTPAssociation {
        let association = try SCTPAssociation(onReady: wakeForData)
        associations[association.id] = Unmanaged.passUnretained(transport)
        return association
    }

    func forget(_ association: SCTPAssociationID) {
        associations[association] = nil
    }

    func drainData(of association: SCTPAssociationID) {
        associations[association]?.takeUnretainedValue().drainData()
    }
}
