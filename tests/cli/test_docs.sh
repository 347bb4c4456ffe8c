#!/usr/bin/env bash
# Checks the documentation: its commands and programs run (scripts/docs.sh explains how they are
# marked), its links work, the config keys that it names exist, and its index lists every page.
. tests/cli/lib.sh

cd "$root" || exit 1
if [ $have_h5 = 0 ]; then
    skip "commands of the pages" "this build has no mien-h5"
elif ! "$mien" predict datasets/photos/astronaut.png -q >/dev/null 2>&1; then
    skip "commands of the pages" "this build has no OpenCV"
else
    for page in README.md docs/*.md datasets/README.md models/README.md CONTRIBUTING.md; do
        bash scripts/docs.sh check "$page" || failed=1
    done
fi

empty() { # NAME: passes if stdin is empty
    cat >"$work/lines"
    if [ -s "$work/lines" ]; then fail "$1" "$(head -20 "$work/lines")"; else pass "$1"; fi
}
pages=$(git ls-files '*.md' 2>/dev/null || find . -name '*.md' -not -path './build/*')
prose() { awk '/^```/ { code = !code; next } !code' "$1"; } # a page without its blocks
anchors() { # PAGE: the anchors of its headings, as GitHub makes them
    prose "$1" | sed -n 's/^##* //p' | tr '[:upper:]' '[:lower:]' | sed 's/[^a-z0-9 _-]//g; s/ /-/g'
}

for page in $pages; do
    prose "$page" | grep -oE '\]\([^)]+\)|<img[^>]* src="[^"]+"' |
        sed -E 's/^\]\(//; s/\)$//; s/.* src="//; s/"$//; s/ .*//' | while IFS= read -r link; do
        case $link in *://* | mailto:*) continue ;; esac
        target=${link%%#*}
        [ -z "$target" ] && target=$page || target=$(dirname "$page")/$target
        [ -e "$target" ] || { echo "$page: $link" && continue; }
        [[ $link != *#* ]] || anchors "$target" | grep -qxF -- "${link#*#}" || echo "$page: $link: no such heading"
    done
done | empty "links lead somewhere"

for page in $pages; do
    grep -oE '`(model|data|input|augment|optimizer|schedule|loss|train|early_stopping|checkpoint|evaluate)(\.[a-z_0-9]+)+' "$page" |
        grep -vE '\.(csv|gz|py|c|h|sh|md)$' | tr -d '`' | sort -u | while IFS= read -r key; do
        grep -qE "^\| \`$key(\`|\.)" docs/config.md || echo "$page: $key"
    done
done | empty "config keys exist"

for page in docs/*.md; do
    [ "$page" = docs/README.md ] || grep -qF "](${page#docs/})" docs/README.md || echo "$page"
done | empty "docs/README.md names every page"

"$mien" --help | sed -n 's/^  \([a-z]*\)  .*/\1/p' >"$work/commands"
grep -qx train "$work/commands" || fail "the commands are listed" "mien --help has no line for train"
while IFS= read -r command; do
    grep -q "^| \`mien $command[ \`]" docs/commands.md || echo "$command"
done <"$work/commands" | empty "docs/commands.md has a row for every command"
finish
