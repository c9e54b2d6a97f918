//! A torrent for somebody to look at. Layer 2.

use std::collections::BTreeMap;

use crate::bitfield::Bitfield;
use crate::engine::api::{FileDetail, OpenPiece, PeerDetail, PieceMap, SpeedHistory, TorrentDetails};
use crate::metainfo::{Info, Metainfo};
use crate::picker::OpenProgress;
use crate::storage::Whose;
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
            wasted: self.tally.wasted,
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

    /// Adds what only a torrent at work knows.
    pub fn complete_details(&self, details: &mut TorrentDetails) {
        let optimistic = self.choker.optimistic();
        let detail = |peer: &Peer| PeerDetail {
            optimistic: optimistic == Some(peer.key),
            ..peer.detail()
        };
        details.peers = self.peers.values().map(detail).collect();
        details.known_peers = self.addresses.len();
        details.disk_behind = self.assembly.disk_is_behind();
        details.memory_short = self.assembly.memory_is_short();
        details.map = self.piece_map();
    }

    fn piece_map(&self) -> PieceMap {
        let progress = |open: OpenProgress| OpenPiece {
            piece: open.piece.0,
            received: open.received,
            requested: open.requested,
            total: open.total,
        };
        let mut open: BTreeMap<u32, OpenPiece> = self
            .picker
            .open_pieces()
            .map(|open| (open.piece.0, progress(open)))
            .collect();
        // What the picker has let go is whole, and the disk threads have it.
        for piece in self.assembly.open_pieces() {
            let total = self.info.geometry.block_count(piece);
            open.entry(piece.0).or_insert(OpenPiece {
                piece: piece.0,
                received: total,
                requested: 0,
                total,
            });
        }
        let nobody = self.peers.is_empty();
        PieceMap {
            availability: if nobody {
                Box::default()
            } else {
                self.picker.availabilities()
            },
            open: open.into_values().collect(),
            suspect: self.failed_pieces.iter().map(|piece| piece.0).collect(),
        }
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
    whose: impl Fn(FileIndex) -> Whose,
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
        files: file_details(info, layout, parked, whose),
        trackers: Vec::new(),
        peers: Vec::new(),
        known_peers: parked.known_peers.len(),
        disk_behind: false,
        memory_short: false,
        map: PieceMap::default(),
        speeds: SpeedHistory::default(),
    }
}

fn file_details(
    info: &Info,
    layout: &Layout,
    parked: &Parked,
    whose: impl Fn(FileIndex) -> Whose,
) -> Vec<FileDetail> {
    let shown = info.files.iter().filter(|file| !file.padding);
    shown
        .zip(layout.numbered())
        .map(|(entry, (index, file))| {
            let Whose { own, in_the_way } = whose(index);
            FileDetail {
                path: entry.path.clone(),
                length: file.length,
                pieces: layout.pieces_of_file(index),
                done: verified_bytes(layout, index, &parked.have),
                priority: parked.priorities.get(index.get()).copied().unwrap_or_default(),
                own,
                in_the_way,
            }
        })
        .collect()
}
