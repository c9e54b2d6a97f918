//! The state directory: torrents, resume records and their order, over restarts and power cuts. Layer 3, one
//! per client.
//!
//! ```text
//! lock                      held as long as the client runs; the process id of its holder
//! session                   the order of the torrents
//! statistics                what was transferred in all runs
//! torrents/HASH.torrent     as it was added
//! torrents/HASH.resume      see `resume`
//! torrents/HASH.journal     see `journal`
//! torrents/HASH.move        see `move_note`
//! *.old                     the generation before
//! ```
//!
//! Each file is written beside its place, synced, renamed, and the directory synced: at any moment there is
//! a whole one. Damage falls back to the generation before, then to nothing, and never stops the program: the
//! torrents are what `torrents/` holds, whatever the order says.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::fs::FlockOperation;
use rustix::io::Errno;

use super::journal::Journal;
use super::move_note::{MoveNote, Noted};
use super::resume::{self, RecordError, ResumeRecord};
use super::statistics::StatisticsRecord;
use crate::geometry::PieceIndex;
use crate::id::InfoHash;
use crate::sentence::{phrase, told};

/// A failure of the state directory.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Another instance runs.
    #[error("{} is in use by another instance; close that one, or choose another folder with --state", .path.display())]
    Held {
        /// The directory.
        path: PathBuf,
    },
    /// The same, and it has said who it is.
    #[error(
        "{} is in use by another instance (process {pid}); close that one, or choose another folder with --state",
        .path.display()
    )]
    HeldBy {
        /// The directory.
        path: PathBuf,
        /// Its process.
        pid: u32,
    },
    /// The system refused something.
    #[error("could not {action} {}: {source}", .path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A record could not be made.
    #[error("could not make the resume record: {0}")]
    Record(#[from] RecordError),
}

/// A torrent of an earlier run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// Its identity, after the name of its file: to be compared with the content.
    pub info_hash: InfoHash,
    /// The `.torrent`; empty if it could not be read.
    pub metainfo_bytes: Vec<u8>,
    /// How it was left; `None`: unknown, everything is to be checked.
    pub record: Option<ResumeRecord>,
    /// Pieces that may have been written after the record, to be hashed before they count. The numbers are as
    /// they were found, and may be too large.
    pub candidates: Vec<PieceIndex>,
    /// The move of its files that was not brought to its end.
    pub move_under_way: Option<Noted>,
    /// What was damaged or unreadable, for a person.
    pub problem: Option<String>,
}

/// The state directory, ours as long as this value lives.
#[derive(Debug)]
pub struct StateDir {
    path: PathBuf,
    /// Holds the lock; the kernel gives it up with the process, however that ends.
    _lock: File,
    /// Guards the table of open journals, nothing else. A journal's own lock comes after it.
    journals: Mutex<HashMap<InfoHash, Arc<Journal>>>,
}

impl StateDir {
    /// Opens a state directory, creates it if need be, and locks it.
    ///
    /// # Errors
    /// [`StateError::HeldBy`] or [`StateError::Held`] if another instance has it.
    pub fn open(path: &Path) -> Result<Self, StateError> {
        let torrents = path.join("torrents");
        fs::create_dir_all(&torrents).map_err(failed(phrase!("create"), &torrents))?;
        Ok(Self {
            path: path.to_owned(),
            _lock: lock(path)?,
            journals: Mutex::default(),
        })
    }

    /// Saves a `.torrent` as it was given.
    ///
    /// # Errors
    /// It is not saved; an earlier one is still there.
    pub fn save_torrent(&self, info_hash: InfoHash, raw: &[u8]) -> Result<(), StateError> {
        replace(&self.file(info_hash, "torrent"), raw)
    }

    /// Whether there is a `.torrent` of it.
    pub fn has_torrent(&self, info_hash: InfoHash) -> bool {
        self.file(info_hash, "torrent").is_file()
    }

    /// Saves a resume record, and takes what it covers out of the journal and the note of a move. Every piece in it
    /// must have been synced: see [`super::Storage::sync`].
    ///
    /// # Errors
    /// It is not saved; an earlier one is still there.
    pub fn save_resume(&self, info_hash: InfoHash, record: &ResumeRecord) -> Result<(), StateError> {
        replace(&self.file(info_hash, "resume"), &record.encode()?)?;
        self.move_note(info_hash)
            .settle(&record.folder)
            .map_err(failed(phrase!("remove"), &self.file(info_hash, "move")))?;
        let journal = self.journals().get(&info_hash).map(Arc::clone);
        if let Some(journal) = journal {
            journal
                .drop_saved(&record.have)
                .map_err(failed(phrase!("shorten"), &self.file(info_hash, "journal")))?;
        }
        Ok(())
    }

    /// Saves the order of the torrents.
    ///
    /// # Errors
    /// It is not saved; the earlier one is still there.
    pub fn save_order(&self, order: &[InfoHash]) -> Result<(), StateError> {
        replace(&self.path.join("session"), &resume::encode_order(order)?)
    }

    /// Saves the figures of all runs.
    ///
    /// # Errors
    /// They are not saved; the earlier ones are still there.
    pub fn save_statistics(&self, record: &StatisticsRecord) -> Result<(), StateError> {
        replace(&self.path.join("statistics"), &record.encode()?)
    }

    /// The figures of all runs; `None` if there are none, or what is there is damaged, which the log says: it is no
    /// reason to disturb anybody.
    pub fn load_statistics(&self) -> Option<StatisticsRecord> {
        let path = self.path.join("statistics");
        let (record, problem) = read_generations(&path, StatisticsRecord::decode);
        if let Some(problem) = problem {
            let consequence = match record {
                Some(_) => "they may be some minutes old",
                None => "they begin anew",
            };
            log::warn!("the statistics of all time: {problem}; {consequence}");
        }
        record
    }

    /// Saves the addresses that are banned.
    ///
    /// # Errors
    /// They are not saved; the earlier ones are still there.
    pub fn save_bans(&self, bans: &[IpAddr]) -> Result<(), StateError> {
        replace(&self.path.join("bans"), &resume::encode_bans(bans)?)
    }

    /// The addresses that are banned. Those of a damaged list are an older one's, or none, and the log says so.
    pub fn load_bans(&self) -> Vec<IpAddr> {
        let (bans, problem) = read_generations(&self.path.join("bans"), resume::decode_bans);
        if let Some(problem) = problem {
            log::warn!("{problem}; the list of banned peers may be an older one");
        }
        bans.unwrap_or_default()
    }

    /// The journal of a torrent, for [`super::Storage::with_journal`]: the same one on each call.
    ///
    /// # Errors
    /// It cannot be read or written.
    pub fn journal(&self, info_hash: InfoHash) -> Result<Arc<Journal>, StateError> {
        let mut journals = self.journals();
        if let Some(journal) = journals.get(&info_hash) {
            return Ok(Arc::clone(journal));
        }
        let path = self.file(info_hash, "journal");
        let journal = Arc::new(Journal::open(&path).map_err(failed(phrase!("open"), &path))?);
        journals.insert(info_hash, Arc::clone(&journal));
        Ok(journal)
    }

    /// The note of a torrent's move, for [`super::Storage::with_move_note`].
    pub fn move_note(&self, info_hash: InfoHash) -> MoveNote {
        MoveNote::at(self.file(info_hash, "move"))
    }

    /// Drops what is known of a torrent's last run, before [`Self::forget`] drops the rest: from here on
    /// [`Self::journal`] gives a new one, which what is done later leaves alone. Does not wait for the disk.
    ///
    /// # Errors
    /// A file could not be removed.
    pub fn forget_run(&self, info_hash: InfoHash) -> Result<(), StateError> {
        self.journals().remove(&info_hash);
        self.remove_all(info_hash, &["journal", "move"])
    }

    /// Drops the `.torrent` and the records of a torrent. Its data is not here and stays.
    ///
    /// # Errors
    /// A file could not be removed; the others are gone all the same.
    pub fn forget(&self, info_hash: InfoHash) -> Result<(), StateError> {
        // The `.torrent` first: without it the rest means nothing.
        self.remove_all(info_hash, &["torrent", "torrent.old", "resume", "resume.old"])
            .and(sync_folder(&self.path.join("torrents")))
    }

    fn remove_all(&self, info_hash: InfoHash, kinds: &[&str]) -> Result<(), StateError> {
        let mut result = Ok(());
        for kind in kinds {
            let path = self.file(info_hash, kind);
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    result = result.and(Err(failed(phrase!("remove"), &path)(error)));
                }
                _ => {}
            }
        }
        result
    }

    /// All torrents in their order; those that the order does not name come last. What is damaged is left
    /// out and said in [`Loaded::problem`].
    pub fn load_all(&self) -> Vec<Loaded> {
        let mut left = self.torrents();
        let mut known = HashSet::new();
        let mut order = self.order();
        order.retain(|info_hash| left.binary_search(info_hash).is_ok() && known.insert(*info_hash));
        left.retain(|info_hash| !known.contains(info_hash));
        order.extend(left);
        order.into_iter().map(|info_hash| self.load(info_hash)).collect()
    }

    fn order(&self) -> Vec<InfoHash> {
        let path = self.path.join("session");
        let (order, problem) = read_generations(&path, resume::decode_order);
        if let Some(problem) = problem {
            log::warn!("{problem}; the order of the torrents may be an older one");
        }
        order.unwrap_or_default()
    }

    /// What has a `.torrent`, the generation before counting too; sorted.
    fn torrents(&self) -> Vec<InfoHash> {
        let folder = self.path.join("torrents");
        let entries = match folder.read_dir() {
            Ok(entries) => entries,
            Err(error) => {
                log::error!("{} cannot be listed: {error}", folder.display());
                return Vec::new();
            }
        };
        let mut found: Vec<InfoHash> = entries
            .filter_map(|entry| {
                let name = entry.ok()?.file_name().into_string().ok()?;
                let (hash, kind) = name.split_once('.')?;
                matches!(kind, "torrent" | "torrent.old").then(|| hash.parse().ok())?
            })
            .collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    fn load(&self, info_hash: InfoHash) -> Loaded {
        let metainfo = read_generations(&self.file(info_hash, "torrent"), |bytes| match bytes {
            [] => Err(RecordError::Kind),
            bytes => Ok(bytes.to_vec()),
        });
        let record = read_generations(&self.file(info_hash, "resume"), ResumeRecord::decode);
        let journal = self.journal(info_hash);
        let mut candidates = journal
            .as_ref()
            .map(|journal| journal.pieces())
            .unwrap_or_default();
        if let (Some(older), Some(_)) = &record {
            // What the damaged record had beyond the older one is in no journal any more.
            candidates = (0..older.have.len()).map(PieceIndex).collect();
        }
        let has_older = record.0.is_some();
        let of_record = record.1.map(|problem| match has_older {
            true => told!("{problem}; the record before it is used, and all data is checked"),
            false => told!("{problem}; all data is checked"),
        });
        let problems = [
            metainfo.1,
            of_record,
            journal.err().map(|error| error.to_string()),
        ];
        let problems: Vec<String> = problems.into_iter().flatten().collect();
        Loaded {
            info_hash,
            metainfo_bytes: metainfo.0.unwrap_or_default(),
            record: record.0,
            candidates,
            move_under_way: self.move_note(info_hash).read(),
            problem: (!problems.is_empty()).then(|| problems.join("; ")),
        }
    }

    fn file(&self, info_hash: InfoHash, kind: &str) -> PathBuf {
        self.path.join("torrents").join(format!("{info_hash}.{kind}"))
    }

    fn journals(&self) -> MutexGuard<'_, HashMap<InfoHash, Arc<Journal>>> {
        self.journals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn failed<'a>(action: &'static str, path: &'a Path) -> impl Fn(io::Error) -> StateError + 'a {
    move |source| StateError::Io {
        action,
        path: path.to_owned(),
        source,
    }
}

/// Takes the lock and writes our process id into it.
fn lock(folder: &Path) -> Result<File, StateError> {
    let path = folder.join("lock");
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(&path)
        .map_err(failed(phrase!("open"), &path))?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(Errno::WOULDBLOCK) => {
            let pid = fs::read_to_string(&path).ok();
            let pid = pid.and_then(|text| text.trim().parse().ok());
            let path = folder.to_owned();
            return Err(match pid {
                Some(pid) => StateError::HeldBy { path, pid },
                None => StateError::Held { path },
            });
        }
        Err(error) => return Err(failed(phrase!("lock"), &path)(error.into())),
    }
    file.set_len(0)
        .and_then(|()| writeln!(file, "{}", std::process::id()))
        .map_err(failed(phrase!("write"), &path))?;
    Ok(file)
}

/// Replaces a file in one step and keeps the one before.
fn replace(path: &Path, bytes: &[u8]) -> Result<(), StateError> {
    let (new, old) = (beside(path, "new"), beside(path, "old"));
    let mut file = File::create(&new).map_err(failed(phrase!("create"), &new))?;
    file.write_all(bytes)
        .and_then(|()| file.sync_all())
        .map_err(failed(phrase!("write"), &new))?;
    match fs::rename(path, &old) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(failed(phrase!("rename"), path)(error));
        }
        _ => {}
    }
    // Between the two renames only `.old` has the name, and loading looks there as well.
    fs::rename(&new, path).map_err(failed(phrase!("rename"), &new))?;
    path.parent().map_or(Ok(()), sync_folder)
}

fn sync_folder(folder: &Path) -> Result<(), StateError> {
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(failed(phrase!("sync"), folder))
}

fn beside(path: &Path, generation: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(generation);
    name.into()
}

/// The newest generation that is whole, and what is wrong with a newer one.
fn read_generations<T>(
    path: &Path,
    decode: impl Fn(&[u8]) -> Result<T, RecordError>,
) -> (Option<T>, Option<String>) {
    let mut problem = None;
    for path in [path.to_owned(), beside(path, "old")] {
        let wrong = match fs::read(&path) {
            Ok(bytes) => match decode(&bytes) {
                Ok(value) => return (Some(value), problem),
                Err(error) => error.to_string(),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => error.to_string(),
        };
        problem.get_or_insert(told!("{} cannot be used: {wrong}", path.display()));
    }
    (None, problem)
}

#[cfg(test)]
#[path = "state_dir_tests.rs"]
mod tests;
