//! Torrents and peers of which nothing particular is known, for tests.

use std::ops::Range;
use std::sync::Arc;

use dtorrent::bitfield::Bitfield;
use dtorrent::engine::api::{
    FileDetail, PeerDetail, PieceMap, Priority, SpeedHistory, TorrentDetails, TrackerDetail, TrackerState,
};
use dtorrent::id::InfoHash;

/// A torrent of so many pieces of 16 KiB, of which nothing is there.
pub(super) fn details(piece_count: u32) -> TorrentDetails {
    TorrentDetails {
        info_hash: InfoHash::new([1; 20]),
        piece_length: 16_384,
        piece_count,
        map: PieceMap::default(),
        pieces: vec![0; piece_count.div_ceil(8) as usize].into(),
        pieces_done: 0,
        pieces_received: 0,
        pieces_failed: 0,
        wasted: 0,
        multi_file: true,
        private: false,
        sequential: false,
        download_limit_kib: 0,
        upload_limit_kib: 0,
        comment: None,
        created_by: None,
        files: vec![file(&["t", "a"], 0..piece_count, Priority::Normal)],
        trackers: Vec::new(),
        peers: Vec::new(),
        known_peers: 0,
        disk_behind: false,
        memory_short: false,
        speeds: SpeedHistory::default(),
    }
}

pub(super) fn file(path: &[&str], pieces: Range<u32>, priority: Priority) -> FileDetail {
    FileDetail {
        path: path.iter().map(|&name| name.to_owned()).collect(),
        length: u64::from(pieces.end - pieces.start) * 16_384,
        pieces,
        done: 0,
        priority,
        own: true,
        in_the_way: false,
    }
}

/// A peer that we dialled a moment ago.
pub(super) fn peer(key: u64) -> PeerDetail {
    PeerDetail {
        key,
        addr: ([192, 0, 2, key as u8], 6881).into(),
        incoming: false,
        client: "Client 1.0".to_owned(),
        peer_id: "-CL1000-............".to_owned(),
        progress: 0.5,
        download_rate: 0,
        upload_rate: 0,
        downloaded: 0,
        uploaded: 0,
        am_choking: true,
        am_interested: false,
        peer_choking: true,
        peer_interested: false,
        snubbed: false,
        refusing: false,
        optimistic: false,
        country: None,
        requests_out: 0,
        requests_in: 0,
        pieces: Arc::new(Bitfield::empty(0)),
    }
}

pub(super) fn tracker(url: &str) -> TrackerDetail {
    TrackerDetail {
        url: url.to_owned(),
        tier: 0,
        state: TrackerState::Idle,
        warning: None,
        seeds: None,
        leechers: None,
        peers: 0,
        next_announce: None,
    }
}
