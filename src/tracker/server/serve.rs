//! Starts and stops a tracker with its faces. Layer 3.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use rustix::io::Errno;

use super::config::{HttpConfig, UdpConfig, threads};
use super::front::Shared;
use super::http::{self, HttpFace};
use super::rules::Rules;
use super::seam::Tracker;
use super::udp::{self, UdpFace};
use super::watch::Watch;

/// Why a tracker cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// An address cannot be listened on.
    #[error("cannot listen for {face} on {address}; choose another address or port")]
    Listen {
        /// "HTTP" or "UDP".
        face: &'static str,
        /// Where.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// No thread could be had, or not what it needs.
    #[error("cannot start the tracker's threads: {0}")]
    Thread(#[source] io::Error),
    /// Both faces are switched off.
    #[error("the tracker listens nowhere; give it an address under http.listen or udp.listen")]
    NoFace,
}

impl ServeError {
    /// Whether the machine does not have this kind of address at all, as one without IPv6.
    fn is_missing_family(&self) -> bool {
        let Self::Listen { address, source, .. } = self else {
            return false;
        };
        let missing = [Errno::AFNOSUPPORT, Errno::PROTONOSUPPORT, Errno::ADDRNOTAVAIL];
        address.ip().is_unspecified()
            && missing
                .iter()
                .any(|errno| source.raw_os_error() == Some(errno.raw_os_error()))
    }
}

/// A tracker that answers. Dropping it ends it at once; [`Self::stop`] ends it in good order.
#[derive(Debug)]
pub struct TrackerServer {
    pub(super) shared: Arc<Shared>,
    http: Option<HttpFace>,
    udp: Vec<UdpFace>,
    watch: Option<Watch>,
}

impl TrackerServer {
    /// Listens and answers for `tracker`, by `rules`, where `http` and `udp` say.
    ///
    /// # Errors
    /// [`ServeError`]; nothing is left running. That the machine has no IPv6 (or no IPv4) is no error for
    /// addresses that mean "everywhere".
    pub fn start(
        tracker: Arc<dyn Tracker>,
        rules: Rules,
        http: &HttpConfig,
        udp: &UdpConfig,
    ) -> Result<Self, ServeError> {
        let mut server = Self {
            shared: Arc::new(Shared::new(tracker, rules)),
            http: None,
            udp: Vec::new(),
            watch: None,
        };
        // Everything is bound before anything answers.
        let listeners = each_possible(&http.listen, http::listen)?;
        server.udp = each_possible(&udp.listen, |address| {
            udp::start(&server.shared, address, threads(udp.threads))
        })?;
        if !listeners.is_empty() {
            server.http = Some(http::start(&server.shared, listeners, threads(http.threads))?);
        }
        if server.http.is_none() && server.udp.is_empty() {
            return Err(ServeError::NoFace);
        }
        server.shared.tracker.note_pages(server.http_addresses());
        server.watch = Some(Watch::start(&server.shared).map_err(ServeError::Thread)?);
        Ok(server)
    }

    /// Where HTTP is answered.
    pub fn http_addresses(&self) -> &[SocketAddr] {
        self.http.as_ref().map_or(&[], |face| &face.addresses)
    }

    /// Where UDP is answered.
    pub fn udp_addresses(&self) -> Vec<SocketAddr> {
        self.udp.iter().map(|face| face.address).collect()
    }

    /// Goes on with the history of peers, swarms and requests that is in the file at `path`, and keeps it there;
    /// otherwise it is in memory only. Damage costs what is damaged.
    ///
    /// # Errors
    /// When the file cannot be read and written, or another process does that already. Nothing else changes.
    pub fn keep_history(&self, path: &Path) -> io::Result<()> {
        self.watch
            .as_ref()
            .map_or(Ok(()), |watch| watch.keep_history(path))
    }

    /// From now on these rules hold, for connections that are open as well.
    pub fn set_rules(&self, rules: Rules) {
        self.shared.rules.set(rules);
    }

    /// Answers what is under way, for a few seconds at most, and ends.
    pub fn stop(mut self) {
        self.finish();
    }

    fn finish(&mut self) {
        self.shared.stop();
        if let Some(http) = self.http.take() {
            http.join();
        }
        self.udp.drain(..).for_each(UdpFace::join);
        if let Some(watch) = self.watch.take() {
            watch.join();
        }
    }
}

impl Drop for TrackerServer {
    fn drop(&mut self) {
        self.finish();
    }
}

/// Opens each address, those apart whose family this machine does not have, if any is left.
fn each_possible<T>(
    addresses: &[SocketAddr],
    open: impl Fn(SocketAddr) -> Result<T, ServeError>,
) -> Result<Vec<T>, ServeError> {
    let mut opened = Vec::new();
    let mut missing = None;
    for &address in addresses {
        match open(address) {
            Ok(one) => opened.push(one),
            Err(error) if error.is_missing_family() => missing = Some(error),
            Err(error) => return Err(error),
        }
    }
    match missing {
        Some(error) if opened.is_empty() => Err(error),
        Some(error) => {
            log::warn!("{error} (this machine has no such addresses; the others do)");
            Ok(opened)
        }
        None => Ok(opened),
    }
}
