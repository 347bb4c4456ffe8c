#!/usr/bin/env bash
# Debian packages: deps.sh check|install PACKAGE...
# check prints which are missing and fails; install installs them, or prints the command to run as root.
set -u
mode=$1
shift
line="apt-get install -y --no-install-recommends"
if ! command -v dpkg-query >/dev/null; then
    [ "$mode" = check ] || echo "This is not a Debian system: install the packages that correspond to: $*" >&2
    exit 0
fi
installed=" $(dpkg-query -W -f='${db:Status-Status} ${Package}\n' "$@" 2>/dev/null |
    sed -n 's/^installed //p' | tr '\n' ' ')"
missing=()
for package in "$@"; do
    [[ $installed == *" $package "* ]] || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

if [ "$mode" = check ]; then
    echo "Missing Debian packages: ${missing[*]}" >&2
    echo "\`make deps\` installs them." >&2
    exit 1
fi
if [ "$(id -u)" -eq 0 ]; then
    run=()
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    run=(sudo)
else
    echo "These packages are missing. As root, run:" >&2
    echo "    apt-get update && $line ${missing[*]}" >&2
    exit 1
fi
echo "Installing: ${missing[*]}" >&2
export DEBIAN_FRONTEND=noninteractive
"${run[@]}" apt-get update -qq >/dev/null || { echo "apt-get update failed" >&2; exit 1; }
"${run[@]}" $line "${missing[@]}" -qq >/dev/null || { echo "failed: $line ${missing[*]}" >&2; exit 1; }
