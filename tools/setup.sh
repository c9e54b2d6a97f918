#!/bin/sh
# Gets a fresh Debian 12 or Ubuntu 24.04 ready: `tools/setup.sh build` for the programs, `tools/setup.sh test`
# for the tests as well, `tools/setup.sh count` for the programs and what counts their instructions. It installs
# Debian packages that are missing and nothing else; where all are there, it needs neither rights nor a network. Rust
# is not installed, only looked for, and that first.
set -eu
cd "$(dirname "$0")/.."

# A linker, TLS for HTTPS trackers, the window, and its translations.
build_packages="gcc gettext libc6-dev pkg-config libssl-dev ca-certificates libgtk-4-dev libadwaita-1-dev
    libglib2.0-dev-bin"

# Other clients and trackers to talk to; a browser for the tracker's page; namespaces and file systems; a screen, a
# session and eyes for the window; what says whether an installation is one.
test_packages="appstream aria2 chromium chromium-driver desktop-file-utils e2fsprogs iproute2 openssl opentracker procps python3
    python3-libtorrent transmission-cli transmission-daemon util-linux
    adwaita-icon-theme at-spi2-core bash dbus fonts-cantarell groff-base imagemagick libglib2.0-bin librsvg2-common openbox
    python3-pyatspi x11-utils xauth xcompmgr xdotool xvfb"

# For `make bench-instructions`.
count_packages="valgrind"

fail() {
    printf '\n%s\n\n' "$*" >&2
    exit 1
}

# Before anything is installed: a long download with this at its end would be no kindness.
check_rust() {
    needed=$(sed -n 's/^rust-version *= *"\(.*\)"$/\1/p' Cargo.toml)
    how="Install Rust with rustup (see rustup.rs), open a new terminal, and try again."
    command -v cargo >/dev/null 2>&1 && command -v rustc >/dev/null 2>&1 ||
        fail "Rust is missing: DTorrent needs version $needed or later. $how"
    version=$(rustc --version) ||
        fail "Rust does not start; what rustc said stands above. Where rustup is there: rustup default stable." \
            "Else: $how"
    found=$(echo "$version" | cut -d ' ' -f 2)
    oldest=$(printf '%s\n%s\n' "$needed" "${found%%-*}" | sort -V | head -n 1)
    [ "$oldest" = "$needed" ] ||
        fail "Rust $found is too old ($(command -v rustc)): DTorrent needs $needed or later." \
            "Where rustup is there: rustup update. Else: $how"
}

is_installed() {
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

missing_of() {
    for package in "$@"; do
        is_installed "$package" || printf '%s ' "$package"
    done
}

install_packages() {
    # shellcheck disable=SC2086 # a list of words
    missing=$(missing_of $1)
    [ -n "$missing" ] || return 0
    command -v apt-get >/dev/null 2>&1 ||
        fail "These packages of your system are needed, and only Debian's can be installed from here: $missing"
    as_root=
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null 2>&1 ||
            fail "Packages are missing, and there is no sudo. As root: apt-get install $missing"
        as_root=sudo
    fi
    echo "Installing what is missing: $missing"
    $as_root true || fail "Packages are missing, and sudo let us do nothing. As root: apt-get install $missing"
    $as_root apt-get -q update || echo "The lists of packages could not be renewed; trying with the old ones." >&2
    # shellcheck disable=SC2086
    $as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -q -y --no-install-recommends $missing ||
        fail "Installing failed; what apt-get said stands above. Try it by hand: $as_root apt-get install $missing" \
            "(on Ubuntu some of them are in 'universe')"
    stop_new_services "$missing"
}

# Tests start their own daemons; one that came with a package just now must not hold ports on this machine.
stop_new_services() {
    [ -d /run/systemd/system ] || return 0
    for service in transmission-daemon opentracker; do
        case " $1 " in
        *" $service "*) $as_root systemctl disable --now "$service" >/dev/null 2>&1 || true ;;
        esac
    done
}

case "${1:-}" in
build) packages=$build_packages ;;
test) packages="$build_packages $test_packages" ;;
count) packages="$build_packages $count_packages" ;;
*) fail "Usage: tools/setup.sh build|test|count" ;;
esac
check_rust
install_packages "$packages"
