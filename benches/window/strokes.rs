//! Single strokes that change all of the list at once: how soon the window is drawn again, and what that takes.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::desktop::Desktop;
use crate::{frames, monotonic};

/// All that follows from a stroke is over then.
const AFTER: Duration = Duration::from_millis(1500);

/// What is done, each so many times in turn.
const TURNS: usize = 3;

/// What hands do: each in turn.
const STROKES: [(&str, &[Stroke]); 7] = [
    ("End and Home", &[Key("End"), Key("Home")]),
    ("Ctrl+A and Home", &[Key("ctrl+a"), Key("Home")]),
    (
        "filters",
        &[
            Act("filter", Some("seeding")),
            Act("filter", Some("paused")),
            Act("filter", Some("all")),
        ],
    ),
    (
        "orders",
        &[
            Act("sort", Some("name")),
            Act("sort", Some("size")),
            Act("sort", Some("queue")),
        ],
    ),
    ("the other way round", &[Act("reversed", None)]),
    (
        "a letter of a search, and without it",
        &[Key("ctrl+f"), Key("7"), Key("BackSpace"), Key("Escape")],
    ),
    (
        "width of the window",
        &[Width("900"), Width("1180"), Width("1100")],
    ),
];

use Stroke::{Act, Key, Width};

/// One of them.
#[derive(Clone, Copy)]
enum Stroke {
    Key(&'static str),
    /// An action of the window, as its menus do it, with its value.
    Act(&'static str, Option<&'static str>),
    /// The window is made so wide.
    Width(&'static str),
}

impl Stroke {
    fn hit(self, desktop: &Desktop) -> Result<()> {
        let window = ["search", "--onlyvisible", "--name", "^DTorrent$"];
        let mut hands = match self {
            Key(_) | Width(_) => desktop.command("xdotool"),
            Act(..) => desktop.command("gdbus"),
        };
        match self {
            Key(key) => hands.args(["key", key]),
            Width(width) => hands.args(window).args(["windowsize", width, "900"]),
            Act(action, value) => {
                let value = value.map_or("[]".to_owned(), |value| format!("[<'{value}'>]"));
                hands
                    .args(["call", "--session", "--dest", "io.github.dtorrent.DTorrent"])
                    .args(["--object-path", "/io/github/dtorrent/DTorrent/window/1"])
                    .args(["--method", "org.gtk.Actions.Activate", action, &value, "{}"])
            }
        };
        let done = hands.output().context("hands")?;
        ensure!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        Ok(())
    }
}

/// Does all of them, and prints what each kind came to. `idle` is what the thread takes of a core meanwhile.
pub fn measure(desktop: &Desktop, log: &Path, pid: u32, idle: f64) -> Result<()> {
    for (what, strokes) in STROKES {
        let (mut drawn, mut work) = (Vec::new(), Vec::new());
        for stroke in strokes.iter().cycle().take(strokes.len() * TURNS) {
            let (before, begun) = (work_of(pid)?, monotonic());
            stroke.hit(desktop)?;
            thread::sleep(AFTER);
            let passed = (monotonic() - begun) as f64 / 1000.0;
            work.push(work_of(pid)? - before - idle * passed);
            // The log is written once a second.
            thread::sleep(Duration::from_secs(1));
            let first = frames(log).into_iter().find(|at| *at > begun);
            drawn.push((first.context("nothing was drawn")? - begun) as f64 / 1000.0);
        }
        println!(
            "  {what}: drawn after {}; the window's thread works {}",
            told(&mut drawn),
            told(&mut work)
        );
    }
    Ok(())
}

/// Milliseconds of processor of the thread that draws.
fn work_of(pid: u32) -> Result<f64> {
    let told = fs::read_to_string(format!("/proc/{pid}/task/{pid}/schedstat"))?;
    let nanoseconds: u64 = told.split(' ').next().unwrap_or_default().parse()?;
    Ok(nanoseconds as f64 / 1e6)
}

/// Median and most.
fn told(milliseconds: &mut [f64]) -> String {
    milliseconds.sort_by(f64::total_cmp);
    let (middle, last) = (milliseconds[milliseconds.len() / 2], milliseconds.last());
    format!("{middle:.0} ms, at most {:.0}", last.copied().unwrap_or_default())
}
