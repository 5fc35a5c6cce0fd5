// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

// SQLITE_TRANSIENT is a function pointer cast from -1, which Swift does not import: these bind with a copy.
#ifndef CALLBRIDGE_CSQLITE_H
#define CALLBRIDGE_CSQLITE_H

#include <sqlite3.h>

static inline int CSQLite_bindText(sqlite3_stmt *statement, int index, const char *text, int byteCount) {
    return sqlite3_bind_text(statement, index, text, byteCount, SQLITE_TRANSIENT);
}

static inline int CSQLite_bindBlob(sqlite3_stmt *statement, int index, const void *bytes, int byteCount) {
    return byteCount == 0 ? sqlite3_bind_zeroblob(statement, index, 0)
                          : sqlite3_bind_blob(statement, index, bytes, byteCount, SQLITE_TRANSIENT);
}

#endif
