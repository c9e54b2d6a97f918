//! A torrent for somebody to look at, and what is kept of it while its thread does not run. Layer 2.

use std::net::SocketAddr;
use std::time::Instant;

use crate::bitfield::Bitfield;
use crate::engine::api::{FileDetail, PeerDetail, Priority, TorrentDetails};
use crate::geometry::PieceIndex;
use crate::metainfo::{Info, Metainfo};
use crate::storage::layout::Layout;
use crate::torrent::peer::Peer;
use crate::torrent::selection::verified_bytes;
use crate::torrent::state::{Tally, Torrent};

/// Numbers of a running torrent, cheap enough to be told twice a second.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TorrentStatus {
    /// 0..=1 of the check of its data, while there is one.
    pub checking: Option<f64>,
    /// Why it cannot go on.
    pub halted: Option<Halted>,
    /// Everything that is wanted is there.
    pub complete: bool,
    /// Bytes of wanted pieces that are missing.
    pub left: u64,
    /// Bytes a second from peers.
    pub download_rate: u64,
    /// Bytes a second to peers.
    pub upload_rate: u64,
    /// Bytes of blocks received in this run of its thread.
    pub downloaded: u64,
    /// Bytes of blocks sent in this run of its thread.
    pub uploaded: u64,
    /// Connected peers.
    pub peers: usize,
    /// Those that have everything.
    pub seeds: usize,
}

/// Why a torrent cannot go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Halted {
    /// What happened, in words for a person.
    pub message: String,
    /// It tries again by itself, as on a full disk. Else it waits for the user.
    pub retries: bool,
}

/// What is kept of a torrent between two runs of its thread, on disk and in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parked {
    /// Pieces that are verified and survive a power cut.
    pub have: Bitfield,
    /// Pieces that must be hashed before it is known whether they belong to `have`.
    pub unchecked: Vec<PieceIndex>,
    /// One for each file that is not padding; empty: all normal.
    pub priorities: Vec<Priority>,
    /// Pieces are fetched in order.
    pub sequential: bool,
    /// Bytes of blocks received in this run of its thread.
    pub downloaded: u64,
    /// Bytes of blocks sent in this run of its thread.
    pub uploaded: u64,
    /// What was counted since the start of the program.
    pub tally: Tally,
    /// Where peers may be found next time.
    pub known_peers: Vec<SocketAddr>,
}

impl Torrent {
    /// The numbers.
    pub fn status(&self) -> TorrentStatus {
        TorrentStatus {
            checking: self.check_progress(),
            halted: self.halted().cloned(),
            complete: self.is_complete(),
            left: self.left(),
            download_rate: self.download_rate.get(),
            upload_rate: self.upload_rate.get(),
            downloaded: self.downloaded(),
            uploaded: self.uploaded(),
            peers: self.peers.len(),
            seeds: self.peers.values().filter(|peer| peer.session.is_seed()).count(),
        }
    }

    /// What to keep, with `safe` as the pieces that survive a power cut: the others are to be hashed again.
    pub fn parked(&self, safe: Bitfield) -> Parked {
        let unsafe_yet = self.have().iter().filter(|&piece| !safe.has(piece));
        Parked {
            unchecked: unsafe_yet.chain(self.unchecked()).collect(),
            have: safe,
            priorities: self.priorities().to_vec(),
            sequential: self.is_sequential(),
            downloaded: self.downloaded(),
            uploaded: self.uploaded(),
            tally: self.tally,
            known_peers: self.known_addresses(),
        }
    }

    /// The connected peers.
    pub fn peer_details(&self) -> Vec<PeerDetail> {
        self.peers.values().map(Peer::detail).collect()
    }

    /// What was counted in this run.
    pub fn tally(&self) -> Tally {
        self.tally
    }
}

/// All that can be seen of a torrent, running or not. Limits and trackers are the engine's to fill in.
pub fn details(metainfo: &Metainfo, layout: &Layout, parked: &Parked) -> TorrentDetails {
    let info = &metainfo.info;
    let tally = parked.tally;
    TorrentDetails {
        info_hash: info.info_hash,
        piece_length: info.geometry.piece_length(),
        piece_count: info.geometry.piece_count(),
        pieces: parked.have.as_bytes().into(),
        pieces_done: parked.have.count(),
        pieces_received: tally.pieces_received,
        pieces_failed: tally.pieces_failed,
        wasted: tally.wasted,
        multi_file: info.multi_file,
        private: info.private,
        sequential: parked.sequential,
        download_limit_kib: 0,
        upload_limit_kib: 0,
        comment: metainfo.comment.clone(),
        created_by: metainfo.created_by.clone(),
        files: file_details(info, layout, parked),
        trackers: Vec::new(),
        peers: Vec::new(),
    }
}

fn file_details(info: &Info, layout: &Layout, parked: &Parked) -> Vec<FileDetail> {
    let shown = info.files.iter().filter(|file| !file.padding);
    shown
        .zip(layout.numbered())
        .map(|(entry, (index, file))| FileDetail {
            path: entry.path.clone(),
            length: file.length,
            done: verified_bytes(layout, index, &parked.have),
            priority: parked.priorities.get(index.get()).copied().unwrap_or_default(),
        })
        .collect()
}

/// When a thing that happens every so often is due next.
#[derive(Debug)]
pub(super) struct Every {
    period: std::time::Duration,
    next: Instant,
}

impl Every {
    pub(super) fn new(now: Instant, period: std::time::Duration) -> Self {
        Self {
            period,
            next: now + period,
        }
    }

    /// Whether it is due; if so, the next time is a period from now.
    pub(super) fn is_due(&mut self, now: Instant) -> bool {
        let due = now >= self.next;
        if due {
            self.next = now + self.period;
        }
        due
    }
}
