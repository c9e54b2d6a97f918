//! One HTTP request to a tracker, or for a `.torrent`, over sockets of the one factory. Layer 3.
//!
//! Bounded in every way: a time limit for all of it, redirects and name included, [`MAX_REDIRECTS`], and
//! [`MAX_BODY`] after decompression. Proxies of the environment are not used.
//!
//! A redirect from HTTPS to plain HTTP is refused, though curl and the clients that use it follow one: the new
//! address as a rule repeats the passkey, which anybody on the way could then read, as he could what is
//! downloaded. From HTTP to HTTPS, and to other hosts, redirects are followed.

use std::fmt;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use ureq::config::Config;
use ureq::http::Uri;
use ureq::tls::{RootCerts, TlsConfig, TlsProvider};
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, Transport,
};
use ureq::{Agent, Error, Timeout};

use super::http;
use super::tls::{TlsConnector, TlsError};
use crate::net::sockets::SocketFactory;
use crate::sentence::of_system;

/// Who asks a tracker, or a server for a torrent.
pub(crate) const USER_AGENT: &str = concat!("DTorrent/", env!("CARGO_PKG_VERSION"));

/// For a whole request, outside of tests.
pub(crate) const TIME_LIMIT: Duration = Duration::from_secs(20);
/// For the connection alone, over all addresses of the tracker.
const CONNECT_LIMIT: Duration = Duration::from_secs(12);
const MAX_REDIRECTS: u32 = 5;
/// Bytes of an answer: 5,000 peers as dictionaries are less than half of it.
pub(crate) const MAX_BODY: u64 = 1 << 20;

/// Why there is no answer, in words for a tracker's. The texts never hold the URL, which may hold a passkey.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    /// It did not answer in time.
    #[error("the tracker did not answer in time")]
    Timeout,
    /// Its name is unknown.
    #[error("the tracker's host name cannot be found")]
    HostNotFound,
    /// It redirects in a circle, or nearly.
    #[error("the tracker redirects more than {MAX_REDIRECTS} times")]
    Redirects,
    /// More bytes than are wanted.
    #[error("the tracker's answer is longer than {0} bytes")]
    TooLong(u64),
    /// A redirect to what is no URL.
    #[error("the tracker redirects to an address that is not valid")]
    BadUrl,
    /// A redirect that would give up encryption.
    #[error(
        "the tracker redirects from https to plain http, which would let others read passkeys; not followed"
    )]
    Downgrade,
    /// No encrypted connection.
    #[error(transparent)]
    Tls(TlsError),
    /// Not a status of success, and no failure reason with it.
    #[error("the tracker answers with HTTP status {0}")]
    Status(u16),
    /// The tracker's own refusal.
    #[error("the tracker says: {0}")]
    Refused(String),
    /// The network, TLS or HTTP.
    #[error("the tracker cannot be reached: {problem}", problem = words(.0))]
    Http(#[source] Error),
}

/// What went wrong, without what only its maker knows.
pub(crate) fn words(error: &Error) -> String {
    match error {
        Error::Io(error) => of_system(error),
        error => error.to_string(),
    }
}

impl From<Error> for FetchError {
    fn from(error: Error) -> Self {
        match error {
            Error::Timeout(_) => Self::Timeout,
            Error::HostNotFound => Self::HostNotFound,
            Error::TooManyRedirects => Self::Redirects,
            Error::BodyExceedsLimit(limit) => Self::TooLong(limit),
            Error::BadUri(_) | Error::RedirectFailed => Self::BadUrl,
            // Its type is not public. It quotes the address, with all that is secret in there.
            Error::Protocol(error) if error.to_string().starts_with("location header") => Self::BadUrl,
            Error::RequireHttpsOnly(_) => Self::Downgrade,
            Error::Other(error) => match error.downcast() {
                Ok(error) => Self::Tls(*error),
                Err(error) => Self::Http(Error::Other(error)),
            },
            // A resolver's failure arrives as an I/O error of no particular kind.
            error => Self::Http(error),
        }
    }
}

/// The HTTP client.
#[derive(Debug, Clone)]
pub(crate) struct Fetcher {
    /// For `http` URLs, which may lead anywhere.
    plain: Agent,
    /// For `https` URLs, which may lead to none but their like.
    encrypted: Agent,
}

impl Fetcher {
    /// A client that gives each request so long.
    pub(crate) fn new(sockets: &Arc<SocketFactory>, user_agent: &str, time_limit: Duration) -> Self {
        let agent = |https_only| {
            let connector = ().chain(FactoryConnector {
                sockets: Arc::clone(sockets),
            });
            Agent::with_parts(
                config(user_agent, time_limit, https_only),
                connector.chain(TlsConnector::default()),
                FactoryResolver {
                    sockets: Arc::clone(sockets),
                    system: DefaultResolver::default(),
                },
            )
        };
        Self {
            plain: agent(false),
            encrypted: agent(true),
        }
    }

    /// The body of the answer.
    pub(crate) fn fetch(&self, url: &str) -> Result<Vec<u8>, FetchError> {
        self.fetch_up_to(MAX_BODY, url)
    }

    /// The same, where the body may have so many bytes.
    pub(crate) fn fetch_up_to(&self, most: u64, url: &str) -> Result<Vec<u8>, FetchError> {
        let mut response = self.agent(url).get(url).header("Connection", "close").call()?;
        let status = response.status();
        let body = response.body_mut().with_config().limit(most).read_to_vec()?;
        if status.is_success() {
            return Ok(body);
        }
        Err(match http::failure_reason(&body) {
            Some(reason) => FetchError::Refused(reason),
            None => FetchError::Status(status.as_u16()),
        })
    }

    fn agent(&self, url: &str) -> &Agent {
        let scheme = url.split(':').next().unwrap_or_default();
        if scheme.eq_ignore_ascii_case("https") {
            &self.encrypted
        } else {
            &self.plain
        }
    }

    /// Ends every request that is under way, and lets no other begin.
    pub(crate) fn shutdown(self) {
        self.plain.shutdown();
        self.encrypted.shutdown();
    }
}

fn config(user_agent: &str, time_limit: Duration, https_only: bool) -> Config {
    let tls = TlsConfig::builder()
        .provider(TlsProvider::NativeTls)
        .root_certs(RootCerts::PlatformVerifier)
        .build();
    Agent::config_builder()
        .tls_config(tls)
        .user_agent(user_agent)
        .proxy(None)
        .https_only(https_only)
        .http_status_as_error(false)
        .max_redirects(MAX_REDIRECTS)
        .max_redirects_will_error(true)
        .timeout_global(Some(time_limit))
        .timeout_connect(Some(CONNECT_LIMIT))
        // Trackers have thousands of clients: no connection is kept.
        .max_idle_connections(0)
        .build()
}

/// Looks names up while the client's one factory could make a socket.
#[derive(Debug)]
struct FactoryResolver {
    sockets: Arc<SocketFactory>,
    /// Keeps to the time limit, which the factory's own lookup does not.
    system: DefaultResolver,
}

impl Resolver for FactoryResolver {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        self.sockets.check().map_err(|error| Error::Io(error.into()))?;
        self.system.resolve(uri, config, timeout)
    }
}

/// Makes connections with the client's one factory of sockets.
#[derive(Debug)]
struct FactoryConnector {
    sockets: Arc<SocketFactory>,
}

impl Connector for FactoryConnector {
    type Out = FactoryTransport;

    /// Tries all addresses of the tracker, each with an equal share of the time that is left.
    fn connect(&self, details: &ConnectionDetails<'_>, _: Option<()>) -> Result<Option<Self::Out>, Error> {
        let addrs = &details.addrs;
        let mut failure = Error::HostNotFound;
        for (at, addr) in addrs.iter().enumerate() {
            let left = time_left(details);
            let share = left / u32::try_from(addrs.len() - at).unwrap_or(1);
            if share.is_zero() {
                return Err(Error::Timeout(Timeout::Connect));
            }
            match self.sockets.connect(*addr, share) {
                Ok(stream) => return FactoryTransport::new(stream, details).map(Some),
                Err(error) if error.kind() == std::io::ErrorKind::TimedOut => {
                    failure = Error::Timeout(Timeout::Connect);
                }
                Err(error) => failure = Error::Io(error),
            }
        }
        Err(failure)
    }
}

/// What is left of the time to connect.
fn time_left(details: &ConnectionDetails<'_>) -> Duration {
    use ureq::unversioned::transport::time::Instant;
    let limit = details.timeout.not_zero().map_or(CONNECT_LIMIT, |limit| *limit);
    match (details.now, (details.current_time)()) {
        (Instant::Exact(start), Instant::Exact(now)) => {
            limit.saturating_sub(now.saturating_duration_since(start))
        }
        _ => limit,
    }
}

/// A blocking socket, the time limits of which are renewed before each use.
struct FactoryTransport {
    /// Shared weakly with the agent, whose shutdown interrupts what blocks on it.
    stream: Arc<TcpStream>,
    buffers: LazyBuffers,
}

impl FactoryTransport {
    fn new(stream: TcpStream, details: &ConnectionDetails<'_>) -> Result<Self, Error> {
        let stream = Arc::new(stream);
        let handle = Arc::downgrade(&stream);
        (details.register_shutdown)(handle)?;
        let config = details.config;
        Ok(Self {
            stream,
            buffers: LazyBuffers::new(config.input_buffer_size(), config.output_buffer_size()),
        })
    }
}

impl Transport for FactoryTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        let timeout = timeout.for_write();
        self.stream.set_write_timeout(limit(timeout)?)?;
        let output = self.buffers.output().get(..amount).unwrap_or_default();
        (&*self.stream)
            .write_all(output)
            .map_err(|error| blame(error, timeout))
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        let timeout = timeout.for_read();
        self.stream.set_read_timeout(limit(timeout)?)?;
        let input = self.buffers.input_append_buf();
        let amount = (&*self.stream)
            .read(input)
            .map_err(|error| blame(error, timeout))?;
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    /// Never used again.
    fn is_open(&mut self) -> bool {
        false
    }
}

impl fmt::Debug for FactoryTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FactoryTransport")
            .field("stream", &self.stream)
            .finish_non_exhaustive()
    }
}

fn limit(timeout: NextTimeout) -> Result<Option<Duration>, Error> {
    if timeout.after.is_zero() {
        return Err(Error::Timeout(timeout.reason));
    }
    Ok(timeout.not_zero().map(|limit| *limit))
}

/// A socket's own time limit shows as "would block".
fn blame(error: std::io::Error, timeout: NextTimeout) -> Error {
    match error.kind() {
        std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut => Error::Timeout(timeout.reason),
        _ => Error::Io(error),
    }
}
