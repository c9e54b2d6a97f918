//! When the window was drawn, for the log: how soon after the start, and with `trace` each single time. Layer 4.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Instant;

use adw::subclass::prelude::*;
use gtk::prelude::*;
use gtk::{gdk, glib};

use super::main_window::MainWindow;

/// Tells when so many torrents are drawn for the first time, counted from when the engine told of them, which is now.
/// Calls that follow do nothing.
pub(super) fn watch_first(window: &MainWindow, torrents: usize) {
    if window.imp().is_first_told.replace(true) {
        return;
    }
    let told = Instant::now();
    // It runs when the window is about to be drawn, however long that takes.
    window.add_tick_callback(move |_, clock| {
        let handler: Rc<Cell<Option<glib::SignalHandlerId>>> = Rc::default();
        let own = Rc::clone(&handler);
        let id = clock.connect_after_paint(move |clock| {
            if let Some(id) = own.take() {
                clock.disconnect(id);
                log::info!(
                    "the window shows {torrents} torrents, {} ms after it was told of them",
                    told.elapsed().as_millis()
                );
            }
        });
        handler.set(Some(id));
        glib::ControlFlow::Break
    });
}

/// Logs each frame with the time at which it was done, in microseconds of the system's monotonic clock.
pub(super) fn watch_all(window: &MainWindow) {
    window.connect_realize(|window| {
        if let Some(clock) = window.frame_clock() {
            clock.connect_after_paint(|_: &gdk::FrameClock| {
                log::trace!("frame at {} µs", glib::monotonic_time());
            });
        }
    });
}
