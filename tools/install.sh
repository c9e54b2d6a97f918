#!/bin/sh
# `tools/install.sh install|uninstall PREFIX DESTDIR BUILD`: the programs from BUILD (target/release) with their manual
# pages, completions, settings and documents, and what a desktop needs, below DESTDIR/PREFIX. `make install` calls it,
# with the variables that packagers know. Nothing is built here.
set -eu
cd "$(dirname "$0")/.."
what=$1 prefix=$2 destination=$3 build=$4
id=io.github.dtorrent.DTorrent
root=$destination$prefix
programs="dtorrent dtorrent-cli dtracker"

for program in $programs; do
    [ "$what" = uninstall ] || [ -x "$build/$program" ] || {
        echo "$build/$program is not there: run make build first" >&2
        exit 1
    }
done

# put MODE SOURCE TARGET: installs a file, or takes it away again.
put() {
    if [ "$what" = uninstall ]; then
        rm -f "$root/$3"
    else
        install -D -m "$1" "$2" "$root/$3"
    fi
}

# made TARGET COMMAND...: the same for what a command prints.
made() {
    target=$1
    shift
    if [ "$what" = uninstall ]; then
        rm -f "$root/$target"
    else
        "$@" >"$made" || {
            echo "$target could not be made: $* failed" >&2
            exit 1
        }
        install -D -m 644 "$made" "$root/$target"
    fi
}
made=$(mktemp)
trap 'rm -f "$made"' EXIT

for program in $programs; do
    put 755 "$build/$program" "bin/$program"
    made "share/man/man1/$program.1" "$build/$program" --generate man
    made "share/bash-completion/completions/$program" "$build/$program" --generate bash
    made "share/zsh/site-functions/_$program" "$build/$program" --generate zsh
    made "share/fish/vendor_completions.d/$program.fish" "$build/$program" --generate fish
done

made "share/applications/$id.desktop" msgfmt --desktop --template="data/$id.desktop" -d po -o -
made "share/metainfo/$id.metainfo.xml" msgfmt --xml --template="data/$id.metainfo.xml" -d po -o -
made "share/dbus-1/services/$id.service" sed "s|@bindir@|$prefix/bin|" "data/$id.service.in"
put 644 "data/icons/$id.svg" "share/icons/hicolor/scalable/apps/$id.svg"
put 644 "data/icons/$id-symbolic.svg" "share/icons/hicolor/symbolic/apps/$id-symbolic.svg"
for translation in po/*.po; do
    [ -e "$translation" ] || continue
    language=$(basename "$translation" .po)
    made "share/locale/$language/LC_MESSAGES/dtorrent.mo" msgfmt -o - "$translation"
done

# Where dtracker.service looks for what it documents.
put 644 docs/ring.md share/doc/dtracker/ring.md
put 644 dtracker.toml share/doc/dtracker/dtracker.toml
made lib/systemd/system/dtracker.service sed "s|/usr/local|$prefix|" data/dtracker.service
for document in README.md CHANGELOG.md config.toml docs/performance.md; do
    put 644 "$document" "share/doc/dtorrent/$(basename "$document")"
done
put 644 LICENSE share/licenses/dtorrent/LICENSE

# A package's own scripts do this; here it makes icon and file type known at once.
if [ -z "$destination" ]; then
    for refresh in "update-desktop-database -q $prefix/share/applications" \
        "gtk-update-icon-cache -q -t -f $prefix/share/icons/hicolor"; do
        # shellcheck disable=SC2086 # a command with its arguments
        if command -v "${refresh%% *}" >/dev/null 2>&1; then
            $refresh || true
        fi
    done
fi
