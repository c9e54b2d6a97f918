//! `dtracker key`.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use dtorrent::ring::link::RingKey;

use crate::say;

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct KeyArgs {
    /// The file to write; one that exists is not touched
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

const EXAMPLES: &str = "\
Examples:
  dtracker key ring.key
  dtracker serve --ring 192.0.2.7:6970 --key ring.key

Copy the file to each server of the ring, by a way that nobody can read.";

pub(crate) fn run(args: &KeyArgs) -> Result<()> {
    RingKey::generate()?.create(&args.file)?;
    say(format_args!("wrote {}", args.file.display()))
}
