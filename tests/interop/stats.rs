//! The page of a ring as people see it: in a real browser, of real nodes.

use std::net::UdpSocket;
use std::process::{Command, Output};
use std::time::{Duration, SystemTime};

use dtorrent::id::{InfoHash, PeerId};
use dtorrent::tracker::announce::AnnounceRequest;
use dtorrent::tracker::server::history::{HistoryFile, MINUTES, Minute, Sample};
use dtorrent::tracker::udp::{Request, Response};
use serde_json::{Value, json};

use crate::support::browser::Browser;
use crate::support::dtracker::PROGRAM;
use crate::support::ring::{self, RingNode, Word};
use crate::support::stage::{Stage, wait_for};

/// Two cores are shared by whatever else runs, and a minute has to pass.
const LIMIT: Duration = Duration::from_secs(300);

/// Swarms, each with a leecher that came over HTTP to one node and a seed that came over UDP to another.
const SWARMS: u32 = 20;

fn this_minute() -> u32 {
    let since_1970 = SystemTime::UNIX_EPOCH.elapsed().unwrap();
    (since_1970.as_secs() / 60) as u32
}

/// Three days in which the ring had three times what the node had, which is known for each minute.
fn write_history(stage: &Stage) {
    let (mut file, mut history) = HistoryFile::open(&stage.folder("node0").join("history")).unwrap();
    let now = this_minute();
    for minute in now - MINUTES..now {
        let sample = |factor: u32| Sample {
            swarms: factor,
            seeds: 10 * factor,
            leechers: factor * (minute % 60),
            announces: 100 * factor,
            scrapes: factor,
        };
        history.push(Minute {
            minute,
            node: sample(1),
            ring: Some(sample(3)),
        });
        file.append(&history);
    }
}

/// Announces a seed over UDP.
fn announce_seed(node: &RingNode, info_hash: InfoHash) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(&node.plan.address).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let ask = |request: &Request| {
        let mut answer = [0; 2048];
        socket.send(&request.encode()).unwrap();
        let length = socket.recv(&mut answer).unwrap();
        Response::decode(&answer[..length], false).unwrap()
    };
    let Response::Connect { connection, .. } = ask(&Request::Connect { transaction: 1 }) else {
        panic!("no connection id");
    };
    let announce = AnnounceRequest {
        info_hash,
        peer_id: PeerId::generate(&mut fastrand::Rng::new()),
        port: 2,
        uploaded: 0,
        downloaded: 0,
        left: 0,
        event: None,
        num_want: None,
        key: 0,
        tracker_id: None,
    };
    let answer = ask(&Request::Announce {
        connection,
        transaction: 2,
        announce: Box::new(announce),
        url_data: Vec::new(),
    });
    assert!(matches!(answer, Response::Announce { .. }), "{answer:?}");
}

fn status(node: &RingNode, arguments: &[&str]) -> Output {
    let mut command = Command::new(PROGRAM.name);
    command
        .args(["status", &node.plan.address])
        .args(arguments)
        .output()
        .unwrap()
}

fn get(node: &RingNode, path: &str) -> Value {
    let body = ureq::get(format!("http://{}{path}", node.plan.address))
        .call()
        .unwrap()
        .body_mut()
        .read_to_string()
        .unwrap();
    serde_json::from_str(&body).unwrap()
}

/// What the cards say is true in the browser.
fn shows(name: &str, text: &str) -> String {
    format!("document.getElementById('{name}-now').textContent === '{text}'")
}

fn rows_of_state(word: &str, count: usize) -> String {
    format!(
        "[...document.querySelectorAll('#node-rows .state')].filter((word) => \
         word.textContent.startsWith('{word}')).length === {count}"
    )
}

#[test]
fn the_page_shows_the_ring_and_its_history() {
    let stage = Stage::new();
    write_history(&stage);
    let mut nodes = ring::start(&stage, 3);
    for number in 0..SWARMS {
        let info_hash = InfoHash::of_info(&number.to_be_bytes());
        let at = number as usize;
        nodes[at % 3].announce(Word::of(info_hash, 1)).unwrap();
        announce_seed(&nodes[(at + 1) % 3], info_hash);
    }
    let announced_by = this_minute();
    let mut browser = Browser::start(&stage);
    browser.open(&format!("http://{}/stats", nodes[0].plan.address));

    figures_are_right(&mut browser);
    drop_downs_change_the_charts(&mut browser);
    keys_read_single_values(&mut browser);
    it_fits_and_follows_the_scheme(&mut browser);
    programs_are_told_the_same(&nodes[0]);
    a_minute_is_recorded_for_the_ring(&nodes[0], announced_by);

    // Nothing is wrong with the page, and nothing of it comes from elsewhere.
    let console = browser.ask(&json!(["console"]));
    assert_eq!(console, json!([]));
    let requests = browser.ask(&json!(["requests"]));
    let requests: Vec<&str> = requests
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        // Of the page that the browser shows by itself at first.
        .filter(|request| !request.starts_with("chrome:") && !request.starts_with("data:"))
        .collect();
    let own = format!("http://{}/", nodes[0].plan.address);
    assert!(requests.len() > 5, "{requests:?}");
    for request in &requests {
        assert!(request.starts_with(&own), "{request}");
    }

    // One dies: the others have all its peers, and the page says so.
    nodes[2].process.kill();
    browser.wait(&rows_of_state("silent", 1));
    browser.wait(&rows_of_state("serving", 2));
    browser.wait(&shows("peers", "40"));
    // The node that the page comes from dies.
    nodes[0].process.kill();
    browser.wait("!document.getElementById('trouble').hidden");
    let trouble = browser.text("document.getElementById('trouble').textContent");
    assert!(
        trouble.starts_with("This node does not answer since "),
        "{trouble}"
    );
    assert_eq!(
        browser.text("document.getElementById('state').textContent"),
        "does not answer"
    );
    let dead = status(&nodes[0], &[]);
    assert_eq!(dead.status.code(), Some(1));
    let said = String::from_utf8(dead.stderr).unwrap();
    assert!(said.starts_with("dtracker: cannot ask the tracker at "), "{said}");
}

fn figures_are_right(browser: &mut Browser) {
    // Of three nodes each keeps everything; the ring has no more than that.
    for of in ["node", "ring"] {
        browser.wait("document.querySelectorAll('#node-rows tr').length === 3");
        browser.wait("!document.querySelector('#of [value=ring]').disabled");
        browser.choose("of", of);
        browser.wait(&shows("peers", "40"));
        browser.wait(&shows("seeds", "20"));
        // Each new node was asked for one more, in which for five minutes is known who has left.
        browser.wait(&format!(
            "{} || {}",
            shows("torrents", "20"),
            shows("torrents", "21")
        ));
    }
    browser.wait(&rows_of_state("serving", 3));
    browser.wait(
        "[...document.querySelectorAll('#node-rows tr')].every((row) => row.cells[2].textContent === '3 of 3' \
         && row.cells[5].textContent === '40 peers')",
    );
    browser.wait(
        "[...document.querySelectorAll('#node-rows tr')].reduce((sum, row) => \
         sum + parseInt(row.cells[4].textContent), 0) === 40",
    );
    let drawn = browser.value(
        "['arc', 'spot', 'chord'].map((kind) => document.querySelectorAll(`#circle .${kind}`).length)",
    );
    assert_eq!(drawn, json!([3, 3, 6]));
    let label = browser.text("document.getElementById('circle').getAttribute('aria-label')");
    assert!(label.contains("3 nodes, all copies complete"), "{label}");
    // One that is chosen shows where its copies are.
    browser.ask(&json!(["click", "#node-rows tr:nth-child(2) button"]));
    browser.wait("document.querySelectorAll('#circle .chord.chosen').length === 2");
    browser.wait("document.querySelectorAll('#circle .spot.copy').length === 2");
}

fn drop_downs_change_the_charts(browser: &mut Browser) {
    let groups = "Number(document.getElementById('peers-chart').dataset.groups)";
    let drawing = "document.querySelector('#peers-chart .line').getAttribute('d')";
    let mut drawings = Vec::new();
    for (of, hours, group, count) in [
        ("node", 1, "minute", 60),
        ("node", 5, "minute", 300),
        ("node", 24, "hour", 24),
        ("node", 72, "minute", 4320),
        ("node", 72, "hour", 72),
        ("ring", 72, "hour", 72),
    ] {
        browser.choose("of", of);
        browser.choose("hours", &hours.to_string());
        browser.choose("group", group);
        // The last minute may not be recorded yet; hours begin with the hour.
        browser.wait(&format!("{groups} >= {count} - 1 && {groups} <= {count} + 1"));
        let label = format!(
            "document.getElementById('peers-chart').getAttribute('aria-label').includes(`, by {group}: last`)"
        );
        browser.wait(&label);
        drawings.push((count, browser.text(drawing)));
    }
    drawings.truncate(5);
    drawings.sort();
    drawings.dedup_by(|one, other| one.1 == other.1);
    assert_eq!(drawings.len(), 5, "each has a chart of its own");
    // A day of the ring by hours: minutes 0 to 59, three times each, and 30 seeds.
    browser.ask(&json!(["click", "#table summary"]));
    browser.wait("document.querySelectorAll('#rows tr').length > 70");
    let row = browser
        .value("[...document.querySelectorAll('#rows tr')][5].innerText.split(/\\s*\\t\\s*/).slice(1)");
    assert_eq!(row, json!(["119", "30", "3", "300", "3"]));
}

fn keys_read_single_values(browser: &mut Browser) {
    browser.ask(&json!(["keys", "#seeds-chart", "\u{e012}\u{e012}"]));
    let said = browser.text("document.getElementById('readout').textContent");
    assert!(said.contains("Seeds 30"), "{said}");
    assert_eq!(
        browser.value("document.querySelectorAll('.chart .cross').length"),
        4
    );
    browser.ask(&json!(["keys", "#seeds-chart", "\u{e00c}"]));
    assert_eq!(
        browser.value("document.querySelectorAll('.chart .cross').length"),
        0
    );
}

fn it_fits_and_follows_the_scheme(browser: &mut Browser) {
    let colours = "['backgroundColor', 'color'].map((name) => getComputedStyle(document.body)[name])";
    browser.ask(&json!(["scheme", "light"]));
    let light = browser.value(colours);
    browser.ask(&json!(["scheme", "dark"]));
    let dark = browser.value(colours);
    assert_eq!(light, json!(["rgb(245, 246, 248)", "rgb(26, 31, 38)"]));
    assert_eq!(dark, json!(["rgb(15, 19, 23)", "rgb(231, 235, 240)"]));
    for width in [1600, 800, 360] {
        browser.ask(&json!(["size", width, 900]));
        browser.wait(&format!("innerWidth === {width}"));
        let needed = browser.value("document.documentElement.scrollWidth");
        assert!(needed.as_u64() <= Some(width), "{needed} of {width}");
    }
    let nameless = browser.value(
        "[...document.querySelectorAll('select, button, svg[role=img]')].filter((it) => \
         !(it.labels?.length || it.ariaLabel || it.textContent.trim())).map((it) => it.outerHTML)",
    );
    assert_eq!(nameless, json!([]));
}

fn programs_are_told_the_same(node: &RingNode) {
    let told = status(node, &[]);
    let text = String::from_utf8(told.stdout).unwrap();
    assert!(told.status.success(), "{text}");
    assert!(text.contains("Ring:         3 nodes; 2"), "{text}");
    assert!(
        text.contains(" torrents, 20 seeds, 20 leechers in all\n"),
        "{text}"
    );
    assert_eq!(
        text.lines()
            .filter(|line| line.ends_with("  serving") && line.contains(" 3/3 "))
            .count(),
        3,
        "{text}"
    );
    let told: Value = serde_json::from_slice(&status(node, &["--json"]).stdout).unwrap();
    assert_eq!(told["ring"]["totals"]["leechers"], json!(20));
    assert_eq!(told["torrents"], told["ring"]["totals"]["swarms"]);
    let metrics = ureq::get(format!("http://{}/metrics", node.plan.address))
        .call()
        .unwrap();
    let metrics = metrics.into_body().read_to_string().unwrap();
    for line in [
        "dtracker_ring_nodes{state=\"serving\"} 3",
        "dtracker_ring_state{state=\"serving\"} 1",
        "dtracker_ring_copies 3",
        "dtracker_ring_peers{state=\"seed\"} 20",
        "dtracker_ring_held_for_dead_total 0",
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line}\n{metrics}");
    }
}

/// The minute in which everybody was announced, or the next, is recorded with each peer once.
fn a_minute_is_recorded_for_the_ring(node: &RingNode, announced_by: u32) {
    let recorded = wait_for("the end of a minute", LIMIT, || {
        let answer = get(node, "/history?hours=1&of=ring");
        let groups = answer["groups"].as_array()?.clone();
        let last = groups.last()?[0].as_f64()?;
        (last >= f64::from(announced_by) * 60.0).then_some(groups)
    });
    let last = recorded.last().unwrap();
    assert_eq!(
        (last[1].as_f64(), last[2].as_f64()),
        (Some(20.0), Some(20.0)),
        "{last}"
    );
    // Those of the test, and with them the question of each new node whether it is answered.
    let announces: f64 = recorded
        .iter()
        .rev()
        .take(3)
        .filter_map(|group| group[4].as_f64())
        .filter(|count| *count != 300.0)
        .sum();
    assert!((43.0..300.0).contains(&announces), "{recorded:?}");
}
