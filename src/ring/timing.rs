//! How patient a node is. Layer 1.

use std::time::Duration;

/// Every wait of the Chord machine. Periods are drawn from 80 to 120 % of what stands here, so that nodes which
/// were started together do not keep step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timing {
    /// From one look at the successor to the next.
    pub stabilize_every: Duration,
    /// A neighbour that was silent for so long is pinged.
    pub ping_after: Duration,
    /// How long one question waits for its answer. It is sent twice; a node that lets both pass is held for dead.
    pub answer_within: Duration,
    /// Shortest wait after the answer "busy".
    pub busy_wait_min: Duration,
    /// Longest wait after the answer "busy".
    pub busy_wait_max: Duration,
    /// From one check for another ring to the next.
    pub merge_every: Duration,
    /// From one exchange of remembered members to the next.
    pub gossip_every: Duration,
    /// From the repair of one finger to that of the next.
    pub finger_every: Duration,
    /// From one try to join to the next.
    pub join_every: Duration,
    /// A node that finds nobody in a ring for so long (to half as much again) makes a ring of its own.
    pub form_after: Duration,
    /// How long a node that was held for dead is left out of lists that others send, unless it is heard.
    pub suspect_for: Duration,
    /// A member of which nobody heard for so long is forgotten.
    pub forget_after: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            stabilize_every: Duration::from_millis(500),
            ping_after: Duration::from_millis(500),
            answer_within: Duration::from_millis(300),
            busy_wait_min: Duration::from_millis(10),
            busy_wait_max: Duration::from_millis(50),
            merge_every: Duration::from_secs(5),
            gossip_every: Duration::from_secs(5),
            finger_every: Duration::from_secs(1),
            join_every: Duration::from_millis(500),
            form_after: Duration::from_secs(3),
            suspect_for: Duration::from_secs(5),
            forget_after: Duration::from_secs(7 * 24 * 3600),
        }
    }
}

impl Timing {
    /// 80 to 120 % of `period`.
    pub fn about(period: Duration, rng: &mut fastrand::Rng) -> Duration {
        period.mul_f64(0.8 + 0.4 * rng.f64())
    }
}
