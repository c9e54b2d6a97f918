#!/usr/bin/env python3
"""Collects the texts of the window into po/dtorrent.pot: tr!, tr_n! and phrase! in src/window, translatable texts in
ui/, what menus and software centres show of the desktop entry and of the AppStream data, as msgfmt looks them up, and
what the library says to people, which knows no languages: #[error], told! and phrase! in the rest of src/.

The library's sentences reach the window made up. It finds the texts that they were made of in po/library.txt.

`tools/strings.py` writes both files and brings the translations in po/ up to date (with msgmerge, of Debian's gettext);
`tools/strings.py --check` says what is missing in them or in a translation, and changes nothing.
"""
import re
import subprocess
import sys
import xml.etree.ElementTree as tree
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TEMPLATE = ROOT / "po/dtorrent.pot"
LIBRARY = ROOT / "po/library.txt"
DESKTOP_ENTRY = ROOT / "data/io.github.dtorrent.DTorrent.desktop"
METAINFO = ROOT / "data/io.github.dtorrent.DTorrent.metainfo.xml"
LITERAL = r'"((?:[^"\\]|\\.)*)"'
ONE = re.compile(r"\btr!\(\s*" + LITERAL, re.S)
# The number in front of the texts may hold commas and brackets, but no quotes.
SEVERAL = re.compile(r"\btr_n!\(\s*[^\"]*?,\s*" + LITERAL + r"\s*,\s*" + LITERAL, re.S)
PHRASE = re.compile(r"\bphrase!\(\s*" + LITERAL, re.S)
# What is told with told!( or #[error( and goes on with its values.
SAID = re.compile(r"(?:\btold!\(|#\[error\()\s*" + LITERAL, re.S)
# A number of things, as dtorrent::size::Count says it.
COUNT = re.compile(r'\bCount\([^";]*?,\s*"([a-z]+)"')
# What never reaches the window: who a face is, what only the log tells of a connection, and what only dtracker does.
UNSEEN = [
    "bin", "window", "wire", "peer", "net/greeter", "net/greeter.rs", "ring/sim", "ring/link/ending.rs", "ring/link/handshake.rs",
    "ring/link/inbox.rs", "ring/link/noise.rs", "ring/codec.rs", "ring/frame.rs", "ring/lookup.rs", "tracker/udp.rs",
    "tracker/server/access.rs", "tracker/server/networks.rs", "tracker/server/rules.rs",
]
LIBRARY_HEAD = """# The texts of which the library makes what it says to people, one a line; two with a tab between them depend on a number.
# tools/strings.py writes this file.
"""
HEAD = '''msgid ""
msgstr ""
"Project-Id-Version: dtorrent\\n"
"MIME-Version: 1.0\\n"
"Content-Type: text/plain; charset=UTF-8\\n"
"Content-Transfer-Encoding: 8bit\\n"
"Plural-Forms: nplurals=2; plural=(n != 1);\\n"
'''


def read(literal):
    """The text of a Rust literal: a backslash at the end of a line swallows what follows up to the next text."""
    literal = re.sub(r"\\\n\s*", "", literal)
    return literal.replace('\\"', '"').replace("\\n", "\n").replace("\\\\", "\\")


def quoted(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def texts():
    """(text, its plural or None) to the files that have it, in the order of the files."""
    found = {}
    for path in sorted((ROOT / "src/window").rglob("*.rs")):
        # Comments tell of the macros, too; and what only tests say is shown to nobody.
        source = re.sub(r"^\s*//.*$", "", re.split(r"^#\[cfg\(test\)\]", path.read_text(), flags=re.M)[0], flags=re.M)
        for match in ONE.finditer(source):
            found.setdefault((read(match[1]), None), []).append(path)
        for match in SEVERAL.finditer(source):
            found.setdefault((read(match[1]), read(match[2])), []).append(path)
        for match in PHRASE.finditer(source):
            found.setdefault((read(match[1]), None), []).append(path)
    for path in sorted((ROOT / "ui").glob("*.ui")):
        for element in tree.parse(path).iter():
            if element.get("translatable") == "yes" and (element.text or "").strip():
                found.setdefault((element.text, None), []).append(path)
    for path, described in ((DESKTOP_ENTRY, of_desktop_entry()), (METAINFO, of_metainfo())):
        for text in described:
            found.setdefault((text, None), []).append(path)
    for text, paths in of_library().items():
        found.setdefault(text, []).extend(paths)
    return found


def of_library():
    """The same of the library: (text, its plural or None) to the files that have it."""
    found = {}
    unseen = [ROOT / "src" / place for place in UNSEEN]
    for path in sorted((ROOT / "src").rglob("*.rs")):
        if any(place == path or place in path.parents for place in unseen):
            continue
        source = re.sub(r"^\s*//.*$", "", re.split(r"^#\[cfg\(test\)\]", path.read_text(), flags=re.M)[0], flags=re.M)
        for match in SAID.finditer(source):
            text = with_names(read(match[1]), arguments(source[match.end():]))
            # Of a text without words there is nothing to translate.
            if re.search(r"[a-z]{2}", re.sub(r"\{\w+\}", "", text)):
                found.setdefault((text, None), []).append(path)
        for match in PHRASE.finditer(source):
            found.setdefault((read(match[1]), None), []).append(path)
        for match in COUNT.finditer(source):
            found.setdefault((f"{{n}} {match[1]}", f"{{n}} {match[1]}s"), []).append(path)
    return found


def arguments(source):
    """The values behind a text, up to the bracket that ends the call."""
    depth, start, found = 0, 0, []
    for at, letter in enumerate(source):
        if letter in ",)" and depth == 0:
            found.append(source[start:at].strip())
            start = at + 1
            if letter == ")":
                break
        depth += (letter in "([{") - (letter in ")]}")
    return [value for value in found if value]


def with_names(text, values):
    """The text with a name in each pair of braces: that of the value, where the text has none itself."""
    values = [value for value in values if not re.match(r"\w+\s*=[^=]", value)]

    def name(match):
        if match[1]:
            return "{" + match[1] + "}"
        # The first word that is no call: `path` of `.path.display()`, `needed` of `Size(*.needed)`.
        named = [word for word in re.findall(r"\b[A-Za-z_]\w*\b(?!\s*\()", values.pop(0)) if word not in ("self", "as")]
        return "{" + (named or ["path"])[0] + "}"

    return re.sub(r"\{(\w*)(?::[^}]*)?\}", name, text)


def library():
    lines = sorted(text if plural is None else f"{text}\t{plural}" for text, plural in of_library())
    return LIBRARY_HEAD + "".join(line + "\n" for line in lines)


def of_desktop_entry():
    """A list of keywords is one text; the name of the program is the same everywhere."""
    return re.findall(r"^(?:GenericName|Comment|Keywords)=(.+)$", DESKTOP_ENTRY.read_text(), re.M)


def of_metainfo():
    """Texts without a line break or spaces around them, since those are looked up as they stand."""
    return [
        element.text
        for element in tree.parse(METAINFO).iter()
        if element.tag in ("summary", "p", "li") and element.get("translatable") != "no"
    ]


def template():
    parts = [HEAD]
    for (text, plural), paths in texts().items():
        places = " ".join(dict.fromkeys(str(path.relative_to(ROOT)) for path in paths))
        entry = f"#: {places}\nmsgid {quoted(text)}\n"
        entry += "msgstr \"\"\n" if plural is None else f'msgid_plural {quoted(plural)}\nmsgstr[0] ""\nmsgstr[1] ""\n'
        parts.append(entry)
    return "\n".join(parts)


def write():
    TEMPLATE.write_text(template())
    LIBRARY.write_text(library())
    for language in sorted(TEMPLATE.parent.glob("*.po")):
        subprocess.run(["msgmerge", "--quiet", "--update", "--backup=none", "--no-fuzzy-matching", language, TEMPLATE],
                       check=True)


def check():
    """Problems, a line each."""
    problems = []
    if not TEMPLATE.exists() or TEMPLATE.read_text() != template():
        problems.append("po/dtorrent.pot is not what the sources say; tools/strings.py writes it anew")
    if not LIBRARY.exists() or LIBRARY.read_text() != library():
        problems.append("po/library.txt is not what the sources say; tools/strings.py writes it anew")
    for language in sorted(TEMPLATE.parent.glob("*.po")):
        counted = subprocess.run(["msgfmt", "--check", "--statistics", "--output-file=/dev/null", language],
                                 capture_output=True, text=True, env={"LC_ALL": "C", "PATH": "/usr/bin:/bin"})
        if counted.returncode or "untranslated" in counted.stderr or "fuzzy" in counted.stderr:
            problems.append(f"{language.name}: {counted.stderr.strip()}")
        problems += misnamed(language)
    return problems


def misnamed(language):
    """Translations that name other values than the text does."""
    names = lambda text: set(re.findall(r"\{(\w+)\}", text))
    # One line for each text, whatever its length.
    flat = subprocess.run(["msgcat", "--no-wrap", language], capture_output=True, text=True, check=True).stdout
    problems = []
    for block in flat.split("\n\n"):
        said = re.findall(r"^(msgid|msgid_plural|msgstr(?:\[\d\])?) " + LITERAL, block, re.M)
        if not said:
            continue
        wanted = names(" ".join(text for kind, text in said if kind.startswith("msgid")))
        for kind, text in said:
            # One of something can be said without its number.
            if kind.startswith("msgstr") and text and not wanted - {"n"} <= names(text) <= wanted:
                problems.append(f"{language.name}: {text!r} must name {sorted(wanted)}")
    return problems


if __name__ == "__main__":
    if sys.argv[1:] == ["--check"]:
        found = check()
        for problem in found:
            print(problem)
        sys.exit(bool(found))
    write()
