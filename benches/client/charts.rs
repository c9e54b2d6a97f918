//! The charts of `docs/performance.md`: what connections and torrents cost by how many there are.

use std::fs;
use std::path::Path;

use anyhow::Result;

use crate::clients::Client;
use crate::common::report::Report;
use crate::plot::{Chart, Line};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/client");
/// The scenarios that a chart goes through, with their place on its axis.
const PEERS: [(&str, f64); 4] = [
    ("peers-1", 1.0),
    ("peers-10", 10.0),
    ("peers-100", 100.0),
    ("peers-1000", 1000.0),
];
const TORRENTS: [(&str, f64); 4] = [
    ("torrents-1", 1.0),
    ("torrents-100", 100.0),
    ("torrents-1000", 1000.0),
    ("torrents-5000", 5000.0),
];

/// One chart: a measure of scenarios that differ in a number.
struct Drawing {
    file: &'static str,
    title: &'static str,
    scenarios: &'static [(&'static str, f64)],
    x_name: &'static str,
    /// What was measured.
    unit: &'static str,
    y_name: &'static str,
    /// The value drawn, of what was measured and the place on the axis.
    value: fn(f64, f64) -> f64,
}

const DRAWINGS: [Drawing; 6] = [
    of_peers(
        "peers-memory.svg",
        "Memory of idle connections",
        "KiB a connection",
    ),
    of_peers("peers-rate.svg", "Served to all of them together", "MiB/s"),
    of_peers("peers-cpu.svg", "What that costs", "CPU s/GiB"),
    of_torrents(
        "torrents-start.svg",
        "Start until all are served",
        "s until served",
    ),
    Drawing {
        y_name: "MiB",
        value: |kib, torrents| kib * torrents / 1024.0,
        ..of_torrents("torrents-memory.svg", "Memory of all of them", "KiB a torrent")
    },
    of_torrents("torrents-idle.svg", "Work with nothing to do", "% of a core"),
];

const fn of_peers(file: &'static str, title: &'static str, unit: &'static str) -> Drawing {
    Drawing {
        file,
        title,
        scenarios: &PEERS,
        x_name: "connections",
        unit,
        y_name: unit,
        value: |measured, _| measured,
    }
}

const fn of_torrents(file: &'static str, title: &'static str, unit: &'static str) -> Drawing {
    Drawing {
        file,
        title,
        scenarios: &TORRENTS,
        x_name: "seeding torrents",
        unit,
        y_name: unit,
        value: |measured, _| measured,
    }
}

/// Draws those for which something was measured.
pub(crate) fn draw(report: &Report) -> Result<()> {
    fs::create_dir_all(FOLDER)?;
    for drawing in &DRAWINGS {
        let line = |client: Client| {
            let point = |&(name, x)| {
                let median = report.median(name, drawing.unit, client.name())?;
                Some((x, (drawing.value)(median, x)))
            };
            let points: Vec<_> = drawing.scenarios.iter().filter_map(point).collect();
            let name = client.name().to_owned();
            (!points.is_empty()).then_some(Line { name, points })
        };
        let lines: Vec<_> = Client::ALL.into_iter().filter_map(line).collect();
        if lines.is_empty() {
            continue;
        }
        let chart = Chart {
            title: drawing.title,
            x_name: drawing.x_name,
            y_name: drawing.y_name,
            x_log: true,
            lines,
        };
        let path = Path::new(FOLDER).join(drawing.file);
        fs::write(&path, chart.svg())?;
        println!("drew {}", path.display());
    }
    Ok(())
}
