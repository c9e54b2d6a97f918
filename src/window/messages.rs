//! What the window says of what happens: toasts, dialogs and notifications. Layer 4.

use std::cell::{OnceCell, RefCell};
use std::collections::BTreeSet;
use std::sync::Arc;

use adw::prelude::*;
use adw::subclass::prelude::*;
use dtorrent::engine::api::{EngineEvent, SeedEnd, TorrentSummary};
use dtorrent::id::InfoHash;
use gtk::{gio, glib};

use super::i18n::tr;
use super::main_window::MainWindow;
use super::removal::Removal;
use super::toasts::{Toasts, toast};
use super::{library, words};

/// How long a toast about a problem stays.
const PROBLEM_SECONDS: u32 = 15;

/// The notification of a torrent that has seeded enough.
const SEED_END: &str = "seeding-finished";

/// What was said and may still be seen, and what is to be said.
#[derive(Debug, Default)]
pub(crate) struct Messages {
    /// The last dialog that told of a problem.
    problem: glib::WeakRef<adw::MessageDialog>,
    toasts: OnceCell<Toasts>,
    /// The last toast about a torrent: it goes with the torrent.
    toast: RefCell<Option<(InfoHash, adw::Toast)>>,
    /// Notifications that may still be shown by the desktop.
    notified: RefCell<BTreeSet<String>>,
    /// What a person is having removed here.
    pub(super) removals: RefCell<Vec<Removal>>,
    /// The torrents of the last removal that can be taken back.
    pub(super) undoable: RefCell<Vec<InfoHash>>,
}

impl MainWindow {
    /// Shows what happened.
    pub(super) fn show_event(&self, event: EngineEvent) {
        match event {
            EngineEvent::Failed { info_hash, message } => self.show_failure(info_hash, &message),
            EngineEvent::Finished(info_hash) => self.tell_finished(info_hash),
            EngineEvent::SeedingEnded { info_hash, end } => self.tell_seed_end(info_hash, end),
            EngineEvent::Removed(info_hash) => {
                self.imp().awaited.borrow_mut().remove(&info_hash);
                self.imp().added.borrow_mut().remove(&info_hash);
                self.withdraw_toast(info_hash);
                self.forget_files(info_hash);
                self.removed(info_hash);
            }
            EngineEvent::Stays(info_hash) => self.not_removed(info_hash),
            EngineEvent::Forgotten(info_hash) => self.not_undoable(info_hash),
            EngineEvent::Files { info_hash, files } => self.answer_files(info_hash, &files),
            EngineEvent::Added(info_hash) => {
                self.imp().added.borrow_mut().insert(info_hash);
            }
            EngineEvent::Fetched { url, torrent } => self.show_fetched(&url, torrent),
            // States come by channels of their own, and the rest is the application's.
            EngineEvent::Snapshot(_)
            | EngineEvent::Details(_)
            | EngineEvent::Configured(_)
            | EngineEvent::Stopped => {}
        }
    }

    /// A torrent of the list says itself what ails it, so a toast is enough, with a way to the whole text.
    /// Anything else stands in a dialog until it was read.
    fn show_failure(&self, info_hash: Option<InfoHash>, message: &str) {
        let imp = self.imp();
        let message = library::in_own_words(message);
        let torrent = info_hash.and_then(|info_hash| self.summary_of(info_hash));
        let Some(torrent) = torrent else {
            if info_hash.is_some_and(|info_hash| imp.added.borrow().contains(&info_hash)) {
                // It comes with the next snapshot, and brings its problem.
                return;
            }
            if let Some(info_hash) = info_hash {
                imp.awaited.borrow_mut().remove(&info_hash);
            }
            return self.show_problem(&tr!("Something Went Wrong"), &message);
        };
        let torrent_hash = torrent.info_hash;
        let toast = toast(&tr!("Problem with “{name}”", name = torrent.name));
        toast.set_timeout(PROBLEM_SECONDS);
        toast.set_button_label(Some(&tr!("_Show")));
        let window = self.downgrade();
        toast.connect_button_clicked(move |_| {
            window
                .upgrade()
                .inspect(|window| window.show_problem(&torrent.name, &message));
        });
        self.toast_about(torrent_hash, toast);
    }

    fn tell_finished(&self, info_hash: InfoHash) {
        let Some(torrent) = self.summary_of(info_hash) else {
            return;
        };
        let text = tr!("“{name}” is complete", name = torrent.name);
        let id = info_hash.to_string();
        self.tell_of(info_hash, &tr!("Download Complete"), &text, id);
    }

    fn tell_seed_end(&self, info_hash: InfoHash, end: SeedEnd) {
        let Some(torrent) = self.summary_of(info_hash) else {
            return;
        };
        let why = words::seed_end(end);
        let text = tr!("“{name}” is finished: {why}", name = torrent.name, why = why);
        // One takes the place of the other: a limit that was just set may end many at a time.
        self.tell_of(info_hash, &tr!("Seeding Finished"), &text, SEED_END.to_owned());
    }

    /// Tells of good news in the window, or on the desktop if nobody looks at it.
    fn tell_of(&self, info_hash: InfoHash, heading: &str, text: &str, notification_id: String) {
        if self.is_active() {
            self.toast_about(info_hash, toast(text));
        } else if let Some(app) = self.application() {
            let notification = gio::Notification::new(heading);
            notification.set_body(Some(text));
            let torrent = info_hash.to_string().to_variant();
            notification.set_default_action_and_target_value("app.show-torrent", Some(&torrent));
            app.send_notification(Some(&notification_id), &notification);
            self.imp().messages.notified.borrow_mut().insert(notification_id);
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

    /// A passing message about a torrent.
    pub(super) fn toast_about(&self, info_hash: InfoHash, toast: adw::Toast) {
        let about = (info_hash, toast.clone());
        self.imp().messages.toast.replace(Some(about));
        self.toasts().show(toast);
    }

    /// Takes back what is still said of a torrent that is gone.
    fn withdraw_toast(&self, info_hash: InfoHash) {
        let mut said = self.imp().messages.toast.borrow_mut();
        if let Some((_, toast)) = said.take_if(|(about, _)| *about == info_hash) {
            self.toasts().withdraw(&toast);
        }
    }

    /// A passing message.
    pub(super) fn toast(&self, text: &str) {
        self.toasts().show(toast(text));
    }

    /// Where passing messages are shown.
    pub(super) fn toasts(&self) -> &Toasts {
        self.imp().messages.toasts.get_or_init(|| {
            let overlay = self.imp().toasts.get();
            let add = overlay.downgrade();
            Toasts::over(&overlay, move |toast| {
                add.upgrade().inspect(|overlay| overlay.add_toast(toast));
            })
        })
    }

    /// How a torrent of the client stands, shown or not.
    pub(super) fn summary_of(&self, info_hash: InfoHash) -> Option<Arc<TorrentSummary>> {
        let snapshot = self.imp().snapshot.borrow();
        let mut torrents = snapshot.as_ref()?.torrents.iter();
        torrents.find(|torrent| torrent.info_hash == info_hash).cloned()
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
        dialog.add_response("close", &tr!("_OK"));
        self.imp().messages.problem.set(Some(&dialog));
        dialog.present();
    }
}
