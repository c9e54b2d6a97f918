//! `dtracker status`.

use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use dtorrent::ring::picture::{Health, NodePicture, Picture};
use dtorrent::sentence::of_system;
use dtorrent::size::Count;
use dtorrent::tracker::server::{RequestCounts, Status};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::say;

/// How long a tracker may take to answer.
const TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct StatusArgs {
    /// Where the tracker answers HTTP
    #[arg(value_name = "HOST:PORT", value_parser = parse_address)]
    address: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  dtracker status 127.0.0.1:6969
  dtracker status tracker.example:6969 --json | jq .leechers

Where the node is in a ring, its neighbours and all nodes follow: how much of the circle each has the say over, on how
many nodes that is, how many peers it owns and keeps. The exit status is 1 when the node does not answer, or is not as
it should be: joining, leaving, short of copies.

With --json: version, uptime_secs, torrents, seeds, leechers, http and udp (announces, scrapes, connects, refused,
malformed, since the start), http_connections, and ring, as /ring shows it (null for a tracker of one node).";

/// What `--json` prints: the figures of the node, and the ring as it knows it, if it is in one.
#[derive(Debug, Serialize)]
struct Everything {
    #[serde(flatten)]
    status: Status,
    ring: Option<Picture>,
}

/// Refuses what would be asked at a port that nobody meant.
fn parse_address(text: &str) -> Result<String, String> {
    let port = text
        .rsplit_once(':')
        .and_then(|(host, port)| (!host.is_empty() && !host.contains('/')).then_some(port));
    match port.and_then(|port| port.parse::<u16>().ok()) {
        Some(1..) => Ok(text.to_owned()),
        _ => Err(
            "it takes HOST:PORT, where the tracker answers HTTP, such as 127.0.0.1:6969 or tracker.example:80".into(),
        ),
    }
}

pub(crate) fn run(args: &StatusArgs) -> Result<()> {
    let agent = agent();
    let status: Status = ask(&agent, &args.address, "status")?;
    let ring: Option<Picture> = ask(&agent, &args.address, "ring")?;
    let trouble = ring.as_ref().and_then(trouble);
    if args.json {
        say(serde_json::to_string_pretty(&Everything { status, ring })?)?;
    } else {
        say_status(&status)?;
        if let Some(ring) = &ring {
            say_ring(ring)?;
        }
    }
    // The figures come first: they are what was asked for.
    trouble.map_or(Ok(()), |trouble| bail!("{}: {trouble}", args.address))
}

fn say_status(status: &Status) -> Result<()> {
    say(format_args!("Version:      {}", printable(&status.version)))?;
    say(format_args!("Running for:  {}", span(status.uptime_secs)))?;
    say(format_args!("Torrents:     {}", status.torrents))?;
    say(format_args!(
        "Peers:        {}, {}",
        Count(status.seeds, "seed"),
        Count(status.leechers, "leecher")
    ))?;
    say(format_args!("HTTP:         {}", requests(&status.http)))?;
    say(format_args!("UDP:          {}", requests(&status.udp)))?;
    say(format_args!("Connections:  {}", status.http_connections))
}

fn say_ring(ring: &Picture) -> Result<()> {
    let totals = ring.totals;
    say(format_args!(
        "Ring:         {}; {}, {}, {} in all",
        Count(ring.heard as u64, "node"),
        Count(totals.swarms, "torrent"),
        Count(totals.seeds, "seed"),
        Count(totals.leechers, "leecher")
    ))?;
    if let Some(me) = ring.this_node() {
        say(format_args!("State:        {}", state(me)))?;
    }
    let names = |ids: &[String]| match ids {
        [] => "none".to_owned(),
        ids => ids.iter().map(|id| short(id)).collect::<Vec<_>>().join(", "),
    };
    say(format_args!("Before it:    {}", names(&ring.predecessors)))?;
    say(format_args!("Behind it:    {}", names(&ring.successors)))?;
    say(format_args!("Links:        {}", ring.links.len()))?;
    say("")?;
    say(format_args!(
        "  {:<10} {:<24} {:>6} {:>7} {:>9} {:>9}  STATE",
        "NODE", "ADDRESS", "ARC", "COPIES", "OWNS", "KEEPS"
    ))?;
    for node in &ring.nodes {
        let mark = if node.id == ring.me { '*' } else { ' ' };
        let arc = node.arc.as_ref().filter(|_| node.health.is_heard());
        let share = arc.map_or("-".to_owned(), |arc| format!("{:.1} %", arc.share * 100.0));
        say(format_args!(
            "{mark} {:<10} {:<24} {share:>6} {:>7} {:>9} {:>9}  {}",
            short(&node.id),
            printable(&node.address),
            format!("{}/{}", node.copies_complete, node.copies_wanted),
            node.owned.seeds + node.owned.leechers,
            node.held.seeds + node.held.leechers,
            state(node)
        ))?;
    }
    Ok(())
}

fn state(node: &NodePicture) -> String {
    match node.health {
        Health::Silent => format!("silent for {}", span(node.heard_secs)),
        Health::Short => format!(
            "short of copies ({} of {})",
            node.copies_complete, node.copies_wanted
        ),
        health => health.words().to_owned(),
    }
}

/// What keeps the node from being as it should be.
fn trouble(ring: &Picture) -> Option<String> {
    match ring.this_node() {
        Some(me) if me.health == Health::Serving => None,
        Some(me) => Some(format!("the node is not as it should be: {}", state(me))),
        None => Some("the node does not know its own place in the ring yet".to_owned()),
    }
}

/// The first digits of an id: enough to tell nodes apart.
fn short(id: &str) -> String {
    printable(id).chars().take(8).collect()
}

/// What came over the network must not move the cursor.
fn printable(text: &str) -> String {
    text.chars().filter(|char| !char.is_control()).collect()
}

fn agent() -> ureq::Agent {
    ureq::Agent::new_with_config(
        ureq::Agent::config_builder()
            .timeout_global(Some(TIMEOUT))
            // The question is for that node, not for a proxy.
            .proxy(None)
            .build(),
    )
}

fn ask<T: DeserializeOwned>(agent: &ureq::Agent, address: &str, page: &str) -> Result<T> {
    let body = agent
        .get(format!("http://{address}/{page}"))
        .call()
        .map_err(|error| match error {
            ureq::Error::Io(error) => anyhow!("{}; is it running there?", of_system(&error)),
            error => error.into(),
        })
        .with_context(|| format!("cannot ask the tracker at {address}"))?
        .body_mut()
        .read_to_string()
        .with_context(|| format!("the answer of {address} broke off"))?;
    serde_json::from_str(&body).with_context(|| format!("what answers at {address} is no dtracker"))
}

fn requests(counts: &RequestCounts) -> String {
    format!(
        "{}, {}, {} refused",
        Count(counts.announces, "announce"),
        Count(counts.scrapes, "scrape"),
        counts.refused
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
    fn what_a_node_says_cannot_move_the_cursor() {
        assert_eq!(printable("1.0\u{1b}[2J\r\n\u{9b}x"), "1.0[2Jx");
        assert_eq!(short("0123456789abcdef"), "01234567");
    }

    #[test]
    fn an_address_has_a_port() {
        for address in ["127.0.0.1:6969", "[::1]:80", "tracker.example:1"] {
            assert_eq!(parse_address(address).as_deref(), Ok(address));
        }
        for wrong in ["foo", "foo:", ":6969", "foo:0", "http://foo:80/", "foo:http"] {
            assert!(parse_address(wrong).unwrap_err().contains("HOST:PORT"), "{wrong}");
        }
    }

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
