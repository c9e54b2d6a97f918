//! The ring in one thread: nodes in a network that a seed decides.
//!
//! [`world`] delivers messages one by one, with delay, loss, reordering and duplication; it parts the network,
//! stops nodes and kills them. It is generic over the [`host::Host`], so whatever shares a node's messages can be
//! put beside the Chord machine. [`episode`] plays stories in it, [`checks`] says what must hold: some of it after
//! every message, some of it when the network has been quiet for a while.
//!
//! `RING_SEED=n` replays one schedule and tells what happens in it; `make soak` plays 100,000.

pub(crate) mod checks;
pub(crate) mod episode;
mod figures;
pub(crate) mod host;
mod plot;
pub(crate) mod world;

mod tests;
