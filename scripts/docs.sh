#!/usr/bin/env bash
# Runs the code blocks of the documentation: docs.sh check|update PAGE.md…   (prints TAP)
#
# Each page gets a temporary folder with build/mien, configs/, datasets/ and models/, and `mien` on the
# PATH. Its fenced blocks run there from top to bottom. The first word after the fence is the type:
#   ```sh         commands; all must succeed
#   ```console    "$ command" lines, each followed by its output. Numbers may differ, and a line "…"
#                 matches any lines. If the output has an error ("mien: …") the command must fail, else
#                 succeed. `update` writes the current output into the page.
#   ```c          a program, compiled with the built library and run
#   other         text. A fence without a word is an error.
# A second word names a requirement that tests do not have (needs(), below): the block is skipped, but
# its flags and config keys are checked.
# "<!-- run: command -->" on a separate line prepares files that readers have and a test has not.
set -u
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=${MIEN_BUILD:-build/release}
case $build in /*) ;; *) build=$root/$build ;; esac
mode=${1:-}
case $mode in check | update) shift ;; *) echo "usage: docs.sh check|update PAGE.md…" >&2 && exit 2 ;; esac
temp=$(mktemp -d)
trap 'rm -rf "$temp"' EXIT
failed=0

pass() { echo "ok $*"; }
skip() { echo "ok $1 # SKIP $2"; }
fail() { # NAME [FILE with details]
    failed=1
    echo "not ok $1"
    [ $# -lt 2 ] || tail -12 "$2" | sed 's/^/# /'
}

needs() { # WORD: prints why a block with this requirement is skipped; fails for an unknown word
    case $1 in
    build) echo "builds the program or the tests" ;;
    fer2013) echo "needs FER2013" ;;
    data) echo "needs your own data set" ;;
    gpu) echo "needs a GPU" ;;
    install) echo "installs packages or files" ;;
    python) echo "needs Python packages" ;;
    slow) echo "takes minutes" ;;
    serve) # it is run where it can be
        if [ ! -e "$build/mien-serve.so" ]; then echo "needs mien-serve.so"; fi
        if ! command -v curl >/dev/null; then echo "needs curl"; fi
        ;;
    *) return 1 ;;
    esac
}

execute() { # COMMANDS: runs them in the page's folder
    # a block that fails half-way must not leave its server, and the port taken, to the next run
    local leave_nothing="trap 'kill \$(jobs -p) 2>/dev/null || :' EXIT"$'\n'
    (cd "$folder" && PATH=$folder/bin:$PATH timeout 300 bash -euo pipefail -c "$leave_nothing$1") </dev/null 2>&1
}

# Prints an error for each flag of a `mien COMMAND` line that is not in its --help, and for each `mien train`
# line whose configuration is invalid.
look_up() { # COMMANDS
    local line command flag
    while IFS= read -r line; do
        line=${line%%  #*}
        [[ $line =~ ^(build/)?mien\ ([a-z]+) ]] || continue
        command=${BASH_REMATCH[2]}
        for flag in $(grep -oE -- ' --[a-z-]+' <<<"$line"); do
            "$build/mien" "$command" --help | grep -qE -- "$flag( |$)" || echo "$line: no $flag"
        done
        [ "$command" != train ] || execute "$line --print-config >/dev/null" || echo "$line"
    done <<<"$1"
}

masked() { sed -E 's/[0-9]+([.,:][0-9]+)*(e[-+]?[0-9]+)?/N/g; s/ +\*?$//; s/ +/ /g; s/-+/-/g; s/clip: [a-z]+/clip/'; }

# EXPECTED PRINTED: succeeds if they agree; prints PRINTED, with "…" where EXPECTED has it
agree() {
    paste -d $'\001' <(masked <"$1") "$1" >"$temp/expected"
    paste -d $'\001' <(masked <"$2") "$2" >"$temp/printed"
    awk -F '\001' '
        NR == FNR { want[++wants] = $1; next }
        { have[++haves] = $1; line[haves] = $2 }
        END {
            for (i = j = 1; i <= wants; i++) {
                if (want[i] == "…") {
                    print "…"
                    if (i == wants) exit 0
                    while (j <= haves && have[j] != want[i + 1]) j++
                    continue
                }
                if (j > haves || have[j] != want[i]) exit 1
                print line[j++]
            }
            exit j <= haves
        }' "$temp/expected" "$temp/printed"
}

console() { # NAME BODY: runs it; writes the body with the current output to $temp/fresh
    local line command="" status shown bad=0
    : >"$temp/fresh"
    : >"$temp/want"
    printf '%s$ \n' "$2" >"$temp/body" # an empty command ends the last output
    while IFS= read -r line; do
        if [[ $line != '$ '* ]]; then
            printf '%s\n' "$line" >>"$temp/want"
            continue
        fi
        if [ -n "$command" ]; then
            execute "$command" >"$temp/out"
            status=$?
            grep -q '^mien: ' "$temp/want" && shown=1 || shown=0
            [ $((status != 0)) = $shown ] || { bad=1 && fail "$1: $command: exit status $status" "$temp/out"; }
            printf '$ %s\n' "$command" >>"$temp/fresh"
            if agree "$temp/want" "$temp/out" >"$temp/shown"; then
                cat "$temp/shown" >>"$temp/fresh"
            else
                cat "$temp/out" >>"$temp/fresh"
                diff "$temp/want" "$temp/out" >"$temp/diff"
                [ "$mode" = update ] || { bad=1 && fail "$1: $command: prints other output" "$temp/diff"; }
            fi
        fi
        command=${line#'$ '}
        : >"$temp/want"
    done <"$temp/body"
    [ $bad = 1 ] || pass "$1"
}

program() { # NAME SOURCE: compiles and runs it
    local libraries sanitizer=()
    if ! command -v "${CC:-cc}" >/dev/null; then skip "$1" "no C compiler" && return; fi
    libraries=$(readelf -d "$build/mien" | sed -nE 's/.*\(NEEDED\).*\[(lib.*)\]/-l:\1/p')
    [[ $libraries != *libasan* ]] || sanitizer+=(-fsanitize=address)
    [[ $libraries != *libubsan* ]] || sanitizer+=(-fsanitize=undefined)
    printf '%s' "$2" >"$folder/example.c"
    # shellcheck disable=SC2086 # a list
    if ${CC:-cc} -std=c11 -Wall -Wextra -Werror "${sanitizer[@]}" -I"$root/include" "$folder/example.c" \
        "$build/libmien.a" $libraries -fopenmp -o "$folder/example" >"$temp/out" 2>&1 &&
        execute "MIEN_MODULES=$build ./example" >"$temp/out"; then
        pass "$1"
    else
        fail "$1" "$temp/out"
    fi
}

block() { # NAME KIND NEEDS BODY: writes the new body to $temp/fresh
    local name=$1 kind=$2 need=$3 body=$4 reason
    printf '%s' "$body" >"$temp/fresh"
    case $kind in sh | console | c) ;; *) return ;; esac
    if [ -n "$need" ]; then
        if ! reason=$(needs "$need"); then
            fail "$name: unknown word '$need' after the fence"
        elif [ -z "$reason" ]; then
            if execute "$body" >"$temp/out"; then pass "$name"; else fail "$name" "$temp/out"; fi
        elif look_up "$body" >"$temp/out" && [ ! -s "$temp/out" ]; then
            skip "$name" "$reason"
        else
            fail "$name" "$temp/out"
        fi
    elif [ "$kind" = console ]; then
        console "$name" "$body"
    elif [ "$kind" = c ]; then
        program "$name" "$body"
    elif execute "$body" >"$temp/out"; then
        pass "$name"
    else
        fail "$name" "$temp/out"
    fi
}

page() { # FILE
    local line number=0 kind="" need="" body="" start=0
    folder=$(mktemp -d -p "$temp")
    mkdir "$folder/bin" "$folder/build"
    ln -s "$build/mien" "$folder/bin/mien"
    ln -s "$build/mien" "$folder/build/mien"
    ln -s "$root/datasets" "$root/models" "$root/configs" "$folder"
    : >"$temp/page"
    while IFS= read -r line || [ -n "$line" ]; do
        number=$((number + 1))
        if [ -n "$kind" ] && [ "$line" != '```' ]; then
            body+=$line$'\n'
            continue
        elif [ -n "$kind" ]; then
            block "$1:$start" "$kind" "$need" "$body"
            cat "$temp/fresh" >>"$temp/page"
            kind=""
        elif [[ $line == '```'* ]]; then
            read -r kind need <<<"${line#'```'}"
            [ -n "$kind" ] || { kind=text && fail "$1:$number: a fence without a word"; }
            body="" start=$number
        elif [[ $line == '<!-- run: '*' -->' ]]; then
            line=${line#'<!-- run: '}
            execute "${line%' -->'}" >"$temp/out" || fail "$1:$number: $line" "$temp/out"
            line="<!-- run: $line"
        fi
        printf '%s\n' "$line" >>"$temp/page"
    done <"$1"
    [ -z "$kind" ] || fail "$1:$start: the block is not closed"
    if [ "$mode" = update ] && ! cmp -s "$temp/page" "$1"; then cat "$temp/page" >"$1"; fi
    rm -rf "$folder"
}

export MIEN_BUILD=$build
unset MIEN_MODEL
for file; do page "$file"; done
exit $failed
