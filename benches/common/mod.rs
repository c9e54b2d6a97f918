//! What the benchmarks with real processes share: what `/proc` says of a process, and the tables.

pub(crate) mod proc;
pub(crate) mod report;
