//! What was transferred in all runs, as the state folder keeps it. Layer 1.

use serde::{Deserialize, Serialize};

use super::resume::{self, RecordError};

/// Figures over all runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatisticsRecord {
    /// Bytes of blocks received.
    pub downloaded: u64,
    /// Bytes of blocks sent.
    pub uploaded: u64,
    /// Bytes of blocks that came for nothing.
    pub wasted: u64,
    /// Seconds for which the client ran.
    pub running_secs: u64,
    /// How often it was started.
    pub starts: u64,
    /// Seconds from 1970 to the first start that is counted.
    pub since: u64,
}

impl StatisticsRecord {
    pub(super) fn encode(&self) -> Result<Vec<u8>, RecordError> {
        resume::seal("statistics", self)
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        resume::unseal("statistics", bytes)
    }
}
