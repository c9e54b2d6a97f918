//! Which limits are in force, in words. Layer 4, but without GTK widgets, so that a plain test can read it.

use dtorrent::config::schedule::{WallClock, Weekday};
use dtorrent::engine::api::AlternativeLimits;

use super::i18n::tr;

/// A day in full.
pub(crate) fn weekday(day: Weekday) -> String {
    match day {
        Weekday::Monday => tr!("Monday"),
        Weekday::Tuesday => tr!("Tuesday"),
        Weekday::Wednesday => tr!("Wednesday"),
        Weekday::Thursday => tr!("Thursday"),
        Weekday::Friday => tr!("Friday"),
        Weekday::Saturday => tr!("Saturday"),
        Weekday::Sunday => tr!("Sunday"),
    }
}

/// A day where there is little room.
pub(crate) fn short_weekday(day: Weekday) -> String {
    match day {
        Weekday::Monday => tr!("Mo"),
        Weekday::Tuesday => tr!("Tu"),
        Weekday::Wednesday => tr!("We"),
        Weekday::Thursday => tr!("Th"),
        Weekday::Friday => tr!("Fr"),
        Weekday::Saturday => tr!("Sa"),
        Weekday::Sunday => tr!("Su"),
    }
}

fn moment(at: WallClock) -> String {
    tr!("{day}, {time}", day = weekday(at.day), time = at.time)
}

/// Whether the alternative limits are in force, and why.
pub(crate) fn explanation(limits: AlternativeLimits) -> String {
    let AlternativeLimits {
        in_force,
        by_hand,
        until,
    } = limits;
    match (in_force, by_hand, until.map(moment)) {
        (true, true, _) => tr!("Alternative limits: on, by hand"),
        (true, false, Some(until)) => tr!(
            "Alternative limits: on until {moment}, by the schedule",
            moment = until
        ),
        (true, false, None) => tr!("Alternative limits: on at all times, by the schedule"),
        (false, true, Some(until)) => tr!("Alternative limits: off until {moment}, by hand", moment = until),
        (false, false, Some(until)) => tr!(
            "Alternative limits: off until {moment}, by the schedule",
            moment = until
        ),
        (false, _, None) => tr!("Alternative limits: off"),
    }
}

/// The same beside other figures; `None`: there is nothing unusual about the limits.
pub(crate) fn short(limits: AlternativeLimits) -> Option<String> {
    match (limits.in_force, limits.by_hand, limits.until) {
        (true, true, _) => Some(tr!("alternative limits by hand")),
        (true, false, Some(until)) => Some(tr!("alternative limits until {time}", time = until.time)),
        (true, false, None) => Some(tr!("alternative limits by the schedule")),
        (false, ..) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dtorrent::config::schedule::TimeOfDay;

    #[test]
    fn it_says_whether_and_why() {
        let until = TimeOfDay::new(6, 0).map(|time| WallClock {
            day: Weekday::Friday,
            time,
        });
        for (in_force, by_hand, until, long, brief) in [
            (false, false, None, "off", None),
            (
                false,
                false,
                until,
                "off until Friday, 06:00, by the schedule",
                None,
            ),
            (false, true, until, "off until Friday, 06:00, by hand", None),
            (true, true, None, "on, by hand", Some("by hand")),
            (
                true,
                false,
                until,
                "on until Friday, 06:00, by the schedule",
                Some("until 06:00"),
            ),
            (
                true,
                false,
                None,
                "on at all times, by the schedule",
                Some("by the schedule"),
            ),
        ] {
            let limits = AlternativeLimits {
                in_force,
                by_hand,
                until,
            };
            assert_eq!(explanation(limits), format!("Alternative limits: {long}"));
            assert_eq!(
                short(limits),
                brief.map(|brief| format!("alternative limits {brief}"))
            );
        }
    }
}
