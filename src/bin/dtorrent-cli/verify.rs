//! `dtorrent-cli verify`.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Result, bail};
use clap::Args;
use dtorrent::bitfield::Bitfield;
use dtorrent::config::Config;
use dtorrent::geometry::PieceIndex;
use dtorrent::hashing::{all_cores, hash_pieces};
use dtorrent::id::InfoHash;
use dtorrent::metainfo::{Info, Metainfo};
use dtorrent::size::Count;
use dtorrent::storage::files::FileCache;
use dtorrent::storage::layout::{FileIndex, LaidFile, Layout};
use dtorrent::storage::{Storage, StorageError};
use indicatif::BinaryBytes;
use serde::Serialize;

use crate::output::{complain, printable, say, say_json};
use crate::progress::Progress;
use crate::settings::Common;
use crate::stop::StopFlag;
use crate::torrent_file;

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct VerifyArgs {
    /// The .torrent
    #[arg(value_name = "FILE")]
    torrent: PathBuf,
    /// The folder in which the torrent's file or folder lies
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  dtorrent-cli verify debian.torrent --dir ~/Downloads
  dtorrent-cli verify holiday.torrent --dir . --json | jq -r '.files[] | select(.state != \"complete\") | .path'

Nothing is written. Exit status 1 if anything is missing or damaged. With --json: name, info_hash, complete,
pieces, pieces_right, and files (path, length, bytes_right, state). A file is 'complete', 'missing', 'short'
(it ends too early), 'long' (it goes on after its end), 'damaged', or 'unproven': right as far as that can be said, but it shares a piece with
another file that is not.";

/// What was found, as `--json` prints it.
#[derive(Debug, Serialize)]
struct Report {
    name: String,
    info_hash: InfoHash,
    complete: bool,
    pieces: u32,
    pieces_right: u32,
    files: Vec<FileReport>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct FileReport {
    path: PathBuf,
    length: u64,
    bytes_right: u64,
    state: FileState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum FileState {
    Complete,
    Missing,
    Short,
    Long,
    Damaged,
    Unproven,
}

pub(crate) fn run(args: &VerifyArgs, common: &Common) -> Result<()> {
    let _log = common.start_log_if_asked()?;
    let metainfo = torrent_file::read(&args.torrent)?;
    if !args.dir.is_dir() {
        bail!(
            "there is no folder {}; --dir names the one in which {} lies",
            args.dir.display(),
            printable(&metainfo.info.name)
        );
    }
    let stop = StopFlag::install()?;
    let layout = Layout::new(&metainfo.info);
    let cache = Arc::new(FileCache::new(Config::default().memory.open_files));
    let storage = Storage::open(layout, &args.dir, cache, false);
    let right = hash(&metainfo.info, &storage, &stop, args.json)?;
    let report = Report::new(&metainfo, storage.layout(), &args.dir, &right);
    if args.json {
        say_json(&report)?;
    } else {
        report.print()?;
    }
    let broken = report
        .files
        .iter()
        .filter(|file| file.state != FileState::Complete)
        .count();
    if !report.complete && report.pieces_right == report.pieces {
        bail!(
            "all pieces of {} are right in {}, but {broken} of {} are not as they should be",
            printable(&report.name),
            args.dir.display(),
            Count(report.files.len() as u64, "file"),
        );
    }
    if !report.complete {
        bail!(
            "{} is not complete in {}: {broken} of {}, {} of {} are missing or damaged",
            printable(&report.name),
            args.dir.display(),
            Count(report.files.len() as u64, "file"),
            report.pieces - report.pieces_right,
            Count(report.pieces.into(), "piece"),
        );
    }
    Ok(())
}

/// Which pieces are right. A disk that fails is reported, and its pieces are not.
fn hash(info: &Info, storage: &Storage, stop: &StopFlag, quiet: bool) -> Result<Bitfield> {
    let geometry = info.geometry;
    let progress = Progress::new(quiet);
    let checked = AtomicU64::new(0);
    // Taken for a moment once a piece: the bit of a piece that is right, and what disks said.
    let found = Mutex::new((Bitfield::empty(geometry.piece_count()), None::<StorageError>));
    let read = |piece, begin, buffer: &mut [u8]| {
        if begin == 0 {
            // The threads read side by side from one file, in which the system sees no order.
            storage.read_ahead(piece, 0, geometry.piece_size(piece));
        }
        storage.read(piece, begin, buffer)
    };
    let on_piece = |piece: PieceIndex, digest: Result<[u8; 20], StorageError>| {
        let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
        match digest {
            Ok(digest) if info.piece_hashes.get(piece.get()) == Some(&digest) => drop(found.0.insert(piece)),
            Err(error) if !error.is_absent() => drop(found.1.get_or_insert(error)),
            Ok(_) | Err(_) => {}
        }
        drop(found);
        let size = u64::from(geometry.piece_size(piece));
        let done = checked.fetch_add(size, Ordering::Relaxed) + size;
        progress.set(
            done,
            geometry.total_length(),
            format!("of {} checked", BinaryBytes(geometry.total_length())),
        );
    };
    if !hash_pieces(geometry, all_cores(), read, on_piece, stop.as_atomic()) {
        bail!("stopped before all data was checked");
    }
    drop(progress);
    let (right, failure) = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    if let Some(error) = failure {
        complain(error);
    }
    Ok(right)
}

impl Report {
    fn new(metainfo: &Metainfo, layout: &Layout, dir: &Path, right: &Bitfield) -> Self {
        // A file that is not there as it should be casts doubt on its neighbours, not the other way round.
        let on_disk: Vec<_> = layout.files().iter().map(|file| on_disk(file, dir)).collect();
        let files: Vec<_> = layout
            .numbered()
            .map(|(index, file)| FileReport {
                path: file.path.clone(),
                length: file.length,
                bytes_right: bytes_right(layout, file, right),
                state: state(layout, index, &on_disk, right),
            })
            .collect();
        Self {
            name: metainfo.info.name.clone(),
            info_hash: metainfo.info.info_hash,
            complete: right.is_full() && files.iter().all(|file| file.state == FileState::Complete),
            pieces: right.len(),
            pieces_right: right.count(),
            files,
        }
    }

    fn print(&self) -> Result<()> {
        for file in &self.files {
            let state = match file.state {
                FileState::Complete => "complete",
                FileState::Missing => "missing",
                FileState::Short => "ends too early",
                FileState::Long => "longer than it should be",
                FileState::Damaged => "damaged",
                FileState::Unproven => "unproven: shares a piece with a file that is not right",
            };
            let path = printable(&file.path.to_string_lossy());
            if file.state == FileState::Complete {
                say(format_args!("{path}: {state}"))?;
            } else {
                say(format_args!(
                    "{path}: {state} ({} of {} are right)",
                    file.bytes_right,
                    Count(file.length, "byte")
                ))?;
            }
        }
        Ok(())
    }
}

/// What can be seen of a file without reading it.
fn on_disk(file: &LaidFile, dir: &Path) -> FileState {
    match fs::metadata(dir.join(&file.path)) {
        Ok(found) if found.len() < file.length => FileState::Short,
        Ok(found) if found.len() > file.length => FileState::Long,
        Ok(_) => FileState::Complete,
        Err(_) => FileState::Missing,
    }
}

fn state(layout: &Layout, index: FileIndex, on_disk: &[FileState], right: &Bitfield) -> FileState {
    let seen = on_disk[index.get()];
    let mut wrong = layout
        .pieces_of_file(index)
        .map(PieceIndex)
        .filter(|piece| !right.has(*piece))
        .peekable();
    if seen != FileState::Complete || wrong.peek().is_none() {
        return seen;
    }
    let excused = |piece| {
        layout
            .files_of_piece(piece)
            .any(|other| on_disk[other.get()] != FileState::Complete)
    };
    if wrong.all(excused) {
        FileState::Unproven
    } else {
        FileState::Damaged
    }
}

/// Bytes of the file that lie in pieces that are right.
fn bytes_right(layout: &Layout, file: &LaidFile, right: &Bitfield) -> u64 {
    let bytes = file.bytes();
    layout
        .geometry()
        .pieces_of(bytes.clone())
        .map(PieceIndex)
        .filter(|piece| right.has(*piece))
        .map(|piece| {
            let piece = layout.piece_bytes(piece);
            piece.end.min(bytes.end) - piece.start.max(bytes.start)
        })
        .sum()
}
