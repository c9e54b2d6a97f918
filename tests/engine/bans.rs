//! Peers that the user wants nothing to do with.

use dtorrent::engine::api::{EngineCommand, TorrentState};
use tempfile::tempdir;

use crate::client::{Client, PIECE, Torrent};

#[test]
fn a_banned_peer_is_gone_in_and_out_until_the_ban_is_lifted_and_the_next_run_knows_it() {
    let home = tempdir().unwrap();
    let torrent = Torrent::file("film", 60 * PIECE);
    let id = torrent.id();
    let mut seed = Client::start(&home.path().join("seed"));
    let peer = seed.seed(&torrent);
    let mut leech = Client::start(&home.path().join("leech"));
    leech.send(EngineCommand::BanPeer(peer.ip()));
    leech.wait_for("the ban", |snapshot| *snapshot.bans == [peer.ip()]);
    let mut leech = leech.restart();
    leech.wait_for("the ban of the last run", |snapshot| {
        *snapshot.bans == [peer.ip()]
    });

    leech.add(&torrent.metainfo, &[peer]);
    leech.wait_state(id, TorrentState::Downloading);
    // The other way round it is not let in either.
    let addr = leech.addr();
    seed.send(EngineCommand::AddPeers {
        info_hash: id,
        peers: vec![addr],
    });
    leech.listen(std::time::Duration::from_secs(2));
    let details = leech.details(id);
    assert!(
        details.peers.is_empty() && details.pieces_done == 0,
        "{details:?}"
    );

    leech.send(EngineCommand::LiftBan(peer.ip()));
    leech.wait_for("the end of the ban", |snapshot| snapshot.bans.is_empty());
    leech.send(EngineCommand::SetLimits {
        info_hash: id,
        download_kib: Some(16),
        upload_kib: Some(0),
    });
    leech.send(EngineCommand::AddPeers {
        info_hash: id,
        peers: vec![peer],
    });
    leech.wait_torrent(id, "a peer", |torrent| torrent.peers == 1);
    leech.send(EngineCommand::BanPeer(peer.ip()));
    leech.wait_torrent(id, "no peer", |torrent| torrent.peers == 0);
}
