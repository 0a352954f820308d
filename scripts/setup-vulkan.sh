#!/usr/bin/env bash
#
# Installs a Vulkan driver that needs no GPU (Mesa's lavapipe), for the `wgpu` and `vulkan` backends. It is slow: use it to
# check that results agree, not for training.
#
#   scripts/setup-vulkan.sh
#
# Needs Debian or Ubuntu, and root or sudo without a password prompt. Installed packages are left unchanged. The last line
# on stdout is the variable to export: eval "$(scripts/setup-vulkan.sh)"
set -euo pipefail

readonly packages=(libvulkan1 mesa-vulkan-drivers)

say() {
    echo "setup-vulkan: $*" >&2
}
die() {
    say "$*"
    exit 1
}

case ${1:-} in
    '') ;;
    -h | --help)
        sed -n '3,9s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
        exit 0
        ;;
    *) die "takes no arguments, got '$*'" ;;
esac

command -v dpkg-query >/dev/null ||
    die "no dpkg here; install a Vulkan loader and Mesa's software driver (lavapipe) with this system's package manager"

missing=()
for package in "${packages[@]}"; do
    # The status of an unknown package is an error, that of a removed one something other than "installed".
    [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true) == installed ]] || missing+=("$package")
done

if ((${#missing[@]} > 0)); then
    as_root=()
    if ((EUID != 0)); then
        command -v sudo >/dev/null || die "not root and no sudo; as root: apt-get install ${missing[*]}"
        as_root=(sudo -n)
    fi
    say "installing ${missing[*]}"
    export DEBIAN_FRONTEND=noninteractive
    "${as_root[@]}" apt-get -qq update >&2 || say "apt-get update failed, trying with the existing lists"
    "${as_root[@]}" apt-get -qq install --yes --no-install-recommends "${missing[@]}" </dev/null >&2 ||
        die "apt-get could not install ${missing[*]}"
fi

drivers=(/usr/share/vulkan/icd.d/lvp_icd*.json)
[[ -f ${drivers[0]} ]] || die "packages are installed, but lavapipe's driver file is not in /usr/share/vulkan/icd.d"

# Some components of the graphics stack expect a private folder for sockets and complain without one.
runtime=${XDG_RUNTIME_DIR:-}
if [[ -z $runtime || ! -d $runtime || ! -O $runtime ]]; then
    runtime=/run/user/$EUID
    if [[ ! -d $runtime || ! -O $runtime ]]; then
        runtime=${XDG_CACHE_HOME:-$HOME/.cache}/burn-forward/runtime
        mkdir -p "$runtime"
        chmod 700 "$runtime"
    fi
fi
export XDG_RUNTIME_DIR=$runtime

# vulkaninfo is in vulkan-tools, which is not needed here; if it is installed, use it.
if command -v vulkaninfo >/dev/null; then
    summary=$(vulkaninfo --summary 2>&1 || true)
    device=$(sed -n 's/^[[:space:]]*deviceName[[:space:]]*=[[:space:]]*//p' <<<"$summary" | grep -m 1 llvmpipe || true)
    [[ -n $device ]] || die "vulkaninfo lists no llvmpipe device:"$'\n'"$summary"
    say "found $device"
else
    say "driver file ${drivers[0]} is there (for a full check: apt-get install vulkan-tools, then vulkaninfo --summary)"
fi

printf 'export XDG_RUNTIME_DIR=%q\n' "$runtime"
