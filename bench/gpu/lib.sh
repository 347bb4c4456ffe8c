# Sourced by check.sh and bench.sh: finds the program, the module and CUDA's libraries. Variables:
#   FAKE=1        use the CPU emulation of CUDA (build/release/fake), to test these scripts without a GPU
#   ARCHIVE=FILE  use an archive of `make dist CARRY=1`; default: carry/mien-carry.tar.xz if Mien cannot be
#                 built here
#   OUT=DIR       folder for the results (default bench/results; with FAKE=1 build/fake-results)
#   PEERS_PYTHON=P  a Python with PyTorch, and perhaps CUDA's libraries (default python3)
#   BUDGET=S      time limit for everything, in seconds (default 570)
set -euo pipefail

fake=${FAKE:-0}
budget=${BUDGET:-570}
build=${BUILD:-build/release}
out=${OUT:-$([ "$fake" = 1 ] && echo build/fake-results || echo bench/results)}
peers_python=${PEERS_PYTHON:-python3}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$out"
export XDG_CACHE_HOME=$work/cache # without stored choices of earlier runs
mkdir -p "$XDG_CACHE_HOME"

die() {
    echo "$*" >&2
    exit 1
}

left() { echo $((budget - SECONDS)); }

# Prints the smaller of a limit and the time left.
within() { echo $(($1 < $(left) ? $1 : $(left))); }

can_build() {
    command -v make >/dev/null && command -v pkg-config >/dev/null &&
        pkg-config --exists json-c yaml-0.1 zlib cmocka &&
        echo '#include <dnnl.h>' | "${CC:-gcc}" -E - >/dev/null 2>&1 &&
        { [ "$fake" = 1 ] || command -v nvcc >/dev/null || [ -x /usr/local/cuda/bin/nvcc ]; }
}

# Sets program, modules (the folder of mien-cuda.so) and tests (the folder of test_*).
find_program() {
    local archive=${ARCHIVE:-}
    if [ "$fake" = 1 ]; then
        program=$build/mien modules=$build/fake tests=$build/tests/cuda
    elif [ -z "$archive" ] && can_build; then
        make --no-print-directory -j"$(nproc)" CUDA=1 programs tests >"$work/make.log" 2>&1 ||
            { tail -20 "$work/make.log" >&2; die "the build failed"; }
        program=$build/mien modules=$build tests=$build/tests/cuda
    else
        archive=${archive:-carry/mien-carry.tar.xz}
        [ -f "$archive" ] || die "Mien cannot be built here, and there is no $archive: see docs/gpu.md"
        # Python unpacks it if there is no xz
        tar -C "$work" -xJf "$archive" 2>/dev/null || "$peers_python" -m tarfile -e "$archive" "$work"
        program=$work/mien-carry/bin/mien modules=$work/mien-carry/lib/mien
        tests=$work/mien-carry/tests/cuda
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
        mapfile -t python < <("$peers_python" -c 'import glob, sys
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
        IFS=, read -r gpu driver < <(nvidia-smi --query-gpu=name,driver_version --format=csv,noheader |
            head -1) || die "nvidia-smi finds no GPU"
        driver=${driver# }
    fi
    commit=$("$program" --version | sed -E 's/.*\((.*)\)$/\1/')
    result=$(slug <<<"$gpu")-$commit
}

cuda_path=
[ "$fake" = 1 ] || cuda_path=$(cuda_folders)
find_program
describe
