//! A session of thousands of torrents, and the client that has the data of some of them.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use crossbeam_channel::{Receiver, unbounded};
use dtorrent::bitfield::Bitfield;
use dtorrent::config::Config;
use dtorrent::engine::api::{AddTorrent, EngineCommand, EngineEvent};
use dtorrent::engine::{Engine, EngineHandle, EngineSetup};
use dtorrent::id::{InfoHash, sha1_of};
use dtorrent::metainfo::{Builder, Content, Metainfo};
use dtorrent::storage::resume::{FileStamp, ResumeRecord};
use dtorrent::storage::state_dir::StateDir;

/// Each torrent that downloads: more than comes in the time of a measurement.
const LARGE: u64 = 64 << 20;
const LARGE_PIECE: u32 = 64 << 10;
/// Each of the others.
const SMALL: u64 = 64 << 10;
const SMALL_PIECE: u32 = 16 << 10;
/// KiB/s to each torrent that downloads.
const RATE: u64 = 40;
/// Of the others every tenth is paused, the rest seeds.
const PAUSED: usize = 10;

/// A torrent of zeros: its data takes no room on the disk.
fn torrent(name: &str, length: u64, piece_length: u32) -> Result<Arc<Metainfo>> {
    let zeros = vec![0; piece_length as usize];
    let hash = sha1_of(&zeros);
    let hashes = vec![hash; (length / u64::from(piece_length)) as usize];
    let builder = Builder::new(name.to_owned(), Content::File(length), piece_length, hashes);
    Ok(Arc::new(builder.build()?))
}

fn zeros(path: &Path, length: u64) -> Result<()> {
    File::create(path)?.set_len(length)?;
    Ok(())
}

/// A client that has what others download.
pub struct Seed {
    engine: Option<EngineHandle>,
    events: Receiver<EngineEvent>,
    address: SocketAddr,
    torrents: Vec<Arc<Metainfo>>,
}

impl Seed {
    pub fn start(home: &Path, count: usize) -> Result<Self> {
        let mut config = Config::default();
        config.network.port = 0;
        config.network.bind = "127.0.0.1".into();
        config.folders.downloads = home.join("data");
        config.folders.state = home.join("state");
        config.transfer.upload_limit_kib = RATE * count as u64;
        fs::create_dir_all(&config.folders.downloads)?;
        let data = config.folders.downloads.clone();
        let (events_tx, events) = unbounded();
        let engine = Engine::start(EngineSetup {
            config,
            config_path: None,
            state: None,
            scope: None,
            on_event: Box::new(move |event| drop(events_tx.send(event))),
        })?;
        let mut torrents = Vec::new();
        for number in 0..count {
            let metainfo = torrent(&format!("Download number {number:04}.iso"), LARGE, LARGE_PIECE)?;
            zeros(&data.join(&metainfo.info.name), LARGE)?;
            let mut add = AddTorrent::new(Arc::clone(&metainfo));
            add.trust_data = true;
            engine.send(EngineCommand::Add(Box::new(add)));
            torrents.push(metainfo);
        }
        let address = loop {
            if let EngineEvent::Snapshot(snapshot) = events.recv()?
                && let Some(address) = snapshot.listening.first()
            {
                break *address;
            }
        };
        Ok(Self {
            engine: Some(engine),
            events,
            address,
            torrents,
        })
    }

    /// Waits until so many have come to download.
    pub fn wait_for_peers(&self, count: usize) {
        for event in &self.events {
            if let EngineEvent::Snapshot(snapshot) = event
                && snapshot.connections >= count
            {
                return;
            }
        }
    }
}

impl Drop for Seed {
    fn drop(&mut self) {
        if let Some(engine) = self.engine.take() {
            engine.send(EngineCommand::Shutdown);
            engine.join();
        }
    }
}

/// What the program finds at its start.
pub struct Session {
    pub config: PathBuf,
    pub state: PathBuf,
    pub log: PathBuf,
    settings: String,
}

impl Session {
    /// The torrents that download stand at the head of the queue.
    pub fn write(home: &Path, count: usize, seed: &Seed) -> Result<Self> {
        let (state, data) = (home.join("state"), home.join("data"));
        fs::create_dir_all(&data)?;
        let folder = StateDir::open(&state)?;
        let mut order = Vec::new();
        for metainfo in &seed.torrents {
            let mut record = ResumeRecord::new(&data, metainfo.info.geometry.piece_count());
            record.known_peers = vec![seed.address];
            order.push(save(&state, metainfo, &record)?);
        }
        for number in seed.torrents.len()..count {
            let metainfo = torrent(
                &format!("Some torrent with the number {number:05}.tar"),
                SMALL,
                SMALL_PIECE,
            )?;
            let path = data.join(&metainfo.info.name);
            zeros(&path, SMALL)?;
            let pieces = metainfo.info.geometry.piece_count();
            let mut record = ResumeRecord::new(&data, pieces);
            record.have = Bitfield::full(pieces);
            record.paused = number.is_multiple_of(PAUSED);
            (record.uploaded, record.added_at) = (number as u64 * 1000, number as u64);
            record.completed_at = Some(number as u64);
            record.sealed = Some(vec![Some(stamp(&path)?)]);
            order.push(save(&state, &metainfo, &record)?);
        }
        folder.save_order(&order)?;
        let session = Self {
            config: home.join("config.toml"),
            log: home.join("dtorrent.log"),
            settings: "[network]\nport = 0\nbind = \"127.0.0.1\"\n[folders]\nstate = \"state\"\ndownloads = \"data\"\n\
                 [transfer]\nmax_active_downloads = 0\n[log]\nfile = \"dtorrent.log\"\nmax_mib = 1000\n"
                .to_owned(),
            state,
        };
        fs::write(&session.config, &session.settings).context("the settings")?;
        Ok(session)
    }

    /// From the next second or two on the program logs each frame.
    pub fn log_everything(&self) -> Result<()> {
        let settings = format!("{}level = \"trace\"\n", self.settings);
        Ok(fs::write(&self.config, settings)?)
    }
}

fn save(state: &Path, metainfo: &Metainfo, record: &ResumeRecord) -> Result<InfoHash> {
    let id = metainfo.info.info_hash;
    let file = |kind: &str| state.join("torrents").join(format!("{id}.{kind}"));
    // `StateDir` would sync each of them.
    fs::write(file("torrent"), &metainfo.raw)?;
    fs::write(file("resume"), record.encode()?)?;
    Ok(id)
}

fn stamp(path: &Path) -> Result<FileStamp> {
    let found = fs::metadata(path)?;
    Ok(FileStamp {
        size: found.len(),
        mtime: found.mtime(),
        mtime_nsec: found.mtime_nsec(),
    })
}
