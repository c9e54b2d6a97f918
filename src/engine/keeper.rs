//! The keeper: the thread that writes the state folder, so that no other thread waits for a disk that syncs.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use crossbeam_channel::{Receiver, Sender, unbounded};

use crate::engine::watch_folder::Receipt;
use crate::id::InfoHash;
use crate::storage::journal::Journal;
use crate::storage::move_note::MoveNote;
use crate::storage::resume::ResumeRecord;
use crate::storage::state_dir::{StateDir, StateError};
use crate::storage::statistics::StatisticsRecord;

#[derive(Debug)]
enum Order {
    Torrent(InfoHash, Arc<[u8]>),
    Resume(InfoHash, Box<ResumeRecord>),
    List(Vec<InfoHash>),
    Statistics(StatisticsRecord),
    Bans(Arc<[IpAddr]>),
    Forget(InfoHash),
    Receipt(InfoHash, Receipt),
}

/// The handle of the keeper. Nothing waits for it but the end of the program.
#[derive(Debug)]
pub(super) struct Keeper {
    state: Arc<StateDir>,
    orders: Sender<Order>,
    thread: JoinHandle<()>,
}

impl Keeper {
    pub(super) fn spawn(state: StateDir) -> std::io::Result<Self> {
        let (orders, orders_rx) = unbounded();
        let state = Arc::new(state);
        let writer = Arc::clone(&state);
        let thread = thread::Builder::new()
            .name("keeper".into())
            .spawn(move || run(&writer, &orders_rx))?;
        Ok(Self {
            state,
            orders,
            thread,
        })
    }

    /// The journal of a torrent.
    pub(super) fn journal(&self, id: InfoHash) -> Result<Arc<Journal>, StateError> {
        self.state.journal(id)
    }

    /// The note of a torrent's move.
    pub(super) fn move_note(&self, id: InfoHash) -> MoveNote {
        self.state.move_note(id)
    }

    /// Keeps a `.torrent`.
    pub(super) fn save_torrent(&self, id: InfoHash, metainfo: Arc<[u8]>) {
        self.give(Order::Torrent(id, metainfo));
    }

    /// Replaces a torrent's resume record.
    pub(super) fn save_resume(&self, id: InfoHash, record: ResumeRecord) {
        self.give(Order::Resume(id, Box::new(record)));
    }

    /// Keeps the list of torrents, in order.
    pub(super) fn save_order(&self, list: Vec<InfoHash>) {
        self.give(Order::List(list));
    }

    /// Replaces the figures of all runs.
    pub(super) fn save_statistics(&self, record: StatisticsRecord) {
        self.give(Order::Statistics(record));
    }

    /// Keeps the addresses that are banned.
    pub(super) fn save_bans(&self, bans: Arc<[IpAddr]>) {
        self.give(Order::Bans(bans));
    }

    /// Gives the receipt of a torrent back, once what was asked for before is done, if the torrent is kept then.
    pub(super) fn receipt(&self, id: InfoHash, receipt: Receipt) {
        self.give(Order::Receipt(id, receipt));
    }

    /// Deletes everything that is kept of a torrent.
    pub(super) fn forget(&self, id: InfoHash) {
        // At once: the same torrent may be added again before the rest of this is done, with a journal of its own.
        report(self.state.forget_run(id));
        self.give(Order::Forget(id));
    }

    /// Waits until everything is written.
    pub(super) fn join(self) {
        drop(self.orders);
        if self.thread.join().is_err() {
            log::error!("the thread that keeps the session panicked; the last changes may be lost");
        }
    }

    fn give(&self, order: Order) {
        let _ = self.orders.send(order);
    }
}

fn run(state: &StateDir, orders: &Receiver<Order>) {
    while let Ok(first) = orders.recv() {
        // Of several records for one torrent that wait, and of several lists, only the last is worth a sync.
        let mut records = BTreeMap::new();
        let mut last_list = None;
        let mut last_statistics = None;
        for order in std::iter::once(first).chain(orders.try_iter()) {
            match order {
                Order::Resume(id, record) => {
                    records.insert(id, record);
                }
                Order::Torrent(id, metainfo) => report(state.save_torrent(id, &metainfo)),
                Order::List(list) => last_list = Some(list),
                Order::Statistics(record) => last_statistics = Some(record),
                Order::Bans(bans) => report(state.save_bans(&bans)),
                Order::Forget(id) => {
                    records.remove(&id);
                    report(state.forget(id));
                }
                Order::Receipt(id, receipt) if state.has_torrent(id) => receipt.give_back(),
                Order::Receipt(..) => {}
            }
        }
        for (id, record) in records {
            report(state.save_resume(id, &record));
        }
        if let Some(list) = last_list {
            report(state.save_order(&list));
        }
        if let Some(record) = last_statistics {
            report(state.save_statistics(&record));
        }
    }
}

fn report(outcome: Result<(), StateError>) {
    if let Err(error) = outcome {
        log::error!("the session could not be saved: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receipt_comes_back_for_what_is_in_the_state_folder() {
        let folder = tempfile::tempdir().unwrap();
        let keeper = Keeper::spawn(StateDir::open(folder.path()).unwrap()).unwrap();
        let (kept, kept_rx) = unbounded();
        let id = InfoHash::new([7; 20]);
        // As when the disk is full: there is none.
        keeper.receipt(id, Receipt::new("lost", (0, None), &kept));
        keeper.save_torrent(id, Arc::from(&b"de"[..]));
        keeper.receipt(id, Receipt::new("kept", (0, None), &kept));
        keeper.join();
        let names: Vec<_> = kept_rx.try_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["kept"]);
    }
}
