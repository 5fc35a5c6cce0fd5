// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

#ifndef CALLBRIDGE_COLM_H
#define CALLBRIDGE_COLM_H

#include <olm/olm.h>
#include <olm/pk.h>

#endif
