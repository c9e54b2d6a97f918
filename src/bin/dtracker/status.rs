//! `dtracker status`.

use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use dtorrent::tracker::server::{RequestCounts, Status};

use crate::say;

/// How long a tracker may take to answer.
const TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct StatusArgs {
    /// Where the tracker answers HTTP
    #[arg(value_name = "HOST:PORT")]
    address: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  dtracker status 127.0.0.1:6969
  dtracker status tracker.example:6969 --json | jq .leechers

With --json: version, uptime_secs, torrents, seeds, leechers, http and udp (announces, scrapes, connects, refused,
malformed, since the start), http_connections.";

pub(crate) fn run(args: &StatusArgs) -> Result<()> {
    let status = ask(&args.address)?;
    if args.json {
        return say(serde_json::to_string_pretty(&status)?);
    }
    say(format_args!("Version:      {}", status.version))?;
    say(format_args!("Running for:  {}", span(status.uptime_secs)))?;
    say(format_args!("Torrents:     {}", status.torrents))?;
    say(format_args!(
        "Peers:        {} seeds, {} leechers",
        status.seeds, status.leechers
    ))?;
    say(format_args!("HTTP:         {}", requests(&status.http)))?;
    say(format_args!("UDP:          {}", requests(&status.udp)))?;
    say(format_args!("Connections:  {}", status.http_connections))
}

fn ask(address: &str) -> Result<Status> {
    let url = format!("http://{address}/status");
    let agent = ureq::Agent::new_with_config(
        ureq::Agent::config_builder()
            .timeout_global(Some(TIMEOUT))
            // The question is for that node, not for a proxy.
            .proxy(None)
            .build(),
    );
    let body = agent
        .get(&url)
        .call()
        .with_context(|| format!("cannot ask the tracker at {address}"))?
        .body_mut()
        .read_to_string()
        .with_context(|| format!("the answer of {address} broke off"))?;
    serde_json::from_str(&body).with_context(|| format!("what answers at {address} is no dtracker"))
}

fn requests(counts: &RequestCounts) -> String {
    format!(
        "{} announces, {} scrapes, {} refused",
        counts.announces, counts.scrapes, counts.refused
    )
}

/// Seconds, for a person.
fn span(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, minutes) => format!("{hours} h {} min", minutes % 60),
        (days, hours, _) => format!("{days} d {} h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_short() {
        for (seconds, text) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (3_600, "1 h 0 min"),
            (86_399, "23 h 59 min"),
            (90_000, "1 d 1 h"),
        ] {
            assert_eq!(span(seconds), text);
        }
    }
}
