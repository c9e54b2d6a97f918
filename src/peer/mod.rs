//! One connection to one peer: the protocol's state as a machine, and the two threads that move its bytes.

pub mod client;
pub mod connection;
pub mod link;
pub mod session;
