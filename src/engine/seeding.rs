//! Ends the seeding of torrents that have seeded enough. Looked at are those that have changed, and those whose minutes
//! without an upload may be over.

use std::time::Instant;

use crate::engine::Engine;
use crate::engine::api::{EngineEvent, SeedEnd, SeedLimit, TorrentState};
use crate::engine::entry::Entry;
use crate::engine::seed_limits::{Given, Rules};
use crate::id::InfoHash;
use crate::ratio::RatioLimit;

impl Engine {
    /// Ends the seeding of those that have reached a limit.
    pub(super) fn end_seeding(&mut self, now: Instant) {
        let mut looked_at = self.torrents.take_changed();
        looked_at.extend(self.idle_clocks.take_due(now));
        for id in looked_at {
            if let Some(end) = self.reached_end(id, now) {
                self.end_seeding_of(id, end);
            }
        }
    }

    /// The settings of it have changed, or whether what everything is bound to can be used.
    pub(super) fn look_at_all_seeds(&mut self) {
        self.idle_clocks.forget_wakes();
        self.torrents.change_all();
    }

    /// The settings of it have changed: whom they ended may be started with the others where they would not end it now.
    pub(super) fn forget_ends(&mut self) {
        for id in self.torrents.order().to_vec() {
            self.forget_end(id);
        }
    }

    fn forget_end(&mut self, id: InfoHash) {
        let settings = &self.config.transfer;
        let outdated = self.torrents.get(id).is_some_and(|entry| {
            let rules = Rules::new(settings, entry.seed_limit, entry.ratio_set_aside);
            match entry.seed_end {
                None => false,
                Some(SeedEnd::Ratio(_)) => !rules.ratio.is_reached(entry.uploaded(), entry.wanted_length),
                Some(SeedEnd::Idle { .. }) => rules.idle.is_none(),
            }
        });
        if let Some(entry) = self.torrents.get_mut(id).filter(|_| outdated) {
            entry.seed_end = None;
            self.save(id);
        }
    }

    fn reached_end(&mut self, id: InfoHash, now: Instant) -> Option<SeedEnd> {
        let entry = self.torrents.get(id).filter(|entry| seeds(entry));
        let Some(entry) = entry.filter(|_| !self.offline) else {
            self.idle_clocks.forget(id);
            return None;
        };
        let mut rules = Rules::new(&self.config.transfer, entry.seed_limit, entry.ratio_set_aside);
        // What this run is for goes before what was chosen in another one.
        if let Some(ratio) = self.scope.as_ref().and_then(|scope| scope.seed_until_ratio) {
            rules.ratio = ratio;
        }
        let uploaded = entry.uploaded();
        rules.end(Given {
            uploaded,
            wanted_length: entry.wanted_length,
            idle: self.idle_clocks.look(id, uploaded, now, rules.idle),
        })
    }

    fn end_seeding_of(&mut self, id: InfoHash, end: SeedEnd) {
        let Some(entry) = self.torrents.get_mut(id) else {
            return;
        };
        entry.pause();
        entry.seed_end = Some(end);
        log::info!("{}: finished, and paused: {end}", entry.name());
        self.save(id);
        self.queue_is_stale = true;
        // Whoever hears of it looks it up there.
        self.tell_snapshot();
        self.tell(EngineEvent::SeedingEnded { info_hash: id, end });
    }

    /// A person wants it to run: the ratio that has ended it does not do so again, and the minutes count anew. A run that
    /// is for a few torrents starts them all, whether they were ended or not, and means nothing by it.
    pub(super) fn set_limits_aside(&mut self, id: InfoHash) {
        self.idle_clocks.forget(id);
        let Some(entry) = self.torrents.get_mut(id).filter(|_| self.scope.is_none()) else {
            return;
        };
        if let Some(SeedEnd::Ratio(ratio)) = entry.seed_end {
            log::info!("{}: it seeds on past a ratio of {ratio}", entry.name());
            entry.ratio_set_aside = entry.ratio_set_aside.max(ratio);
        }
    }

    /// A torrent has a limit of its own, or none any more.
    pub(super) fn set_seed_limit(&mut self, id: InfoHash, limit: SeedLimit) {
        if let Some(entry) = self.torrents.get_mut(id) {
            entry.seed_limit = limit;
            entry.ratio_set_aside = RatioLimit::NONE;
            self.save(id);
            self.forget_end(id);
        }
    }
}

fn seeds(entry: &Entry) -> bool {
    entry.state() == TorrentState::Seeding
}
