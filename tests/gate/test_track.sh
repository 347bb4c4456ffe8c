#!/usr/bin/env bash
# Tracking on 20 made clips, and a million steps.
MIEN_TRACK_CLIPS=20 exec "$MIEN_BUILD/tests/unit/test_track"
