//! `dtorrent-cli create`.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use dtorrent::create::{CreateOptions, Existing, create, save};
use indicatif::BinaryBytes;

use crate::output::{printable, say};
use crate::progress::Progress;
use crate::settings::Common;
use crate::stop::StopFlag;

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CreateArgs {
    /// The file or folder to share
    path: PathBuf,
    /// Where the .torrent goes [default: the name of PATH with .torrent, in the current folder]
    #[arg(short, long, value_name = "OUT.torrent")]
    output: Option<PathBuf>,
    /// Announce URL of a tracker; the first one given is asked first, each next one when those before fail
    #[arg(long, value_name = "URL")]
    tracker: Vec<String>,
    /// URL of an HTTP server that has the same data
    #[arg(long, value_name = "URL")]
    web_seed: Vec<String>,
    /// Bytes of a piece, a power of two from 16384 [default: 1000 to 2000 pieces]
    #[arg(long, value_name = "BYTES")]
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
  dtorrent-cli create data/ --tracker https://a.example/announce --tracker udp://b.example:6969 --private

A .torrent that exists is not written over. Hashing uses all cores; Ctrl-C leaves nothing behind.";

pub(crate) fn run(args: &CreateArgs, common: &Common) -> Result<()> {
    let _log = common.start_log_if_asked()?;
    let stop = StopFlag::install()?;
    let options = CreateOptions {
        path: args.path.clone(),
        piece_length: args.piece_length,
        trackers: args.tracker.iter().map(|url| vec![url.clone()]).collect(),
        web_seeds: args.web_seed.clone(),
        comment: args.comment.clone(),
        private: args.private,
    };
    let progress = Progress::new(false);
    let hashed = |done, total| progress.set(done, total, format!("hashed of {}", BinaryBytes(total)));
    let metainfo = create(&options, hashed, stop.as_atomic())?;
    drop(progress);

    let output = match &args.output {
        Some(output) => output.clone(),
        None => PathBuf::from(format!("{}.torrent", metainfo.info.name)),
    };
    save(&metainfo, &output, Existing::Keep).context("the torrent was not saved")?;
    log::info!("{}: created {}", metainfo.info.info_hash, output.display());
    let geometry = metainfo.info.geometry;
    say(format_args!(
        "{}: {} in {} pieces of {}",
        printable(&output.to_string_lossy()),
        BinaryBytes(geometry.total_length()),
        geometry.piece_count(),
        BinaryBytes(u64::from(geometry.piece_length())),
    ))?;
    say(format_args!("info-hash {}", metainfo.info.info_hash))
}
