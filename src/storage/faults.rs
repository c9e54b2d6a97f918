//! A disk that fails, is slow or stands still on command, for tests: sits under every read, write and sync of
//! [`super::files`].

use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

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
    /// How many reads, writes and syncs have begun.
    pub(crate) reads: AtomicU32,
    pub(crate) writes: AtomicU32,
    pub(crate) syncs: AtomicU32,
    /// While set, reads wait: a disk that hangs.
    pub(crate) hang: AtomicBool,
    /// While set, writes wait, and while either is set, syncs do: a disk that takes nothing, though what is in the
    /// cache can be read.
    pub(crate) stall: AtomicBool,
    pub(crate) stall_syncs: AtomicBool,
    /// Milliseconds that each write and each sync takes longer.
    pub(crate) slow_ms: AtomicU64,
    /// What was to be read ahead: first byte and length.
    pub(crate) read_ahead: Mutex<Vec<(u64, u64)>>,
}

impl Faults {
    pub(super) fn on_read(&self) -> io::Result<()> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        wait_while(&[&self.hang]);
        fail(self.read.load(Ordering::Relaxed))
    }

    pub(super) fn on_read_ahead(&self, offset: u64, length: u64) {
        self.read_ahead.lock().unwrap().push((offset, length));
    }

    pub(super) fn on_write(&self) -> io::Result<()> {
        self.writes.fetch_add(1, Ordering::Relaxed);
        self.be_slow();
        wait_while(&[&self.stall]);
        fail(self.write.load(Ordering::Relaxed))
    }

    pub(super) fn on_sync(&self) -> io::Result<()> {
        self.syncs.fetch_add(1, Ordering::Relaxed);
        self.be_slow();
        wait_while(&[&self.stall, &self.stall_syncs]);
        fail(self.sync.swap(0, Ordering::Relaxed))
    }

    /// The file system as a whole says what the next file will say.
    pub(super) fn on_sync_of_all(&self) -> io::Result<()> {
        fail(self.sync.load(Ordering::Relaxed))
    }

    fn be_slow(&self) {
        std::thread::sleep(Duration::from_millis(self.slow_ms.load(Ordering::Relaxed)));
    }
}

fn wait_while(any: &[&AtomicBool]) {
    while any.iter().any(|flag| flag.load(Ordering::Relaxed)) {
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn fail(errno: i32) -> io::Result<()> {
    match errno {
        0 => Ok(()),
        errno => Err(Errno::from_raw_os_error(errno).into()),
    }
}
