//! A tracker's faces: HTTP and UDP servers in front of whatever holds the swarms.
//!
//! | module | layer | what |
//! |---|---|---|
//! | `seam` | 1 | [`Tracker`]: what stands behind the faces, and how answers come back |
//! | `refusal` | 1 | why a tracker says no, in words |
//! | `config`, `networks` | 1 | `dtracker.toml` |
//! | `access`, `rules` | 1 | who may use the tracker, and what an announce means |
//! | `limits`, `live`, `counters`, `ring_metrics` | 1 | what threads share: limits of each address, rules that change, figures |
//! | `history` | 2 | figures of the last three days, in memory and on disk |
//! | `local` | 3 | a tracker of one node |
//! | `front` | 3 | what the threads of both faces have in common |
//! | `http`, `udp` | 3 | the faces |
//! | `watch` | 3 | looks at the figures once a second |
//! | `serve` | 3 | starts and stops all of it |
//!
//! **The way of a request.** A thread of a face reads it, looks at the limits, the lists and the rules, and asks the
//! [`Tracker`]. As a rule the answer is there at once and is written into a buffer of the thread, which goes out with
//! whatever else the same wake-up brought. Otherwise the tracker keeps a [`Ticket`](seam::Ticket) and answers through
//! it from any thread.

mod access;
pub mod config;
mod counters;
#[cfg(test)]
mod fixture;
mod front;
pub mod history;
mod http;
mod limits;
mod live;
mod local;
mod networks;
mod refusal;
mod ring_metrics;
mod rules;
pub mod seam;
mod serve;
#[cfg(test)]
mod tests;
mod udp;
mod watch;

pub use access::BadLine;
pub use config::TrackerConfig;
pub use counters::{RequestCounts, Status};
pub use local::LocalTracker;
pub use networks::{Network, ParseNetworkError};
pub use refusal::Refusal;
pub use rules::{ListError, Rules};
pub use seam::Tracker;
pub use serve::{ServeError, TrackerServer};
