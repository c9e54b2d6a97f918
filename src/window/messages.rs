//! What the window says of what happens: toasts, dialogs and notifications. Layer 4.

use std::cell::RefCell;
use std::collections::HashMap;

use adw::prelude::*;
use adw::subclass::prelude::*;
use dtorrent::engine::api::{EngineEvent, RemoveData};
use dtorrent::id::InfoHash;
use gtk::{gio, glib};

use super::main_window::MainWindow;
use super::words;

/// How long a toast about a problem stays.
const PROBLEM_SECONDS: u32 = 15;

/// What was said and may still be seen, and what is to be said.
#[derive(Debug, Default)]
pub(crate) struct Messages {
    /// The last dialog that told of a problem.
    problem: glib::WeakRef<adw::MessageDialog>,
    /// The latest toast about each torrent: it goes with the torrent.
    toasts_about: RefCell<HashMap<InfoHash, adw::Toast>>,
    /// Notifications that may still be shown by the desktop.
    notified: RefCell<Vec<String>>,
    /// Torrents that a person is having removed here, with their names and what happens to their files.
    removing: RefCell<HashMap<InfoHash, (String, RemoveData)>>,
}

impl Messages {
    /// A person has this torrent removed, and its end is to be told.
    pub(super) fn expect_removal(&self, info_hash: InfoHash, name: String, data: RemoveData) {
        self.removing.borrow_mut().insert(info_hash, (name, data));
    }
}

impl MainWindow {
    /// Shows what happened.
    pub(super) fn show_event(&self, event: EngineEvent) {
        match event {
            EngineEvent::Failed { info_hash, message } => self.show_failure(info_hash, message),
            EngineEvent::Finished(info_hash) => self.tell_finished(info_hash),
            EngineEvent::Removed(info_hash) => {
                self.imp().awaited.borrow_mut().remove(&info_hash);
                self.imp().added.borrow_mut().remove(&info_hash);
                self.withdraw_toast(info_hash);
                let removed = self.imp().messages.removing.borrow_mut().remove(&info_hash);
                if let Some((name, data)) = removed {
                    self.toast(&removed_words(&name, data));
                }
            }
            EngineEvent::Added(info_hash) => {
                self.imp().added.borrow_mut().insert(info_hash);
            }
            // States come by channels of their own, and the rest is the application's.
            EngineEvent::Snapshot(_)
            | EngineEvent::Details(_)
            | EngineEvent::Configured(_)
            | EngineEvent::Stopped => {}
        }
    }

    /// A torrent of the list says itself what ails it, so a toast is enough, with a way to the whole text.
    /// Anything else stands in a dialog until it was read.
    fn show_failure(&self, info_hash: Option<InfoHash>, message: String) {
        let imp = self.imp();
        let torrent = info_hash.and_then(|info_hash| imp.torrents.borrow().get(info_hash).cloned());
        let Some(torrent) = torrent else {
            if info_hash.is_some_and(|info_hash| imp.added.borrow().contains(&info_hash)) {
                // It comes with the next snapshot, and brings its problem.
                return;
            }
            if let Some(info_hash) = info_hash {
                imp.awaited.borrow_mut().remove(&info_hash);
            }
            return self.show_problem("Something Went Wrong", &message);
        };
        let torrent_hash = torrent.info_hash();
        let toast = toast(&format!("Problem with “{}”", torrent.name()));
        toast.set_timeout(PROBLEM_SECONDS);
        toast.set_button_label(Some("_Show"));
        let window = self.downgrade();
        toast.connect_button_clicked(move |_| {
            window
                .upgrade()
                .inspect(|window| window.show_problem(&torrent.name(), &message));
        });
        self.toast_about(torrent_hash, toast);
    }

    fn tell_finished(&self, info_hash: InfoHash) {
        let Some(torrent) = self.imp().torrents.borrow().get(info_hash).cloned() else {
            return;
        };
        let text = format!("“{}” is complete", torrent.name());
        if self.is_active() {
            self.toast_about(info_hash, toast(&text));
        } else if let Some(app) = self.application() {
            let notification = gio::Notification::new("Download Complete");
            notification.set_body(Some(&text));
            let id = info_hash.to_string();
            app.send_notification(Some(&id), &notification);
            self.imp().messages.notified.borrow_mut().push(id);
        }
    }

    /// Takes back the notifications of what is now before the user's eyes.
    pub(super) fn withdraw_notifications(&self) {
        if let Some(app) = self.application().filter(|_| self.is_active()) {
            for id in self.imp().messages.notified.take() {
                app.withdraw_notification(&id);
            }
        }
    }

    /// A passing message about a torrent, in the place of the one before.
    pub(super) fn toast_about(&self, info_hash: InfoHash, toast: adw::Toast) {
        self.withdraw_toast(info_hash);
        self.imp().toasts.add_toast(toast.clone());
        self.imp()
            .messages
            .toasts_about
            .borrow_mut()
            .insert(info_hash, toast);
    }

    /// Takes back what is still said of a torrent that is gone.
    fn withdraw_toast(&self, info_hash: InfoHash) {
        let said = self.imp().messages.toasts_about.borrow_mut().remove(&info_hash);
        said.inspect(|toast| toast.dismiss());
    }

    /// A passing message.
    pub(super) fn toast(&self, text: &str) {
        self.imp().toasts.add_toast(toast(text));
    }

    /// A message that stays until it was read.
    pub(super) fn show_problem(&self, heading: &str, message: &str) {
        let message = words::sentence(message);
        // One that is still open takes up what comes: dialogs on top of each other would be closed unread.
        let open = self.imp().messages.problem.upgrade();
        let open = open.filter(|open| open.is_visible() && open.heading().as_deref() == Some(heading));
        if let Some(open) = open {
            let body = open.body();
            if !body.contains(&message) {
                open.set_body(&format!("{body}\n\n{message}"));
            }
            return;
        }
        let dialog = adw::MessageDialog::new(Some(self), Some(heading), Some(&message));
        dialog.add_response("close", "_OK");
        self.imp().messages.problem.set(Some(&dialog));
        dialog.present();
    }
}

/// What is said when a torrent has gone.
fn removed_words(name: &str, data: RemoveData) -> String {
    match data {
        RemoveData::Keep => format!("“{name}” removed"),
        RemoveData::Trash => format!("“{name}” moved to the trash"),
        RemoveData::Delete => format!("“{name}” deleted"),
    }
}

/// A passing message.
pub(super) fn toast(text: &str) -> adw::Toast {
    // A toast reads markup, and names come from torrents.
    adw::Toast::new(&glib::markup_escape_text(text))
}
