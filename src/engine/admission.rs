//! How torrents come onto the list: from the faces, and from the state folder.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;

use crate::bitfield::Bitfield;
use crate::engine::Engine;
use crate::engine::api::{AddTorrent, EngineEvent, SeedLimit};
use crate::engine::commands::misfit;
use crate::engine::entry::{Entry, Limits, Thread, unix_now};
use crate::engine::history::History;
use crate::engine::missing::MissingFiles;
use crate::engine::stall::Stall;
use crate::geometry::PieceIndex;
use crate::metainfo::Metainfo;
use crate::net::greeter::GreeterCommand;
use crate::ratio::RatioLimit;
use crate::sentence::told;
use crate::size::Count;
use crate::storage::Storage;
use crate::storage::layout::Layout;
use crate::storage::resume::ResumeRecord;
use crate::storage::state_dir::Loaded;
use crate::torrent::status::{Parked, Tally, TorrentStatus};
use crate::tracker::client::Totals;

impl Engine {
    pub(super) fn add(&mut self, new: AddTorrent) {
        let id = new.metainfo.info.info_hash;
        if self.torrents.contains(id) {
            let name = &new.metainfo.info.name;
            let message = if self.add_trackers(id, &new.metainfo.tiers) {
                told!("{name} is in the list already; the trackers that it lacked were added to it")
            } else {
                told!("{name} is in the list already")
            };
            return self.fail(Some(id), message);
        }
        let files = new
            .metainfo
            .info
            .files
            .iter()
            .filter(|file| !file.padding)
            .count();
        if !new.priorities.is_empty() && new.priorities.len() != files {
            let given = new.priorities.len();
            let misfit = misfit(given, files);
            let message = told!("{misfit}; it was not added");
            return self.fail(Some(id), message);
        }
        let folder = new
            .folder
            .unwrap_or_else(|| self.config.folders.downloads.clone());
        let serves = new.trust_data || self.scope.as_ref().is_some_and(|scope| !scope.fetch);
        if let Some(problem) = self.shared_file(&new.metainfo, &folder, serves) {
            let name = &new.metainfo.info.name;
            let message = told!("{name} was not added: {problem}");
            return self.fail(Some(id), message);
        }
        let geometry = new.metainfo.info.geometry;
        let have = if new.trust_data {
            Bitfield::full(geometry.piece_count())
        } else {
            Bitfield::empty(geometry.piece_count())
        };
        let parked = Parked {
            have,
            unchecked: Vec::new(),
            priorities: new.priorities,
            sequential: new.sequential,
            tally: Tally::default(),
            downloaded: 0,
            uploaded: 0,
            known_peers: new.peers,
        };
        self.keeper.save_torrent(id, Arc::clone(&new.metainfo.raw));
        let mut entry = self.entry(new.metainfo, folder, parked);
        entry.paused = new.paused;
        if new.overwrite {
            entry.storage.allow_overwriting();
        }
        if !new.trust_data && entry.storage.has_data() {
            entry.parked.unchecked = geometry.pieces().collect();
        }
        log::info!(
            "{}: added, {} in {}",
            entry.name(),
            Count(geometry.total_length(), "byte"),
            entry.folder.display()
        );
        self.enlist(entry);
        self.save(id);
        self.tell(EngineEvent::Added(id));
    }

    /// Puts a torrent of an earlier run back into the list.
    pub(super) fn restore(&mut self, metainfo: Arc<Metainfo>, loaded: Loaded) {
        let Loaded {
            record,
            candidates,
            move_under_way,
            ..
        } = loaded;
        let known = record.is_some();
        let record = record.unwrap_or_else(|| {
            let pieces = metainfo.info.geometry.piece_count();
            ResumeRecord::new(&self.config.folders.downloads, pieces)
        });
        let mut entry = self.entry_of(metainfo, &record);
        entry.move_under_way = move_under_way.filter(|noted| noted.to != entry.folder);
        let was_moved = entry.finish_move();
        if known {
            take_up(&mut entry, &record, &candidates);
        } else if entry.storage.has_data() {
            entry.distrust_data();
        }
        if entry.failed.is_none() && !record.have.is_empty() && !entry.storage.has_data() {
            fail_for_want_of_files(&mut entry);
        }
        if let Some(notice) = entry.notice() {
            log::warn!("{}: {notice}", entry.name());
        }
        let id = entry.info_hash();
        self.enlist(entry);
        if was_moved {
            self.save(id);
        }
    }

    /// A torrent as its record says that it was left; nothing of its data counts yet.
    fn entry_of(&self, metainfo: Arc<Metainfo>, record: &ResumeRecord) -> Entry {
        let parked = Parked {
            have: Bitfield::empty(metainfo.info.geometry.piece_count()),
            unchecked: Vec::new(),
            priorities: record.priorities.clone(),
            sequential: record.sequential,
            tally: Tally::default(),
            downloaded: 0,
            uploaded: 0,
            known_peers: record.known_peers.clone(),
        };
        let mut entry = self.entry(metainfo, record.folder.clone(), parked);
        entry.paused = record.paused;
        entry.forced = record.forced;
        entry
            .limits
            .set(Some(record.download_limit_kib), Some(record.upload_limit_kib));
        entry.seed_limit = record.seed_limit;
        entry.ratio_set_aside = record.ratio_set_aside;
        entry.seed_end = record.seed_end;
        entry.downloaded_before = record.downloaded;
        entry.uploaded_before = record.uploaded;
        entry.added_at = record.added_at;
        entry.completed_at = record.completed_at;
        entry.storage.mark_created(record.created_files.iter().copied());
        entry.storage.mark_claimed(record.claimed_files.as_deref());
        entry
    }

    fn entry(&self, metainfo: Arc<Metainfo>, folder: PathBuf, parked: Parked) -> Entry {
        let layout = Layout::new(&metainfo.info);
        let storage = Storage::open(
            layout,
            &folder,
            Arc::clone(&self.files),
            self.config.transfer.preallocate,
        )
        .with_move_note(self.keeper.move_note(metainfo.info.info_hash));
        let storage = match self.keeper.journal(metainfo.info.info_hash) {
            Ok(journal) => storage.with_journal(journal),
            Err(error) => {
                log::warn!(
                    "{}: pieces since the last save are lost if we are killed: {error}",
                    metainfo.info.name
                );
                storage
            }
        };
        Entry {
            storage: Arc::new(storage),
            folder,
            in_scope: (self.scope.as_ref())
                .is_none_or(|scope| scope.torrents.contains(&metainfo.info.info_hash)),
            paused: false,
            failed: None,
            in_the_way: false,
            missing: MissingFiles::default(),
            last_record: None,
            active: false,
            forced: false,
            let_past: false,
            stall: Stall::default(),
            thread: Thread::None,
            after_stop: VecDeque::new(),
            move_under_way: None,
            moving_to: None,
            at_disk: None,
            rechecking: false,
            parked,
            status: TorrentStatus::default(),
            wanted_length: 0,
            limits: Limits::new(&self.download, &self.upload),
            seed_limit: SeedLimit::AsSet,
            ratio_set_aside: RatioLimit::NONE,
            seed_end: None,
            downloaded_before: 0,
            uploaded_before: 0,
            added_at: unix_now(),
            completed_at: None,
            saved_totals: (0, 0),
            announced: false,
            totals: Arc::new(Totals::default()),
            trackers: Vec::new(),
            history: History::default(),
            metainfo,
        }
    }

    fn enlist(&mut self, mut entry: Entry) {
        let id = entry.info_hash();
        entry.refresh_status();
        self.torrents.push(entry);
        self.commons.greeter.send(GreeterCommand::Register(id));
        self.queue_is_stale = true;
    }
}

/// Takes up the data that the record, or the journal with these `candidates`, knows of, as far as the files are as they
/// were.
fn take_up(entry: &mut Entry, record: &ResumeRecord, candidates: &[PieceIndex]) {
    let geometry = entry.metainfo.info.geometry;
    // The numbers of the journal are as they were found.
    let candidates: Vec<_> = candidates
        .iter()
        .copied()
        .chain(record.unchecked.iter())
        .filter_map(|piece| geometry.check_piece(piece.0))
        .collect();
    let vouched = entry.storage.vouch(record, &candidates);
    entry.parked.have = vouched.trusted;
    entry.parked.unchecked = vouched.recheck;
    // Of a move that could not be ended, some files are in the new folder.
    if entry.failed.is_none() {
        let folder = entry.folder.clone();
        entry.missing = MissingFiles::new(vouched.missing, folder, &entry.parked.priorities);
    }
}

/// A disk that is not mounted, as a rule: downloading everything again would be no help.
fn fail_for_want_of_files(entry: &mut Entry) {
    let folder = entry.folder.display();
    let message = told!(
        "none of its files is in {folder}; put them back (is the disk mounted?) and check the files again, or start the \
         torrent to fetch everything again"
    );
    log::warn!("{}: {message}", entry.name());
    entry.failed = Some(message);
    entry.missing.forget();
}
