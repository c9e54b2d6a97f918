//! `[schedule]`: when the alternative limits are in force, by the days of the week and the clock on the wall. Layer 1.
//!
//! A period belongs to the day on which it begins: one from 22:00 to 06:00 on Fridays ends on Saturday morning. What
//! counts is what a clock on the wall shows, so clock changes need no rule of their own: a time that is skipped in
//! spring begins with the hour after it, and one that comes twice in autumn counts twice.

use std::fmt;
use std::ops::RangeInclusive;

use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Unexpected, Visitor};
use serde::{Serialize, Serializer};

use super::value;
use crate::sentence::phrase;

const MINUTES_OF_DAY: u16 = 24 * 60;

/// A time of the day as a clock on the wall shows it, in whole minutes from midnight: `0..1440`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct TimeOfDay(u16);

impl TimeOfDay {
    /// `None` where no clock shows that.
    pub const fn new(hour: u16, minute: u16) -> Option<Self> {
        if hour < 24 && minute < 60 {
            Some(Self(hour * 60 + minute))
        } else {
            None
        }
    }

    /// From "8:00" or "08:00".
    pub fn parse(text: &str) -> Option<Self> {
        let (hour, minute) = text.split_once(':')?;
        let number = |text: &str, lengths: RangeInclusive<usize>| {
            let digits = lengths.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
            digits.then(|| text.parse().ok())?
        };
        Self::new(number(hour, 1..=2)?, number(minute, 2..=2)?)
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

impl Serialize for TimeOfDay {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TimeOfDay {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        value::text(
            deserializer,
            phrase!("a time of the day such as \"08:00\", from \"00:00\" to \"23:59\""),
            Self::parse,
        )
    }
}

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "their names say it")]
pub enum Weekday {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

impl Weekday {
    /// All of them, beginning with Monday (ISO 8601).
    pub const ALL: [Self; 7] = [
        Self::Monday,
        Self::Tuesday,
        Self::Wednesday,
        Self::Thursday,
        Self::Friday,
        Self::Saturday,
        Self::Sunday,
    ];

    /// As the settings name it: "mon".
    pub const fn name(self) -> &'static str {
        match self {
            Self::Monday => "mon",
            Self::Tuesday => "tue",
            Self::Wednesday => "wed",
            Self::Thursday => "thu",
            Self::Friday => "fri",
            Self::Saturday => "sat",
            Self::Sunday => "sun",
        }
    }

    const fn before(self) -> Self {
        Self::ALL[(self as usize + 6) % 7]
    }

    const fn after(self) -> Self {
        Self::ALL[(self as usize + 1) % 7]
    }
}

/// Some days of the week; bit 0 is Monday.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Days(u8);

impl Days {
    /// From Monday to Friday.
    pub const WORKING: Self = Self(0b001_1111);

    /// These days.
    pub fn of(days: impl IntoIterator<Item = Weekday>) -> Self {
        Self(days.into_iter().fold(0, |bits, day| bits | 1 << day as u8))
    }

    /// Whether this day is one of them.
    pub const fn has(self, day: Weekday) -> bool {
        self.0 & 1 << day as u8 != 0
    }

    /// All of them in the order of the week.
    pub fn iter(self) -> impl Iterator<Item = Weekday> {
        Weekday::ALL.into_iter().filter(move |day| self.has(*day))
    }
}

impl<'de> Deserialize<'de> for Days {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(DayList)
    }
}

struct DayList;

impl<'de> Visitor<'de> for DayList {
    type Value = Days;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(phrase!(
            "a list of days out of \"mon\", \"tue\", \"wed\", \"thu\", \"fri\", \"sat\" and \"sun\""
        ))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Days, A::Error> {
        let mut days = Vec::new();
        while let Some(name) = list.next_element::<String>()? {
            let day = Weekday::ALL.into_iter().find(|day| day.name() == name);
            days.push(day.ok_or_else(|| Error::invalid_value(Unexpected::Str(&name), &self))?);
        }
        Ok(Days::of(days))
    }
}

/// What a clock and a calendar on the wall show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct WallClock {
    /// The day.
    pub day: Weekday,
    /// The time of that day.
    pub time: TimeOfDay,
}

impl WallClock {
    fn minute_later(self) -> Self {
        match TimeOfDay(self.time.0 + 1) {
            TimeOfDay(MINUTES_OF_DAY) => Self {
                day: self.day.after(),
                time: TimeOfDay(0),
            },
            time => Self { time, ..self },
        }
    }
}

/// `[schedule]`
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ScheduleConfig {
    /// Whether the schedule is obeyed.
    pub enabled: bool,
    /// On which days a period begins.
    pub days: Days,
    /// When it begins.
    pub from: TimeOfDay,
    /// When it ends: at the next such time, so the day after where this is not later than `from`.
    pub to: TimeOfDay,
}

impl Default for ScheduleConfig {
    fn default() -> Self {
        Self {
            enabled: false,
            days: Days::WORKING,
            from: TimeOfDay(8 * 60),
            to: TimeOfDay(18 * 60),
        }
    }
}

impl ScheduleConfig {
    /// Whether there is a period at this time.
    pub fn covers(&self, now: WallClock) -> bool {
        let WallClock { day, time } = now;
        let (began_today, over_midnight) = (self.days.has(day), self.from >= self.to);
        let began_yesterday = over_midnight && self.days.has(day.before());
        self.enabled
            && (began_today && time >= self.from && (over_midnight || time < self.to)
                || began_yesterday && time < self.to)
    }

    /// When the state of `now` ends; `None`: never.
    pub fn next_change(&self, now: WallClock) -> Option<WallClock> {
        let state = self.covers(now);
        std::iter::successors(Some(now), |at| Some(at.minute_later()))
            .take(7 * usize::from(MINUTES_OF_DAY))
            .find(|at| self.covers(*at) != state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Weekday::{Friday, Monday, Saturday, Sunday, Thursday, Tuesday, Wednesday};

    fn time(text: &str) -> TimeOfDay {
        TimeOfDay::parse(text).unwrap()
    }

    fn at(day: Weekday, text: &str) -> WallClock {
        WallClock {
            day,
            time: time(text),
        }
    }

    fn schedule(days: &[Weekday], from: &str, to: &str) -> ScheduleConfig {
        ScheduleConfig {
            enabled: true,
            days: Days::of(days.iter().copied()),
            from: time(from),
            to: time(to),
        }
    }

    #[test]
    fn times_are_read_as_clocks_show_them() {
        for (text, minutes) in [
            ("00:00", Some(0)),
            ("8:05", Some(485)),
            ("08:05", Some(485)),
            ("23:59", Some(1439)),
            ("24:00", None),
            ("12:60", None),
            ("12:5", None),
            ("12", None),
            ("+8:00", None),
            ("008:00", None),
            (":00", None),
            ("08:00 ", None),
            ("", None),
        ] {
            assert_eq!(TimeOfDay::parse(text), minutes.map(TimeOfDay), "{text}");
        }
        assert_eq!(time("8:05").to_string(), "08:05");
    }

    #[test]
    fn a_period_belongs_to_the_day_on_which_it_begins() {
        let working = schedule(&[Monday, Tuesday, Wednesday, Thursday, Friday], "08:00", "18:00");
        let night = schedule(&[Friday], "22:00", "06:00");
        let to_midnight = schedule(&[Friday], "22:00", "00:00");
        let week_turns = schedule(&[Sunday], "20:00", "08:00");
        let whole_day = schedule(&[Saturday], "09:00", "09:00");
        let always = schedule(&Weekday::ALL, "00:00", "00:00");
        let minute = schedule(&[Monday], "12:00", "12:01");
        let never = schedule(&[], "00:00", "00:00");
        let off = ScheduleConfig {
            enabled: false,
            ..always.clone()
        };
        for (name, schedule, now, expected) in [
            ("before", &working, at(Monday, "07:59"), false),
            ("the first minute", &working, at(Monday, "08:00"), true),
            ("the last minute", &working, at(Friday, "17:59"), true),
            ("the end", &working, at(Friday, "18:00"), false),
            ("another day", &working, at(Saturday, "12:00"), false),
            ("night, before", &night, at(Friday, "21:59"), false),
            ("night, begins", &night, at(Friday, "22:00"), true),
            ("night, midnight", &night, at(Saturday, "00:00"), true),
            ("night, last", &night, at(Saturday, "05:59"), true),
            ("night, over", &night, at(Saturday, "06:00"), false),
            ("night, of the day before", &night, at(Friday, "03:00"), false),
            ("night, does not begin", &night, at(Saturday, "22:00"), false),
            ("to midnight", &to_midnight, at(Friday, "23:59"), true),
            ("at midnight", &to_midnight, at(Saturday, "00:00"), false),
            ("the week turns", &week_turns, at(Monday, "07:59"), true),
            ("the week has turned", &week_turns, at(Monday, "08:00"), false),
            ("a whole day, before", &whole_day, at(Saturday, "08:59"), false),
            ("a whole day", &whole_day, at(Sunday, "08:59"), true),
            ("a whole day, over", &whole_day, at(Sunday, "09:00"), false),
            ("always", &always, at(Wednesday, "13:37"), true),
            ("a minute", &minute, at(Monday, "12:00"), true),
            ("a minute later", &minute, at(Monday, "12:01"), false),
            ("no day", &never, at(Monday, "12:00"), false),
            ("off", &off, at(Monday, "12:00"), false),
        ] {
            assert_eq!(schedule.covers(now), expected, "{name}");
        }
    }

    #[test]
    fn the_next_change_is_known() {
        let working = schedule(&[Monday, Tuesday, Wednesday, Thursday, Friday], "08:00", "18:00");
        let night = schedule(&[Friday], "22:00", "06:00");
        let days = schedule(&[Monday, Tuesday], "00:00", "00:00");
        let always = schedule(&Weekday::ALL, "07:00", "07:00");
        for (name, schedule, now, expected) in [
            ("within", &working, at(Monday, "08:00"), Some(at(Monday, "18:00"))),
            (
                "between",
                &working,
                at(Monday, "18:00"),
                Some(at(Tuesday, "08:00")),
            ),
            (
                "weekend",
                &working,
                at(Friday, "18:00"),
                Some(at(Monday, "08:00")),
            ),
            (
                "midnight",
                &night,
                at(Friday, "23:00"),
                Some(at(Saturday, "06:00")),
            ),
            (
                "two in one",
                &days,
                at(Monday, "12:00"),
                Some(at(Wednesday, "00:00")),
            ),
            ("always", &always, at(Monday, "12:00"), None),
        ] {
            assert_eq!(schedule.next_change(now), expected, "{name}");
        }
    }

    /// In Berlin 02:00 to 03:00 is left out on 29 March 2026 and comes twice on 25 October 2026, both Sundays. Each
    /// case is an instant in seconds since 1970, and whether it is within the period.
    #[test]
    fn the_clock_on_the_wall_counts_when_clocks_change() {
        let spring = 1_774_746_000; // 2026-03-29 01:00 UTC: 02:00 becomes 03:00
        let autumn = 1_792_890_000; // 2026-10-25 01:00 UTC: 03:00 becomes 02:00
        let early = schedule(&[Sunday], "02:30", "04:00");
        let skipped = schedule(&[Sunday], "02:10", "02:50");
        let night = schedule(&[Saturday], "22:00", "06:00");
        for (name, schedule, instant, change, expected) in [
            ("the minute before", &early, spring - 60, spring, false),
            ("begins with the hour after", &early, spring, spring, true),
            ("ends as ever", &early, spring + 3600, spring, false),
            ("never there", &skipped, spring, spring, false),
            ("first", &skipped, autumn - 1800, autumn, true),
            ("between", &skipped, autumn, autumn, false),
            ("second", &skipped, autumn + 1800, autumn, true),
            ("a short night", &night, spring + 3 * 3600 - 60, spring, true),
            ("a short night is over", &night, spring + 3 * 3600, spring, false),
            ("a long night", &night, autumn + 4 * 3600 - 60, autumn, true),
            ("a long night is over", &night, autumn + 5 * 3600, autumn, false),
        ] {
            let summer = (instant < change) == (change == autumn);
            let local = instant + if summer { 7200 } else { 3600 };
            // 1 January 1970 was a Thursday.
            let day = Weekday::ALL[((local / 86_400 + 3) % 7) as usize];
            let time = TimeOfDay((local % 86_400 / 60) as u16);
            assert_eq!(schedule.covers(WallClock { day, time }), expected, "{name}");
        }
    }
}
