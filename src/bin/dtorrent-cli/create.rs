//! `dtorrent-cli create`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use dtorrent::create::{
    CreateError, CreateOptions, Existing, MIN_PIECE_LENGTH, check_piece_length, check_tracker_url,
    check_web_seed_url, create, save,
};
use dtorrent::metainfo::MAX_PIECE_LENGTH;
use dtorrent::size::Count;
use indicatif::BinaryBytes;

use crate::output::{complain, printable, say};
use crate::progress::Progress;
use crate::settings::Common;
use crate::stop::StopFlag;
use crate::tracker_node::{self, TrackerNodeArgs};

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CreateArgs {
    /// The file or folder to share
    path: PathBuf,
    /// Where the .torrent goes [default: the name of PATH with .torrent, in the current folder]
    #[arg(short, long, value_name = "OUT.torrent")]
    output: Option<PathBuf>,
    /// Announce URL of a tracker, or several with blanks between: these are equals, such as the nodes of one ring,
    /// and clients ask one of them. May be given several times
    #[arg(long, value_name = "URL…", value_parser = parse_tier)]
    tracker: Vec<Tier>,
    #[command(flatten)]
    tracker_node: TrackerNodeArgs,
    /// URL of an HTTP server that has the same data
    #[arg(long, value_name = "URL", value_parser = parse_web_seed)]
    web_seed: Vec<String>,
    /// Bytes of a piece, a power of two from 16384 [default: 1000 to 2000 pieces]
    #[arg(long, value_name = "BYTES", value_parser = parse_piece_length)]
    piece_length: Option<u32>,
    /// Let only the trackers given here tell of peers
    #[arg(long)]
    private: bool,
    /// Free text for whoever opens the torrent
    #[arg(long, value_name = "T")]
    comment: Option<String>,
}

const EXAMPLES: &str = "\
Examples:
  dtorrent-cli create holiday/ --tracker http://tracker.example/announce
  dtorrent-cli create film.mkv -o film.torrent --piece-length 1048576 --comment 'our film'
  dtorrent-cli create film.mkv --tracker-node
  dtorrent-cli create data/ --tracker https://a.example/announce --tracker udp://b.example:6969 --private
  dtorrent-cli create data/ --tracker 'udp://one.example:6969/announce udp://two.example:6969/announce'

With --tracker-node the torrent names this computer as its tracker; `dtorrent-cli seed --tracker-node` is that tracker.
A .torrent that exists is not written over. Hashing uses all cores; Ctrl-C leaves nothing behind.";

/// The URLs of one tier.
#[derive(Debug, Clone)]
struct Tier(Vec<String>);

/// Nothing but blanks is a URL that makes no sense, as an empty one is.
fn parse_tier(text: &str) -> Result<Tier, CreateError> {
    let urls = match text.trim().is_empty() {
        true => vec![text.to_owned()],
        false => text.split_whitespace().map(str::to_owned).collect(),
    };
    urls.iter().try_for_each(|url| check_tracker_url(url))?;
    Ok(Tier(urls))
}

fn parse_web_seed(text: &str) -> Result<String, CreateError> {
    check_web_seed_url(text).map(|()| text.to_owned())
}

fn parse_piece_length(text: &str) -> Result<u32, String> {
    let length = text.parse().map_err(|_| {
        format!("it takes a power of two, {MIN_PIECE_LENGTH} to {MAX_PIECE_LENGTH}, in digits alone")
    })?;
    check_piece_length(length).map_err(|error| error.to_string())?;
    Ok(length)
}

pub(crate) fn run(args: &CreateArgs, common: &Common) -> Result<()> {
    let _log = common.start_log_if_asked()?;
    let stop = StopFlag::install()?;
    let places = match args.tracker_node.is_given() {
        true => {
            let (mut config, _) = common.load()?;
            args.tracker_node.override_in(&mut config);
            Some(tracker_node::places(&config)?)
        }
        false => None,
    };
    let tiers = places.iter().map(|places| places.urls.clone());
    let options = CreateOptions {
        path: args.path.clone(),
        piece_length: args.piece_length,
        trackers: tiers
            .chain(args.tracker.iter().map(|tier| tier.0.clone()))
            .collect(),
        web_seeds: args.web_seed.clone(),
        comment: args.comment.clone(),
        private: args.private,
    };
    let expected = args.output.clone().or_else(|| default_output(&args.path));
    if let Some(output) = &expected {
        check_output(output)?;
    }
    let progress = Progress::new(false);
    let hashed = |done, total| progress.set(done, total, format!("of {} hashed", BinaryBytes(total)));
    let metainfo = create(&options, hashed, stop.as_atomic())?;
    drop(progress);

    let output = match &args.output {
        Some(output) => output.clone(),
        None => PathBuf::from(format!("{}.torrent", metainfo.info.name)),
    };
    // What was checked above may have changed since.
    save(&metainfo, &output, Existing::Keep).context("the torrent was not saved")?;
    log::info!("{}: created {}", metainfo.info.info_hash, output.display());
    let geometry = metainfo.info.geometry;
    say(format_args!(
        "{}: {} in {} of {}",
        printable(&output.to_string_lossy()),
        BinaryBytes(geometry.total_length()),
        Count(geometry.piece_count().into(), "piece"),
        BinaryBytes(u64::from(geometry.piece_length())),
    ))?;
    say(format_args!("info-hash {}", metainfo.info.info_hash))?;
    for url in places.iter().flat_map(|places| &places.urls) {
        say(format_args!("tracker {url}"))?;
    }
    if metainfo.tiers.is_empty() {
        complain(
            "note: the torrent names no tracker, so nobody will find who shares it; give --tracker URL, or let this \
             computer be the tracker: --tracker-node here, and then `dtorrent-cli seed --tracker-node`",
        );
    }
    if let Some(advice) = places.and_then(|places| places.advice) {
        complain(format_args!("note: {advice}"));
    }
    Ok(())
}

/// Where the torrent of `path` goes if nothing was said; `None` if only its creation will tell (`create ..`).
fn default_output(path: &Path) -> Option<PathBuf> {
    let mut name = path.file_name()?.to_owned();
    name.push(".torrent");
    Some(name.into())
}

/// Looks whether the torrent can be saved, before hours go into hashing.
fn check_output(output: &Path) -> Result<()> {
    if output.is_dir() {
        bail!(
            "{} is a folder; give --output the name of the .torrent, too",
            output.display()
        );
    }
    if output.symlink_metadata().is_ok() {
        return Err(CreateError::Exists(output.to_owned())).context("nothing was created");
    }
    match output.parent() {
        Some(folder) if folder != Path::new("") && !folder.is_dir() => bail!(
            "cannot write {}: there is no folder {}; make it, or choose another one with --output",
            output.display(),
            folder.display()
        ),
        _ => Ok(()),
    }
}
