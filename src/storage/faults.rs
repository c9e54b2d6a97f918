//! A disk that fails on command, for tests: sits under every read, write and sync of [`super::files`].

use std::io;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, Ordering};

use rustix::io::Errno;

/// What goes wrong; nothing at first.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    /// `errno` of each read; 0: they work.
    pub(crate) read: AtomicI32,
    /// `errno` of each write; 0: they work.
    pub(crate) write: AtomicI32,
    /// `errno` of the next sync, once; 0: it works.
    pub(crate) sync: AtomicI32,
    /// How many reads have begun.
    pub(crate) reads: AtomicU32,
    /// While set, reads wait: a disk that hangs.
    pub(crate) hang: AtomicBool,
}

impl Faults {
    pub(super) fn on_read(&self) -> io::Result<()> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        while self.hang.load(Ordering::Relaxed) {
            std::thread::yield_now();
        }
        fail(self.read.load(Ordering::Relaxed))
    }

    pub(super) fn on_write(&self) -> io::Result<()> {
        fail(self.write.load(Ordering::Relaxed))
    }

    pub(super) fn on_sync(&self) -> io::Result<()> {
        fail(self.sync.swap(0, Ordering::Relaxed))
    }
}

fn fail(errno: i32) -> io::Result<()> {
    match errno {
        0 => Ok(()),
        errno => Err(Errno::from_raw_os_error(errno).into()),
    }
}
