//! The limits of all torrents together: which ones are in force.

use jiff::ZonedDateTime;

use crate::config::schedule::{TimeOfDay, WallClock, Weekday};
use crate::config::setting::SettingChange;
use crate::engine::Engine;
use crate::engine::entry::limit_of_kib;

impl Engine {
    /// From peers and to peers, in KiB/s; 0: none.
    pub(super) const fn limits_in_force(&self) -> (u64, u64) {
        let transfer = &self.config.transfer;
        if self.alternative.state().in_force {
            (
                transfer.alternative_download_limit_kib,
                transfer.alternative_upload_limit_kib,
            )
        } else {
            (transfer.download_limit_kib, transfer.upload_limit_kib)
        }
    }

    /// Takes the settings over that concern the limits.
    pub(super) fn configure_limits(&mut self) {
        self.alternative.configure(&self.config, wall_clock());
        self.obey_limits();
    }

    /// Switches the alternative limits; what that is to mean after the next start is kept.
    pub(super) fn switch_alternative_limits(&mut self, on: bool) {
        let by_hand = self.alternative.switch(on, wall_clock());
        if self.config.transfer.alternative_limits != by_hand {
            self.config.transfer.alternative_limits = by_hand;
            self.keep(vec![SettingChange::set(
                "transfer",
                "alternative_limits",
                by_hand,
            )]);
        }
        self.obey_limits();
        self.tell_configured();
        self.tell_snapshot();
    }

    /// Looks whether the time has come.
    pub(super) fn follow_schedule(&mut self) {
        if self.alternative.has_schedule() && self.alternative.on_time(wall_clock()) {
            self.obey_limits();
            let state = self.alternative.state();
            let limits = if state.in_force { "alternative" } else { "usual" };
            log::info!("the {limits} limits are in force, by the schedule");
        }
    }

    fn obey_limits(&self) {
        let (download, upload) = self.limits_in_force();
        self.download.set_rate(limit_of_kib(download));
        self.upload.set_rate(limit_of_kib(upload));
    }
}

/// By the time zone of the system, as it is now; UTC where it is not known.
fn wall_clock() -> WallClock {
    let now = ZonedDateTime::now();
    let day = now.weekday().to_monday_zero_offset();
    let time = TimeOfDay::new(
        now.hour().unsigned_abs().into(),
        now.minute().unsigned_abs().into(),
    );
    WallClock {
        day: Weekday::ALL[usize::from(day.unsigned_abs()) % Weekday::ALL.len()],
        time: time.unwrap_or_default(),
    }
}
