#!/usr/bin/python3
"""Eyes and hands for the window test: reads a GTK program through the accessibility bus.

Takes the program's process id. Each line on standard input is a JSON list, a command and its arguments; each
is answered by one JSON line: {"ok": ...} or {"error": "..."}.

    ["labels"]          all texts that are drawn, in the order of the widget tree
    ["nameless"]        buttons that are drawn and have no name of their own
    ["press", NAME]     press the button, tab or menu item of that name, if it can be pressed now
    ["write", NAME, T]  put a text into the entry of that name
    ["read", NAME]      what the entry of that name holds
    ["enabled", NAME]   whether the button of that name can be pressed
    ["focused"]         name and kind of what has the keyboard
    ["items"]           the items of the menu that is open
    ["action", NAME]    run an action of a window, such as win.remove
"""

import json
import sys

import pyatspi

PRESSES = ("click", "activate", "toggle")
# What GTK calls a widget that nobody has named.
TYPE_NAMES = ("", "GtkImage", "GtkButton", "GtkMenuButton", "GtkToggleButton")


def program(pid):
    for app in pyatspi.Registry.getDesktop(0):
        if app is not None and app.get_process_id() == pid:
            return app
    raise LookupError("the program is not on the accessibility bus")


def drawn(node):
    """GTK 4.8 calls only windows SHOWING: anything else is drawn when it has a size."""
    state = node.getState()
    if state.contains(pyatspi.STATE_SHOWING):
        return True
    if not state.contains(pyatspi.STATE_VISIBLE):
        return False
    try:
        extents = node.queryComponent().getExtents(pyatspi.WINDOW_COORDS)
    except NotImplementedError:
        # The page of a stack has no place of its own; what is on it has.
        return True
    return extents.width > 0 and extents.height > 0


def walk(node):
    """Everything that is drawn, depth first. Nodes may vanish between two questions."""
    todo = list(reversed(list(node)))
    while todo:
        node = todo.pop()
        try:
            if node is None or not drawn(node):
                continue
            yield node
            todo.extend(reversed([node.getChildAtIndex(i) for i in range(node.childCount)]))
        except Exception:
            continue


def actions(node):
    try:
        action = node.queryAction()
    except NotImplementedError:
        return
    for index in range(action.nActions):
        yield action.getName(index), lambda index=index: action.doAction(index)


def done(was_heeded, name):
    if not was_heeded:
        raise ValueError("%r was not heeded" % name)
    return True


def labels(app):
    return [node.name for node in walk(app) if node.getRoleName() == "label"]


def nameless(app):
    buttons = [node for node in walk(app) if node.getRoleName() in ("push button", "toggle button")]

    def named(node):
        return node.name not in TYPE_NAMES or any(child.name for child in walk(node) if child.getRoleName() == "label")

    # The button that closes a toast is libadwaita's own.
    nodes = ((node, node.parent) for node in buttons)
    # A toast that fades may be gone by now, and its button is nobody's.
    unnamed = ((node, parent) for node, parent in nodes if parent and parent.name != "AdwToastWidget" and not named(node))
    return [node.description or parent.name for node, parent in unnamed]


def press(app, name):
    for node in walk(app):
        if name in (node.name, label_of(node)):
            # A menu button has its name, and the button in it the action.
            for part in [node, *walk(node)]:
                for action, run in actions(part):
                    if action in PRESSES:
                        if not part.getState().contains(pyatspi.STATE_SENSITIVE):
                            raise ValueError("%r cannot be pressed now" % name)
                        return done(run(), name)
    raise LookupError("nothing called %r can be pressed" % name)


def label_of(node):
    """A dialog's buttons have no name, only a label in them."""
    if node.getRoleName() != "push button":
        return None
    return next((child.name for child in walk(node) if child.getRoleName() == "label"), None)


def enabled(app, name):
    for node in walk(app):
        if node.getRoleName() == "push button" and name in (node.name, label_of(node)):
            return node.getState().contains(pyatspi.STATE_SENSITIVE)
    raise LookupError("there is no button called %r" % name)


def focused(app):
    for node in walk(app):
        if node.getState().contains(pyatspi.STATE_FOCUSED):
            return "%s (%s)" % (node.name, node.getRoleName())
    raise LookupError("nothing has the keyboard")


def items(app):
    return [node.name for node in walk(app) if node.getRoleName() in ("menu item", "check menu item")]


def place(app, text):
    """The middle of a text, from the corner of its window."""
    for node in walk(app):
        if node.getRoleName() == "label" and node.name == text:
            extents = node.queryComponent().getExtents(pyatspi.WINDOW_COORDS)
            return [extents.x + extents.width // 2, extents.y + extents.height // 2]
    raise LookupError("%r is not there" % text)


def entry(app, name):
    for node in walk(app):
        if node.getRoleName() == "text" and node.name == name:
            return node
    raise LookupError("there is no entry called %r" % name)


def write(app, name, text):
    return entry(app, name).queryEditableText().setTextContents(text)


def read(app, name):
    text = entry(app, name).queryText()
    return text.getText(0, text.characterCount)


def action(app, name):
    for window in app:
        for each, run in actions(window):
            if each == name:
                return done(run(), name)
    raise LookupError("no window has the action %s" % name)


COMMANDS = {
    "labels": labels,
    "nameless": nameless,
    "press": press,
    "enabled": enabled,
    "focused": focused,
    "items": items,
    "place": place,
    "write": write,
    "read": read,
    "action": action,
}


def main():
    pid = int(sys.argv[1])
    for line in sys.stdin:
        command, *arguments = json.loads(line)
        try:
            answer = {"ok": COMMANDS[command](program(pid), *arguments)}
        except Exception as error:
            answer = {"error": "%s: %s" % (type(error).__name__, error)}
        print(json.dumps(answer), flush=True)


main()
