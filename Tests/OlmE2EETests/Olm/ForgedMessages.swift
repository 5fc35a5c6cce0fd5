// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// Messages with a right MAC around a ciphertext that no AES-CBC makes: libolm writes whole blocks of it, beyond the
/// length that it names. Whoever begins a session can make them; a script of X25519, HKDF and HMAC made these.
enum ForgedMessages {
    /// Of a Megolm session, as `m.room_key` carries it.
    static let sessionKey =
        "AgAAAACK6gR7p0l1C8zkkSbDvB0QsnLCe7p1OlH5ctcVmUszu57GFgcu9qpo6K18kJVKyowyay8PEIgDFs+AS3t0XQ"
        + "zGZ5d17y3oCy24k6aBnDrLINt2qe12rJo7xvdfX0fUkJKKVa6rqixNLKGHh7pAyYA2nfgaXcLNn6IaTp/7kmfyrgTw"
        + "u9nDfAMBZNpOL612nRMcxoKmIh8wNBcscuSv7x7ueJUEZsDZSreYpc4qe69bh/DivURGVpbnhBc4oSyeKMWzOC6adB"
        + "7mtrTpJ4SOkBdHbMOjrUEI8m+HBl3bnZeUBw"

    /// Its id.
    static let sessionID =
        "BPC72cN8AwFk2k4vrXadExzGgqYiHzA0Fyxy5K/vHu4"

    /// A good event of the session, at index 0: a message in `!room:example.org`.
    static let event =
        "AwgAEmB+6GnMt9xjUbB9HGNNk5O0qe9RdC0q9cKTjH0eAuFYbbcaGR7hr38kUS8vFU87KJyI8yyBxw1U6LJpGudfWV"
        + "sDp5IlqwFRBE2/+znrC4iDJKC8WAGGpj5qOg3d663kWK+TxXOAFsZ+WD07c0d92FgBm7s0oXEr9/EXURArNi4RK1sG"
        + "iIWADNMa/Emd1XMMhIBiS6oRlf8UKf6MIU5YWavYSs7fcUmoZg8"

    /// Events of the session, by the bytes of their ciphertext.
    static let events: [Int: String] = [
        0: "AwgAEgD+ZcEd12hOks2fsVHCKFMdFpyy1I106k3poa2EiqbN4R8SzjGEbxfTQs2d0+q/TstPjrX12H+al5FwhYF3kH"
            + "Vj2GMz1W8P1wU",
        1: "AwgAEgFL0wpn3psZxcxD2jE1LBzhlGz0rVcjQorTI7PoQ6yo6htpwzor7supyAofBVZGwjSxfAPLmZB9Ug+XeCZeG9"
            + "/bRR1UNQokV68L",
        17: "AwgAEhEgrTDTgbHUmy8DTC0s6tEzRpdcIVuoEcDgG4l4aovhnGYpmkWWZCmB/xy1t2GdoXVcr2T2zBrN4bUIpvpmvc"
            + "EZ83ZSQr0nrRz5TA12lurmJTfsFVR/dF31DQ",
    ]

    /// A pickle of an account, under the key of ``Party/key()``.
    static let account =
        "pdNOhhhQApMfj3TdaZe7CU4yvQMHjNAaiMJ8shuOJygm3aw04pz/oIkNHB6ySjMS2bhTvlvNj+foKE6WqllqP0T3kg"
        + "7WS4DTtiUKFzn6u6QhkT2hNaOz7MjUGu93j3b66e9eX2WTnM09X6ggZv0RW4uS7vSfns0WDCq4fjWSKwiGMBlSGJ5e"
        + "JvCru8rTnkUiWjxh+9tzA69YKfUKM+M/KxWUYRW9oCRZEbFlUwdychNBOW5Y0ge9G3RbZu+m1Vc+fu9RLY8bHmjzP6"
        + "/0OGDktThlLEA1Bbvv+uJhfHgG17+FOLElHMlPLmfU/pZ4bb5OO6h8Gfroxx89ScHf92Mu+wtK97W2girTHWH3fZeO"
        + "00lNq+6DlTVGQEyk5HhoJ4lzHfDU2Ip/5FRCJFLSnLVNlN/u6Sarsua4vik0gUsjkJxrn2GyA4MQE0Ra6DGvJbKBOS"
        + "GIrZDeD7Q9zWomNoOp4VwyPq5rv5T6hakBG79lji0V5Og8aVSm8KS556PbRHdfQf5lCaHjBKDAbO/IyVfIvARyJEnP"
        + "I1shZtofLl5HX9NvO4I0QRNxcpZ8IiZIJ/D07kys8+fyBzrob8ejtbezx5JkjrfA9atIs9Hg3g5KcsZRFDFz+cvWsA"

    /// The curve25519 key of whoever made the messages.
    static let identityKey =
        "WyJxcpkXX2YspcPyIuUCPG9/MZnA+6vTzAqzXD4ewns"

    /// A good pre-key message for the account, from `@mallory:example.org` with the fingerprint 43 times `A`.
    static let message =
        "Awog+oC4edq7OnMiEaR/+8lCZRMw6DyCaZ1L86OoE7TuiCASINW57r1nmE+g5w9q19V+oooMbq5WXitACefuzhSdB5"
        + "Q6GiBbInFymRdfZiylw/Ii5QI8b38xmcD7q9PMCrNcPh7CeyKwAgMKIHEvaDZloDgkSlK7+N0TcVZvsqaWK7OMerbc"
        + "4wbnY7dfEAAigAK8k6Cw2W2cnG1sLJd0KJjYgNzCs/KyDaikqq6MpO3uvG1Ocrp9C7n+KniogpRXBSE/l5VCKyOONl"
        + "h5yFTKznd25urkQbO+sQ2hScUvFiqqfoTjP4i3hFNLVXm6tjSo0Tmro1cKaCQ3yuBUQigYEDe7SxEqBESYrNG4pqql"
        + "oJRruplGH6/0R27Gm47izbSu6iVQmhH0O/255a3HQwZ36A91QSEkKVayWikJyjNoeEtqRdaRoReHdbBmtStJT1Sv5S"
        + "Dxj4SOhy3uK6fTxWiXeUsygRLNH2+xUQYb28vMnGbXlymsbZZmGynAzTXVK5kQiAgtRmoHyyzSPBGoc37WcoRfFrXF"
        + "GIJ47Ws"

    /// Pre-key messages for the account, by the bytes of their ciphertext.
    static let messages: [Int: String] = [
        0: "AwogiQPrG1+AA5evITKEpftVacpkOcBUUlWI7eg1/mkNLRkSICudtLEVdgJEiT30Rnmvjy7XTfk6nTE5yvJr2rHijO"
            + "QnGiBbInFymRdfZiylw/Ii5QI8b38xmcD7q9PMCrNcPh7CeyIvAwogpWzTQWQoa32FLjaitOj0FnPHWsXa47mMW73E"
            + "M/8Gm2EQACIAAr3p/WnvYXE",
        1: "Awog4K6VBTZmH+ogE3T+9Zd++zNf0Q6MectY3SwNm0Ma1V0SIFfLQfKcbmHTxYWWfHCdtvmza9WfySCccrRqh9mTfo"
            + "YYGiBbInFymRdfZiylw/Ii5QI8b38xmcD7q9PMCrNcPh7CeyIwAwogNgJ4w0+x859NzyKhQlvvdsvS85/8WJPA2DgA"
            + "1lv+YSIQACIBE9X6HqZg1hW2",
        17: "Awog4rVkVaBevreeeSoCZaWMkEsulhKkh2yvVAzLNZ6s/2gSIPtkvxXkfdM1x795C2MDRZQ4JSrlHtxFww/cuW8zWP"
            + "cyGiBbInFymRdfZiylw/Ii5QI8b38xmcD7q9PMCrNcPh7CeyJAAwogXeUpZgb71mvMNrcPLHrmfMo/JVGhPQwPifeD"
            + "3ckL30MQACIRSKoCs/54RlFlKKk70UVS09Rm2DpcYC3h4w",
    ]
}
