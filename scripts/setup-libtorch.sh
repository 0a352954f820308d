#!/usr/bin/env bash
#
# Builds the folder that Burn's `tch` backend expects in LIBTORCH, for the CPU only, from PyPI wheels.
#
#   scripts/setup-libtorch.sh [--wheels DIR] [FOLDER]
#
#   FOLDER        where to put it; default ${XDG_CACHE_HOME:-~/.cache}/burn-forward/libtorch
#   --wheels DIR  look for the wheels here first, and keep downloaded wheels here
#
# It needs Linux on x86-64, any python3 with pip, sha256sum, and 1.4 GB of disk while it runs (490 MB remain).
# A complete folder is left unchanged, so the script can be run before every build.
set -euo pipefail

# burn-tch 0.22 uses tch 0.22, which requires exactly this libtorch; torch-sys rejects any other.
readonly torch_version=2.9.0

# Wheel and SHA-256. Only the C++ part of the wheel is used, so the cp311 wheel works with any Python version.
readonly requirements="\
torch==${torch_version} --hash=sha256:51de31219c97c51cf4bf2be94d622e3deb5dcc526c6dc00e97c17eaec0fc1d67
nvidia-cuda-runtime-cu12==12.8.90 --hash=sha256:adade8dcbd0edf427b7204d480d6066d33902cab2a4707dcfc48a2d0fd44ab90
nvidia-cuda-cupti-cu12==12.8.90 --hash=sha256:ea0cb07ebda26bb9b29ba82cda34849e73c166c18162d3913575b0c9db9a6182"

# The contents of a complete folder, besides include/ and the file build-version.
readonly libraries=(libtorch.so libtorch_cpu.so libc10.so libgomp.so.1 libcudart.so.12 libcupti.so.12)

die() {
    echo "setup-libtorch: $*" >&2
    exit 1
}

usage() {
    sed -n '3,11s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
}

wheels=""
folder=""
while (($# > 0)); do
    case "$1" in
        -h | --help)
            usage
            exit 0
            ;;
        --wheels)
            (($# >= 2)) || die "--wheels needs a folder"
            wheels=$2
            shift 2
            ;;
        -*) die "unknown option '$1'; see --help" ;;
        *)
            [[ -z $folder ]] || die "one FOLDER at most, got '$folder' and '$1'"
            folder=$1
            shift
            ;;
    esac
done
folder=${folder:-${XDG_CACHE_HOME:-$HOME/.cache}/burn-forward/libtorch}
[[ -z $wheels || -d $wheels ]] || mkdir -p "$wheels"

# The variables to export, last on stdout; everything else goes to stderr, so that `eval "$(scripts/setup-libtorch.sh)"` works.
print_exports() {
    local absolute
    absolute=$(cd "$folder" && pwd)
    printf 'export LIBTORCH=%q\n' "$absolute"
    # shellcheck disable=SC2016  # the user's shell has to expand it
    printf 'export LD_LIBRARY_PATH=%q${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}\n' "$absolute/lib"
}

complete() {
    local library
    [[ -f $folder/build-version && $(<"$folder/build-version") == "$torch_version" ]] || return 1
    [[ -f $folder/include/ATen/ATen.h ]] || return 1
    for library in "${libraries[@]}"; do
        [[ -s $folder/lib/$library ]] || return 1
    done
}

if complete; then
    echo "setup-libtorch: $folder is complete (libtorch $torch_version)" >&2
    print_exports
    exit 0
fi

# An existing folder is only replaced if this script made it or it is empty.
if [[ -e $folder ]]; then
    [[ -d $folder ]] || die "$folder exists and is not a folder"
    [[ -f $folder/build-version || -z $(ls -A "$folder") ]] ||
        die "$folder exists, is not empty and is not a libtorch folder; remove it or choose another"
fi

[[ $(uname -s) == Linux && $(uname -m) == x86_64 ]] ||
    die "the wheels are for Linux on x86-64, this is $(uname -s) on $(uname -m); get libtorch $torch_version another way and set LIBTORCH"
command -v sha256sum >/dev/null || die "sha256sum is missing (Debian: apt-get install coreutils)"
command -v python3 >/dev/null || die "python3 is missing (Debian: apt-get install python3 python3-pip)"

parent=$(dirname "$folder")
mkdir -p "$parent"
# Next to the destination, so that the last step is a rename within one file system and no incomplete folder gets the final
# name.
work=$(mktemp -d "$parent/.libtorch.XXXXXX")
trap 'rm -rf "$work"' EXIT
wheels=${wheels:-$work/wheels}
mkdir -p "$wheels"

# The wheel of a requirement in $wheels that has the right checksum, or nothing.
find_wheel() {
    local name=$1 version=$2 sha=$3 wheel
    for wheel in "$wheels/${name//-/_}-$version"-*x86_64.whl; do
        [[ -f $wheel ]] || continue
        if echo "$sha  $wheel" | sha256sum --check --status; then
            echo "$wheel"
            return
        fi
        echo "setup-libtorch: $wheel has an unexpected checksum and is not used" >&2
    done
}

found=()
while read -r requirement hash; do
    name=${requirement%%==*}
    version=${requirement##*==}
    sha=${hash#--hash=sha256:}
    wheel=$(find_wheel "$name" "$version" "$sha")
    if [[ -z $wheel ]]; then
        python3 -m pip --version >/dev/null 2>&1 || die "python3 has no pip (Debian: apt-get install python3-pip)"
        echo "setup-libtorch: downloading $requirement" >&2
        printf '%s %s\n' "$requirement" "$hash" >"$work/requirement.txt"
        # Platform and Python version are given, so that pip fetches these wheels whatever Python it runs under.
        python3 -m pip download --quiet --disable-pip-version-check --no-deps --require-hashes \
            --only-binary=:all: --implementation cp --python-version 3.11 \
            --platform manylinux_2_28_x86_64 --platform manylinux_2_17_x86_64 --platform manylinux2014_x86_64 \
            --dest "$wheels" --requirement "$work/requirement.txt" >&2 ||
            die "could not download $requirement; if you have the wheels: --wheels DIR"
        wheel=$(find_wheel "$name" "$version" "$sha")
        [[ -n $wheel ]] || die "pip did not put a wheel of $requirement into $wheels"
    fi
    found+=("$wheel")
done <<<"$requirements"

echo "setup-libtorch: unpacking" >&2
mkdir -p "$work/libtorch/lib"
# python3 instead of unzip: it is needed anyway, and it extracts only the required files of the 900 MB wheel.
python3 - "$work/libtorch" "${found[@]}" <<'PYTHON'
import pathlib, shutil, sys, zipfile

target, wheels = pathlib.Path(sys.argv[1]), sys.argv[2:]
wanted = {
    f"{folder}/{name}": f"lib/{name}"
    for folder, names in {
        "torch/lib": ["libtorch_cpu.so", "libc10.so", "libgomp.so.1"],
        # libtorch_cpu.so links against these two; loading them does not need a GPU.
        "nvidia/cuda_runtime/lib": ["libcudart.so.12"],
        "nvidia/cuda_cupti/lib": ["libcupti.so.12"],
    }.items()
    for name in names
}
for wheel in wheels:
    with zipfile.ZipFile(wheel) as archive:
        for entry in archive.infolist():
            if entry.is_dir():
                continue
            if entry.filename.startswith("torch/include/"):
                place = target / entry.filename.removeprefix("torch/")
            elif entry.filename in wanted:
                place = target / wanted.pop(entry.filename)
            else:
                continue
            place.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(entry) as source, place.open("wb") as out:
                shutil.copyfileobj(source, out, 1 << 20)
if wanted:
    sys.exit(f"setup-libtorch: not in the wheels: {', '.join(sorted(wanted))}")
PYTHON

# torch-sys links with -ltorch. The libtorch.so in the wheel pulls in CUDA; this linker script does not.
echo 'INPUT(libtorch_cpu.so)' >"$work/libtorch/lib/libtorch.so"
echo "$torch_version" >"$work/libtorch/build-version"

rm -rf "$folder"
mv "$work/libtorch" "$folder"
complete || die "$folder is not complete after unpacking; this is a bug of the script"
echo "setup-libtorch: $folder is ready ($(du -sh "$folder" | cut -f1)); export before building or running:" >&2
print_exports
