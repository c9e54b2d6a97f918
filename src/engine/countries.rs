//! In which country a peer is, by a database in MaxMind's format that the user has named. Such a file has some ten
//! megabytes, so a thread of its own reads it; an answer takes a microsecond.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::thread;

use crossbeam_channel::{Receiver, bounded};
use maxminddb::{MaxMindDbError, Reader, path};

use crate::sentence::told;

type Database = Reader<Vec<u8>>;

/// The database, once it is read.
#[derive(Debug, Default)]
pub(super) struct Countries {
    named: Option<PathBuf>,
    database: Option<Database>,
    being_read: Option<Receiver<Result<Database, MaxMindDbError>>>,
}

impl Countries {
    /// From now on this is the database; `None`: nobody wants to know.
    ///
    /// # Errors
    /// The system gives no thread to read it; for a person.
    pub(super) fn configure(&mut self, named: Option<&Path>) -> Result<(), String> {
        if self.named.as_deref() == named {
            return Ok(());
        }
        *self = Self {
            named: named.map(Path::to_owned),
            ..Self::default()
        };
        let Some(path) = self.named.clone() else {
            return Ok(());
        };
        let (tx, rx) = bounded(1);
        self.being_read = Some(rx);
        let read = move || {
            // Nobody waits for it when another one was named meanwhile.
            let _ = tx.send(Reader::open_readfile(path));
        };
        let thread = thread::Builder::new().name("countries".to_owned()).spawn(read);
        thread.map(drop).map_err(|error| self.problem(&error))
    }

    /// Looks whether the database has been read.
    ///
    /// # Errors
    /// It cannot be; for a person.
    pub(super) fn poll(&mut self) -> Result<(), String> {
        let Some(Ok(read)) = self.being_read.as_ref().map(Receiver::try_recv) else {
            return Ok(());
        };
        self.being_read = None;
        self.database = Some(read.map_err(|error| self.problem(&error))?);
        Ok(())
    }

    fn problem(&self, error: &dyn std::fmt::Display) -> String {
        let path = self.named.as_deref().unwrap_or(Path::new("")).display();
        told!(
            "the country database {path} cannot be read: {error}; name another file as network.country_database, or none"
        )
    }

    /// The name of the country, in English, or its code where the database has no name; `None` if nothing is known of
    /// this address.
    pub(super) fn country_of(&self, ip: IpAddr) -> Option<String> {
        let found = self.database.as_ref()?.lookup(ip.to_canonical()).ok()?;
        let text = |path: &[_]| found.decode_path::<&str>(path).ok().flatten();
        let name = text(&path!["country", "names", "en"]);
        name.or_else(|| text(&path!["country", "iso_code"]))
            .map(str::to_owned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Waits for what the thread has read.
    fn read(file: &Path) -> (Countries, Result<(), String>) {
        let mut countries = Countries::default();
        countries.configure(Some(file)).unwrap();
        let rx = countries.being_read.take().unwrap();
        let (tx, again) = bounded(1);
        tx.send(rx.recv().unwrap()).unwrap();
        countries.being_read = Some(again);
        let outcome = countries.poll();
        (countries, outcome)
    }

    /// A text in the data format of MaxMind DB 2.0 §data section: type 2, shorter than 29 bytes.
    fn text(text: &str) -> Vec<u8> {
        [&[0x40 | text.len() as u8], text.as_bytes()].concat()
    }

    fn map(entries: &[(&str, Vec<u8>)]) -> Vec<u8> {
        let pairs = entries
            .iter()
            .flat_map(|(key, value)| [self::text(key), value.clone()].concat());
        std::iter::once(0xe0 | entries.len() as u8).chain(pairs).collect()
    }

    /// A database of IPv4 in which 0.0.0.0/1 has a name, and the other half only a code.
    fn database() -> Vec<u8> {
        let named = map(&[("country", map(&[("names", map(&[("en", text("Atlantis"))]))]))]);
        let coded = map(&[("country", map(&[("iso_code", text("XX"))]))]);
        let uint = |kind: u8, value: u8| vec![kind << 5 | 1, value];
        let metadata = map(&[
            ("binary_format_major_version", uint(5, 2)),
            ("binary_format_minor_version", vec![5 << 5]),
            ("build_epoch", vec![2, 2, 0, 1]),
            ("database_type", text("Test")),
            ("description", map(&[])),
            ("ip_version", uint(5, 4)),
            ("languages", vec![0, 4]),
            ("node_count", uint(6, 1)),
            ("record_size", uint(5, 24)),
        ]);
        // One node whose records lead past it and the separator, into the data.
        let record = |offset: usize| ((1 + 16 + offset) as u32).to_be_bytes()[1..].to_vec();
        [
            record(0),
            record(named.len()),
            vec![0; 16],
            named,
            coded,
            b"\xab\xcd\xefMaxMind.com".to_vec(),
            metadata,
        ]
        .concat()
    }

    #[test]
    fn a_peer_is_where_the_database_says() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), database()).unwrap();
        let (countries, outcome) = read(file.path());
        assert_eq!(outcome, Ok(()));
        let of = |ip: &str| countries.country_of(ip.parse().unwrap());
        assert_eq!(of("1.2.3.4").as_deref(), Some("Atlantis"));
        assert_eq!(of("::ffff:1.2.3.4").as_deref(), Some("Atlantis"));
        assert_eq!(of("198.51.100.1").as_deref(), Some("XX"));
        assert_eq!(of("2001:db8::1"), None, "the database has no such addresses");
    }

    #[test]
    fn a_file_that_is_no_database_is_told_of_by_name() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "no database").unwrap();
        let (countries, outcome) = read(file.path());
        let told = outcome.unwrap_err();
        assert!(told.contains(&file.path().display().to_string()), "{told}");
        assert_eq!(countries.country_of("1.2.3.4".parse().unwrap()), None);
    }

    #[test]
    fn without_a_database_nothing_is_known() {
        let mut countries = Countries::default();
        assert_eq!((countries.configure(None), countries.poll()), (Ok(()), Ok(())));
        assert_eq!(countries.country_of("1.2.3.4".parse().unwrap()), None);
    }
}
