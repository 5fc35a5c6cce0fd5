// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

#ifndef CALLBRIDGE_CALLOCATIONCOUNT_H
#define CALLBRIDGE_CALLOCATIONCOUNT_H

/// How often this process has asked for memory: malloc, calloc, realloc and their aligned kin, of every thread.
unsigned long CAllocationCount_now(void);

#endif
