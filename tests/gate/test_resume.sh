#!/usr/bin/env bash
# A hundred kills.
MIEN_KILLS=100 exec bash tests/cli/test_resume.sh
