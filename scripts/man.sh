#!/usr/bin/env bash
# Writes man pages from --help: man.sh MIEN FOLDER makes FOLDER/mien.1 and FOLDER/mien-COMMAND.1.
set -eu
mien=$1 out=$2
mkdir -p "$out"
table=$(bash "$(dirname "$0")/help_table.sh" "$mien")
version=$("$mien" --version | awk '{ print $2 }')
# plain text as groff reads it
plain() { sed -e 's/\\/\\e/g' -e 's/-/\\-/g' -e "s/^[.']/\\\\\&&/"; }
pick() { awk -F'\t' -v kind="$1" -v c="$2" '$1 == kind && $2 == c' <<<"$table" | cut -f3-; }
head_of() { # NAME SUMMARY
    printf '.TH %s 1 "" "mien %s" "User Commands"\n.SH NAME\n%s \\- %s\n' \
        "$(tr a-z A-Z <<<"$1")" "$version" "$(plain <<<"$1")" "$(plain <<<"$2")"
}
examples() { # COMMAND
    printf '.SH EXAMPLES\n.nf\n'
    pick example "$1" | plain
    printf '.fi\n'
}

commands=$(awk -F'\t' '$1 == "command" { print $2 }' <<<"$table")
{
    head_of mien "trains, evaluates and runs networks that recognise emotions in faces"
    printf '.SH SYNOPSIS\n.B mien\n.I COMMAND\n[ARGUMENTS]\n.SH DESCRIPTION\n'
    pick about - | plain
    echo '.SH COMMANDS'
    for command in $commands; do
        printf '.TP\n.BR mien\\-%s (1)\n' "$command"
        pick command "$command" | cut -f2 | plain
    done
    examples -
} >"$out/mien.1"
for command in $commands; do
    IFS=$'\t' read -r arguments summary <<<"$(pick command "$command" | sed 's/^\t/ \t/')"
    {
        head_of "mien-$command" "$summary"
        printf '.SH SYNOPSIS\n.B mien %s\n%s\n.SH OPTIONS\n' "$command" "$(plain <<<"$arguments")"
        pick flag "$command" | while IFS= read -r line; do
            flag=${line%%$'\t'*} rest=${line#*$'\t'}
            printf '.TP\n\\fB%s\\fR %s\n%s\n' "$(plain <<<"$flag")" "$(plain <<<"${rest%%$'\t'*}")" \
                "$(plain <<<"${rest#*$'\t'}")"
        done
        examples "$command"
        printf '.SH SEE ALSO\n.BR mien (1)\n'
    } >"$out/mien-$command.1"
done
