#!/usr/bin/env bash
# libmien.so as another program sees it: exactly the functions of include/mien, found through mien.pc
# and complete after `make install` into a folder, without any setting; uninstall leaves nothing.
. tests/cli/lib.sh
unset MAKEFLAGS MAKELEVEL V STRICT VARIANT CARRY PREFIX DESTDIR MIEN_MODULES CFLAGS
build=${mien%/mien}
library=$build/libmien.so

declared() { grep -hoE '\bmien_[a-z_0-9]+\(' "$root"/include/mien/*.h | tr -d '(' | sort -u | grep -vE '^mien_shape_(count|sample)$'; }
exported() { nm -D --defined-only "$library" | awk '{ print $3 }' | sort -u; }
check "the library exports what the headers declare" diff <(declared) <(exported)
check "and there are some" eval '[ $(exported | wc -l) -gt 20 ]'
check "its soname has the major version" eval 'readelf -d "$library" | grep -q "SONAME.*\[libmien.so.0\]"'

case $build in
*/build/*) variant=${build##*/build/} ;;
*) variant= ;;
esac
if [ -z "$variant" ] || [ "$build" != "$root/build/$variant" ]; then
    skip "installation" "the build is not in the tree"
    finish
fi
make_in() { (cd "$root" && make --no-print-directory -s VARIANT="$variant" CUDA=0 PREFIX="$work/usr" "$@"); }
check "make install copies the build" make_in install-files
check "with a page for each command" eval '[ $("$mien" --help | grep -cE "^  [a-z]+  ") -eq $(ls usr/share/man/man1/mien-*.1 | wc -l) ]'

cat >example.c <<'C'
#include <mien/mien.h>
#include <stdio.h>
#include <string.h>
static int epochs;
static int progress(void *context, const mien_training_progress *p) {
    epochs += p->ended;
    return context && p->ended; /* a context: stop after an epoch */
}
static int frame(void *context, const mien_video_frame *f) {
    (void)f;
    return ++*(int *)context == 3;
}
#define DO(call) if ((call) != MIEN_OK) { printf("%s\n", mien_error_message()); return 1; }
int main(int argc, char **argv) {
    mien_backend *cpu;
    char *folder, *metrics;
    DO(mien_backend_open("cpu", &(mien_backend_options){.threads = 1}, &cpu));
    if (argc > 2 && !strcmp(argv[1], "photo")) {
        mien_photo_reader *reader;
        const mien_face_result *faces;
        int n;
        DO(mien_photo_open(NULL, cpu, NULL, &reader));
        DO(mien_photo_file(reader, argv[2], &faces, &n));
        for (int i = 0; i < n; i++)
            printf("%d %d %d %d %.9g\n", faces[i].x, faces[i].y, faces[i].width, faces[i].height,
                   faces[i].probabilities[faces[i].label]);
        mien_photo_close(reader);
    } else if (argc > 2 && !strcmp(argv[1], "evaluate")) {
        DO(mien_evaluation_json((const char *const[]){argv[2]}, 1, cpu, NULL, &metrics));
        fputs(metrics, stdout);
        mien_string_free(metrics);
    } else if (argc > 2 && !strcmp(argv[1], "video")) {
        int frames = 0;
        DO(mien_video_run(NULL, cpu, argv[2], NULL, frame, &frames));
        printf("%d frames\n", frames);
    } else if (argc > 3) {
        const char *set[] = {"model.file=tiny.yaml", "train.epochs=2", "train.batch_size=16"};
        const mien_training t = {.data = argv[2], .out = argv[3], .set = set, .set_count = 3,
            .config_text = "augment: {flip: false}\n", .threads = 1, .device = "cpu", .progress = progress,
            .context = strcmp(argv[1], "stop") ? NULL : &epochs};
        DO(mien_training_run(&t, &folder, &metrics));
        printf("%s %d epochs\n", folder, epochs);
        mien_string_free(folder);
        mien_string_free(metrics);
    }
    mien_backend_close(cpu);
    return 0;
}
C
flags=$(PKG_CONFIG_PATH=$work/usr/lib/pkgconfig pkg-config --cflags --libs mien)
if readelf -d "$library" | grep -qE 'lib(a|t|ub)san'; then
    skip "a program with libmien.so" "the library has a sanitizer"
    finish
fi
# shellcheck disable=SC2086 # a list
check "a program links libmien.so by mien.pc" eval "${CC:-cc} -std=c11 -Wall -Wextra -Werror example.c \$flags -Wl,-rpath,$work/usr/lib -o example && readelf -d example | grep -q libmien.so.0"
mv "$work/usr" "$work/moved" # it finds its files from its own folder, wherever that is
export LD_LIBRARY_PATH=$work/moved/lib
picture=$root/datasets/photos/astronaut.png
if [ -e "$build/mien-vision.so" ] && [ $have_h5 = 1 ]; then
    ./example photo "$picture" >photo.got 2>&1
    "$work/moved/bin/mien" predict -q --threads 1 --csv photo.csv "$picture" >/dev/null
    check "photo: the box of mien predict" eval '[ "$(cut -d" " -f1-4 photo.got)" = "176 65 98 98" ]'
    confidence=$(awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == "confidence") k = i } NR == 2 { print $k }' photo.csv)
    check "photo: its probability" eval 'grep -q . photo.csv && awk -v a="$(cut -d" " -f5 photo.got)" -v b="$confidence" "BEGIN { exit !(a - b < 1e-6 && b - a < 1e-6) }"'
    check "photo: a missing file is said" eval '! ./example photo none.png >photo.log && grep -q none.png photo.log'
    if [ -e "$build/mien-video.so" ]; then
        printf 'x' >no.mp4
        check "video: what is no video is said" eval './example video no.mp4 >video.log; [ $? = 1 ] && grep -q "no.mp4" video.log'
    fi
else
    skip "photo" "this build has no OpenCV or no mien-h5"
fi
faces 70 1 >faces.csv
tiny_network >tiny.yaml
if [ $have_h5 = 1 ]; then
    check "training: two epochs into the folder" eval '[ "$(./example train faces.csv run)" = "run 2 epochs" ] && [ -e run/best.h5 ]'
    check "training: a used folder is refused" eval '! ./example train faces.csv run >again.log && grep -q "not empty" again.log'
    check "training: a callback stops it, and --resume continues" eval '! ./example stop faces.csv stopped >stop.log && grep -qi "interrupt" stop.log && "$mien" train -q --threads 1 --resume stopped >/dev/null'
    ./example evaluate run >evaluate.got
    "$mien" evaluate --threads 1 --model run --json >evaluate.want 2>/dev/null
    strip_time() { grep -vE 'second|time' "$1"; }
    check "evaluation: the JSON of mien evaluate --json" diff <(strip_time evaluate.got) <(strip_time evaluate.want)
else
    skip "training and evaluation" "this build has no mien-h5"
fi
unset LD_LIBRARY_PATH
mv moved usr
if command -v man >/dev/null; then
    for page in usr/share/man/man1/*.1; do man -l --warnings=w -Tutf8 "$page" 2>&1 >/dev/null | head -2; done >man.log
    check "man renders every page without a warning" test ! -s man.log
else
    skip "man pages" "there is no man"
fi
. "$work/usr/share/bash-completion/completions/mien"
complete_at() { # WORD...: what is completed for the last one
    COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
    _mien 2>/dev/null
    printf '%s\n' "${COMPREPLY[@]}"
}
missing() { # commands and flags of --help that are not completed
    local command flag
    "$mien" --help | sed -nE 's/^  ([a-z]+)  +[a-z].*/\1/p' | while read -r command; do
        complete_at mien "${command%?}" | grep -qx "$command" || echo "$command"
        "$mien" "$command" --help | grep -oE '^  --?[a-z-]+' | tr -d ' ' | while read -r flag; do
            complete_at mien "$command" "$flag" | grep -qx -- "$flag" || echo "bash: $command $flag"
            sed -n "/^    $command)/,/;;/p" "$work/usr/share/zsh/site-functions/_mien" | grep -qF -- "$flag[" || echo "zsh: $command $flag"
        done
    done
}
check "bash and zsh complete every command and flag" eval 'missing >missing.log; cat missing.log; [ ! -s missing.log ]'
check "and words of a value" eval '[ "$(complete_at mien evaluate --tta f)" = flip ]'
if command -v zsh >/dev/null; then check "zsh reads its completion" zsh -n usr/share/zsh/site-functions/_mien; fi
check "make uninstall leaves no file" eval 'make_in uninstall && [ -z "$(find usr -type f -o -type l)" ]'

if command -v dpkg-deb >/dev/null; then
    check "make deb" make_in deb-files
    deb=$(ls "$root"/build/mien_*.deb 2>/dev/null | head -1)
    check "the package has its fields" eval 'dpkg-deb --info "$deb" >deb.log && grep -q "Package: mien" deb.log && { ! command -v dpkg-shlibdeps || grep -q "Depends: .*libdnnl" deb.log; }'
    check "and runs when it is unpacked" eval 'dpkg-deb -x "$deb" unpacked && unpacked/usr/bin/mien --version | grep -q "^mien "'
    rm -f "$deb"
else
    skip "make deb" "there is no dpkg-deb"
fi
finish
