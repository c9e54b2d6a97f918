//! Who may use the tracker, and for which torrents. Layer 1: the text of the lists is an argument.

use std::collections::HashSet;

use super::refusal::Refusal;
use crate::id::InfoHash;

/// Shortest passkey: whatever is shorter is guessed.
const PASSKEY_MIN: usize = 8;
/// Longest passkey.
const PASSKEY_MAX: usize = 64;

/// A line of a list that is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {expected}")]
pub struct BadLine {
    /// From 1.
    pub line: usize,
    /// What should stand there.
    pub expected: &'static str,
}

/// The lists in force. The default lets everybody in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Access {
    /// Only these are served, if there is a list.
    pub allow: Option<HashSet<InfoHash>>,
    /// These are not served.
    pub deny: HashSet<InfoHash>,
    /// URLs must have one of these before the last segment of their path, if there is a list.
    pub passkeys: Option<HashSet<String>>,
}

impl Access {
    /// Whether this torrent is served.
    ///
    /// # Errors
    /// [`Refusal::Torrent`].
    pub fn check_torrent(&self, info_hash: &InfoHash) -> Result<(), Refusal> {
        let allowed = self.allow.as_ref().is_none_or(|allow| allow.contains(info_hash));
        // Most trackers deny nothing: no hash is computed for them.
        let denied = !self.deny.is_empty() && self.deny.contains(info_hash);
        (allowed && !denied).then_some(()).ok_or(Refusal::Torrent)
    }

    /// Whether a URL with this passkey, or with none, may be used.
    ///
    /// # Errors
    /// [`Refusal::Passkey`].
    pub fn check_passkey(&self, passkey: Option<&str>) -> Result<(), Refusal> {
        let known = match (&self.passkeys, passkey) {
            (None, _) => true,
            (Some(passkeys), Some(passkey)) => passkeys.contains(passkey),
            (Some(_), None) => false,
        };
        known.then_some(()).ok_or(Refusal::Passkey)
    }
}

/// Reads a list of info-hashes: 40 hexadecimal digits a line; what follows them on the line is a comment, as are
/// lines that begin with `#`.
///
/// # Errors
/// The first line that is not so.
pub(super) fn parse_torrents(text: &str) -> Result<HashSet<InfoHash>, BadLine> {
    lines(text)
        .map(|(line, word)| {
            word.parse().map_err(|_| BadLine {
                line,
                expected: "an info-hash has 40 hexadecimal digits",
            })
        })
        .collect()
}

/// Reads a list of passkeys, one a line: 8 to 64 letters, digits, `-` and `_`.
///
/// # Errors
/// The first line that is not so.
pub(super) fn parse_passkeys(text: &str) -> Result<HashSet<String>, BadLine> {
    lines(text)
        .map(|(line, word)| {
            let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            let good = (PASSKEY_MIN..=PASSKEY_MAX).contains(&word.len()) && word.chars().all(allowed);
            good.then(|| word.to_owned()).ok_or(BadLine {
                line,
                expected: "a passkey has 8 to 64 letters, digits, - and _",
            })
        })
        .collect()
}

/// The first word of each line that has one, and the number of the line.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    (1..)
        .zip(text.lines())
        .filter_map(|(line, text)| Some((line, text.split_whitespace().next()?)))
        .filter(|(_, word)| !word.starts_with('#'))
}

/// What the path of a tracker's URL asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Service {
    /// `/announce`.
    Announce,
    /// `/scrape`.
    Scrape,
}

/// Takes the path of a tracker's URL apart: `/announce`, `/scrape`, or either behind a passkey, as in
/// `/PASSKEY/announce`.
pub(super) fn parse_path(path: &str) -> Option<(Service, Option<&str>)> {
    let (before, last) = path
        .strip_prefix('/')?
        .rsplit_once('/')
        .unwrap_or_else(|| ("", &path[1..]));
    let service = match last {
        "announce" => Service::Announce,
        "scrape" => Service::Scrape,
        _ => return None,
    };
    if before.contains('/') {
        return None;
    }
    Some((service, Some(before).filter(|passkey| !passkey.is_empty())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read() {
        let (one, two) = (InfoHash::new([0x11; 20]), InfoHash::new([0xab; 20]));
        let text = format!(
            "# ours\n{one}\n\n  {} a film\r\n#{two}\n",
            two.to_string().to_uppercase()
        );
        assert_eq!(parse_torrents(&text), Ok(HashSet::from([one, two])));
        assert_eq!(parse_torrents(""), Ok(HashSet::new()));
        assert_eq!(parse_torrents("\n12\n").unwrap_err().line, 2);
        assert_eq!(
            parse_passkeys("# people\nabcd-EF_9 somebody\n"),
            Ok(HashSet::from(["abcd-EF_9".to_owned()]))
        );
        for bad in ["short", "with/slash", "päßchen123", &"x".repeat(65)] {
            assert!(parse_passkeys(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn torrents_are_let_in_by_both_lists() {
        let (one, two) = (InfoHash::new([1; 20]), InfoHash::new([2; 20]));
        let open = Access::default();
        assert_eq!(open.check_torrent(&one), Ok(()));
        let allow = Access {
            allow: Some(HashSet::from([one])),
            ..Access::default()
        };
        assert_eq!(allow.check_torrent(&one), Ok(()));
        assert_eq!(allow.check_torrent(&two), Err(Refusal::Torrent));
        let deny = Access {
            deny: HashSet::from([one]),
            ..allow
        };
        assert_eq!(deny.check_torrent(&one), Err(Refusal::Torrent));
    }

    #[test]
    fn passkeys_are_asked_for_where_there_is_a_list() {
        let open = Access::default();
        assert_eq!(open.check_passkey(None), Ok(()));
        assert_eq!(open.check_passkey(Some("whatever")), Ok(()));
        let closed = Access {
            passkeys: Some(HashSet::from(["secret-of-ann".to_owned()])),
            ..Access::default()
        };
        assert_eq!(closed.check_passkey(Some("secret-of-ann")), Ok(()));
        assert_eq!(closed.check_passkey(Some("secret-of-bob")), Err(Refusal::Passkey));
        assert_eq!(closed.check_passkey(None), Err(Refusal::Passkey));
    }

    #[test]
    fn paths_are_taken_apart() {
        for (path, expected) in [
            ("/announce", Some((Service::Announce, None))),
            ("/scrape", Some((Service::Scrape, None))),
            ("/abc/announce", Some((Service::Announce, Some("abc")))),
            ("/abc/scrape", Some((Service::Scrape, Some("abc")))),
            ("//announce", Some((Service::Announce, None))),
            ("/a/b/announce", None),
            ("/announce/", None),
            ("/announce.php", None),
            ("announce", None),
            ("/", None),
            ("", None),
        ] {
            assert_eq!(parse_path(path), expected, "{path:?}");
        }
    }
}
