//! How torrents come to the engine by themselves: from behind a link, and from the folder that is watched.

use std::collections::VecDeque;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crossbeam_channel::Sender;

use crate::engine::Engine;
use crate::engine::api::{AddTorrent, EngineEvent};
use crate::engine::watch_folder::{Receipt, WatchFolder};
use crate::metainfo::{MAX_FILE_BYTES, Metainfo};
use crate::net::sockets::SocketFactory;
use crate::sentence::told;
use crate::tracker::fetch::{self, FetchError, Fetcher, USER_AGENT};
use crate::tracker::url;

/// For one link, redirects and all.
const LINK_LIMIT: Duration = Duration::from_secs(60);

/// Most bytes that are fetched from a link. Half of what a file may have: what is larger is hardly ever a torrent, and is
/// still opened when somebody has saved it.
const LINK_BYTES: u64 = MAX_FILE_BYTES as u64 / 2;

/// Links that are fetched at a time; others wait.
const MOST_LINKS: usize = 4;

/// What came.
#[derive(Debug)]
pub(super) enum Arrival {
    /// From behind a link that was asked for.
    Fetched {
        url: String,
        torrent: Result<Arc<Metainfo>, String>,
    },
    /// In the folder that is watched; the receipt is for when it is kept.
    Found(Arc<Metainfo>, Receipt),
    /// Of that folder, or of what is in it: something that a person should read.
    Problem(String),
}

/// The threads that bring torrents, and what they need.
#[derive(Debug)]
pub(super) struct WaysIn {
    arrivals: Sender<Arrival>,
    fetcher: Fetcher,
    /// Links that are fetched now.
    under_way: usize,
    waiting: VecDeque<String>,
    watch_folder: Option<WatchFolder>,
}

impl WaysIn {
    pub(super) fn new(arrivals: Sender<Arrival>, sockets: &Arc<SocketFactory>) -> Self {
        Self {
            arrivals,
            fetcher: Fetcher::new(sockets, USER_AGENT, LINK_LIMIT),
            under_way: 0,
            waiting: VecDeque::new(),
            watch_folder: None,
        }
    }

    /// Fetches what is behind a link, now or when others are through.
    pub(super) fn fetch(&mut self, url: String) {
        self.waiting.push_back(url);
        self.fetch_waiting();
    }

    fn fetch_waiting(&mut self) {
        while self.under_way < MOST_LINKS
            && let Some(url) = self.waiting.pop_front()
        {
            self.under_way += 1;
            let (fetcher, arrivals) = (self.fetcher.clone(), self.arrivals.clone());
            let asked = url.clone();
            let work = move || {
                let torrent = fetch(&fetcher, &asked);
                // After the engine's end nobody wants to know.
                let _ = arrivals.send(Arrival::Fetched { url: asked, torrent });
            };
            if let Err(error) = thread::Builder::new().name("link".into()).spawn(work) {
                let torrent = Err(told!("the system lets no thread start: {error}"));
                let _ = self.arrivals.send(Arrival::Fetched { url, torrent });
            }
        }
    }

    /// Lets nothing come any more.
    pub(super) fn close(&mut self) {
        self.waiting.clear();
        self.watch_folder = None;
        self.fetcher.clone().shutdown();
    }
}

impl Engine {
    pub(super) fn on_arrival(&mut self, arrival: Arrival) {
        match arrival {
            Arrival::Fetched { url, torrent } => {
                self.ways_in.under_way -= 1;
                self.ways_in.fetch_waiting();
                if let Err(reason) = &torrent {
                    log::warn!("{}: {reason}", url::shown(&url));
                }
                self.tell(EngineEvent::Fetched { url, torrent });
            }
            Arrival::Found(metainfo, receipt) => self.add_found(metainfo, receipt),
            Arrival::Problem(message) => self.fail(None, message),
        }
    }

    /// Adds a torrent of the folder that is watched. Nobody waits for it, so that it was on the list already is no
    /// failure.
    fn add_found(&mut self, metainfo: Arc<Metainfo>, receipt: Receipt) {
        let id = metainfo.info.info_hash;
        if self.stopping.is_some() {
            return;
        }
        if self.torrents.contains(id) {
            log::info!("{}: is in the list already", metainfo.info.name);
            self.add_trackers(id, &metainfo.tiers);
        } else {
            self.add(AddTorrent::new(metainfo));
            self.queue_is_stale = true;
        }
        self.keeper.receipt(id, receipt);
    }

    /// Watches the folder of the settings, or none. A run that is for some torrents only looks for no others.
    pub(super) fn configure_watch_folder(&mut self) {
        let wanted = self.config.folders.watch.clone();
        let wanted = wanted.filter(|_| self.scope.is_none() && self.stopping.is_none());
        let watched = self.ways_in.watch_folder.as_ref().map(WatchFolder::path);
        if wanted.as_deref() == watched {
            return;
        }
        self.ways_in.watch_folder = None;
        let Some(path) = wanted else { return };
        match WatchFolder::spawn(path, self.ways_in.arrivals.clone()) {
            Ok(watching) => self.ways_in.watch_folder = Some(watching),
            Err(error) => self.fail(None, told!("no folder can be watched: {error}")),
        }
    }
}

/// The torrent behind a link, or why it cannot be had.
fn fetch(fetcher: &Fetcher, url: &str) -> Result<Arc<Metainfo>, String> {
    let bytes = fetcher
        .fetch_up_to(LINK_BYTES, url)
        .map_err(|error| words(&error))?;
    let metainfo = Metainfo::parse(&bytes).map_err(|error| error.to_string())?;
    Ok(Arc::new(metainfo))
}

/// What went wrong, of a server that is no tracker.
fn words(error: &FetchError) -> String {
    match error {
        FetchError::Timeout => told!("the server did not answer in time"),
        FetchError::HostNotFound => told!("its host name cannot be found"),
        FetchError::Redirects => told!("the server redirects again and again"),
        FetchError::TooLong(most) => {
            let mib = most / (1024 * 1024);
            told!("what is there is larger than {mib} MiB, so it is no torrent")
        }
        FetchError::BadUrl | FetchError::Http(ureq::Error::Http(_)) => {
            told!("it is not a valid address, or the server redirects to one that is not")
        }
        FetchError::Downgrade => {
            told!(
                "the server redirects from https to plain http, where others could change the torrent; not followed"
            )
        }
        FetchError::Tls(error) => error.to_string(),
        FetchError::Status(status @ (401 | 403 | 407)) => {
            told!(
                "the server refuses it (HTTP status {status}); log in with a browser and save the torrent there"
            )
        }
        FetchError::Status(status @ (404 | 410)) => {
            told!("there is nothing at this address (HTTP status {status})")
        }
        FetchError::Status(status) => told!("the server answers with HTTP status {status}"),
        FetchError::Refused(reason) => told!("the server says: {reason}"),
        FetchError::Http(error) => {
            let error = fetch::words(error);
            told!("the server cannot be reached: {error}")
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{SocketAddr, TcpListener};

    use super::*;

    /// Answers one request, and says what it was.
    fn serve(answer: Vec<u8>) -> (SocketAddr, thread::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let served = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 4096];
            let length = stream.read(&mut request).unwrap();
            // Who has read enough goes away.
            let _ = stream.write_all(&answer);
            String::from_utf8_lossy(&request[..length]).into_owned()
        });
        (address, served)
    }

    fn fetcher(bind: &str) -> Fetcher {
        Fetcher::new(&Arc::new(SocketFactory::new(bind).unwrap()), "test", LINK_LIMIT)
    }

    fn answer(status: &str, body: &[u8]) -> Vec<u8> {
        let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n", body.len());
        [head.as_bytes(), body].concat()
    }

    #[test]
    fn what_is_behind_a_link_is_a_torrent_or_said_in_words() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data");
        std::fs::write(&path, vec![1; 40_000]).unwrap();
        let options = crate::create::CreateOptions {
            path,
            ..crate::create::CreateOptions::default()
        };
        let torrent = crate::create::create(&options, |_, _| (), &false.into()).unwrap();
        let (address, served) = serve(answer("200 OK", &torrent.raw));
        let fetched = fetch(&fetcher(""), &format!("http://{address}/a.torrent?k=v")).unwrap();
        assert_eq!(fetched.info.info_hash, torrent.info.info_hash);
        assert!(served.join().unwrap().starts_with("GET /a.torrent?k=v "));

        let long = answer("200 OK", &vec![b'd'; LINK_BYTES as usize + 1]);
        for (sent, expected) in [
            (answer("404 Not Found", b""), "there is nothing at this address"),
            (answer("403 Forbidden", b""), "log in with a browser"),
            (answer("500 Oh", b""), "the server answers with HTTP status 500"),
            (answer("200 OK", b"<html>"), "this is a web page"),
            (long, "larger than 16 MiB"),
        ] {
            let (address, served) = serve(sent);
            let told = fetch(&fetcher(""), &format!("http://{address}/")).unwrap_err();
            assert!(told.contains(expected), "{told}");
            served.join().unwrap();
        }
        let told = fetch(&fetcher(""), "http://").unwrap_err();
        assert!(told.contains("not a valid address"), "{told}");
    }

    #[test]
    fn no_link_is_fetched_past_what_everything_is_bound_to() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        // An address that nobody has (RFC 5737).
        let told = fetch(&fetcher("192.0.2.1"), &url).unwrap_err();
        assert!(told.contains("192.0.2.1"), "{told}");
        let came = listener.accept().map_err(|error| error.kind());
        assert!(matches!(came, Err(std::io::ErrorKind::WouldBlock)), "{came:?}");
    }
}
