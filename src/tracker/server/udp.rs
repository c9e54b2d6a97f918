//! The face for `udp://` URLs (BEP 15, BEP 41). Layer 3.
//!
//! | module | what |
//! |---|---|
//! | `connection_id` | proofs that a sender receives at its address |
//! | `datagrams` | one datagram in, at most one out |
//! | `threads` | sockets, and who reads them |

pub(super) mod connection_id;
mod datagrams;
mod threads;

pub(super) use threads::{UdpFace, start};
