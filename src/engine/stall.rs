//! Whether a download gets anything.

use std::time::{Duration, Instant};

/// Since when nothing has come in.
#[derive(Debug, Default)]
pub(super) struct Stall {
    /// Bytes that had come, and when that was seen first.
    last: Option<(u64, Instant)>,
    /// Nothing has come for longer than anybody waits.
    pub(super) is_on: bool,
}

impl Stall {
    /// Takes note of how many bytes have come; `None`: none are expected. Without `patience` nothing ever stalls.
    pub(super) fn look(&mut self, received: Option<u64>, now: Instant, patience: Option<Duration>) {
        let Some(received) = received else {
            *self = Self::default();
            return;
        };
        let since = match self.last {
            Some((bytes, since)) if bytes == received => since,
            _ => now,
        };
        self.last = Some((received, since));
        self.is_on = patience.is_some_and(|patience| now.saturating_duration_since(since) >= patience);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_download_stalls_until_something_comes() {
        let start = Instant::now();
        let mut stall = Stall::default();
        let patience = Some(Duration::from_secs(180));
        for (seconds, received, expected) in [
            (0, Some(0), false),
            (179, Some(0), false),
            (180, Some(0), true),
            (400, Some(0), true),
            (401, Some(1), false),
            (580, Some(1), false),
            (581, Some(1), true),
            // While it waits, or is checked, nobody expects anything.
            (582, None, false),
            (900, Some(1), false),
            (1_080, Some(1), true),
        ] {
            stall.look(received, start + Duration::from_secs(seconds), patience);
            assert_eq!(stall.is_on, expected, "after {seconds} s");
        }
        stall.look(Some(1), start + Duration::from_secs(99_999), None);
        assert!(!stall.is_on, "who has endless patience");
    }
}
