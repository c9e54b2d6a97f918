//! Whole nodes in the simulated network: the Chord machine, the custody, sixteen keepers and a router each.
//!
//! `host` is one node, `play` a ring of them with clients that announce, `checks` says what must hold when it has
//! been left alone for a while, `schedules` makes trouble as a seed decides. `RING_DATA_SEED=n` replays one and tells
//! what happens in it.

mod checks;
mod host;
mod play;
mod schedules;
