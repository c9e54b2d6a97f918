//! All torrents of the client, and the one public API of it: [`api::EngineCommand`] in,
//! [`api::EngineEvent`] out. Layer 3.

pub mod api;
