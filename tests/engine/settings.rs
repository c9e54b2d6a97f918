//! Settings that are changed one by one, the alternative limits, and what is counted over all runs.

use std::fs;
use std::path::Path;

use dtorrent::config::Config;
use dtorrent::engine::api::{EngineCommand, EngineEvent, EngineSnapshot, SettingChange, TorrentState};
use tempfile::tempdir;

use crate::client::{Client, Torrent, config};

/// A client with a settings file that says this too.
fn start(home: &Path, more: &str) -> Client {
    let path = home.join("config.toml");
    let own = config(home);
    let text = format!(
        "[network]\nport = 0 # any\nbind = \"{}\"\n[folders]\ndownloads = \"data\"\nstate = \"state\"\n{more}",
        own.network.bind
    );
    fs::write(&path, text).unwrap();
    Client::start_with(Config::load(&path).unwrap(), home, Some(path))
}

fn limits(snapshot: &EngineSnapshot) -> (u64, u64) {
    (snapshot.download_limit_kib, snapshot.upload_limit_kib)
}

/// What the file says.
fn text(client: &Client) -> String {
    fs::read_to_string(client.home.join("config.toml")).unwrap()
}

fn wait_configured(client: &mut Client, is_it: impl Fn(&Config) -> bool) {
    client.wait_event(|event| matches!(event, EngineEvent::Configured(config) if is_it(config)));
}

#[test]
fn alternative_limits_by_hand_are_kept() {
    let home = tempdir().unwrap();
    let mut client = start(
        home.path(),
        "[transfer]\ndownload_limit_kib = 900\nalternative_limits = false # mine\n",
    );
    client.wait_for("the usual limits", |snapshot| limits(snapshot) == (900, 0));
    client.send(EngineCommand::SetAlternativeLimits(true));
    let on = client.wait_for("the alternative limits", |snapshot| {
        limits(snapshot) == (512, 128)
    });
    assert!(on.alternative_limits.in_force && on.alternative_limits.by_hand);
    client.stop();
    assert!(
        text(&client).contains("alternative_limits = true # mine\n"),
        "{}",
        text(&client)
    );

    let path = home.path().join("config.toml");
    let mut client = Client::start_with(Config::load(&path).unwrap(), home.path(), Some(path));
    client.wait_for("the alternative limits", |snapshot| {
        limits(snapshot) == (512, 128)
    });
    client.send(EngineCommand::SetAlternativeLimits(false));
    client.wait_for("the usual limits", |snapshot| limits(snapshot) == (900, 0));
    client.stop();
    assert!(text(&client).contains("alternative_limits = false # mine\n"));
}

#[test]
fn the_schedule_is_obeyed_until_somebody_switches() {
    let home = tempdir().unwrap();
    let always = "[schedule]\nenabled = true\nfrom = \"00:00\"\nto = \"00:00\"\n\
                  days = [\"mon\", \"tue\", \"wed\", \"thu\", \"fri\", \"sat\", \"sun\"]\n";
    let mut client = start(home.path(), always);
    let on = client.wait_for("the alternative limits", |snapshot| {
        limits(snapshot) == (512, 128)
    });
    assert!(!on.alternative_limits.by_hand);
    client.send(EngineCommand::SetAlternativeLimits(false));
    let off = client.wait_for("no limits", |snapshot| limits(snapshot) == (0, 0));
    assert!(off.alternative_limits.by_hand);
    client.send(EngineCommand::SetAlternativeLimits(true));
    client.wait_for("the alternative limits", |snapshot| {
        limits(snapshot) == (512, 128)
    });

    // An edit of the file that leaves no day.
    let path = home.path().join("config.toml");
    let days = "days = [\"mon\", \"tue\", \"wed\", \"thu\", \"fri\", \"sat\", \"sun\"]";
    fs::write(&path, text(&client).replace(days, "days = []")).unwrap();
    client.wait_for("no limits", |snapshot| limits(snapshot) == (0, 0));
    assert!(
        !Config::load(&path).unwrap().transfer.alternative_limits,
        "nobody has kept that"
    );
}

#[test]
fn a_key_is_changed_in_the_file_and_at_once() {
    let home = tempdir().unwrap();
    let mut client = start(home.path(), "");
    let before = client.addr();
    let port = |port: i64| vec![SettingChange::set("network", "port", port)];
    let free = std::net::TcpListener::bind((before.ip(), 0)).unwrap();
    let wanted = free.local_addr().unwrap().port();
    drop(free);
    client.send(EngineCommand::ChangeSettings(port(wanted.into())));
    client.wait_for("the new port", |snapshot| {
        snapshot
            .listening
            .first()
            .is_some_and(|addr| addr.port() == wanted)
    });
    let changed = text(&client);
    assert!(changed.contains(&format!("port = {wanted} # any\n")), "{changed}");

    // Several at once, of which one is wrong: none is made, and faces are told what holds.
    let mut both = port(7);
    both.push(SettingChange::set("transfer", "upload_slots", -1));
    client.send(EngineCommand::ChangeSettings(both));
    client.wait_failure("expected a whole number from");
    wait_configured(&mut client, |config| config.network.port == wanted);
    assert_eq!(text(&client), changed);

    client.send(EngineCommand::ChangeSettings(vec![
        SettingChange::restore("network", "port"),
        SettingChange::set("transfer", "upload_limit_kib", 77),
    ]));
    client.wait_for("the limit", |snapshot| limits(snapshot) == (0, 77));
    assert!(text(&client).contains("port = 6881 # any\n"), "{}", text(&client));
}

#[test]
fn figures_of_all_runs_add_up_and_damage_costs_nothing_else() {
    let home = tempdir().unwrap();
    let torrent = Torrent::file("film", 500_001);
    let mut seed = Client::start(&home.path().join("seed"));
    let peer = seed.seed(&torrent);
    let mut leech = Client::start(&home.path().join("leech"));
    leech.add(&torrent.metainfo, &[peer]);
    leech.wait_state(torrent.id(), TorrentState::Seeding);
    let told = leech.wait_for("all of it", |snapshot| {
        snapshot.statistics.session.downloaded == 500_001
    });
    assert_eq!(told.statistics.all_time.downloaded, 500_001);
    assert_eq!(told.statistics.all_time.starts, 1);
    seed.wait_for("uploads", |snapshot| snapshot.statistics.session.uploaded > 0);

    // A torrent that is gone has been downloaded all the same.
    leech.send(EngineCommand::Remove {
        info_hash: torrent.id(),
        data: dtorrent::engine::api::RemoveData::Keep,
    });
    leech.wait_removed(torrent.id());
    let mut leech = leech.restart();
    let told = leech.next_snapshot().statistics;
    assert_eq!((told.session.downloaded, told.all_time.downloaded), (0, 500_001));
    assert_eq!(told.all_time.starts, 2);
    assert!(told.since > 0);

    seed.stop();
    let state = seed.home.join("state");
    for name in ["statistics", "statistics.old"] {
        fs::write(state.join(name), "dtorrent-statistics 1 0\n{}").unwrap();
    }
    let mut seed = seed.restart();
    seed.wait_state(torrent.id(), TorrentState::Seeding);
    let told = seed.next_snapshot().statistics;
    assert_eq!((told.all_time.uploaded, told.all_time.starts), (0, 1));
}
