#!/bin/sh
# Licences, sources and known holes of everything that is linked in (deny.toml says what is allowed).
set -eu
cd "$(dirname "$0")/.."

cargo deny --version >/dev/null 2>&1 || cargo install --locked cargo-deny
cargo deny --all-features check bans licenses sources
if cargo deny --all-features fetch db; then
    cargo deny --all-features check advisories
else
    echo "The database of known holes cannot be reached: advisories were NOT checked." >&2
fi
