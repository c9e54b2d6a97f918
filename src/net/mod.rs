//! Sockets: the one factory, the listener and greeter, the rate limits. Layer 3.

pub mod greeter;
pub mod limiter;
pub mod sockets;
pub(crate) mod waker;
