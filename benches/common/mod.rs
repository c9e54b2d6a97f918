//! What the benchmarks with real processes share: programs and what `/proc` says of them, and the tables.

pub(crate) mod proc;
pub(crate) mod report;
