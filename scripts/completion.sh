#!/usr/bin/env bash
# Writes what shells complete, from --help: completion.sh MIEN bash|zsh
set -eu
mien=$1 shell=$2
table=$(bash "$(dirname "$0")/help_table.sh" "$mien")
commands=$(awk -F'\t' '$1 == "command" { print $2 }' <<<"$table")
if [ "$shell" = bash ]; then
    cat <<'BASH'
# bash completion for mien; made from its --help
_mien() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} flags
    COMPREPLY=()
    if [ "$COMP_CWORD" -eq 1 ]; then
BASH
    printf '        COMPREPLY=($(compgen -W "%s --help --version" -- "$word"))\n' "$(echo $commands)"
    cat <<'BASH'
        return
    fi
    case ${COMP_WORDS[1]}/$before in
BASH
    # the words of a value such as train|val; what stands for something, as FILE, and forms such as
    # haar[:XML] count up to there
    awk -F'\t' '$1 == "flag" && $4 ~ /\|/ {
        n = split($4, parts, "|"); words = ""
        for (i = 1; i <= n; i++) {
            word = parts[i]; sub(/(\[|:).*/, "", word)
            if (word ~ /^[a-z][a-z0-9-]*$/) words = words (words == "" ? "" : " ") word
        }
        if (words != "")
            printf "    %s/%s) COMPREPLY=($(compgen -W \"%s\" -- \"$word\")); compopt -o default; return ;;\n", $2, $3, words
    }' <<<"$table"
    printf '    esac\n    case ${COMP_WORDS[1]} in\n'
    for command in $commands; do
        printf '    %s) flags="%s" ;;\n' "$command" \
            "$(awk -F'\t' -v c="$command" '$1 == "flag" && $2 == c { printf "%s%s", sep, $3; sep = " " }' <<<"$table")"
    done
    cat <<'BASH'
    esac
    if [[ $word == -* ]]; then COMPREPLY=($(compgen -W "$flags" -- "$word")); fi
}
complete -o default -F _mien mien
BASH
else
    printf '#compdef mien\n# made from the --help of mien\n_mien() {\n    local -a commands=(\n'
    quoted() { sed "s/'/'\\\\''/g"; }
    awk -F'\t' '$1 == "command" { print $2 ":" $4 }' <<<"$table" | quoted | sed "s/.*/        '&'/"
    cat <<'ZSH'
    )
    if ((CURRENT == 2)); then
        _describe command commands
        return
    fi
    local command=$words[2]
    shift words
    ((CURRENT--))
    case $command in
ZSH
    for command in $commands; do
        printf '    %s)\n        _arguments \\\n' "$command"
        awk -F'\t' -v c="$command" '$1 == "flag" && $2 == c {
            help = $5; gsub(/[][]/, "\\\\&", help); value = $4; gsub(/:/, "\\:", value)
            many = $3 == "--model" || $3 == "--set" ? "*" : ""
            action = "_files"; n = split($4, parts, "|"); words = ""
            for (i = 1; n > 1 && i <= n; i++) {
                word = parts[i]; sub(/(\[|:).*/, "", word)
                if (word ~ /^[a-z][a-z0-9-]*$/) words = words (words == "" ? "" : " ") word
            }
            if (words != "") action = "(" words ")"
            printf "%s%s[%s]%s\n", many, $3, help, value == "" ? "" : ":" value ":" action
        }' <<<"$table" | quoted | sed "s/.*/            '&' \\\\/"
        printf "            '*:file:_files'\n        ;;\n"
    done
    printf '    esac\n}\n_mien "$@"\n'
fi
