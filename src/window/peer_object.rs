//! One connection as the *Peers* tab sees it. Layer 4.

use dtorrent::engine::api::PeerDetail;

use super::row_object::row_object;

row_object!(PeerObject is "DtPeerObject", of PeerDetail);
