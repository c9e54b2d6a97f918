//! Keeps the computer from going to sleep while data moves, and no longer. Layer 4.

use std::cell::Cell;
use std::time::{Duration, Instant};

use gtk::prelude::*;

use super::i18n::tr;

/// How long nothing must have moved. Peers pause for seconds, and a request to the session each time would be noise.
const PATIENCE: Duration = Duration::from_secs(30);

/// Whether sleep is held off.
#[derive(Debug, Default)]
pub(super) struct Awake {
    /// What the session has given for it.
    cookie: Cell<Option<u32>>,
    last_moved: Cell<Option<Instant>>,
}

impl Awake {
    /// Takes note of whether data moves at this moment. To be called every few seconds at least while it is held off.
    pub(super) fn note(&self, app: &gtk::Application, moves: bool, now: Instant) {
        if moves {
            self.last_moved.set(Some(now));
        }
        let wanted = is_recent(self.last_moved.get(), now);
        match (wanted, self.cookie.get()) {
            (true, None) => {
                let why = tr!("Torrents are being transferred");
                let window = app.active_window();
                // 0: the session cannot, and need not be asked again at each look.
                let cookie = app.inhibit(window.as_ref(), gtk::ApplicationInhibitFlags::SUSPEND, Some(&why));
                self.cookie.set(Some(cookie));
            }
            (false, Some(cookie)) => {
                if cookie != 0 {
                    app.uninhibit(cookie);
                }
                self.cookie.set(None);
            }
            _ => {}
        }
    }
}

fn is_recent(last_moved: Option<Instant>, now: Instant) -> bool {
    last_moved.is_some_and(|moved| now.saturating_duration_since(moved) < PATIENCE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_no_end() {
        let moved = Instant::now();
        assert!(!is_recent(None, moved));
        assert!(is_recent(Some(moved), moved + PATIENCE / 2));
        assert!(!is_recent(Some(moved), moved + PATIENCE));
    }
}
