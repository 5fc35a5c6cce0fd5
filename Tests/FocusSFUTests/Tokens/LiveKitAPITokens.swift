// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// Tokens made by the Python package livekit-api 1.2.2, valid for a hundred years from November 2026.
///
/// Key `APIcallbridge1`, secret `a secret of the tests, 32 letters long`.
enum LiveKitAPITokens {
    static let participant =
        "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJuYW1lIjoiQWxpY2UiLCJtZXRhZGF0YSI6IntcIm1cIjoxfSIsInZpZGVvIjp7InJ"
        + "vb21Kb2luIjp0cnVlLCJyb29tIjoiaGFzaCByb29tIiwiY2FuUHVibGlzaCI6dHJ1ZSwiY2FuU3Vic2NyaWJlIjp0cnVlLCJjYW5QdWJ"
        + "saXNoRGF0YSI6ZmFsc2UsImNhblB1Ymxpc2hTb3VyY2VzIjpbImNhbWVyYSIsIm1pY3JvcGhvbmUiXSwiY2FuVXBkYXRlT3duTWV0YWR"
        + "hdGEiOnRydWV9LCJhdHRyaWJ1dGVzIjp7ImEiOiJiIiwiXHUwMGY2IjoiXHUwMGZjIn0sInN1YiI6IkBhbGljZTpleGFtcGxlLmNvbTp"
        + "BQUFBIiwiaXNzIjoiQVBJY2FsbGJyaWRnZTEiLCJuYmYiOjE3OTUyMDE5MDcsImV4cCI6NDk0ODgwMTkwN30.RiMPNRpKeFR_q4JczD3"
        + "yK5fNZ1JS5mW3uj-kargviX8"

    static let backend =
        "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJraW5kIjoiZWdyZXNzIiwidmlkZW8iOnsicm9vbUNyZWF0ZSI6dHJ1ZSwicm9vbUx"
        + "pc3QiOnRydWUsInJvb21BZG1pbiI6dHJ1ZSwicm9vbSI6InIiLCJkZXN0aW5hdGlvblJvb20iOiJxIiwiY2FuUHVibGlzaCI6dHJ1ZSw"
        + "iY2FuU3Vic2NyaWJlIjp0cnVlLCJjYW5QdWJsaXNoRGF0YSI6dHJ1ZSwiaGlkZGVuIjp0cnVlLCJyZWNvcmRlciI6dHJ1ZX0sInNoYTI"
        + "1NiI6IjQ3REVRcGo4SEJTYSsvVEltVys1SkNldVFlUmttNU5NcEpXWkczaFN1RlU9Iiwic3ViIjoiYmFja2VuZCIsImlzcyI6IkFQSWN"
        + "hbGxicmlkZ2UxIiwibmJmIjoxNzk1MjAxOTA3LCJleHAiOjQ5NDg4MDE5MDd9.H2B7mfLdBRuYzCbxGl69MMMyDQBBa8NrlMuzuPEg6x"
        + "E"

    static let roomConfiguration =
        "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJ2aWRlbyI6eyJyb29tSm9pbiI6dHJ1ZSwicm9vbSI6InIiLCJjYW5QdWJsaXNoIjp"
        + "0cnVlLCJjYW5TdWJzY3JpYmUiOnRydWUsImNhblB1Ymxpc2hEYXRhIjp0cnVlfSwicm9vbUNvbmZpZyI6eyJuYW1lIjoiciIsImVtcHR"
        + "5VGltZW91dCI6MzAsIm1heFBhcnRpY2lwYW50cyI6NSwibWV0YWRhdGEiOiJtZXRhIn0sInN1YiI6ImNhcm9sIiwiaXNzIjoiQVBJY2F"
        + "sbGJyaWRnZTEiLCJuYmYiOjE3OTUyMDE5MDcsImV4cCI6NDk0ODgwMTkwN30.mm-zpNzZ7feClzCbJjatF3EnEyAJKJRXtsTWbcrX_1Q"
}
