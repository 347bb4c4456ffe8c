#!/usr/bin/env bash
# The pages of evaluate, compare and audit in a browser.
set -u
if command -v chromedriver >/dev/null && command -v chromium >/dev/null; then
    export OMP_WAIT_POLICY=passive
    python3 tests/gate/report_page.py ${MIEN_SHOTS:+"$MIEN_SHOTS"}
elif [ -z "${MIEN_CI:-}" ]; then
    echo "ok report pages # SKIP chromium or chromium-driver is not installed"
else
    echo "not ok report pages: chromium or chromium-driver is not installed"
    exit 1
fi
