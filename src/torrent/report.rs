//! A torrent for somebody to look at. Layer 2.

use crate::bitfield::Bitfield;
use crate::engine::api::{FileDetail, PeerDetail, TorrentDetails};
use crate::metainfo::{Info, Metainfo};
use crate::storage::layout::{FileIndex, Layout};
use crate::torrent::peer::Peer;
use crate::torrent::rate::Rate;
use crate::torrent::selection::verified_bytes;
use crate::torrent::state::Torrent;
use crate::torrent::status::{Parked, Tally, TorrentStatus};

impl Torrent {
    /// The numbers.
    pub fn status(&self) -> TorrentStatus {
        // Without anybody there is no speed, though the mean over the last seconds still remembers one.
        let rate = |rate: &Rate| if self.peers.is_empty() { 0 } else { rate.get() };
        TorrentStatus {
            checking: self.check_progress(),
            halted: self.halted().cloned(),
            complete: self.is_complete(),
            left: self.left(),
            download_rate: rate(&self.download_rate),
            upload_rate: rate(&self.upload_rate),
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
pub fn details(
    metainfo: &Metainfo,
    layout: &Layout,
    parked: &Parked,
    own: impl Fn(FileIndex) -> bool,
) -> TorrentDetails {
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
        files: file_details(info, layout, parked, own),
        trackers: Vec::new(),
        peers: Vec::new(),
    }
}

fn file_details(
    info: &Info,
    layout: &Layout,
    parked: &Parked,
    own: impl Fn(FileIndex) -> bool,
) -> Vec<FileDetail> {
    let shown = info.files.iter().filter(|file| !file.padding);
    shown
        .zip(layout.numbered())
        .map(|(entry, (index, file))| FileDetail {
            path: entry.path.clone(),
            length: file.length,
            done: verified_bytes(layout, index, &parked.have),
            priority: parked.priorities.get(index.get()).copied().unwrap_or_default(),
            own: own(index),
        })
        .collect()
}
