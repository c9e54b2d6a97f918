//! A line of the log, taken apart. Layer 4, without widgets.

use log::Level;

/// What a line says. Its text keeps the name of the torrent in front, where it is about one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LogLine {
    /// When, to the second: "2026-11-29 00:00:01".
    pub(crate) time: String,
    pub(crate) level: Level,
    pub(crate) text: String,
}

impl LogLine {
    /// Takes apart what the logger writes: `DATE TIME [LEVEL] MODULE: TEXT`. What is no such line, as one of another
    /// program, is all text.
    pub(crate) fn parse(line: &str) -> Self {
        Self::parts(line).unwrap_or_else(|| Self {
            time: String::new(),
            level: Level::Info,
            text: line.to_owned(),
        })
    }

    fn parts(line: &str) -> Option<Self> {
        let (time, rest) = line.split_once(" [")?;
        let (level, rest) = rest.split_once("] ")?;
        let (_, text) = rest.split_once(": ")?;
        Some(Self {
            time: time.split('.').next()?.to_owned(),
            level: level.trim().parse().ok()?,
            text: text.to_owned(),
        })
    }
}

/// Which lines are shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LogFilter {
    /// The least severe level.
    pub(crate) level: Level,
    /// The torrent by its name; `None`: all, and the client itself.
    pub(crate) torrent: Option<String>,
    /// What must be in the text, in small letters.
    pub(crate) search: String,
}

impl LogFilter {
    pub(crate) fn shows(&self, line: &LogLine) -> bool {
        // "Error" is the smallest of the levels.
        line.level <= self.level
            && self
                .torrent
                .as_ref()
                .is_none_or(|name| is_about(&line.text, name))
            && (self.search.is_empty() || line.text.to_lowercase().contains(&self.search))
    }
}

fn is_about(text: &str, name: &str) -> bool {
    text.strip_prefix(name).is_some_and(|rest| rest.starts_with(": "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "2026-11-29 00:00:01.989 [WARN] dtorrent::engine: a: b.iso: piece 7 of “x” was wrong";

    #[test]
    fn a_line_is_taken_apart() {
        let expected = LogLine {
            time: "2026-11-29 00:00:01".into(),
            level: Level::Warn,
            text: "a: b.iso: piece 7 of “x” was wrong".into(),
        };
        assert_eq!(LogLine::parse(LINE), expected);
    }

    #[test]
    fn any_other_line_is_text() {
        for line in ["", "nonsense", "x [WARN] y", "x [LOUD] y: z"] {
            assert_eq!(LogLine::parse(line).text, line);
        }
    }

    #[test]
    fn level_torrent_and_words_choose() {
        let line = LogLine::parse(LINE);
        let filter = |level, torrent: Option<&str>, search: &str| LogFilter {
            level,
            torrent: torrent.map(str::to_owned),
            search: search.to_owned(),
        };
        for (filter, shown) in [
            (filter(Level::Info, None, ""), true),
            (filter(Level::Warn, Some("a: b.iso"), "piece 7"), true),
            (filter(Level::Error, None, ""), false),
            (filter(Level::Trace, Some("a"), "piece 8"), false),
            (filter(Level::Trace, Some("b.iso"), ""), false),
        ] {
            assert_eq!(filter.shows(&line), shown, "{filter:?}");
        }
    }
}
