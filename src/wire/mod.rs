//! What two peers say to each other, as bytes and as values. Layer 1.

pub mod extension;
pub mod handshake;
pub mod message;
