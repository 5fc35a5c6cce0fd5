// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

// SwiftPM needs one compiled file in a C target; everything is inline in the headers.
#include "COpenSSLShims.h"
