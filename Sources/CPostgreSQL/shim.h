// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

#ifndef CALLBRIDGE_CPOSTGRESQL_H
#define CALLBRIDGE_CPOSTGRESQL_H

#include <libpq-fe.h>

#endif
