//! Lists that stay scrolled where they are while their rows change places. Layer 4.
//!
//! GTK keeps one row of a list where it is on the screen, and where that row is put elsewhere the list goes with it: one
//! that is sorted by speed would begin at another row with every change of the speeds.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use gtk::glib;
use gtk::prelude::*;

/// How far a list is scrolled, from a change of its rows until they are laid out.
#[derive(Debug, Default)]
pub(crate) struct Place(Rc<Held>);

#[derive(Debug, Default)]
struct Held {
    /// A layout is waited for.
    waits: Cell<bool>,
    value: Cell<f64>,
    /// The frame before which a key was pressed last. It may lead to a row that is not in view.
    key: Cell<i64>,
}

impl Place {
    /// Heeds the keys of the list.
    pub(crate) fn heed(&self, list: &impl IsA<gtk::Widget>) {
        let keys = gtk::EventControllerKey::new();
        keys.set_propagation_phase(gtk::PropagationPhase::Capture);
        let held = Rc::downgrade(&self.0);
        keys.connect_key_pressed(move |keys, _, _, _| {
            let clock = keys.widget().and_then(|list| list.frame_clock());
            if let (Some(held), Some(clock)) = (held.upgrade(), clock) {
                held.key.set(clock.frame_counter());
            }
            glib::Propagation::Proceed
        });
        list.add_controller(keys);
    }

    /// The rows are about to change places.
    pub(crate) fn hold(&self, list: &(impl IsA<gtk::Widget> + IsA<gtk::Scrollable>)) {
        let (Some(clock), Some(adjustment)) = (list.frame_clock(), list.vadjustment()) else {
            return;
        };
        if self.0.waits.replace(true) {
            return;
        }
        let first = clock.frame_counter();
        self.0.value.set(adjustment.value());
        // A wheel may turn until then.
        let (held, scrolled) = (Rc::clone(&self.0), adjustment.clone());
        let before = clock.connect_before_paint(move |_| held.value.set(scrolled.value()));
        let handlers = Rc::new(RefCell::new(vec![before]));
        let (held, connected) = (Rc::clone(&self.0), Rc::clone(&handlers));
        // After GTK's own, and before anything of it is painted: what is set here is laid out in the same frame.
        let after = clock.connect_layout(move |clock| {
            for handler in connected.take() {
                clock.disconnect(handler);
            }
            held.waits.set(false);
            if held.key.get() < first {
                adjustment.set_value(held.value.get());
            }
        });
        handlers.borrow_mut().push(after);
    }
}
