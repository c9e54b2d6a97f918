//! Why a tracker says no. The words go to the client, whose user reads them. Layer 1.

use crate::tracker::swarm::Full;

/// A `failure reason` (BEP 3), or the message of an error (BEP 15).
///
/// The words are short: an error must never be longer than the datagram that it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A parameter is missing or not valid.
    #[error("the request has no valid {0}")]
    BadParameter(&'static str),
    /// Nobody can be reached at port 0.
    #[error("port 0 cannot be reached; set a listening port")]
    NoPort,
    /// The torrent is on the list of those that are not served, or not on the list of those that are.
    #[error("this tracker does not serve this torrent")]
    Torrent,
    /// The URL must have a passkey, and has none that is known.
    #[error("the passkey in the tracker's URL is not known")]
    Passkey,
    /// Scrape without an info-hash, which would tell of all torrents.
    #[error("name the torrents to scrape; this tracker does not tell of all")]
    FullScrape,
    /// The connection id of a datagram is too old or somebody else's.
    #[error("connection id expired")]
    Connection,
    /// The address asks too often.
    #[error("too many requests from your address; wait a minute")]
    TooMany,
    /// No room for one more torrent or peer.
    #[error("{0}")]
    Full(#[from] Full),
    /// Whoever should have answered did not.
    #[error("the tracker could not answer in time; try again")]
    Unanswered,
}

impl Refusal {
    /// The name under which it is counted.
    pub fn label(self) -> &'static str {
        match self {
            Self::BadParameter(_) => "bad_parameter",
            Self::NoPort => "no_port",
            Self::Torrent => "torrent",
            Self::Passkey => "passkey",
            Self::FullScrape => "full_scrape",
            Self::Connection => "connection",
            Self::TooMany => "too_many",
            Self::Full(_) => "full",
            Self::Unanswered => "unanswered",
        }
    }
}
