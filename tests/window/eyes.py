#!/usr/bin/python3
"""Eyes and hands for the window test: reads a GTK program through the accessibility bus.

Takes the program's process id. Each line on standard input is a JSON list, a command and its arguments; each
is answered by one JSON line: {"ok": ...} or {"error": "..."}.

    ["labels"]          all texts that are drawn, in the order of the widget tree
    ["nameless"]        controls that are drawn and have no name
    ["press", NAME]     press the button, tab or menu item of that name, if it can be pressed now
    ["write", NAME, T]  put a text into the entry of that name
    ["read", NAME]      what the entry of that name holds
    ["enabled", NAME]   whether the button of that name can be pressed
    ["description", N]  what is said of the control whose name begins so besides it
    ["images"]          names of the pictures that are drawn
    ["drawn", NAME]     where the middle of the picture, check box, edge, row or number is whose name begins so
    ["focused"]         name and kind of what has the keyboard
    ["items"]           the items of the menu that is open
    ["action", NAME]    run an action of a window, such as win.remove
    ["beyond"]          the window after the last one, as who asks when one has just closed
"""

import json
import sys

import pyatspi

PRESSES = ("click", "activate", "toggle")
CONTROLS = ("push button", "toggle button", "check box", "radio button", "combo box", "spin button", "slider", "entry",
            "password text", "progress bar", "level bar", "switch")


# What is told by its place.
DRAWN = ("image", "icon", "check box", "separator", "list item", "spin button")


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
    # Where a line must not break is not of interest here.
    return [node.name.replace("\u00a0", " ").replace("\u2060", "") for node in walk(app) if node.getRoleName() == "label"]


def nameless(app):
    """Controls, and what tells of progress, that a screen reader could only call by their kind."""
    # What is in the overview of shortcuts is GTK's own.
    windows = [window for window in app if window is not None and window.name != "Keyboard Shortcuts"]
    nodes = (node for window in windows for node in walk(window))
    return [description(node) for node in nodes if node.getRoleName() in CONTROLS and not is_named(node)]


def is_named(node):
    """By itself, by a text in it, or as a part of a control that is named, as the buttons of a number are."""
    # What fades may be gone by now, and then it is nobody's. The button that closes a toast is libadwaita's own.
    parent = node.parent
    if parent is None or parent.name == "AdwToastWidget" or has_own_name(node):
        return True
    if any(child.name for child in walk(node) if child.getRoleName() == "label"):
        return True
    return any(around.getRoleName() in CONTROLS and has_own_name(around) for around in (parent, parent.parent) if around)


def has_own_name(node):
    # GTK calls a widget that nobody has named by its type.
    return bool(node.name) and not node.name.startswith(("Gtk", "Adw", "Dt"))


def description(node):
    around = []
    while node is not None and len(around) < 8:
        around.append(node.name or node.description or node.getRoleName())
        node = node.parent
    return " in ".join(around)


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


def description_of(app, name):
    for node in walk(app):
        if node.name.startswith(name) and node.getRoleName() in CONTROLS:
            return node.description
    raise LookupError("there is no control called %r" % name)


def focused(app):
    for node in walk(app):
        if node.getState().contains(pyatspi.STATE_FOCUSED):
            return "%s (%s)" % (node.name, node.getRoleName())
    raise LookupError("nothing has the keyboard")


def images(app):
    return [node.name for node in walk(app) if node.getRoleName() in ("image", "icon")]


def place_of_drawn(app, name):
    """GTK 4.8 has no action for a check box."""
    for node in walk(app):
        if node.name.startswith(name) and node.getRoleName() in DRAWN:
            return middle(node)
    raise LookupError("nothing drawn is called %r" % name)


def items(app):
    return [node.name for node in walk(app) if node.getRoleName() in ("menu item", "check menu item")]


def place(app, text):
    """The middle of a text, from the corner of its window."""
    for node in walk(app):
        if node.getRoleName() == "label" and node.name == text:
            return middle(node)
    raise LookupError("%r is not there" % text)


def middle(node):
    extents = node.queryComponent().getExtents(pyatspi.WINDOW_COORDS)
    return [extents.x + extents.width // 2, extents.y + extents.height // 2]


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


def beyond(app):
    window = app.getChildAtIndex(app.childCount)
    return window.name if window else None


COMMANDS = {
    "labels": labels,
    "nameless": nameless,
    "press": press,
    "enabled": enabled,
    "description": description_of,
    "focused": focused,
    "images": images,
    "drawn": place_of_drawn,
    "items": items,
    "place": place,
    "write": write,
    "read": read,
    "action": action,
    "beyond": beyond,
}


def main():
    pid = int(sys.argv[1])
    # What does not answer counts as gone: by itself the bus waits for 0.8 s only, in which a busy machine may not get
    # to it. Milliseconds; the second is for programs that have just started.
    pyatspi.setTimeout(20_000, 20_000)
    for line in sys.stdin:
        command, *arguments = json.loads(line)
        try:
            answer = {"ok": COMMANDS[command](program(pid), *arguments)}
        except Exception as error:
            answer = {"error": "%s: %s" % (type(error).__name__, error)}
        print(json.dumps(answer), flush=True)


main()
