# This source file is part of Callbridge, calls for Matrix homeservers.
# Copyright 2026 the Callbridge authors.
# SPDX-License-Identifier: Apache-2.0
#

"""Real components for the acceptance tests: Synapse, Callbridge, clients of the livekit SDK, Chromium."""
