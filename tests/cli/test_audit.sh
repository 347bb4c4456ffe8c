#!/usr/bin/env bash
# mien audit: copies within and across parts, contradicting labels, unusual images; on FER2013 if it is there.
. tests/cli/lib.sh

refuse 2 "no data" "audit needs --data SRC" -- audit
refuse 1 "no such data" "nowhere.csv" -- audit --data nowhere.csv
refuse 1 "an output in no folder" "there is no folder" -- audit --data sample --out nowhere/a.json

# 140 images; copies of a Training row: in Training with another label, in PublicTest twice; one brighter copy; a black image
faces 140 1 >plain.csv
"$mien" audit --data plain.csv -q --out plain.json >plain.txt
check "clean data: no copies, no leakage" eval 'grep -q "^identical images: 0 groups, 0 surplus" plain.txt && ! grep -q leakage: plain.txt && grep -q "\"leakage\": false" plain.json'
awk -F, 'NR == 1 { print; next } { print } NR == 2 { p = $2; l = $1 } END {
    print (l + 1) % 7 "," p ",Training"
    print l "," p ",PublicTest"
    print l "," p ",PublicTest"
    n = split(p, v, " ")
    line = ""
    for (i = 1; i <= n; i++) line = line (i > 1 ? " " : "") (v[i] + 6)
    print l "," line ",PrivateTest"
    gsub(/[0-9]+/, "0", p)
    print l "," p ",Training"
}' plain.csv >copies.csv
audit() { "$mien" audit --data copies.csv -q "$@" >audit.txt 2>err.txt; }
check "an audit" audit --out audit.json
has() { grep -qF -- "$1" audit.txt || { cat audit.txt && false; }; }
check "copies" has "identical images: 1 groups, 3 surplus images"
check "within a part" has "within train: 1 groups, 1 surplus images"
check "across parts" has "leakage: 2 images of val are also in train (2 images)"
check "with other labels" has "1 groups have images with different labels"
check "a brighter copy is nearly identical" has "leakage: 1 images of test are also in train (2 images)"
check "a black image" eval 'has "hardly any contrast: 1" && grep -A1 "^unusually dark" audit.txt | grep -q "row 145 " && grep -q "say little" audit.txt'
check "json says the same" eval 'python3 -c "
import json
a = json.load(open(\"audit.json\"))
i, n = a[\"identical\"], a[\"nearly_identical\"]
assert (i[\"groups\"], i[\"surplus\"], i[\"label_conflicts\"]) == (1, 3, 1), i
assert i[\"parts\"][\"val\"][\"also_in\"] == {\"train\": 2, \"test\": 0}, i
assert n[\"parts\"][\"test\"][\"also_in\"] == {\"train\": 1, \"val\": 1}, n
assert a[\"leakage\"] and a[\"n\"] == 145 and a[\"flat\"][\"images\"][0][\"image\"] == \"row 145\", a[\"flat\"]
"'
check "the same on stdout" eval '"$mien" audit --data copies.csv -q --json | grep -v seconds >out.json && grep -v seconds audit.json | cmp - out.json'
check "a page" eval 'audit --report page && ls page | tr "\n" " " | grep -qx "audit.html audit.json " && grep -qF "<b>Leakage:</b>" page/audit.html && grep -qF "In several parts" page/audit.html && grep -q "data:image/png" page/audit.html && cmp <(grep -v seconds page/audit.json) <(grep -v seconds audit.json)'
check "--strict: leakage is a failure" eval '! audit --strict && grep -q "figures on it are too good" err.txt'
check "--strict: no leakage" "$mien" audit --data plain.csv -q --strict
check "the number of threads does not matter" eval 'audit --threads 1 && cp audit.txt one.txt && audit --threads 3 && cmp one.txt audit.txt'
mkdir -p folder/a folder/b && cp "$root/datasets/photos/astronaut.png" folder/a/1.png && cp folder/a/1.png folder/b/2.png && echo no >folder/b/3.png
check "a folder: names, contradicting labels, unreadable files" eval '"$mien" audit --data folder >audit.txt 2>err.txt && has "identical images: 1 groups, 1 surplus" && has "1 groups have images with different labels" && has "unreadable, skipped: 1" && has "name no parts" && has "shorter side in pixels: 512 to 1023 2"'
echo 'row,x' >wrong.csv
refuse 1 "votes that are none" "wrong.csv" -- audit --data plain.csv --votes wrong.csv
if [ "$have_h5" = 1 ]; then
    tiny_network >tiny.yaml
    awk -F, -v OFS=, 'NR == 20 { $1 = ($1 + 3) % 7 } { print }' plain.csv >wrong_label.csv
    "$mien" train "${quick[@]}" --set train.epochs=30 --data plain.csv --out run >/dev/null
    check "a wrong label is the first suspect" eval '"$mien" audit -q --data wrong_label.csv --model run | grep -A1 "suspect labels" | grep -q "row 19 "'
fi

fer=${MIEN_DATA:-../shared/data}/fer2013
case $fer in /*) ;; *) fer=$root/$fer ;; esac
if [ ! -e "$fer/fer2013new.csv" ]; then
    skip "FER2013" "there is no $fer"
    finish
fi
check "FER2013" "$mien" audit --data "$fer/fer2013.csv.gz" -q --votes "$fer/fer2013new.csv" --out fer.json
check "FER2013: copies as a script counts them; images without a face at 2 % false alarms" python3 - "$fer" <<'PY'
import collections, csv, gzip, json, sys
a = json.load(open("fer.json"))
with gzip.open(sys.argv[1] + "/fer2013.csv.gz", "rt") as f:
    rows = list(csv.reader(f))[1:]
parts = {"train": "Training", "val": "PublicTest"}
pixels = {p: collections.Counter(r[1] for r in rows if r[2] == u) for p, u in parts.items()}
for p, c in pixels.items():
    mine = a["identical"]["parts"][p]
    other = pixels["val" if p == "train" else "train"]
    assert mine["surplus"] == sum(c.values()) - len(c), (p, mine)
    assert mine["groups"] == sum(n > 1 for n in c.values()), (p, mine)
    assert sum(mine["also_in"].values()) == sum(n for x, n in c.items() if x in other), (p, mine)
votes = [int(r[-1]) for r in list(csv.reader(open(sys.argv[1] + "/fer2013new.csv")))[1:]]
no_face = {i for i, v in enumerate(votes) if v > 5}
listed = {x["row"] for x in a["no_face"]["images"]}
assert a["no_face"]["count"] == len(listed) and len(no_face) == 160
found, false = len(listed & no_face), len(listed - no_face)
print(found, false)
assert found >= 0.6 * 160 and false <= 0.02 * (len(votes) - 160), (found, false)
PY
finish
