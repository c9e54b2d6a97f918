//! The thread that looks at the figures once a second: for the history, and for the other nodes of a ring. Layer 3.

use std::io;
use std::path::Path;
use std::sync::{Arc, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};

use super::front::Shared;
use super::history::{History, HistoryFile, Recorder};

/// From one look to the next.
const EVERY: Duration = Duration::from_secs(1);

/// What the thread is told.
#[derive(Debug)]
enum Order {
    /// This is what was recorded before; record what follows there too.
    Keep(HistoryFile, History),
    /// End.
    Stop,
}

/// The running thread.
#[derive(Debug)]
pub(super) struct Watch {
    orders: Sender<Order>,
    thread: JoinHandle<()>,
}

impl Watch {
    pub(super) fn start(shared: &Arc<Shared>) -> io::Result<Self> {
        let (orders, inbox) = unbounded();
        let shared = Arc::clone(shared);
        let thread = thread::Builder::new()
            .name("history".into())
            .spawn(move || run(&shared, &inbox))?;
        Ok(Self { orders, thread })
    }

    /// Goes on with the history at `path`, and keeps it there from now on.
    pub(super) fn keep_history(&self, path: &Path) -> io::Result<()> {
        let (file, history) = HistoryFile::open(path)?;
        // The thread ends after whoever has this.
        let _ = self.orders.send(Order::Keep(file, history));
        Ok(())
    }

    pub(super) fn join(self) {
        let _ = self.orders.send(Order::Stop);
        // A panic was reported by the panic itself.
        let _ = self.thread.join();
    }
}

fn run(shared: &Shared, orders: &Receiver<Order>) {
    let mut file = None;
    let mut recorder = Recorder::new(minute_now());
    loop {
        match orders.recv_timeout(EVERY) {
            Ok(Order::Keep(kept, before)) => {
                shared
                    .history
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .go_on_from(before);
                file = Some(kept);
            }
            Ok(Order::Stop) | Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) => {}
        }
        let requests = shared.counters.answered();
        shared.tracker.note_requests(requests[0], requests[1]);
        let ring = shared.tracker.ring();
        let over = recorder.on_second(minute_now(), shared.tracker.totals(), requests, ring.as_deref());
        let Some(over) = over else { continue };
        let newest = {
            let mut history = shared.history.lock().unwrap_or_else(PoisonError::into_inner);
            history.push(over);
            history.clone()
        };
        // Not under the lock: pages must not wait for the disk.
        if let Some(file) = &mut file {
            file.append(&newest);
        }
    }
}

/// Minutes since 1970, by the wall clock.
pub(super) fn minute_now() -> u32 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u32::try_from(since_1970.as_secs() / 60).unwrap_or(u32::MAX)
}
