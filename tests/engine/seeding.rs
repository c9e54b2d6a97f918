//! Seeding that ends by itself.

use dtorrent::engine::api::{
    EngineCommand, EngineEvent, RemoveData, SeedEnd, SeedLimit, TorrentState, TorrentSummary,
};
use dtorrent::ratio::RatioLimit;
use tempfile::{TempDir, tempdir};

use crate::client::{Client, PIECE, Torrent, config};
use crate::trackers::tracker;

fn ratio(ratio: f64) -> RatioLimit {
    RatioLimit::new(ratio).unwrap()
}

/// Somebody who fetches everything from the seed, or as much as it lets him.
fn leech(home: &TempDir, name: &str, torrent: &Torrent, seed: &mut Client) -> Client {
    let leech = Client::start(&home.path().join(name));
    leech.add(&torrent.metainfo, &[seed.addr()]);
    leech
}

fn wait_end(client: &mut Client, torrent: &Torrent, end: SeedEnd) -> TorrentSummary {
    client.wait_event(|event| {
        let id = torrent.id();
        matches!(event, EngineEvent::SeedingEnded { info_hash, end: told } if *info_hash == id && *told == end)
    });
    client.wait_torrent(torrent.id(), "the end of seeding", |torrent| {
        torrent.state == TorrentState::Paused && torrent.seed_end == Some(end)
    })
}

fn times_ended(client: &Client) -> usize {
    let is_end = |event: &&EngineEvent| matches!(event, EngineEvent::SeedingEnded { .. });
    client.seen.iter().filter(is_end).count()
}

#[test]
fn a_seed_ends_at_its_ratio_and_seeds_on_when_it_is_started_again() {
    let home = tempdir().unwrap();
    let torrent = Torrent::file("film", 20 * PIECE);
    let id = torrent.id();
    let size = (20 * PIECE) as u64;
    let folder = home.path().join("seed");
    let mut settings = config(&folder);
    settings.transfer.seed_until_ratio = ratio(2.0);
    let mut seed = Client::start_with(settings, &folder, None);
    seed.seed(&torrent);
    leech(&home, "one", &torrent, &mut seed).wait_state(id, TorrentState::Seeding);
    seed.wait_torrent(id, "one copy sent", |torrent| {
        torrent.state == TorrentState::Seeding && torrent.uploaded >= size
    });
    let _two = leech(&home, "two", &torrent, &mut seed);
    let end = SeedEnd::Ratio(ratio(2.0));
    let ended = wait_end(&mut seed, &torrent, end);
    assert!(ended.ratio() >= 2.0, "{}", ended.ratio());
    seed.wait_torrent(id, "that nobody is served", |torrent| torrent.peers == 0);
    assert_eq!(times_ended(&seed), 1);

    let mut seed = seed.restart();
    let kept = seed.wait_state(id, TorrentState::Paused);
    assert_eq!(kept.seed_end, Some(end));
    seed.send(EngineCommand::Start(id));
    let started = seed.wait_state(id, TorrentState::Seeding);
    assert_eq!(started.seed_end, None);
    // Past the limit, and after another start too.
    leech(&home, "three", &torrent, &mut seed).wait_state(id, TorrentState::Seeding);
    let mut seed = seed.restart();
    seed.wait_state(id, TorrentState::Seeding);
    leech(&home, "four", &torrent, &mut seed).wait_state(id, TorrentState::Seeding);
    assert_eq!(times_ended(&seed), 0);

    // A limit of its own counts again.
    let limit = ratio(3.5);
    seed.send(EngineCommand::SetSeedLimit {
        info_hash: id,
        limit: SeedLimit::Ratio(limit),
    });
    let ended = wait_end(&mut seed, &torrent, SeedEnd::Ratio(limit));
    assert_eq!(ended.seed_limit, SeedLimit::Ratio(limit));
    let mut seed = seed.restart();
    let kept = seed.wait_state(id, TorrentState::Paused);
    assert_eq!(kept.seed_limit, SeedLimit::Ratio(limit));
}

#[test]
fn a_limit_that_is_set_later_ends_those_that_have_reached_it_and_their_trackers_hear() {
    let home = tempdir().unwrap();
    let (url, requests) = tracker();
    let torrents = [
        Torrent::tracked("film", 4 * PIECE, &url),
        Torrent::file("song", 4 * PIECE),
        Torrent::file("never", 4 * PIECE),
    ];
    let mut seed = Client::start(&home.path().join("seed"));
    let mut leech = Client::start(&home.path().join("leech"));
    for torrent in &torrents {
        let peer = seed.seed(torrent);
        leech.add(&torrent.metainfo, &[peer]);
        leech.wait_state(torrent.id(), TorrentState::Seeding);
    }
    for torrent in &torrents {
        seed.wait_torrent(torrent.id(), "one copy sent", |torrent| torrent.ratio() >= 1.0);
    }
    let [film, song, never] = torrents.each_ref().map(Torrent::id);
    for (info_hash, limit) in [(song, SeedLimit::Ratio(ratio(9.5))), (never, SeedLimit::Never)] {
        seed.send(EngineCommand::SetSeedLimit { info_hash, limit });
    }
    let mut settings = seed.config.clone();
    settings.transfer.seed_until_ratio = ratio(0.5);
    seed.send(EngineCommand::Configure(Box::new(settings)));
    wait_end(&mut seed, &torrents[0], SeedEnd::Ratio(ratio(0.5)));
    for id in [song, never] {
        seed.wait_state(id, TorrentState::Seeding);
    }
    // Both are peers of the tracker: the leech still seeds.
    while !requests.recv().unwrap().contains("event=stopped") {}
    seed.send(EngineCommand::Remove {
        info_hash: film,
        data: RemoveData::Keep,
    });
    seed.wait_removed(film);
    assert_eq!(times_ended(&seed), 1);
}
