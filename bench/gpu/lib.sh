# Sourced by day.sh: finds the program, the module and CUDA's libraries. Variables:
#   FAKE=1        use the CPU emulation of CUDA (build/release/fake), to test these scripts without a GPU
#   ARCHIVE=FILE  use this archive of `make dist CARRY=1`; default: carry/mien-carry.tar.xz, and a build if
#                 there is none
#   OUT=DIR       folder for the results (default bench/results; with FAKE=1 build/fake-results)
#   CACHE=DIR     folder that keeps the choice of engines between steps (default build/gpu-cache)
#   PEERS_PYTHON=P  a Python with PyTorch, and perhaps CUDA's libraries (default python3)
#   BUDGET=S      time limit of the step, in seconds
#   FAKE_TOOLS=DIR  with FAKE=1: stand-ins for NVIDIA's tools
set -euo pipefail
. bench/gpu/device_tests.sh
export LC_ALL=C # decimal points, whatever the machine's language

fake=${FAKE:-0}
build=${BUILD:-build/release}
out=${OUT:-$([ "$fake" = 1 ] && echo build/fake-results || echo bench/results)}
cache=${CACHE:-$([ "$fake" = 1 ] && echo build/fake-cache || echo build/gpu-cache)}
peers_python=${PEERS_PYTHON:-python3}
work=$(mktemp -d)
memory=$work # a folder for the data set
part_end=$((SECONDS + budget))
PATH=$PATH:/usr/local/cuda/bin
mkdir -p "$out" "$cache"
out=$(realpath "$out") cache=$(realpath "$cache")
trap 'rm -rf "$work" "$memory"' EXIT

die() {
    echo "$*" >&2
    exit 1
}

# Prints the seconds left, of the step and of its current part.
left() {
    local end=$budget
    [ "$part_end" -ge "$end" ] || end=$part_end
    echo $((end - SECONDS))
}

# Prints the smaller of a limit and the time left.
within() { echo $(($1 < $(left) ? $1 : $(left))); }

# Prints the path of one of NVIDIA's tools.
tool() {
    if [ "$fake" = 1 ]; then
        [ -x "${FAKE_TOOLS:-/nonexistent}/$1" ] && echo "$FAKE_TOOLS/$1"
    else
        command -v "$1" || compgen -G "/opt/nvidia/*/*/$1" | tail -1 | grep .
    fi
}

can_build() {
    command -v make >/dev/null && command -v pkg-config >/dev/null &&
        pkg-config --exists json-c yaml-0.1 zlib cmocka &&
        echo '#include <dnnl.h>' | "${CC:-gcc}" -E - >/dev/null 2>&1 &&
        { command -v nvcc >/dev/null || [ -x /usr/local/cuda/bin/nvcc ]; }
}

# Unpacks a .tar or .tar.xz; with Python if there is no xz.
unpack() { # ARCHIVE FOLDER
    tar -C "$2" -xf "$1" 2>/dev/null || "$peers_python" -m tarfile -e "$1" "$2"
}

# Sets program, modules (the folder of mien-cuda.so) and tests (the folder of test_*).
find_program() {
    local archive=${ARCHIVE:-} head
    if [ -z "$archive" ] && [ "$fake" != 1 ] && [ -f carry/mien-carry.tar.xz ]; then
        archive=carry/mien-carry.tar.xz
    fi
    if [ -n "$archive" ]; then
        [ -f "$archive" ] || die "there is no $archive"
        unpack "$archive" "$work"
        program=$work/mien-carry/bin/mien modules=$work/mien-carry/lib/mien
        tests=$work/mien-carry/tests/cuda
        head=$(git rev-parse --short=12 HEAD 2>/dev/null) || head=
        if [ -n "$head" ] && [ "$head" != "$(cat "$work/mien-carry/COMMIT")" ]; then
            echo "warning: $archive is of another commit than this checkout, $head" >&2
        fi
    elif [ "$fake" = 1 ]; then
        program=$build/mien modules=$build/fake tests=$build/tests/cuda
    elif can_build; then
        make --no-print-directory -j"$(nproc)" CUDA=1 programs tests >"$work/make.log" 2>&1 ||
            { tail -20 "$work/make.log" >&2; die "the build failed"; }
        program=$build/mien modules=$build tests=$build/tests/cuda
    else
        die "Mien cannot be built here, and there is no carry/mien-carry.tar.xz: see docs/gpu.md"
    fi
    [ -x "$program" ] || die "there is no $program: build it with make"
    [ -f "$modules/mien-cuda.so" ] || die "there is no $modules/mien-cuda.so"
    program=$(realpath "$program") modules=$(realpath "$modules")
}

# Prints folders with CUDA's libraries that the loader does not search. Python's packages come first, so
# that Mien and PyTorch use the same cuDNN.
cuda_folders() {
    local python=() folder folders=()
    if command -v "$peers_python" >/dev/null; then
        mapfile -t python < <(timeout 30 "$peers_python" -c 'import glob, sys
for folder in sys.path:
    print(*glob.glob(folder + "/nvidia/*/lib"), sep="\n")' | sort -u)
    fi
    for folder in "${python[@]}" /usr/local/cuda/lib64 /usr/local/nvidia/lib64; do
        if [ -n "$folder" ] && compgen -G "$folder/lib*.so*" >/dev/null; then folders+=("$folder"); fi
    done
    local IFS=:
    echo "${folders[*]}"
}

# Runs a command for at most $1 seconds, with Mien's modules and CUDA's libraries; these variables are not
# exported, because Python must not get them.
with_gpu() {
    local limit
    limit=$(within "$1")
    shift
    [ "$limit" -gt 0 ] || return 124
    MIEN_MODULES=$modules LD_LIBRARY_PATH=$cuda_path${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH} \
        timeout -k 5 "$limit" "$@" </dev/null
}

slug() { tr '[:upper:]' '[:lower:]' | sed -E 's/[^a-z0-9]+/-/g; s/^-|-$//g'; }

describe() { # sets gpu, driver, commit, result (the name of the results)
    gpu=fake driver=none
    if [ "$fake" != 1 ]; then
        IFS=, read -r gpu driver < <(timeout 60 nvidia-smi --query-gpu=name,driver_version \
            --format=csv,noheader | head -1) || die "nvidia-smi finds no GPU"
        driver=${driver# }
    fi
    commit=$("$program" --version | sed -E 's/.*\((.*)\)$/\1/')
    result=day-$step-$(slug <<<"$gpu")-$commit
}

# The engines that smoke chose are used by all later steps, also on another machine with the same GPU:
# every step leaves engines.json among its results, and takes it from carry/.
keep_engines() {
    export XDG_CACHE_HOME=$cache
    engines=$cache/mien/engines.json
    if [ "$step" = smoke ]; then rm -f "$engines"; fi # those of another commit or driver
    if [ ! -f "$engines" ] && [ -f carry/engines.json ] && [ "$fake" != 1 ]; then
        mkdir -p "$cache/mien"
        cp carry/engines.json "$engines"
    fi
}

# Sets data to FER2013 as a folder in memory or a csv, or to nothing.
find_data() {
    local file
    data=
    for file in carry/fer2013-folder.tar carry/fer2013-folder.tar.xz carry/fer2013.csv carry/fer2013.csv.gz; do
        [ -f "$file" ] || continue
        data=$file
        [[ $file == *.tar* ]] || return 0
        if unpack "$file" "$memory" && [ -d "$memory/fer2013/train" ]; then
            data=$memory/fer2013
            # its test part is PublicTest, on which the recipe chooses the best epoch
            [ ! -d "$data/test" ] || [ -d "$data/val" ] || mv "$data/test" "$data/val"
        else
            data=
        fi
        return 0
    done
}

cuda_path=
[ "$fake" = 1 ] || cuda_path=$(cuda_folders)
find_program
describe
keep_engines
