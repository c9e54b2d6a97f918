//! What one torrent decides: whom to connect to, what to ask whom for, whom to serve, which pieces count.
//! Layer 2: events and the time in, [`Action`]s out; no socket, file or clock.
//!
//! The parts have their own files: `feed.rs` (requests), `transfer.rs` (blocks and what the
//! disk says of them) and `neighbours.rs` (joining, leaving, choking, dialling). This one
//! holds the state that they share.
//!
//! # Invariants
//!
//! - `have` holds exactly the pieces whose hash was right and that are on disk.
//! - A request that is out at a peer stands in that peer's pipeline and in the picker, and holds a credit.
//! - A piece is open in the assembly if and only if it is open or whole in the picker.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::bitfield::Bitfield;
use crate::choker::{Choker, Slots};
use crate::engine::api::Priority;
use crate::geometry::{Block, PieceIndex};
use crate::id::PeerId;
use crate::memory::{BlockBuf, Budget};
use crate::metainfo::Info;
use crate::peer::link::{CloseReason, PeerCommand, PeerCounters, PeerKey};
use crate::picker::Picker;
use crate::sentence::told;
use crate::storage::StorageError;
use crate::storage::layout::Layout;
use crate::storage::task::{DiskResult, DiskTask};
use crate::torrent::addresses::AddressBook;
use crate::torrent::assembly::Assembly;
use crate::torrent::blame::Blame;
use crate::torrent::peer::Peer;
use crate::torrent::rate::Rate;
use crate::torrent::selection;
use crate::torrent::spread::Spread;
use crate::torrent::status::{Halted, Tally};

/// How many pieces a check has at the disk threads at a time: enough to keep them all busy.
const CHECKS_AT_ONCE: usize = 8;

/// A full disk is asked again after this.
const FULL_DISK_RETRY: Duration = Duration::from_secs(10);

/// What a torrent may do; changes while it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// From how many peers it downloads at a time; 0: from all that let it.
    pub active_peers: usize,
    /// How many peers it serves at a time, the optimistic one included.
    pub upload_slots: Slots,
    /// Most connections.
    pub max_connections: usize,
    /// The port that peers reach us at.
    pub listen_port: u16,
    /// Whether it fetches what it lacks. If not it only serves, and nothing of its data changes.
    pub fetch: bool,
}

/// What a torrent starts from.
#[derive(Debug)]
pub struct Start {
    /// The torrent.
    pub info: Arc<Info>,
    /// Files over bytes.
    pub layout: Arc<Layout>,
    /// Our own peer id.
    pub own_id: PeerId,
    /// Pieces that are verified and on disk.
    pub have: Bitfield,
    /// Pieces that must be hashed before anything else, and are not in `have`.
    pub to_check: Vec<PieceIndex>,
    /// One for each file that is not padding; empty: all normal.
    pub priorities: Vec<Priority>,
    /// Fetch pieces in order.
    pub sequential: bool,
    /// What was counted before.
    pub tally: Tally,
    /// Limits.
    pub settings: Settings,
    /// Client-wide memory for blocks.
    pub budget: Arc<Budget>,
    /// Seed of all its choices.
    pub seed: u64,
}

/// What the Downloader shall do. Actions are in order: those for one peer must be carried out as they come.
#[derive(Debug)]
pub enum Action {
    /// Give this to the peer's writer.
    Tell(PeerKey, PeerCommand),
    /// Close the connection. The peer is already forgotten here.
    Close(PeerKey, CloseReason),
    /// Connect to this address.
    Dial(SocketAddr),
    /// Give this to the disk threads.
    Disk(DiskTask),
    /// The piece is verified and on disk: every peer shall hear of it.
    PieceDone {
        /// Which.
        piece: PieceIndex,
        /// How many there are now.
        have: u32,
    },
    /// The check of the data has ended.
    Checked,
    /// All that is wanted has become verified by a download or a check of this run.
    Finished,
    /// The torrent cannot go on; in words for a person.
    Halted(String),
}

/// Where a check of the data stands.
#[derive(Debug, Default)]
pub(super) struct Check {
    pub(super) waiting: VecDeque<PieceIndex>,
    pub(super) at_disk: usize,
    pub(super) total: usize,
}

impl Check {
    fn new(pieces: Vec<PieceIndex>) -> Option<Self> {
        (!pieces.is_empty()).then(|| Self {
            total: pieces.len(),
            waiting: pieces.into(),
            at_disk: 0,
        })
    }

    fn left(&self) -> usize {
        self.waiting.len() + self.at_disk
    }
}

/// Whether the disk was made ready for a download: room looked for, empty files made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Readiness {
    No,
    /// The disk threads are at it.
    Asked,
    Yes,
}

/// Why nothing is fetched.
#[derive(Debug)]
pub(super) struct Halt {
    pub(super) why: Halted,
    /// When to look again; `None` for what only the user can change, and while the disk is being looked at.
    pub(super) retry_at: Option<Instant>,
}

/// One torrent at work.
#[derive(Debug)]
pub struct Torrent {
    pub(super) info: Arc<Info>,
    pub(super) layout: Arc<Layout>,
    pub(super) own_id: PeerId,
    pub(super) settings: Settings,
    pub(super) priorities: Vec<Priority>,
    pub(super) sequential: bool,
    pub(super) have: Bitfield,
    pub(super) picker: Picker,
    pub(super) choker: Choker,
    pub(super) next_rechoke: Option<Instant>,
    /// How many peers are served.
    pub(super) served: usize,
    /// Whether these are all who want something.
    pub(super) all_are_served: bool,
    /// First copies that we give as a seed.
    pub(super) spread: Spread,
    pub(super) assembly: Assembly,
    pub(super) blame: Blame,
    /// Pieces that came with a wrong hash and have not come well since, for the display.
    pub(super) failed_pieces: BTreeSet<PieceIndex>,
    pub(super) addresses: AddressBook,
    pub(super) peers: BTreeMap<PeerKey, Peer>,
    /// Peers that may have room for requests.
    pub(super) hungry: BTreeSet<PeerKey>,
    /// Who was the first to be asked when memory was last short.
    pub(super) fed_first: PeerKey,
    /// Blocks of large pieces on their way to the disk, sent together at the end of the turn.
    pub(super) spilling: Vec<(Block, BlockBuf)>,
    pub(super) at_disk: usize,
    pub(super) check: Option<Check>,
    pub(super) halt: Option<Halt>,
    /// Whether the disk was made ready for what is wanted.
    pub(super) readiness: Readiness,
    /// How many times the disk threads are at that: more than once if what is wanted changed meanwhile.
    pub(super) preparing: usize,
    /// While memory is short: open pieces that nobody can go on with, and since when.
    pub(super) orphans: BTreeMap<PieceIndex, Instant>,
    /// Uploads that peers' writers were told of in this turn and have not counted yet.
    pub(super) uploads_told: BTreeMap<PeerKey, usize>,
    /// The thread is about to end: nothing new is begun.
    pub(super) stopping: bool,
    /// `have` has grown since peers' interest was last worked out.
    pub(super) interest_is_stale: bool,
    /// A tick has come since it was last looked at who goes on with suspect pieces.
    pub(super) suspects_are_due: bool,
    pub(super) finished_told: bool,
    /// What connected peers know of whether we want more pieces.
    pub(super) upload_only_told: bool,
    /// Bytes of blocks received that were kept.
    pub(super) downloaded: u64,
    /// Bytes of blocks sent to peers that have left since.
    pub(super) uploaded_to_gone: u64,
    /// What the writers of those count that left a moment ago: a peer may close right after its last block, before our
    /// writer has counted that one.
    pub(super) leaving: Vec<Arc<PeerCounters>>,
    pub(super) tally: Tally,
    pub(super) download_rate: Rate,
    pub(super) upload_rate: Rate,
    pub(super) rng: fastrand::Rng,
    pub(super) actions: Vec<Action>,
}

impl Torrent {
    /// The torrent at its start. A check, if one is due, begins with the first [`Self::end_turn`].
    pub fn new(start: Start) -> Self {
        let geometry = start.info.geometry;
        let mut torrent = Self {
            picker: Picker::new(geometry, &start.have),
            choker: Choker::new(start.settings.upload_slots),
            next_rechoke: None,
            served: 0,
            all_are_served: true,
            spread: Spread::default(),
            assembly: Assembly::new(geometry, start.budget),
            blame: Blame::default(),
            failed_pieces: BTreeSet::new(),
            addresses: AddressBook::default(),
            peers: BTreeMap::new(),
            hungry: BTreeSet::new(),
            fed_first: PeerKey(0),
            spilling: Vec::new(),
            at_disk: 0,
            check: Check::new(start.to_check),
            halt: None,
            readiness: Readiness::No,
            preparing: 0,
            orphans: BTreeMap::new(),
            uploads_told: BTreeMap::new(),
            stopping: false,
            interest_is_stale: false,
            suspects_are_due: false,
            finished_told: false,
            upload_only_told: false,
            downloaded: 0,
            uploaded_to_gone: 0,
            leaving: Vec::new(),
            tally: start.tally,
            download_rate: Rate::default(),
            upload_rate: Rate::default(),
            rng: fastrand::Rng::with_seed(start.seed),
            actions: Vec::new(),
            info: start.info,
            layout: start.layout,
            own_id: start.own_id,
            settings: start.settings,
            priorities: Vec::new(),
            sequential: false,
            have: start.have,
        };
        torrent.picker.set_own_id(start.own_id);
        // What was complete before this run is not announced as finished.
        torrent.set_priorities(start.priorities);
        torrent.finished_told = torrent.is_complete() && torrent.check.is_none();
        torrent.set_sequential(start.sequential);
        torrent
    }

    // Views.

    /// Pieces that are verified and on disk.
    pub fn have(&self) -> &Bitfield {
        &self.have
    }

    /// Whether everything that is wanted is verified and on disk.
    pub fn is_complete(&self) -> bool {
        self.picker.is_complete()
    }

    /// Whether its data is being checked.
    pub fn is_checking(&self) -> bool {
        self.check.is_some()
    }

    /// Why it cannot go on.
    pub fn halted(&self) -> Option<&Halted> {
        self.halt.as_ref().map(|halt| &halt.why)
    }

    /// Whether there is nothing to do and nobody to talk to: the thread is not needed.
    pub fn is_quiet(&self) -> bool {
        self.is_complete()
            && self.peers.is_empty()
            && self.check.is_none()
            && self.at_disk == 0
            && self.addresses.dialing() == 0
    }

    /// Whether something is still at the disk threads.
    pub fn awaits_disk(&self) -> bool {
        self.at_disk > 0
            || !self.spilling.is_empty()
            || self.check.as_ref().is_some_and(|check| check.at_disk > 0)
    }

    /// Bytes of blocks sent in this run.
    pub fn uploaded(&self) -> u64 {
        let leaving = self.leaving.iter().map(|counters| counters.sent_payload());
        self.uploaded_to_gone + leaving.sum::<u64>() + self.peers.values().map(Peer::uploaded).sum::<u64>()
    }

    /// Bytes of blocks received in this run that were kept.
    pub fn downloaded(&self) -> u64 {
        self.downloaded
    }

    /// Bytes of what is wanted that are missing.
    pub fn left(&self) -> u64 {
        self.picker.missing_wanted().bytes
    }

    /// One priority for each file that is not padding; empty: all normal.
    pub fn priorities(&self) -> &[Priority] {
        &self.priorities
    }

    /// Whether pieces are fetched in order.
    pub fn is_sequential(&self) -> bool {
        self.sequential
    }

    /// Addresses of peers for the next run.
    pub fn known_addresses(&self) -> Vec<SocketAddr> {
        self.addresses.worth_keeping()
    }

    // What the user changes.

    /// Changes limits.
    pub fn set_settings(&mut self, settings: Settings) {
        self.choker.set_slots(settings.upload_slots);
        self.settings = settings;
        self.next_rechoke = None;
        self.everybody_is_hungry();
    }

    /// Changes what is wanted. A list of the wrong length is taken as "all normal": the caller checks it.
    pub fn set_priorities(&mut self, priorities: Vec<Priority>) {
        let by_piece = selection::piece_priorities(&self.layout, &priorities);
        let unwanted = self.picker.set_priorities(|piece| by_piece[piece.get()]);
        self.priorities = priorities;
        for piece in unwanted {
            self.give_up_piece(piece);
        }
        self.finished_told &= self.is_complete();
        self.readiness = Readiness::No;
        self.interest_is_stale = true;
        self.everybody_is_hungry();
    }

    /// Changes the order of pieces.
    pub fn set_sequential(&mut self, sequential: bool) {
        self.sequential = sequential;
        self.picker.set_sequential(sequential);
    }

    // Time.

    /// Call this twice a second or so.
    pub fn on_tick(&mut self, now: Instant) {
        self.tick_peers(now);
        self.count_for_good();
        self.close_least_useful(
            now,
            self.peers.len().saturating_sub(self.settings.max_connections),
        );
        self.suspects_are_due = true;
        self.give_up_orphans(now);
        self.download_rate.update(now, self.downloaded);
        self.upload_rate.update(now, self.uploaded());
        if self.interest_is_stale {
            self.interest_is_stale = false;
            self.update_interests();
        }
        self.dial(now);
        if let Some(halt) = &mut self.halt
            && halt.retry_at.is_some_and(|at| at <= now)
        {
            // It stays halted until the disk has room: else it would seem to go on at each attempt.
            halt.retry_at = None;
            self.readiness = Readiness::No;
        }
    }

    /// Call this when all events that were there are taken in: sends the requests for which there is room
    /// now, in one message for each peer, and gives what is to be done.
    pub fn end_turn(&mut self, now: Instant) -> Vec<Action> {
        self.go_on_checking();
        self.prepare();
        self.tell_if_upload_only();
        self.rechoke_if_due(now);
        self.release_held(now);
        self.flush_spills();
        self.feed_hungry(now);
        // Not before: a host whose last answer came in this turn has only now been asked for more.
        if !self.assembly.disk_is_behind() && std::mem::take(&mut self.suspects_are_due) {
            self.pass_on_suspects(now);
            self.feed_hungry(now);
        }
        self.uploads_told.clear();
        std::mem::take(&mut self.actions)
    }

    /// Makes the disk ready for what is wanted, before anything is asked for.
    fn prepare(&mut self) {
        let due = self.settings.fetch && self.readiness == Readiness::No && !self.is_complete();
        let halted = self
            .halt
            .as_ref()
            .is_some_and(|halt| !halt.why.retries || halt.retry_at.is_some());
        if due && self.check.is_none() && !halted && !self.stopping {
            self.readiness = Readiness::Asked;
            self.preparing += 1;
            self.at_disk += 1;
            let wanted = selection::wanted_files(&self.layout, &self.priorities);
            let verified = self.have.clone();
            self.actions
                .push(Action::Disk(DiskTask::Prepare { wanted, verified }));
        }
    }

    // Checks of the data on disk.

    /// Lets everybody go and begins nothing new. What is at the disk threads still counts when it comes back.
    pub fn stop(&mut self, now: Instant) {
        self.stopping = true;
        self.close_all(now, "the torrent is being stopped");
    }

    /// Pieces that a check has not looked at yet: they are to be checked the next time.
    pub fn unchecked(&self) -> Vec<PieceIndex> {
        self.check
            .iter()
            .flat_map(|check| &check.waiting)
            .copied()
            .collect()
    }

    fn reset_picker(&mut self) {
        self.picker = Picker::new(self.info.geometry, &self.have);
        self.picker.set_own_id(self.own_id);
        self.picker.set_sequential(self.sequential);
        self.set_priorities(self.priorities.clone());
    }

    fn go_on_checking(&mut self) {
        let Some(check) = &mut self.check else { return };
        while !self.stopping
            && self.halt.is_none()
            && check.at_disk < CHECKS_AT_ONCE
            && let Some(piece) = check.waiting.pop_front()
        {
            check.at_disk += 1;
            let expected = self.info.piece_hashes[piece.get()];
            self.actions.push(Action::Disk(DiskTask::CheckPiece {
                piece,
                expected,
                digests: false,
            }));
        }
        if check.left() == 0 {
            self.check = None;
            self.reset_picker();
            self.actions.push(Action::Checked);
            self.tell_if_finished();
        }
    }

    /// Takes in what the disk threads did.
    pub fn on_disk(&mut self, now: Instant, result: DiskResult) {
        if self.check.as_ref().is_none_or(|check| check.at_disk == 0) {
            return self.on_piece_result(now, result);
        }
        match result {
            DiskResult::Checked { piece, .. } => {
                self.have.insert(piece);
                self.checked(None);
            }
            DiskResult::Mismatch { .. } => self.checked(None),
            // It may be there and whole: only what was read can be called missing, and fetched again.
            DiskResult::Failed {
                piece: Some(piece),
                error,
            } => {
                self.checked(Some(piece));
                self.halt_for_good(told!(
                    "{error}. The check of its data goes on when it is started again."
                ));
            }
            result => self.on_piece_result(now, result),
        }
    }

    /// A check has come back from the disk threads, and must be done `again` if it came to nothing.
    fn checked(&mut self, again: Option<PieceIndex>) {
        if let Some(check) = &mut self.check {
            check.at_disk -= 1;
            check.waiting.extend(again);
        }
    }

    /// 0..=1 of a check.
    pub fn check_progress(&self) -> Option<f64> {
        let check = self.check.as_ref()?;
        Some(1.0 - check.left() as f64 / check.total as f64)
    }

    // Helpers of all parts.

    pub(super) fn tell_if_finished(&mut self) {
        if !self.finished_told && self.check.is_none() && self.is_complete() {
            self.finished_told = true;
            self.actions.push(Action::Finished);
        }
    }

    pub(super) fn everybody_is_hungry(&mut self) {
        // Who has all that is wanted asks nobody, and may have a thousand peers.
        if self.is_complete() {
            return;
        }
        self.hungry.extend(self.peers.keys().copied());
    }

    /// Stops fetching because of an error of the disk; a full one is tried again by itself.
    pub(super) fn halt(&mut self, now: Instant, error: &StorageError) {
        if !error.is_disk_full() {
            self.halt_for_good(format!("{error}."));
            if let Some(halt) = self.halt.as_mut().filter(|_| error.is_in_the_way()) {
                halt.why.in_the_way = true;
            }
            return;
        }
        let retry_at = Some(now + FULL_DISK_RETRY);
        match &mut self.halt {
            // Nothing worse than what was told before.
            Some(halt) if halt.why.retries => halt.retry_at = retry_at,
            Some(_) => {}
            None => self.set_halt(
                told!("{error}. The download goes on by itself when there is room."),
                retry_at,
            ),
        }
    }

    /// Stops everything that needs the disk until the user does something about it.
    pub(super) fn halt_for_good(&mut self, message: String) {
        // The first of them is told: the next ones follow from it as a rule.
        if self.halt.as_ref().is_none_or(|halt| halt.why.retries) {
            self.set_halt(message, None);
        }
    }

    fn set_halt(&mut self, message: String, retry_at: Option<Instant>) {
        self.halt = Some(Halt {
            why: Halted {
                message: message.clone(),
                retries: retry_at.is_some(),
                in_the_way: false,
            },
            retry_at,
        });
        self.actions.push(Action::Halted(message));
    }

    /// The disk was made ready: what was halted for want of room goes on.
    pub(super) fn prepared(&mut self) {
        self.readiness = Readiness::Yes;
        if self.halt.as_ref().is_some_and(|halt| halt.why.retries) {
            self.halt = None;
        }
    }
}
