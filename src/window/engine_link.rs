//! The way between the window and the engine. Layer 4.
//!
//! The engine calls back on a thread of its own and must never wait for the window. States travel in
//! channels that hold one value: a window that lags sees fewer of them, and always the last. Events travel
//! in an unbounded one: each is seen, and they are few.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use async_channel::{Receiver, Sender};
use dtorrent::engine::api::{EngineCommand, EngineEvent, EngineSnapshot, TorrentDetails};
use dtorrent::engine::{Engine, EngineError, EngineHandle, EngineSetup};
use dtorrent::net::sockets::SocketFactory;

/// Sends commands to the engine. Cheap to clone; there is one engine.
#[derive(Debug, Clone)]
pub(crate) struct EngineLink {
    handle: Rc<RefCell<Option<EngineHandle>>>,
}

/// What comes from the engine, for loops on the GTK thread.
#[derive(Debug)]
pub(crate) struct Arrivals {
    pub(crate) states: States,
    /// Everything else.
    pub(crate) events: Receiver<EngineEvent>,
}

/// How things stand, the latest of each.
#[derive(Debug)]
pub(crate) struct States {
    pub(crate) snapshots: Receiver<Arc<EngineSnapshot>>,
    pub(crate) details: Receiver<Arc<TorrentDetails>>,
}

/// The engine's ends of the channels.
#[derive(Debug)]
pub(crate) struct Departures {
    snapshots: Sender<Arc<EngineSnapshot>>,
    details: Sender<Arc<TorrentDetails>>,
    events: Sender<EngineEvent>,
}

/// The channels between an engine and a window.
pub(crate) fn channels() -> (Departures, Arrivals) {
    let (snapshots, snapshots_rx) = async_channel::bounded(1);
    let (details, details_rx) = async_channel::bounded(1);
    let (events, events_rx) = async_channel::unbounded();
    let departures = Departures {
        snapshots,
        details,
        events,
    };
    let arrivals = Arrivals {
        states: States {
            snapshots: snapshots_rx,
            details: details_rx,
        },
        events: events_rx,
    };
    (departures, arrivals)
}

impl Departures {
    /// Passes on what the engine tells. That nobody listens any more only means that the window is closing.
    pub(crate) fn deliver(&self, event: EngineEvent) {
        match event {
            EngineEvent::Snapshot(snapshot) => drop(self.snapshots.force_send(snapshot)),
            EngineEvent::Details(details) => drop(self.details.force_send(details)),
            other => drop(self.events.force_send(other)),
        }
    }
}

impl EngineLink {
    /// Starts the engine; `setup` gets the callback that feeds the channels.
    pub(crate) fn start(
        setup: impl FnOnce(Box<dyn FnMut(EngineEvent) + Send>) -> EngineSetup,
    ) -> Result<(Self, Arrivals), EngineError> {
        let (departures, arrivals) = channels();
        let handle = Engine::start(setup(Box::new(move |event| departures.deliver(event))))?;
        let handle = Rc::new(RefCell::new(Some(handle)));
        Ok((Self { handle }, arrivals))
    }

    /// Asks something of the engine. After [`Self::join`] there is nobody to ask, and nothing happens.
    pub(crate) fn send(&self, command: EngineCommand) {
        if let Some(handle) = &*self.handle.borrow() {
            handle.send(command);
        }
    }

    /// Makes sockets as the settings want them; none after [`Self::join`].
    pub(crate) fn sockets(&self) -> Option<Arc<SocketFactory>> {
        self.handle.borrow().as_ref().map(EngineHandle::sockets)
    }

    /// Waits for the engine's thread, which has said that it is done.
    pub(crate) fn join(&self) {
        if let Some(handle) = self.handle.take() {
            handle.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_window_sees_the_last_state_and_every_event() {
        let (departures, arrivals) = channels();
        for download_rate in 1..=3 {
            let snapshot = EngineSnapshot {
                download_rate,
                ..EngineSnapshot::default()
            };
            departures.deliver(EngineEvent::Snapshot(Arc::new(snapshot)));
            departures.deliver(EngineEvent::Stopped);
        }
        assert_eq!(
            arrivals
                .states
                .snapshots
                .try_recv()
                .map(|snapshot| snapshot.download_rate),
            Ok(3)
        );
        assert!(arrivals.states.snapshots.is_empty());
        assert_eq!(arrivals.events.len(), 3);
    }
}
