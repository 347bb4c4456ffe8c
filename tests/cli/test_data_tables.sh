#!/usr/bin/env bash
# Tables, csv files and arrays as people have them, from training to evaluation; data sets of other
# software are named.
. tests/cli/lib.sh

faces 210 1 >faces.csv
tiny_network >tiny.yaml
train=(train "${quick[@]}" --data)

# ---- formats of other software ----
mkdir -p parquet mat
printf 'PAR1....PAR1' >parquet/train-00000.parquet
printf '\x89HDF\r\n\x1a\n....' >d.h5
printf '\x89HDF\r\n\x1a\n....' >d.csv
printf 'MATLAB 5.0 MAT-file' >mat/faces.mat
{ head -c 512 /dev/zero && printf '\x89HDF\r\n\x1a\n'; } >e.hdf5
printf '\x80\x04x' >f.pkl
printf 'PK\3\4' >g.xlsx
refuse 1 "HDF5" "'d.h5' is an HDF5 file" "numpy.savez" -- "${train[@]}" d.h5 --out never
refuse 1 "HDF5 under another name" "'d.csv' is an HDF5 file" -- "${train[@]}" d.csv --out never
refuse 1 "HDF5 after a user block" "'e.hdf5' is an HDF5 file" -- "${train[@]}" e.hdf5 --out never
refuse 1 "MATLAB, in a folder" "'mat/faces.mat' is a MATLAB .mat file" -- "${train[@]}" mat --out never
refuse 1 "Parquet, in a folder" "train-00000.parquet' is a Parquet file" "one folder per class" -- "${train[@]}" parquet --out never
refuse 1 "pickle" "'f.pkl' is a Python pickle" -- "${train[@]}" f.pkl --out never
refuse 1 "Excel" "'g.xlsx' is an Excel file" "csv" -- "${train[@]}" g.xlsx --out never

# ---- csv ----
{ head -1 faces.csv && sed 1d faces.csv | head -40; } | tr ',' ';' >u8.csv
printf '\xff\xfe' >u16.csv
sed 's/./&\x00/g' u8.csv | head -c 4000 >>u16.csv
refuse 1 "UTF-16" "'u16.csv' is UTF-16" "iconv" -- "${train[@]}" u16.csv --out never

# ---- tables ----
mkdir -p set/pics
echo "filename,emotion,split" >set/labels.csv
awk -F, 'NR > 1 {
    file = sprintf("set/pics/%04d.pgm", NR)
    print "P2\n48 48\n255\n" $2 >file
    close(file)
    split("angry disgust fear happy sad surprise neutral", names, " ")
    print substr(file, 10) "," names[$1 + 1] "," $3 >>"set/labels.csv"
}' faces.csv
sed '3s/^[^,]*/absent.pgm/; 5s/^[^,]*/..\/faces.csv/' set/labels.csv >set/bad.csv
refuse 1 "files of a table" "set/bad.csv'" "1 of its 210 rows name files that are missing" "1 of its 210 rows name files outside" "'absent.pgm' in line 3" -- "${train[@]}" set/bad.csv --out never

[ $have_h5 = 1 ] || { skip "training" "this build has no mien-h5" && finish; }
sed '1!s/^3,/happy,/; 1!s/^4,/Sadness,/; 1!s/^[0-9],/other,/' faces.csv | sed 's/,/;/g; s/Training/train/; s/PublicTest/VAL/' >words.csv
check "csv: semicolons, words, other part names" "$mien" "${train[@]}" words.csv --out words
check "csv: the classes are the words" eval '[ "$(grep -o "\"name\": \"[^\"]*" words/metrics.json | cut -d\" -f4 | tr "\n" " ")" = "Sadness happy other " ]' 
check "table: train" "$mien" "${train[@]}" set/labels.csv --out table
check "csv: train" "$mien" "${train[@]}" faces.csv --out csv
for model in table csv; do
    "$mien" evaluate --model $model --predictions $model.pred >$model.log 2>&1
    cut -d, -f$([ $model = table ] && echo 3- || echo 2-) $model.pred >$model.cut
done
check "table: its evaluation" test -s table.pred
check "table: the same predictions as from the csv" cmp table.cut csv.cut
picture=$(ls set/pics/*.pgm | head -1)
refuse 1 "predictions over a picture of the table" "overwrite" -- evaluate --model table --predictions "$picture"
finish
