//! What is done with every window that comes, with those of GTK and libadwaita, too. Layer 4.

use gtk::glib;
use gtk::prelude::*;

use super::children::children;
use super::naming;

pub(crate) fn set_up() {
    gtk::Window::toplevels().connect_items_changed(|windows, first, _, added| {
        for at in first..first + added {
            let Some(window) = windows.item(at).and_downcast::<gtk::Window>() else {
                continue;
            };
            forget_clicks(&window);
            let window = window.downgrade();
            // It is being made, and has nothing in it yet.
            glib::idle_add_local_once(move || {
                window
                    .upgrade()
                    .inspect(|window| naming::name_buttons(window.upcast_ref()));
            });
        }
    });
}

/// Has the gestures in a window that closes let go of what was clicked.
///
/// Such as the picture in an `AdwViewSwitcherButton`: a gesture that saw the press and not the release keeps it. Then the
/// button goes before what is in it, and GTK 4.8 falls over what that had bound to the button (an expression that is freed
/// while the button tells that it goes).
fn forget_clicks(window: &gtk::Window) {
    window.connect_unmap(|window| reset_controllers(window.upcast_ref()));
}

fn reset_controllers(widget: &gtk::Widget) {
    for controller in widget.observe_controllers().snapshot() {
        if let Some(controller) = controller.downcast_ref::<gtk::EventController>() {
            controller.reset();
        }
    }
    children(widget).for_each(|child| reset_controllers(&child));
}
