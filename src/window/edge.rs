//! The edge between list and torrent: drawn by a pointer, or moved by keys. Layer 4.
//!
//! As in other programs of two panes F8 leads to it; Tab does not, which would be one more stop on each way. Where people
//! read from the right, the list is at the right, and all that moves its edge is mirrored.

use std::cell::Cell;
use std::rc::Rc;

use adw::prelude::*;
use adw::subclass::prelude::*;
use gtk::{gdk, glib};

use super::i18n::tr;
use super::main_window::MainWindow;
use super::side_pane::SidePane;

/// Pixels beside the edge at which it can be taken: the bar of the list is before it.
const BEFORE_EDGE: f64 = 2.0;
const BEHIND_EDGE: f64 = 6.0;

/// Pixels that an arrow key moves it by.
const STEP: i32 = 20;

impl MainWindow {
    /// The edge can be drawn by a pointer, and moved by keys once it has the keyboard.
    pub(super) fn set_up_edge(&self) {
        self.set_up_edge_keys();
        let leaflet = &self.imp().leaflet;
        let drag = gtk::GestureDrag::new();
        // Before whatever lies at the edge.
        drag.set_propagation_phase(gtk::PropagationPhase::Capture);
        let window = self.downgrade();
        let first = Rc::new(Cell::new(0));
        let began = Rc::clone(&first);
        drag.connect_drag_begin(move |drag, x, _| {
            let window = window.upgrade().filter(|window| window.is_at_edge(x));
            let state = match window {
                Some(window) => {
                    began.set(window.imp().list_side.width());
                    gtk::EventSequenceState::Claimed
                }
                None => gtk::EventSequenceState::Denied,
            };
            drag.set_state(state);
        });
        let window = self.downgrade();
        drag.connect_drag_update(move |_, x, _| {
            if let Some(window) = window.upgrade() {
                window.move_edge(first.get() + window.outwards(x as i32));
            }
        });
        leaflet.add_controller(drag);
        let motion = gtk::EventControllerMotion::new();
        motion.set_propagation_phase(gtk::PropagationPhase::Capture);
        let window = self.downgrade();
        motion.connect_motion(move |_, x, _| {
            if let Some(window) = window.upgrade() {
                let cursor = window.is_at_edge(x).then_some("col-resize");
                window.imp().leaflet.set_cursor_from_name(cursor);
            }
        });
        leaflet.add_controller(motion);
    }

    fn is_at_edge(&self, x: f64) -> bool {
        let imp = self.imp();
        let from_list = match self.direction() {
            gtk::TextDirection::Rtl => f64::from(imp.leaflet.width()) - x,
            _ => x,
        };
        let edge = f64::from(imp.list_side.width());
        self.is_side_by_side() && (edge - BEFORE_EDGE..=edge + BEHIND_EDGE).contains(&from_list)
    }

    /// By how much the list gets wider where its edge goes so many pixels to the right.
    fn outwards(&self, right: i32) -> i32 {
        match self.direction() {
            gtk::TextDirection::Rtl => -right,
            _ => right,
        }
    }

    /// Makes the list so wide, as far as there is room.
    fn move_edge(&self, width: i32) {
        let imp = self.imp();
        let least = |side: &SidePane| side.measure(gtk::Orientation::Horizontal, -1).0;
        let (least_list, least_details) = (least(&imp.list_side), least(&imp.details_side));
        let most = imp.leaflet.width() - least_details - imp.separator.width();
        imp.list_side.want(width.clamp(least_list, most.max(least_list)));
    }

    fn set_up_edge_keys(&self) {
        let separator = &self.imp().separator;
        separator.update_property(&[gtk::accessible::Property::Label(&tr!("Edge of the list"))]);
        let keys = gtk::EventControllerKey::new();
        let window = self.downgrade();
        keys.connect_key_pressed(move |_, key, _, _| match window.upgrade() {
            Some(window) => window.edge_key(key),
            None => glib::Propagation::Proceed,
        });
        separator.add_controller(keys);
        let focus = gtk::EventControllerFocus::new();
        focus.connect_leave(|focus| {
            focus.widget().inspect(|separator| separator.set_focusable(false));
        });
        separator.add_controller(focus);
    }

    /// Gives the keyboard to the edge, or back to where it was.
    pub(super) fn go_to_edge(&self) {
        let imp = self.imp();
        if imp.separator.has_focus() {
            self.leave_edge();
        } else if self.is_side_by_side() {
            imp.before_edge.set(GtkWindowExt::focus(self).as_ref());
            imp.width_before.set(imp.list_side.wanted());
            imp.separator.set_focusable(true);
            imp.separator.grab_focus();
        }
    }

    fn leave_edge(&self) {
        let before = self.imp().before_edge.upgrade();
        if !before.is_some_and(|before| before.grab_focus()) {
            self.focus_chosen();
        }
    }

    fn edge_key(&self, key: gdk::Key) -> glib::Propagation {
        let imp = self.imp();
        let width = imp.list_side.width();
        match key {
            gdk::Key::Left | gdk::Key::KP_Left => self.move_edge(width + self.outwards(-STEP)),
            gdk::Key::Right | gdk::Key::KP_Right => self.move_edge(width + self.outwards(STEP)),
            gdk::Key::Home | gdk::Key::KP_Home => self.move_edge(0),
            gdk::Key::End | gdk::Key::KP_End => self.move_edge(i32::MAX),
            gdk::Key::Return | gdk::Key::KP_Enter | gdk::Key::space => self.leave_edge(),
            gdk::Key::Escape => {
                imp.list_side.want(imp.width_before.get());
                self.leave_edge();
            }
            _ => return glib::Propagation::Proceed,
        }
        glib::Propagation::Stop
    }
}
