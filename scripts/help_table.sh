#!/usr/bin/env bash
# The commands and flags of a program, read from its --help: help_table.sh MIEN
# Lines of fields between tabs: "command NAME ARGUMENTS SUMMARY", "flag COMMAND FLAG VALUE HELP",
# "example COMMAND LINE", "about - TEXT". A command's flags include the common ones.
set -eu
mien=$1
"$mien" --help | awk '
    NR == 3 { printf "about\t-\t%s\n", $0 }
    /^examples:/ { examples = 1; next }
    examples { printf "example\t-\t%s\n", substr($0, 3) }'
for command in $("$mien" --help | sed -nE 's/^  ([a-z]+)  +[a-z].*/\1/p'); do
    "$mien" "$command" --help | awk -v c="$command" '
        NR == 1 { arguments = $0; sub(/^usage: mien [a-z]+ ?/, "", arguments) }
        NR == 3 { printf "command\t%s\t%s\t%s\n", c, arguments, $0 }
        /^examples:/ { examples = 1; next }
        examples { printf "example\t%s\t%s\n", c, substr($0, 3); next }
        /^  -/ {
            # a flag with its value fills 27 columns; a longer one is followed by one space
            left = substr($0, 3, 27); help = substr($0, 31)
            if (substr($0, 30, 1) != " " && length($0) > 29) {
                left = $1 " " $2; help = substr($0, length(left) + 4)
            }
            sub(/ +$/, "", left)
            if ($1 == "-h,") { # "-h, --help, --version"
                printf "flag\t%s\t-h\t\tprint the help\nflag\t%s\t--help\t\tprint the help\n", c, c
                printf "flag\t%s\t--version\t\tprint the version\n", c
            } else if ($1 == "-v,") {
                printf "flag\t%s\t-v\t\tmore messages\nflag\t%s\t-q\t\tfewer messages\n", c, c
            } else {
                flag = left; sub(/ .*/, "", flag)
                value = substr(left, length(flag) + 2)
                printf "flag\t%s\t%s\t%s\t%s\n", c, flag, value, help
            }
        }'
done
