//! The folder that is watched for torrents: [`Sightings`] decides, a thread looks every two seconds and does.
//!
//! Looking costs one listing of a folder. Being told by the kernel would not work for folders on other machines.
//!
//! A file is read when it is new or has changed. What cannot be parsed may still be being written: it is tried again, and
//! told of when nobody has touched it for [`PATIENCE`]. A torrent that was added is renamed when the state folder has it, at
//! the look after: a kill before that only means that it is found once more, at the next start.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};

use crate::create;
use crate::engine::ways_in::Arrival;
use crate::metainfo::{self, Metainfo};
use crate::sentence::told;

/// From one look to the next.
const INTERVAL: Duration = Duration::from_secs(2);

/// How long a file may be no torrent before that is told, if nothing is written to it.
const PATIENCE: Duration = Duration::from_secs(10);

/// What comes behind the name of a file that was added.
const ADDED: &str = ".added";

/// Names that are tried for it, when others of that name are there.
const MOST_NAMES: u32 = 1000;

/// A thread that watches one folder, until this is dropped. Nobody waits for its end: on a file system that hangs, it
/// may hang as well.
#[derive(Debug)]
pub(super) struct WatchFolder {
    path: PathBuf,
    /// Its end stops the thread.
    _running: Sender<()>,
}

impl WatchFolder {
    pub(super) fn spawn(path: PathBuf, arrivals: Sender<Arrival>) -> io::Result<Self> {
        let (running, end) = bounded(0);
        let mut watch = Watch::new(path.clone(), arrivals);
        thread::Builder::new()
            .name("watch folder".into())
            .spawn(move || watch.run(&end))?;
        Ok(Self {
            path,
            _running: running,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

/// What is given back when the torrent of a file is kept in the state folder.
#[derive(Debug)]
pub(super) struct Receipt {
    name: String,
    stamp: Stamp,
    kept: Sender<(String, Stamp)>,
}

impl Receipt {
    /// One of a file of this name, with this content.
    pub(super) fn new(name: &str, stamp: Stamp, kept: &Sender<(String, Stamp)>) -> Self {
        Self {
            name: name.to_owned(),
            stamp,
            kept: kept.clone(),
        }
    }

    /// It is kept: the file is not needed any more.
    pub(super) fn give_back(self) {
        // The folder may not be watched any more.
        let _ = self.kept.send((self.name, self.stamp));
    }
}

/// What tells one content of a file from the next.
pub(super) type Stamp = (u64, Option<SystemTime>);

/// What is to be done with a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// See whether it is a torrent, and add it.
    Read,
    /// Give it the name that says that it was added.
    Rename,
}

/// What became of a file, with this content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It could not be used, at first then.
    Failed(Instant),
    /// The same, and that was told.
    Told,
    /// It was handed to the engine, which has not kept it yet.
    Added,
    /// The state folder has it.
    Kept,
    /// It has, and the file cannot be renamed.
    Stuck,
}

/// What is known of the files of the folder, by name. It reads nothing itself.
#[derive(Debug, Default)]
struct Sightings(BTreeMap<String, (Stamp, Fate)>);

impl Sightings {
    /// What is to be done with these files, which are all that the folder has. Others are forgotten.
    fn look(&mut self, files: &BTreeMap<String, Stamp>) -> Vec<(String, Step)> {
        self.0
            .retain(|name, (stamp, _)| files.get(name).is_some_and(|now| now == stamp));
        let step = |name: &String| match self.0.get(name).map(|(_, fate)| fate) {
            None | Some(Fate::Failed(_)) => Some(Step::Read),
            Some(Fate::Kept) => Some(Step::Rename),
            Some(Fate::Told | Fate::Added | Fate::Stuck) => None,
        };
        let steps = files.keys().filter_map(|name| Some((name.clone(), step(name)?)));
        steps.collect()
    }

    /// A file was handed to the engine.
    fn added(&mut self, name: &str, stamp: Stamp) {
        self.0.insert(name.to_owned(), (stamp, Fate::Added));
    }

    /// What a file held then is in the state folder.
    fn kept(&mut self, name: &str, stamp: Stamp) {
        if let Some((_, fate)) = self
            .0
            .get_mut(name)
            .filter(|known| **known == (stamp, Fate::Added))
        {
            *fate = Fate::Kept;
        }
    }

    /// A file that was added keeps its name.
    fn stuck(&mut self, name: &str) {
        if let Some((_, fate)) = self.0.get_mut(name) {
            *fate = Fate::Stuck;
        }
    }

    /// A file is no torrent, or not yet. Says whether to tell that.
    fn failed(&mut self, now: Instant, name: &str, stamp: Stamp) -> bool {
        let (_, fate) = (self.0.entry(name.to_owned())).or_insert((stamp, Fate::Failed(now)));
        match *fate {
            Fate::Failed(since) if now.saturating_duration_since(since) >= PATIENCE => {
                *fate = Fate::Told;
                true
            }
            _ => false,
        }
    }
}

/// Whether a file of this name is looked at. Hidden ones are other programs' unfinished business.
fn is_torrent_name(name: &str) -> bool {
    let ending = name.len().checked_sub(".torrent".len());
    let ending = ending.and_then(|at| name.get(at..));
    !name.starts_with('.') && ending.is_some_and(|ending| ending.eq_ignore_ascii_case(".torrent"))
}

/// The name of a file that was added, at the n-th attempt.
fn added_name(name: &str, attempt: u32) -> String {
    match attempt {
        0 => format!("{name}{ADDED}"),
        n => format!("{name}.{}{ADDED}", n + 1),
    }
}

/// The thread's own.
struct Watch {
    folder: PathBuf,
    sightings: Sightings,
    /// That the folder cannot be read was told.
    is_unreadable: bool,
    arrivals: Sender<Arrival>,
    /// Of receipts that were given back, and what goes with them.
    kept: Receiver<(String, Stamp)>,
    kept_tx: Sender<(String, Stamp)>,
}

impl Watch {
    fn new(folder: PathBuf, arrivals: Sender<Arrival>) -> Self {
        let (kept_tx, kept) = unbounded();
        Self {
            folder,
            sightings: Sightings::default(),
            is_unreadable: false,
            arrivals,
            kept,
            kept_tx,
        }
    }

    fn run(&mut self, end: &Receiver<()>) {
        log::info!("torrents that appear in {} are added", self.folder.display());
        while {
            self.look();
            end.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout)
        } {}
    }

    fn look(&mut self) {
        let files = match list(&self.folder) {
            Ok(files) => files,
            Err(error) => {
                if !std::mem::replace(&mut self.is_unreadable, true) {
                    let folder = self.folder.display();
                    self.tell(told!(
                        "{folder} cannot be watched for torrents: {error}; make the folder, or name another one at \
                         \"watch\" in the settings"
                    ));
                }
                return;
            }
        };
        self.is_unreadable = false;
        for (name, stamp) in self.kept.try_iter() {
            self.sightings.kept(&name, stamp);
        }
        for (name, step) in self.sightings.look(&files) {
            let stamp = files.get(&name).copied().unwrap_or_default();
            match step {
                Step::Read => self.read(&name, stamp),
                Step::Rename => self.rename(&name),
            }
        }
    }

    fn read(&mut self, name: &str, stamp: Stamp) {
        let path = self.folder.join(name);
        match read(&path) {
            Ok(metainfo) => {
                self.sightings.added(name, stamp);
                // The engine may have gone; then this ends soon, too.
                let receipt = Receipt::new(name, stamp, &self.kept_tx);
                let _ = self.arrivals.send(Arrival::Found(Arc::new(metainfo), receipt));
            }
            Err(problem) if self.sightings.failed(Instant::now(), name, stamp) => {
                let name = path.display();
                self.tell(told!("{name} was not added: {problem}"));
            }
            Err(_) => {}
        }
    }

    fn rename(&mut self, name: &str) {
        let path = self.folder.join(name);
        let mut outcome = Err(io::ErrorKind::AlreadyExists.into());
        for attempt in 0..MOST_NAMES {
            outcome = create::rename_to_new(&path, &self.folder.join(added_name(name, attempt)));
            match &outcome {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                _ => break,
            }
        }
        if let Err(error) = outcome {
            self.sightings.stuck(name);
            let path = path.display();
            self.tell(told!(
                "{path} was added but cannot be renamed to say so: {error}; it is looked at again at the next start"
            ));
        }
    }

    fn tell(&self, message: String) {
        let _ = self.arrivals.send(Arrival::Problem(message));
    }
}

fn list(folder: &Path) -> io::Result<BTreeMap<String, Stamp>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
        // One that has just gone is none.
        let Ok(entry) = entry else { continue };
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        let metadata = fs::metadata(entry.path()).ok().filter(fs::Metadata::is_file);
        if let Some(metadata) = metadata.filter(|_| is_torrent_name(&name)) {
            files.insert(name, (metadata.len(), metadata.modified().ok()));
        }
    }
    Ok(files)
}

fn read(path: &Path) -> Result<Metainfo, String> {
    let bytes = File::open(path).and_then(metainfo::read_bounded);
    let bytes = bytes.map_err(|error| told!("it cannot be read: {error}"))?;
    Metainfo::parse(&bytes).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Stamp = (10, None);
    const GROWN: Stamp = (20, None);

    fn files(names: &[(&str, Stamp)]) -> BTreeMap<String, Stamp> {
        names
            .iter()
            .map(|(name, stamp)| ((*name).to_owned(), *stamp))
            .collect()
    }

    fn steps(sightings: &mut Sightings, names: &[(&str, Stamp)]) -> Vec<Step> {
        let steps = sightings.look(&files(names));
        steps.into_iter().map(|(_, step)| step).collect()
    }

    #[test]
    fn a_torrent_is_read_once_and_renamed_when_it_is_kept() {
        let mut sightings = Sightings::default();
        let there = [("a.torrent", START)];
        assert_eq!(steps(&mut sightings, &there), [Step::Read]);
        sightings.added("a.torrent", START);
        assert_eq!(steps(&mut sightings, &there), []);
        sightings.kept("a.torrent", GROWN);
        assert_eq!(steps(&mut sightings, &there), [], "it held something else then");
        sightings.kept("a.torrent", START);
        assert_eq!(steps(&mut sightings, &there), [Step::Rename]);
        // It has another name now, and its own may come again.
        assert_eq!(steps(&mut sightings, &[]), []);
        assert_eq!(steps(&mut sightings, &there), [Step::Read]);
    }

    #[test]
    fn one_that_keeps_its_name_is_not_added_again() {
        let mut sightings = Sightings::default();
        let there = [("a.torrent", START)];
        sightings.added("a.torrent", START);
        sightings.stuck("a.torrent");
        assert_eq!(steps(&mut sightings, &there), []);
        assert_eq!(steps(&mut sightings, &[("a.torrent", GROWN)]), [Step::Read]);
    }

    #[test]
    fn what_is_being_written_is_waited_for_and_what_is_bad_is_told_once() {
        let mut sightings = Sightings::default();
        let start = Instant::now();
        let name = "a.torrent";
        assert!(!sightings.failed(start, name, START));
        assert_eq!(steps(&mut sightings, &[(name, START)]), [Step::Read]);
        // It has grown: the wait begins anew.
        let later = start + PATIENCE;
        assert_eq!(steps(&mut sightings, &[(name, GROWN)]), [Step::Read]);
        assert!(!sightings.failed(later, name, GROWN));
        assert!(sightings.failed(later + PATIENCE, name, GROWN));
        assert_eq!(steps(&mut sightings, &[(name, GROWN)]), []);
        // Until somebody writes to it.
        assert_eq!(steps(&mut sightings, &[(name, START)]), [Step::Read]);
        assert!(!sightings.failed(later + PATIENCE, name, START));
    }

    #[test]
    fn only_torrents_that_show_themselves_are_looked_at() {
        for (name, expected) in [
            ("a.torrent", true),
            ("A.TORRENT", true),
            (".a.torrent", false),
            (".torrent", false),
            ("a.torrent.added", false),
            ("a.torrent.part", false),
            ("torrent", false),
            ("ä", false),
        ] {
            assert_eq!(is_torrent_name(name), expected, "{name}");
        }
    }

    #[test]
    fn a_folder_is_emptied_into_the_channel() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("data"), vec![1; 40_000]).unwrap();
        let options = create::CreateOptions {
            path: path("data"),
            ..create::CreateOptions::default()
        };
        let torrent = create::create(&options, |_, _| (), &false.into()).unwrap();
        let half = torrent.raw.len() / 2;
        fs::write(path("a.torrent"), &torrent.raw[..half]).unwrap();
        fs::write(path("a.torrent.added"), b"of somebody").unwrap();
        let (arrivals, told) = crossbeam_channel::unbounded();
        let mut watch = Watch::new(folder.path().to_owned(), arrivals);
        watch.look();
        assert!(told.is_empty(), "half of it is there");
        fs::write(path("a.torrent"), &*torrent.raw).unwrap();
        watch.look();
        let Ok(Arrival::Found(found, receipt)) = told.try_recv() else {
            panic!("it is whole")
        };
        assert_eq!(found.info.info_hash, torrent.info.info_hash);
        watch.look();
        assert!(path("a.torrent").exists(), "nobody has kept it yet");
        receipt.give_back();
        watch.look();
        assert!(!path("a.torrent").exists());
        assert_eq!(fs::read(path("a.torrent.added")).unwrap(), b"of somebody");
        assert_eq!(fs::read(path("a.torrent.2.added")).unwrap(), *torrent.raw);
        assert!(told.is_empty());
    }

    #[test]
    fn a_folder_that_is_missing_is_told_of_once() {
        let folder = tempfile::tempdir().unwrap();
        let (arrivals, told) = crossbeam_channel::unbounded();
        let mut watch = Watch::new(folder.path().join("later"), arrivals);
        watch.look();
        watch.look();
        let problem = told.try_recv();
        assert!(matches!(&problem, Ok(Arrival::Problem(text)) if text.contains("later cannot be watched")));
        assert!(told.is_empty());
    }
}
