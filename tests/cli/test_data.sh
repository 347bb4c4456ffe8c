#!/usr/bin/env bash
# Folders of pictures as data: trained on, evaluated, streamed; bad files named and counted.
. tests/cli/lib.sh

faces 210 1 >faces.csv
tiny_network >tiny.yaml
mkdir -p faces/{Train,valid,test}/k{0..6}
awk -F, 'NR > 1 {
    part = $3 == "Training" ? "Train" : $3 == "PublicTest" ? "valid" : "test"
    file = sprintf("faces/%s/k%d/%04d.pgm", part, $1, NR)
    print "P2\n48 48\n255\n" $2 >file
    close(file)
}' faces.csv
train=(train "${quick[@]}" --data)

# ---- what is wrong with a folder ----
mkdir -p empty/happy loose
cp faces/test/k0/*.pgm loose
refuse 1 "no image" "'empty'" "holds no image" -- "${train[@]}" empty --out never
refuse 1 "no folder of a class" "'loose'" "in a class folder" -- "${train[@]}" loose --out never
cp -r faces other
mv other/test/k6 other/test/k7
refuse 1 "classes that differ" "'k6' is not in test" "'k7' is not in Train" -- "${train[@]}" other --out never
cp -r faces bad
first=$(ls bad/Train/k0/*.pgm | head -1)
head -c 3000 "$first" >bad/Train/k0/0cut.pgm
: >bad/Train/k3/0empty.jpg
printf 'P6 10000 10000 255\n' >bad/test/k1/0large.ppm
printf 'P5 1 1 255\nx' >bad/valid/k2/0small.pgm
cp tiny.yaml bad/valid/k2/0text.png
refuse 1 "a bad file" "Train/k0/0cut.pgm' is cut short" "--on-bad skip" -- "${train[@]}" bad --out never
refuse 1 "skip:1" "more than 1 bad" "k3/0empty.jpg' is empty" -- "${train[@]}" bad --on-bad skip:1 --out never
refuse 1 "skip:4" "more than 4 bad" "k2/0text.png' is not a picture" -- "${train[@]}" bad --on-bad skip:4 --out never
mkdir -p archive && head -c 100 /dev/zero >archive/x.npz
refuse 1 "no archive" "archive/x.npz'" "zip" -- "${train[@]}" archive/x.npz --out never
cp -r faces closed && chmod 777 .
if [ "$(id -u)" -ne 0 ]; then
    wrap=(env)
elif command -v setpriv >/dev/null && setpriv --reuid 65534 --clear-groups "$mien" --version >/dev/null 2>&1; then
    wrap=(setpriv --reuid 65534 --clear-groups) # the user nobody can read the build
fi
if [ ${#wrap[@]} -gt 0 ]; then
    chmod 000 closed/test/k1
    refuse 1 "unreadable folder" "closed/test/k1'" "Permission denied" -- "${train[@]}" closed --out never
    chmod 755 closed/test/k1 && chmod 000 "closed${first#bad}"
    refuse 1 "unreadable file" "closed${first#bad}'" "Permission denied" -- "${train[@]}" closed --out never
else
    skip "unreadable files" "other users may not run the build"
fi
wrap=()

[ $have_h5 = 1 ] || { skip "training" "this build has no mien-h5" && finish; }
check "train on a folder" "$mien" "${train[@]}" faces --out whole
check "its parts are used" eval '"$mien" evaluate --model whole --data faces --split test --json >r.json && grep -q "\"n\": *42" r.json'
check "streamed" "$mien" "${train[@]}" faces --set data.memory=stream --out stream
check "the same model, bit for bit" cmp whole/best.h5 stream/best.h5
"$mien" "${train[@]}" bad --on-bad skip:5 --out left >out.log 2>err.log
check "skip: trained" test -s left/best.h5
check "skip: counted" grep -q 'bad: 5 bad rows or files were left out' err.log
check "skip: each is named" test "$(grep -c 'left out: ' err.log)" -eq 5
for model in whole left; do "$mien" evaluate --model $model --data faces --predictions $model.csv >/dev/null; done
check "skip: the same model as without them" cmp whole.csv left.csv
check "predictions name the files" eval '[ "$(head -1 whole.csv | cut -d, -f1-4)" = row,file,label,prediction ] && sed 1d whole.csv | while IFS=, read -r row file rest; do [ -e "faces/$file" ] || exit 1; done'
picture=$(ls faces/test/k0/*.pgm | head -1)
refuse 1 "predictions over a picture of the data" "overwrite" -- evaluate --model whole --predictions "$picture"
refuse 1 "preview over a picture of the data" "overwrite" -- preview "${quick[@]}" --data faces --out "$picture"
check "a picture next to the class folders can be overwritten as output" "$mien" preview "${quick[@]}" --data faces --out faces/sheet.png
check "again" "$mien" preview "${quick[@]}" --data faces --out faces/sheet.png
check "colour" "$mien" "${train[@]}" faces --set input.channels=3 --out colour
control=$(printf 'faces/test/k0/\033[2Jx.jpg')
: >"$control"
check "names cannot send control sequences to the terminal" eval '! "$mien" evaluate --model whole --data faces 2>raw.txt && grep -q "?.2Jx.jpg" raw.txt && ! grep -q "$(printf "\033")" raw.txt'
rm "$control"
mv faces away
refuse 1 "the model's data are elsewhere" "trained on are missing" "--data" "'faces'" -- evaluate --model whole
finish
