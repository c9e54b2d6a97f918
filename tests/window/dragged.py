#!/usr/bin/python3
"""Something to drag: dragged.py PATH... A small window from which files are dragged, as from a file manager's.

Says when it is there, and when a drag ends what became of it."""

import sys
from pathlib import Path

import gi

gi.require_version("Gdk", "4.0")
gi.require_version("Gtk", "4.0")
from gi.repository import Gdk, GLib, Gtk

URIS = "".join(Path(path).as_uri() + "\r\n" for path in sys.argv[1:])


def tell(*words):
    print(*words, flush=True)


def main():
    loop = GLib.MainLoop()
    window = Gtk.Window(title="Files to Drag", default_width=160, default_height=120, decorated=False)
    window.connect("close-request", lambda _: loop.quit())
    window.set_child(Gtk.Label(label="Drag me"))
    source = Gtk.DragSource(actions=Gdk.DragAction.COPY)
    content = Gdk.ContentProvider.new_for_bytes("text/uri-list", GLib.Bytes.new(URIS.encode()))
    source.connect("prepare", lambda *_: content)
    source.connect("drag-cancel", lambda _source, _drag, reason: tell("cancelled", reason.value_nick))
    source.connect("drag-end", lambda *_: tell("ended"))
    window.add_controller(source)
    window.connect("map", lambda _: GLib.idle_add(lambda: tell("there") or GLib.SOURCE_REMOVE))
    window.present()
    loop.run()


main()
