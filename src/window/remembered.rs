//! What the window remembers from one run to the next, in a file of the state folder, written by a thread of its own.
//! Layer 4.

use std::cell::RefCell;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};

use crossbeam_channel::{Receiver, Sender, unbounded};
use serde::{Deserialize, Serialize};

use super::view::SortKey;

/// Its name in the state folder.
const FILE: &str = "window.json";

/// Sizes beyond this come from no screen.
const LARGEST: i32 = 32_000;

/// What is remembered. Neither filter nor search is: torrents that are missing at a start would frighten.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Remembered {
    /// Pixels, when it is not maximised; 0: as it comes.
    pub(crate) width: i32,
    pub(crate) height: i32,
    pub(crate) maximized: bool,
    /// Pixels of the list beside a torrent; 0: as it comes.
    pub(crate) list_width: i32,
    /// One line for each torrent.
    pub(crate) compact: bool,
    pub(crate) sort: SortKey,
    pub(crate) reversed: bool,
    /// Info-hash of the torrent that was chosen.
    pub(crate) chosen: Option<String>,
    /// The node whose ring was looked at last, as it was typed; empty: that of this computer.
    pub(crate) ring: String,
}

impl Remembered {
    /// Reads it. What cannot be read, as at the first start, is as nobody has changed it.
    pub(crate) fn load(state: &Path) -> Self {
        let path = state.join(FILE);
        match fs::read(&path) {
            Ok(bytes) => Self::parse(&bytes).unwrap_or_else(|error| {
                log::warn!(
                    "{} cannot be used, the window is as at the first start: {error}",
                    path.display()
                );
                Self::default()
            }),
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    log::warn!("{} cannot be read: {error}", path.display());
                }
                Self::default()
            }
        }
    }

    fn parse(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        let mut read: Self = serde_json::from_slice(bytes)?;
        read.width = read.width.clamp(0, LARGEST);
        read.height = read.height.clamp(0, LARGEST);
        read.list_width = read.list_width.clamp(0, LARGEST);
        Ok(read)
    }
}

/// What is asked of the thread.
#[derive(Debug)]
enum Order {
    Keep(Remembered),
    End,
}

/// Keeps what is remembered.
#[derive(Debug)]
pub(crate) struct Memory {
    orders: Sender<Order>,
    thread: RefCell<Option<JoinHandle<()>>>,
}

impl Memory {
    /// Begins to keep it in this state folder.
    ///
    /// # Errors
    /// The system gives no thread.
    pub(crate) fn start(state: &Path) -> io::Result<Self> {
        let (orders, orders_rx) = unbounded();
        let path = state.join(FILE);
        let thread = thread::Builder::new()
            .name("window-memory".into())
            .spawn(move || keep(&path, &orders_rx))?;
        let thread = RefCell::new(Some(thread));
        Ok(Self { orders, thread })
    }

    pub(crate) fn keep(&self, remembered: Remembered) {
        // After the end there is nothing to remember.
        let _ = self.orders.send(Order::Keep(remembered));
    }

    /// Waits until all is written.
    pub(crate) fn end(&self) {
        let _ = self.orders.send(Order::End);
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            log::error!("the thread that remembers the window panicked");
        }
    }
}

fn keep(path: &Path, orders: &Receiver<Order>) {
    let mut written = None;
    let mut goes_on = true;
    while goes_on && let Ok(first) = orders.recv() {
        let mut last = None;
        for order in std::iter::once(first).chain(orders.try_iter()) {
            match order {
                Order::Keep(remembered) => last = Some(remembered),
                Order::End => goes_on = false,
            }
        }
        let Some(last) = last.filter(|last| written.as_ref() != Some(last)) else {
            continue;
        };
        if let Err(error) = write(path, &last) {
            log::warn!("{} cannot be written: {error}", path.display());
        }
        written = Some(last);
    }
}

/// A crash leaves either what was there or what is new.
fn write(path: &Path, remembered: &Remembered) -> io::Result<()> {
    let new = PathBuf::from(format!("{}.new", path.display()));
    fs::write(&new, serde_json::to_vec(remembered)?)?;
    fs::rename(&new, path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::tempdir;

    #[test]
    fn the_last_of_all_is_kept() {
        let folder = tempdir().unwrap();
        assert_eq!(Remembered::load(folder.path()), Remembered::default());
        let memory = Memory::start(folder.path()).unwrap();
        let mut last = Remembered::default();
        for width in 400..500 {
            last = Remembered {
                width,
                list_width: width / 2,
                compact: true,
                sort: SortKey::DownloadRate,
                chosen: Some("ab".into()),
                ring: "192.0.2.7:6969".into(),
                ..Remembered::default()
            };
            memory.keep(last.clone());
        }
        memory.end();
        assert_eq!(Remembered::load(folder.path()), last);
    }

    #[test]
    fn what_makes_no_sense_is_as_at_the_first_start() {
        for (text, expected) in [
            ("{}", Some(Remembered::default())),
            ("", None),
            ("7", None),
            (r#"{"sort":"colour"}"#, None),
            (
                r#"{"width":-5,"height":99999999,"list_width":-1,"unknown":1,"maximized":true}"#,
                Some(Remembered {
                    height: LARGEST,
                    maximized: true,
                    ..Remembered::default()
                }),
            ),
        ] {
            assert_eq!(Remembered::parse(text.as_bytes()).ok(), expected, "{text}");
        }
    }
}
