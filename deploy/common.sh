# What deploy/demo and deploy/test share: to be sourced, not run.

say() { printf '\n== %s\n' "$*"; }
fail() { printf 'deploy: %s\n' "$*" >&2; exit 1; }

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# Swift 6.2 or later must be there; everything else comes from Debian.
require_swift() {
    if ! command -v swift >/dev/null 2>&1; then
        fail "Swift is not on the PATH. Get Swift 6.3 for Debian 12 from https://www.swift.org/install/linux/ (swiftly install 6.3), then run this again."
    fi
    local version
    version=$(swift --version 2>/dev/null | sed -n 's/.*Swift version \([0-9]*\.[0-9]*\).*/\1/p' | head -n 1)
    case "$version" in
        6.[2-9]* | [7-9].* | [1-9][0-9].*) ;;
        *) fail "Swift ${version:-of an unknown version} is too old: 6.2 or later is needed. Get it from https://www.swift.org/install/linux/" ;;
    esac
}

# Installs the Debian packages that are missing; touches apt only when one is.
install_packages() {
    local missing=() package
    for package in "$@"; do
        dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
    done
    if [ ${#missing[@]} -eq 0 ]; then
        echo "Debian packages: all there ($*)"
        return
    fi
    echo "Debian packages to install: ${missing[*]}"
    local root=()
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null 2>&1 || fail "not root and no sudo: ask an administrator to run: apt-get install ${missing[*]}"
        root=(sudo)
    fi
    "${root[@]}" apt-get update -q -o Acquire::Retries=3 >/dev/null || fail "apt-get update failed; see above"
    (
        # What is installed here is built with or tested with; 101 keeps Debian from starting services of it.
        policy=/usr/sbin/policy-rc.d
        if [ ! -e "$policy" ]; then
            trap '"${root[@]}" rm -f "$policy"' EXIT
            printf '#!/bin/sh\nexit 101\n' | "${root[@]}" install -m 755 /dev/stdin "$policy"
        fi
        "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}" >/dev/null
    ) || fail "apt-get install failed; see above"
}

build_packages=(pkg-config libstdc++-12-dev libmodbus-dev libmosquitto-dev libsqlite3-dev libtomlplusplus-dev zlib1g-dev libzstd-dev)

# The programs as they are shipped: release, the Swift runtime linked in (Package.swift says how). Leaves their folder in $programs.
build_programs() {
    cd "$top"
    local product
    for product in meterd meterctl metersim; do
        swift build -c release --product "$product" || fail "building $product failed; see above"
    done
    programs=$(swift build -c release --show-bin-path)
}
