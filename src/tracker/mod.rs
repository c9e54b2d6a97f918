//! Trackers: the codecs for both directions, the tiers of a torrent, the threads that announce, and the server.
//!
//! | module | layer | what |
//! |---|---|---|
//! | [`announce`] | 1 | what an announce and a scrape say, whatever carries them |
//! | [`compact`] | 1 | peers as 6 or 18 bytes (BEP 23, BEP 7) |
//! | [`http`] | 1 | requests as URLs, answers as bencode (BEP 3, BEP 48) |
//! | [`udp`] | 1 | the datagrams of BEP 15 and BEP 41 |
//! | [`tiers`] | 2 | which tracker of a torrent is asked what, and when (BEP 12) |
//! | [`exchange`] | 2 | UDP exchanges under way: connect, announce, retransmission |
//! | [`url`] | 1 | a tracker's URL, taken apart |
//! | [`status`] | 1 | how the trackers of a torrent stand |
//! | [`swarm`] | 2 | the peers of all swarms: what a tracker remembers |
//! | `queue` | 2 | which of the waiting requests may run, so that no tracker starves another |
//! | `fetch`, `tls` | 3 | the HTTP client (which fetches a `.torrent` by its link, too), encryption and the words for its failures |
//! | `datagrams`, [`client`] | 3 | the UDP sockets, the announcer |
//! | [`server`] | 3 | a tracker's faces: what answers the announces of others |
//! | [`node`] | 3 | a tracker inside the client |
//! | [`visitor`] | 3 | reads what a tracker tells of its ring |

pub mod announce;
pub mod client;
pub mod compact;
mod datagrams;
pub mod exchange;
pub(crate) mod fetch;
pub mod http;
pub mod node;
mod queue;
pub mod server;
pub mod status;
pub mod swarm;
pub mod tiers;
mod tls;
pub mod udp;
pub mod url;
pub mod visitor;
