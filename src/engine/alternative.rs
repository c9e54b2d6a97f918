//! Whether the alternative limits are in force: by hand, by the schedule, or not, as somebody has switched them off while
//! the schedule has them on. Layer 2.
//!
//! What was switched last holds. On by hand lasts until it is switched off. Off during a period of the schedule lasts
//! until that period ends; it is not kept over a start.

use crate::config::Config;
use crate::config::schedule::{ScheduleConfig, WallClock};
use crate::engine::api::AlternativeLimits;

#[derive(Debug, Default)]
pub(super) struct Alternative {
    by_hand: bool,
    schedule: ScheduleConfig,
    /// This period of the schedule does not count.
    skips_period: bool,
    /// For when `state` was worked out.
    seen: Option<WallClock>,
    state: AlternativeLimits,
}

impl Alternative {
    pub(super) const fn state(&self) -> AlternativeLimits {
        self.state
    }

    /// Whether the time has a say.
    pub(super) const fn has_schedule(&self) -> bool {
        self.schedule.enabled
    }

    /// Takes settings over.
    pub(super) fn configure(&mut self, config: &Config, now: WallClock) {
        self.skips_period &= self.schedule == config.schedule && !config.transfer.alternative_limits;
        self.schedule.clone_from(&config.schedule);
        self.by_hand = config.transfer.alternative_limits;
        self.work_out(now);
    }

    /// Somebody switches them on or off. Gives what the settings are to say of that from now on.
    pub(super) fn switch(&mut self, on: bool, now: WallClock) -> bool {
        let in_period = self.schedule.covers(now);
        self.skips_period = !on && in_period;
        // Where the schedule has them on, they shall end with its period.
        self.by_hand = on && !in_period;
        self.work_out(now);
        self.by_hand
    }

    /// Says whether anything has changed.
    pub(super) fn on_time(&mut self, now: WallClock) -> bool {
        if self.seen == Some(now) {
            return false;
        }
        let before = self.state;
        self.work_out(now);
        self.state != before
    }

    fn work_out(&mut self, now: WallClock) {
        self.seen = Some(now);
        let in_period = self.schedule.covers(now);
        self.skips_period &= in_period;
        let by_schedule = in_period && !self.skips_period;
        self.state = AlternativeLimits {
            in_force: self.by_hand || by_schedule,
            by_hand: self.by_hand || self.skips_period,
            until: (self.schedule.enabled && !self.by_hand)
                .then(|| self.schedule.next_change(now))
                .flatten(),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::schedule::{TimeOfDay, Weekday};

    fn at(hour: u16) -> WallClock {
        WallClock {
            day: Weekday::Monday,
            time: TimeOfDay::new(hour, 0).unwrap(),
        }
    }

    /// With a schedule from 8 to 18 on Mondays, or none.
    fn config(enabled: bool, by_hand: bool) -> Config {
        let mut config = Config::default();
        config.schedule.enabled = enabled;
        config.transfer.alternative_limits = by_hand;
        config
    }

    /// What happens at an hour.
    #[derive(Debug, Clone, Copy)]
    enum Step {
        Time,
        Switch(bool),
        ByHand(bool),
        Schedule(bool),
    }
    use Step::{ByHand, Schedule, Switch, Time};

    /// The hour, what happens, and what holds then.
    type Line = (u16, Step, &'static str);

    #[test]
    fn what_was_switched_last_holds() {
        let cases: [(&str, &[Line]); 7] = [
            (
                "the schedule alone",
                &[
                    (7, Time, "off until 8"),
                    (8, Time, "on until 18"),
                    (18, Time, "off until 8"),
                ],
            ),
            (
                "off during a period, for that period",
                &[
                    (9, Time, "on until 18"),
                    (10, Switch(false), "off by hand until 18"),
                    (17, Time, "off by hand until 18"),
                    (18, Time, "off until 8"),
                    (8, Time, "on until 18"),
                ],
            ),
            (
                "on again during that period, and no longer",
                &[
                    (10, Switch(false), "off by hand until 18"),
                    (11, Switch(true), "on until 18"),
                    (18, Time, "off until 8"),
                ],
            ),
            (
                "on by hand stays",
                &[
                    (7, Switch(true), "on by hand"),
                    (9, Time, "on by hand"),
                    (19, Time, "on by hand"),
                    (20, Switch(false), "off until 8"),
                ],
            ),
            (
                "on by hand, off during a period",
                &[
                    (7, Switch(true), "on by hand"),
                    (9, Switch(false), "off by hand until 18"),
                    (18, Time, "off until 8"),
                ],
            ),
            (
                "by the file",
                &[
                    (9, Switch(false), "off by hand until 18"),
                    (9, ByHand(true), "on by hand"),
                    (9, ByHand(false), "on until 18"),
                ],
            ),
            (
                "another schedule begins anew",
                &[
                    (9, Switch(false), "off by hand until 18"),
                    (9, Schedule(false), "off"),
                    (9, Schedule(true), "on until 18"),
                    (9, Schedule(false), "off"),
                    (9, Switch(true), "on by hand"),
                    (9, Switch(false), "off"),
                ],
            ),
        ];
        for (name, steps) in cases {
            let mut machine = Alternative::default();
            let mut settings = config(true, false);
            machine.configure(&settings, at(7));
            for (hour, step, expected) in steps {
                let now = at(*hour);
                match step {
                    Time => drop(machine.on_time(now)),
                    Switch(on) => settings.transfer.alternative_limits = machine.switch(*on, now),
                    ByHand(on) => settings.transfer.alternative_limits = *on,
                    Schedule(on) => settings.schedule.enabled = *on,
                }
                machine.configure(&settings, now);
                assert_eq!(words(machine.state()), *expected, "{name}, {step:?} at {hour}");
            }
        }
    }

    fn words(state: AlternativeLimits) -> String {
        let on = if state.in_force { "on" } else { "off" };
        let by_hand = if state.by_hand { " by hand" } else { "" };
        let until = state.until.map(|until| {
            let hour = until.time.to_string();
            format!(" until {}", hour.trim_start_matches('0').trim_end_matches(":00"))
        });
        format!("{on}{by_hand}{}", until.unwrap_or_default())
    }

    #[test]
    fn a_change_is_told_once() {
        let mut machine = Alternative::default();
        machine.configure(&config(true, false), at(7));
        assert!(!machine.on_time(at(7)));
        assert!(machine.on_time(at(8)));
        assert!(!machine.on_time(at(8)));
        assert!(!machine.on_time(at(9)));
        assert!(machine.on_time(at(18)));
    }
}
