#!/usr/bin/env bash
# A hundred kills.
MIEN_KILLS=102 exec bash tests/cli/test_resume.sh
