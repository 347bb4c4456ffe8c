# Sourced by day.sh. Which machine this is, whether training and inference run at all, and their speed.
# The engines chosen here are those of all later steps.
first_line() { { timeout 60 "$@" 2>&1 || echo "not there"; } | grep . | head -1; }

versions() {
    local name
    echo "# $(uname -sr), $(first_line ldd --version), $(nproc) CPUs"
    echo "# $(sed -nE 's/^MemTotal: *//p' /proc/meminfo) of memory"
    echo "# $(df -h /dev/shm | awk 'END { print $4 }') free in /dev/shm"
    echo "# $(first_line bash --version)"
    for name in python3 xz make pkg-config gcc; do
        echo "# $name: $(command -v $name || echo not there)"
    done
    if [ "$fake" != 1 ]; then
        name=name,memory.total,compute_cap,clocks.sm,clocks.max.sm,clocks.max.mem,power.limit
        timeout 60 nvidia-smi --format=csv,noheader --query-gpu=$name | sed 's/^/# GPU: /'
        for name in nvcc ncu compute-sanitizer; do
            echo "# $name: $(tool $name || echo not there)"
        done
        # what it says last: a version, or why there is none
        echo "# $(timeout 60 "$peers_python" -c 'import torch
print("PyTorch", torch.__version__, "cuDNN", torch.backends.cudnn.version(), "CUDA", torch.version.cuda)' 2>&1 |
            tail -1)"
        echo "# libraries: $cuda_path"
        with_gpu 30 ldd "$modules/mien-cuda.so" | sed -nE 's/^\t(lib(cud|cublas|nv).*)/# \1/p'
    fi
    echo "ok versions"
}

devices() {
    with_gpu 60 "$program" devices >"$work/said" 2>&1 || true
    sed 's/^/# /' "$work/said"
    if grep -qE '^cuda(:[0-9]+)? +yes' "$work/said"; then echo "ok devices"; else echo "not ok devices"; fi
}

# Reads all libraries once, so that no measurement waits for the disk.
page_cache() {
    local folder files=()
    while IFS= read -r folder; do
        files+=("$folder"/lib{cudnn,cublas,nvrtc,nvJitLink}*.so*)
    done < <({
        tr : '\n' <<<"$cuda_path"
        with_gpu 30 ldd "$modules/mien-cuda.so" | sed -nE 's/^\tlib(cud|cublas).* => (\/.*)\/.*/\2/p'
    } | grep . | sort -u)
    [ ${#files[@]} -gt 0 ] || { echo "ok page cache # SKIP no folder of CUDA's libraries is known"; return; }
    printf '%s\n' "${files[@]}" | xargs -d '\n' realpath -eq | sort -u >"$work/files" || true
    xargs -d '\n' stat -Lc %s <"$work/files" | awk '{ n += $1 } END { printf "# %d files, %.0f MB\n", NR, n / 1e6 }'
    timeout "$(within 60)" xargs -d '\n' -P "$(nproc)" -n 1 cat <"$work/files" >/dev/null || return
    echo "ok page cache"
}

if [ "$fake" = 1 ]; then
    classic=(sample --size 16 --batch 4) vgg=(sample --size 16 --batch 5) one=(sample --size 16 --batch 1)
    seconds=0.05
else
    classic=(classic --batch 1024) vgg=(vgg --batch 1024) one=(classic --batch 1)
    seconds=2
fi
train() { measure 60 train "$@" --seconds $seconds; }
part 90 versions versions
part 60 devices devices
part 70 "page cache" page_cache
part 60 "train classic bf16" train "${classic[@]}" --dtype bf16
MIEN_CUDA_GRAPHS=0 part 60 "train classic bf16, no graph" train "${classic[@]}" --dtype bf16
part 60 "infer classic, batch 1" measure 60 infer "${one[@]}" --dtype bf16 --seconds $seconds
part 60 "train vgg bf16" train "${vgg[@]}" --dtype bf16
part 60 "train classic f32" train "${classic[@]}" --dtype f32
part 60 "train classic tf32" train "${classic[@]}" --dtype tf32
