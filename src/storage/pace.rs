//! How far writing may run ahead of the disk. Layer 3, one pace for each disk.
//!
//! What is written lies in the system's cache at first. Left alone, the system lets a tenth of all memory gather
//! there before it begins to bring it to the disk; then a commit of the file system, for which every program waits
//! that changes anything in it, takes as long as all of that takes. So what we write is synced a little behind us,
//! by a thread that does nothing else, and writing waits once the disk owes us too much.

use std::ops::RangeInclusive;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use super::Storage;

/// What a disk takes in this time is synced at a time. Writing may wait as long once the disk is behind, and what one
/// sync costs by itself, some tens of milliseconds of a spinning disk, is little of it.
const STEP: Duration = Duration::from_millis(500);

/// The least and the most that is synced at a time, whatever the disk takes. With less than this, what a sync costs by
/// itself would look like a slower disk, and be spent still more often.
const STEP_BYTES: RangeInclusive<u64> = 32 * MIB..=128 * MIB;

/// Writing waits while the disk owes so many steps: one that is being synced, and one to go on with.
const MOST_STEPS: u64 = 2;

const MIB: u64 = 1024 * 1024;

/// What one disk owes.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Guards the account alone; nothing is written or synced under it.
    account: Mutex<Account>,
    room: Condvar,
}

#[derive(Debug)]
struct Account {
    /// Bytes that were written and are not known to be on the disk, those that are being synced included.
    owed: u64,
    /// Those that no sync has begun to look after, by whose they are.
    of: Vec<(Weak<Storage>, u64)>,
    /// Bytes that are synced at a time, by what the disk took lately.
    step: u64,
}

impl Default for Account {
    fn default() -> Self {
        Self {
            owed: 0,
            of: Vec::new(),
            step: *STEP_BYTES.start(),
        }
    }
}

impl Account {
    fn unattended(&self) -> u64 {
        self.of.iter().map(|(_, bytes)| bytes).sum()
    }

    /// Goes half of the way to a step that fits what the disk took now. Small syncs tell of seeks, not of speed.
    fn learn(&mut self, bytes: u64, took: Duration) {
        if bytes >= *STEP_BYTES.start() {
            let fitting = bytes as f64 * STEP.as_secs_f64() / took.as_secs_f64().max(1e-6);
            let fitting = (fitting as u64).clamp(*STEP_BYTES.start(), *STEP_BYTES.end());
            self.step = u64::midpoint(self.step, fitting);
        }
    }
}

impl Pace {
    /// Waits until the disk owes little enough for more to be written.
    pub(super) fn wait_for_room(&self) {
        let full = |account: &mut Account| account.owed >= MOST_STEPS * account.step;
        drop(self.room.wait_while(self.account(), full));
    }

    /// So many bytes were written. Says whether so much has gathered that it is time for [`Self::take_due`].
    pub(super) fn wrote(&self, storage: &Arc<Storage>, bytes: u64) -> bool {
        let storage = Arc::downgrade(storage);
        let mut account = self.account();
        account.owed += bytes;
        match account.of.iter_mut().find(|(of, _)| of.ptr_eq(&storage)) {
            Some((_, sum)) => *sum += bytes,
            None => account.of.push((storage, bytes)),
        }
        account.unattended() >= account.step
    }

    /// What was written and is looked after by no sync yet, if that is enough to be worth one: to be synced, and
    /// then to be given to [`Self::settled`].
    pub(super) fn take_due(&self) -> Vec<(Weak<Storage>, u64)> {
        let mut account = self.account();
        if account.unattended() < account.step {
            return Vec::new();
        }
        std::mem::take(&mut account.of)
    }

    /// The bytes of one torrent's files that a sync, which begins now, looks after.
    pub(super) fn take(&self, storage: &Arc<Storage>) -> u64 {
        let storage = Arc::downgrade(storage);
        let mut account = self.account();
        let place = account.of.iter().position(|(of, _)| of.ptr_eq(&storage));
        place.map_or(0, |place| account.of.swap_remove(place).1)
    }

    /// A sync that looked after so many bytes has ended, well or not, after this time: there is nothing more to wait
    /// for.
    pub(super) fn settled(&self, bytes: u64, took: Duration) {
        let mut account = self.account();
        account.owed = account.owed.saturating_sub(bytes);
        account.learn(bytes, took);
        drop(account);
        self.room.notify_all();
    }

    fn account(&self) -> MutexGuard<'_, Account> {
        // Nothing that can panic leaves it half changed.
        self.account.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::fixture::Torrent;

    const SECOND: Duration = Duration::from_secs(1);
    const LEAST: u64 = *STEP_BYTES.start();

    #[test]
    fn what_gathers_is_due_when_it_is_a_step_and_writing_waits_at_two() {
        let folder = tempfile::tempdir().unwrap();
        let torrent = Torrent::new(&[("t/a", 10)], 10);
        let (one, other) = (torrent.storage(folder.path()), torrent.storage(folder.path()));
        let pace = Arc::new(Pace::default());
        assert!(!pace.wrote(&one, LEAST / 2) && pace.take_due().is_empty());
        assert!(pace.wrote(&other, LEAST / 2));
        let taken: Vec<u64> = pace.take_due().into_iter().map(|(_, bytes)| bytes).collect();
        assert_eq!(taken, [LEAST / 2; 2]);
        assert!(
            pace.wrote(&one, LEAST),
            "the next step begins while the first is synced"
        );
        assert_eq!((pace.take(&other), pace.account().owed), (0, 2 * LEAST));
        let waiting = Arc::clone(&pace);
        let writer = std::thread::spawn(move || waiting.wait_for_room());
        pace.settled(pace.take(&one), SECOND);
        writer.join().unwrap();
        assert_eq!(pace.account().owed, LEAST);
        pace.settled(LEAST, SECOND);
        assert_eq!(pace.account().owed, 0);
    }

    #[test]
    fn a_step_follows_the_speed_of_the_disk_within_bounds() {
        let step_after = |bytes: u64, took: Duration| {
            let pace = Pace::default();
            (0..60).for_each(|_| pace.settled(bytes, took));
            pace.account().step.div_ceil(MIB)
        };
        assert_eq!(step_after(160 * MIB, SECOND), 80);
        assert_eq!(step_after(40 * MIB, Duration::ZERO), 128);
        let pace = Pace::default();
        pace.settled(40 * MIB, Duration::ZERO);
        let known = pace.account().step;
        pace.settled(MIB, 60 * SECOND);
        assert_eq!(pace.account().step, known, "too small to tell");
        (0..60).for_each(|_| pace.settled(40 * MIB, 60 * SECOND));
        assert_eq!(pace.account().step, LEAST);
    }
}
