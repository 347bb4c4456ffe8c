#!/usr/bin/env bash
# Data as people download them: a folder that holds the csv, archives of folders and of csv files;
# bombs, links, names that lead outside, damage.
. tests/cli/lib.sh

if [ $have_h5 = 0 ]; then
    skip "archives" "this build has no mien-h5"
    finish
fi

faces 140 1 >faces.csv
tiny_network >tiny.yaml
train() { "$mien" train "${quick[@]}" --data "$@"; }
same() { # SOURCE AS: both give the same rows
    "$mien" predict --data "$1" --model plain -q --csv a.csv >/dev/null &&
        "$mien" predict --data "$2" --model plain -q --csv b.csv >/dev/null && cmp a.csv b.csv
}
check "train" train faces.csv --out plain

# libarchive is loaded on use: other runs do not pay for it
check "the program does not depend on libarchive" eval '! ldd "$mien" | grep -q libarchive'

# ---- a folder that holds the csv ----
mkdir -p fer/fer2013 && cp faces.csv fer/fer2013/fer2013.csv && echo hello >fer/fer2013/README && printf 'usage,votes\n' >fer/fer2013/fer2013new.csv
check "a folder that holds the csv" same fer/fer2013 faces.csv
check "evaluate reads the folder, too" "$mien" evaluate -q --model plain --data fer/fer2013 --split val
refuse 1 "--csv over the csv in the folder" "overwrite" -- predict --data fer/fer2013 --model plain -q --csv fer/fer2013/fer2013.csv
mkdir kaggle && cp faces.csv kaggle/icml_face_data.csv && head -30 faces.csv >kaggle/train.csv && cut -d, -f2 faces.csv | head -9 >kaggle/test.csv && printf 'id,label\n' >kaggle/example_submission.csv
check "of Kaggle's files the complete one" same kaggle faces.csv
rm kaggle/icml_face_data.csv
refuse 1 "two csv of faces" "2 csv files of faces" "give one of them" "kaggle/test.csv" -- train "${quick[@]}" --data kaggle --out never
gzip -c faces.csv >z.csv.gz && mkdir gz && mv z.csv.gz gz/
check "a folder that holds a .csv.gz" same gz faces.csv

mkdir only && cp gz/z.csv.gz only/notes && tar -cf only/set.tar faces.csv
refuse 1 "a folder that holds an archive" "only/set.tar" "give" -- train "${quick[@]}" --data only --out never

# ---- pictures ----
mkdir -p set/train set/test
i=0
for part in train test; do
    for class in angry happy; do
        mkdir -p "set/$part/$class"
        for n in 1 2 3 4 5 6; do
            i=$((i + 1))
            { printf 'P5\n16 16\n255\n' && awk -v s=$i 'BEGIN { for (k = 0; k < 256; k++) printf "%c", 33 + (k * s) % 90 }'; } >"set/$part/$class/$n.pgm"
        done
    done
done
echo hello >set/README.txt
check "train on a folder" train set --out folder
tar -cf set.tar set && tar -czf set.tar.gz set && tar -C set -czf inner.tgz train test README.txt && tar -cf alone.tar -C set train
cp set.tar.gz set.TGZ
for archive in set.tar set.tar.gz inner.tgz set.TGZ; do
    check "$archive: as the folder" eval '"$mien" predict --data set --model folder -q --csv a.csv >/dev/null && "$mien" predict --data $archive --model folder -q --csv b.csv >/dev/null && cmp a.csv b.csv && [ $(wc -l <b.csv) = 25 ]'
done
check "train on an archive" train set.tar.gz --out packed
check "the same training" cmp <(grep -v data folder/log.csv | cut -d, -f1-4) <(grep -v data packed/log.csv | cut -d, -f1-4)
check "evaluate knows the archive" "$mien" evaluate -q --model packed --split test
check "a message names the file in the archive" eval 'mkdir -p bad/happy bad/sad && cp set/train/happy/1.pgm bad/sad/ && echo no >bad/happy/2.pgm && tar -cf bad.tar bad && "$mien" train "${quick[@]}" --data bad.tar --out never 2>&1 | grep -q "bad.tar/bad/happy/2.pgm"'
check "only a part in the archive is still a part" eval '"$mien" predict --data alone.tar --model folder -q --csv c.csv >/dev/null && grep -q "train/angry/1.pgm" c.csv'
tar -czf csv.tar.gz -C fer fer2013
check "a csv in a .tar.gz" same csv.tar.gz faces.csv
tar -cf csv.tar faces.csv
check "a csv alone in a .tar" same csv.tar faces.csv

refuse 1 "--csv over the archive" "overwrite" -- predict --data set.tar --model folder -q --csv set.tar

# ---- what is refused ----
refuse 1 "stream" "set.tar" "cannot be streamed" "unpack it" -- train "${quick[@]}" --data set.tar --set data.memory=stream --out never
head -c 3000 set.tar >cut.tar
refuse 1 "a tar that is cut short" "cut.tar" -- train "${quick[@]}" --data cut.tar --out never
head -c 600 set.tar.gz >cut.tar.gz
refuse 1 "a .tar.gz that is cut short" "cut.tar.gz" -- train "${quick[@]}" --data cut.tar.gz --out never
echo hello >text.zip
refuse 1 "no archive" "text.zip" "cannot be read" -- train "${quick[@]}" --data text.zip --out never
: >empty.zip
refuse 1 "an empty file" "empty.zip" -- train "${quick[@]}" --data empty.zip --out never
refuse 1 "not there" "nothere.zip" "No such file" -- train "${quick[@]}" --data nothere.zip --out never
mkfifo pipe.tar
refuse 1 "a pipe" "pipe.tar" "not a regular file" -- train "${quick[@]}" --data pipe.tar --out never
mkdir -p bomb/happy && truncate -s 1T bomb/happy/1.pgm && tar -S -cf bomb.tar bomb && rm -r bomb
check "a bomb is small" test "$(stat -c %s bomb.tar)" -lt 100000
refuse 1 "a bomb" "bomb.tar" "unpacks to more than" "unpack it" -- train "${quick[@]}" --data bomb.tar --out never
mkdir -p out/happy out/sad && cp set/train/happy/*.pgm out/happy && cp set/train/happy/*.pgm out/sad && ln -s /etc/passwd out/happy/0.pgm && ln out/happy/1.pgm out/sad/linked.pgm
tar -P -cf out.tar out --transform 's,^out/sad/6.pgm$,../../../../evil.pgm,' --transform 's,^out/sad/5.pgm$,/tmp/evil.pgm,'
check "links and names that lead outside are left out" eval '"$mien" predict --data out.tar --model folder --csv d.csv >/dev/null 2>d.err && [ $(wc -l <d.csv) = 11 ] && grep -q "left out" d.err && [ ! -e /tmp/evil.pgm ] && ! grep -q evil d.csv'
: >seven.7z
refuse 1 "another archive" "seven.7z" "unpack it" -- train "${quick[@]}" --data seven.7z --out never
finish
