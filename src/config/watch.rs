//! Notices edits of the settings while the program runs. Layer 3, without a thread of its own: whoever owns
//! a loop asks it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use super::{Config, ConfigError};

/// How often the file is looked at: an edit should seem to work at once, and one `stat` a second is nothing.
const INTERVAL: Duration = Duration::from_secs(1);

/// What tells one version of the file from the next; `None` while it is not there, as between the two steps
/// of an editor that saves by renaming.
type Stamp = Option<(SystemTime, u64)>;

/// Looks at one settings file from time to time.
#[derive(Debug)]
pub struct Watcher {
    path: PathBuf,
    seen: Stamp,
    next_look: Instant,
}

impl Watcher {
    /// Watches the file at `path`, which was just read.
    pub fn new(path: PathBuf, now: Instant) -> Self {
        let seen = stamp(&path);
        Self {
            path,
            seen,
            next_look: now + INTERVAL,
        }
    }

    /// The file that is watched.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The settings, if the file was edited since the last look; at most one look a second, so it may be
    /// called as often as is convenient. With an error the caller keeps the settings that it has and shows
    /// the error, which comes once for each edit.
    pub fn poll(&mut self, now: Instant) -> Option<Result<Config, ConfigError>> {
        if now < self.next_look {
            return None;
        }
        self.next_look = now + INTERVAL;
        let found = stamp(&self.path);
        if found.is_none() || found == self.seen {
            return None;
        }
        self.seen = found;
        Some(Config::load(&self.path))
    }
}

fn stamp(path: &Path) -> Stamp {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edit_is_seen_once_and_a_bad_one_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        fs::write(&path, "").unwrap();
        let start = Instant::now();
        let mut watcher = Watcher::new(path.clone(), start);
        let after = |seconds| start + Duration::from_secs(seconds);

        assert!(watcher.poll(after(1)).is_none(), "nothing changed");
        fs::write(&path, "[network]\nport = 70\n").unwrap();
        assert!(watcher.poll(after(1)).is_none(), "looked a moment ago");
        assert_eq!(watcher.poll(after(2)).unwrap().unwrap().network.port, 70);
        assert!(watcher.poll(after(3)).is_none());

        fs::write(&path, "[network]\nport = -70\n").unwrap();
        assert!(watcher.poll(after(4)).unwrap().is_err());
        assert!(watcher.poll(after(5)).is_none(), "said once");

        fs::remove_file(&path).unwrap();
        assert!(
            watcher.poll(after(6)).is_none(),
            "an editor may be about to put it back"
        );
        fs::write(&path, "[network]\nport = 7\n").unwrap();
        assert_eq!(watcher.poll(after(7)).unwrap().unwrap().network.port, 7);
    }
}
