//! `dtorrent-cli show`.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use dtorrent::id::InfoHash;
use dtorrent::metainfo::Metainfo;
use dtorrent::size::Count;
use indicatif::BinaryBytes;
use serde::Serialize;

use crate::output::{printable, say, say_json};
use crate::settings::Common;
use crate::torrent_file;

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ShowArgs {
    /// The .torrent
    #[arg(value_name = "FILE")]
    torrent: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  dtorrent-cli show debian.torrent
  dtorrent-cli show debian.torrent --json | jq -r .magnet

With --json: name, info_hash (40 hexadecimal digits), piece_length and total_length (bytes), files (path,
length), trackers (URLs, tier by tier), private, magnet.";

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Shown<'m> {
    name: &'m str,
    info_hash: InfoHash,
    piece_length: u32,
    total_length: u64,
    files: Vec<ShownFile>,
    trackers: Vec<&'m str>,
    private: bool,
    magnet: String,
}

#[derive(Debug, Serialize)]
struct ShownFile {
    path: String,
    length: u64,
}

impl<'m> Shown<'m> {
    fn new(metainfo: &'m Metainfo) -> Self {
        let info = &metainfo.info;
        let files = info.files.iter().filter(|file| !file.padding);
        Self {
            name: &info.name,
            info_hash: info.info_hash,
            piece_length: info.geometry.piece_length(),
            total_length: info.geometry.total_length(),
            files: files
                .map(|file| ShownFile {
                    path: file.path.join("/"),
                    length: file.length,
                })
                .collect(),
            trackers: metainfo.announce_urls().collect(),
            private: info.private,
            magnet: metainfo.magnet(),
        }
    }
}

pub(crate) fn run(args: &ShowArgs, common: &Common) -> Result<()> {
    let _log = common.start_log_if_asked()?;
    let metainfo = torrent_file::read(&args.torrent)?;
    let shown = Shown::new(&metainfo);
    if args.json {
        say_json(&shown)
    } else {
        print(&shown, &metainfo)
    }
}

fn print(shown: &Shown<'_>, metainfo: &Metainfo) -> Result<()> {
    say(format_args!("Name:       {}", printable(shown.name)))?;
    say(format_args!("Info-hash:  {}", shown.info_hash))?;
    say(format_args!(
        "Size:       {} ({})",
        BinaryBytes(shown.total_length),
        Count(shown.total_length, "byte")
    ))?;
    let pieces = metainfo.info.geometry.piece_count();
    say(format_args!(
        "Pieces:     {pieces} of {}",
        BinaryBytes(u64::from(shown.piece_length))
    ))?;
    say(format_args!(
        "Private:    {}",
        if shown.private { "yes" } else { "no" }
    ))?;
    if let Some(comment) = &metainfo.comment {
        say(format_args!("Comment:    {}", printable(comment)))?;
    }
    if let Some(program) = &metainfo.created_by {
        say(format_args!("Created by: {}", printable(program)))?;
    }
    for (tier, url) in metainfo
        .tiers
        .iter()
        .enumerate()
        .flat_map(|(tier, urls)| urls.iter().map(move |url| (tier, url)))
    {
        say(format_args!("Tracker:    {} (tier {})", printable(url), tier + 1))?;
    }
    for url in &metainfo.web_seeds {
        say(format_args!("Web seed:   {}", printable(url)))?;
    }
    say(format_args!("Magnet:     {}", shown.magnet))?;
    say("Files:")?;
    for file in &shown.files {
        say(format_args!(
            "{:>14}  {}",
            BinaryBytes(file.length).to_string(),
            printable(&file.path)
        ))?;
    }
    Ok(())
}
