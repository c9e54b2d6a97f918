//! The one factory of sockets: applies the `network.bind` setting to each of them. Layer 3.
//!
//! What `bind` names decides what is promised:
//! - nothing: the system's routes choose;
//! - an IP address: every socket has it as its source, and none of the other family is made. If the machine
//!   no longer has the address the kernel refuses to bind or to send;
//! - an interface: every socket is tied to it (`SO_BINDTODEVICE`), so that no packet leaves by another one
//!   whatever the routes say. The kernel takes the source address from that interface.
//!
//! It fails closed: when the address or the interface is gone, sockets fail with an error that says so. An
//! address alone does not choose a route; who must not leave a VPN names its interface.
//!
//! Names are looked up by the system's resolver, in sockets of its own that nobody can bind. So the factory
//! looks them up too ([`SocketFactory::resolve`]), and asks nothing while it could make no socket.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, ToSocketAddrs, UdpSocket};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use rustix::io::Errno;
use socket2::{Domain, Protocol, Socket, Type};

use crate::sentence::{phrase, told};

/// Connections that the kernel completes before we accept them. The system lowers it to `somaxconn`.
const BACKLOG: i32 = 1024;

/// How many ports are tried for one that is free for IPv4 and IPv6 alike.
const PORT_ATTEMPTS: usize = 16;

/// The kernel's `IFNAMSIZ` without the final NUL: bytes of the longest interface name.
const INTERFACE_NAME_LENGTH: usize = 15;

/// An address that nobody has (RFC 5737), to ask the kernel for a way to. Nothing is sent there.
const ANYWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 9);

/// Why a socket could not be made.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// The setting can be neither an address nor an interface.
    #[error("network.bind is {0:?}; it takes an IP address, the name of a network interface, or nothing")]
    BadBind(String),
    /// The interface that everything is bound to does not exist.
    #[error(
        "the network interface {interface} does not exist, so nothing is sent; bring it up or change network.bind"
    )]
    NoInterface {
        /// Its name.
        interface: String,
    },
    /// The interface that everything is bound to is switched off.
    #[error(
        "the network interface {interface} is down, so nothing is sent; bring it up or change network.bind"
    )]
    InterfaceDown {
        /// Its name.
        interface: String,
    },
    /// The kernel did not let us use the interface.
    #[error("cannot use the network interface {interface} that network.bind names: {source}")]
    Interface {
        /// Its name.
        interface: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// The address that everything is bound to is not one of this machine's.
    #[error(
        "this machine does not have the address {address} that network.bind names, so nothing is sent; bring \
         up the interface that has it, or change network.bind"
    )]
    NoAddress {
        /// The address.
        address: IpAddr,
    },
    /// The address that everything is bound to is of the other family.
    #[error("network.bind is {address}, from which no {family} address can be reached")]
    OtherFamily {
        /// The address.
        address: IpAddr,
        /// What was asked for.
        family: &'static str,
    },
    /// A connection over what everything is bound to failed at once.
    #[error("cannot reach {peer} by {bind}, which network.bind names: {source}")]
    Unreachable {
        /// Who was to be reached.
        peer: SocketAddr,
        /// The address or interface.
        bind: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// Nobody could be let in.
    #[error("cannot listen on port {port}: {source}; choose another one in network.port")]
    Listen {
        /// The port; 0 if the system was to choose.
        port: u16,
        /// What the kernel said.
        source: io::Error,
    },
    /// Making a socket failed, for lack of descriptors for example.
    #[error("cannot open a socket: {0}")]
    Io(#[from] io::Error),
}

impl SocketError {
    /// Whether what everything is bound to cannot be used, so that nothing is sent until it can.
    pub const fn is_of_the_bind(&self) -> bool {
        matches!(
            self,
            Self::BadBind(_)
                | Self::NoInterface { .. }
                | Self::InterfaceDown { .. }
                | Self::Interface { .. }
                | Self::NoAddress { .. }
        )
    }
}

impl From<SocketError> for io::Error {
    fn from(error: SocketError) -> Self {
        let kind = match &error {
            SocketError::Io(_) => match error {
                SocketError::Io(source) => return source,
                _ => io::ErrorKind::Other,
            },
            SocketError::BadBind(_) => io::ErrorKind::InvalidInput,
            SocketError::NoInterface { .. }
            | SocketError::InterfaceDown { .. }
            | SocketError::NoAddress { .. }
            | SocketError::OtherFamily { .. } => io::ErrorKind::AddrNotAvailable,
            SocketError::Interface { source, .. }
            | SocketError::Unreachable { source, .. }
            | SocketError::Listen { source, .. } => source.kind(),
        };
        Self::new(kind, error)
    }
}

/// What `network.bind` names.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Bind {
    Anything,
    Address(IpAddr),
    Interface(String),
}

impl Bind {
    fn parse(text: &str) -> Result<Self, SocketError> {
        let text = text.trim();
        if text.is_empty() {
            return Ok(Self::Anything);
        }
        if let Ok(address) = text.parse() {
            return Ok(Self::Address(address));
        }
        // What the kernel takes as a name (`dev_valid_name`).
        let is_name = text.len() <= INTERFACE_NAME_LENGTH
            && ![".", ".."].contains(&text)
            && text
                .bytes()
                .all(|byte| byte.is_ascii_graphic() && !b"/:".contains(&byte));
        match is_name {
            true => Ok(Self::Interface(text.to_owned())),
            false => Err(SocketError::BadBind(text.to_owned())),
        }
    }

    fn allows(&self, family: Family) -> bool {
        match self {
            Self::Address(address) => Family::of(*address) == family,
            Self::Anything | Self::Interface(_) => true,
        }
    }

    /// The local address to bind to: ours, or that of any interface.
    fn source(&self, family: Family) -> IpAddr {
        match self {
            Self::Address(address) => *address,
            Self::Anything | Self::Interface(_) => family.unspecified(),
        }
    }
}

impl fmt::Display for Bind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anything => f.write_str(phrase!("any interface")),
            Self::Address(address) => f.write_str(&told!("the address {address}")),
            Self::Interface(name) => f.write_str(&told!("the interface {name}")),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    V4,
    V6,
}

impl Family {
    fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }

    fn unspecified(self) -> IpAddr {
        match self {
            Self::V4 => Ipv4Addr::UNSPECIFIED.into(),
            Self::V6 => Ipv6Addr::UNSPECIFIED.into(),
        }
    }

    fn domain(self) -> Domain {
        match self {
            Self::V4 => Domain::IPV4,
            Self::V6 => Domain::IPV6,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        }
    }
}

/// Makes every socket of the client.
#[derive(Debug)]
pub struct SocketFactory {
    /// Guards the setting, which a change of the configuration replaces. Held only to copy it.
    setting: RwLock<Setting>,
}

#[derive(Debug)]
struct Setting {
    bind: Bind,
    /// How often it was changed.
    changes: u64,
}

impl SocketFactory {
    /// A factory for this `network.bind`: nothing, an IP address, or the name of an interface, which need not
    /// exist yet.
    ///
    /// # Errors
    /// [`SocketError::BadBind`] if it can be none of these.
    pub fn new(bind: &str) -> Result<Self, SocketError> {
        let bind = Bind::parse(bind)?;
        Ok(Self {
            setting: RwLock::new(Setting { bind, changes: 0 }),
        })
    }

    /// Changes the setting for all sockets made from now on. Those that exist keep theirs; whoever sends from
    /// them later compares the number of changes.
    ///
    /// # Errors
    /// [`SocketError::BadBind`]; the old setting stays.
    pub fn rebind(&self, bind: &str) -> Result<(), SocketError> {
        let bind = Bind::parse(bind)?;
        let mut setting = self.setting.write().unwrap_or_else(PoisonError::into_inner);
        setting.bind = bind;
        setting.changes += 1;
        Ok(())
    }

    /// How often the setting was changed. A socket that was made under another number than that of now may be
    /// bound to what no longer holds.
    pub(crate) fn changes(&self) -> u64 {
        self.setting().changes
    }

    /// Connects, and waits for it up to `timeout`. For threads that may block.
    ///
    /// # Errors
    /// What the kernel says, or a [`SocketError`] inside if the setting is the reason.
    pub fn connect(&self, addr: SocketAddr, timeout: Duration) -> io::Result<TcpStream> {
        let bind = self.bind();
        let socket = self.tcp_socket(&bind, addr)?;
        socket
            .connect_timeout(&addr.into(), timeout)
            .map_err(|error| blame_bind(&bind, addr, error))?;
        Ok(socket.into())
    }

    /// Begins to connect and returns at once a non-blocking socket that is writable when the outcome is
    /// known, which [`TcpStream::take_error`] then tells.
    ///
    /// # Errors
    /// As [`Self::connect`], for what is known at once.
    pub fn start_connect(&self, addr: SocketAddr) -> io::Result<TcpStream> {
        let bind = self.bind();
        let socket = self.tcp_socket(&bind, addr)?;
        socket.set_nonblocking(true)?;
        match socket.connect(&addr.into()) {
            Err(error) if !is(&error, Errno::INPROGRESS) => Err(blame_bind(&bind, addr, error)),
            Ok(()) | Err(_) => Ok(socket.into()),
        }
    }

    /// Listens on `port` for IPv4 and IPv6, one socket each, or for the family of the address that everything
    /// is bound to. For port 0 the system chooses one, the same for both. A machine that has only one of the
    /// families gets one socket.
    ///
    /// # Errors
    /// Every [`SocketError`] but those of connecting; none of the sockets is left open.
    pub fn listen(&self, port: u16) -> Result<Vec<TcpListener>, SocketError> {
        let bind = self.bind();
        for _ in 1..PORT_ATTEMPTS {
            match listen_on_both(&bind, port) {
                // The system chose a port for one family that somebody has in the other.
                Err(SocketError::Listen { source, .. })
                    if port == 0 && source.kind() == io::ErrorKind::AddrInUse => {}
                outcome => return outcome,
            }
        }
        listen_on_both(&bind, port)
    }

    /// A socket for datagrams of one family, on a port that the system chooses.
    ///
    /// # Errors
    /// What the kernel says, or a [`SocketError`] inside if the setting is the reason.
    pub fn udp(&self, v6: bool) -> io::Result<UdpSocket> {
        let family = if v6 { Family::V6 } else { Family::V4 };
        let bind = self.bind();
        let socket = open(&bind, family, Type::DGRAM, Protocol::UDP)?;
        bind_to(&socket, &bind, family, 0)?;
        Ok(socket.into())
    }

    /// Looks up a name and port with the system's resolver, unless what everything is bound to is missing. An address
    /// is its own name. For threads that may block.
    ///
    /// # Errors
    /// What the resolver says, or a [`SocketError`] inside if the setting is the reason.
    pub fn resolve(&self, name: impl ToSocketAddrs) -> io::Result<Vec<SocketAddr>> {
        self.check()?;
        Ok(name.to_socket_addrs()?.collect())
    }

    /// Whether what everything is bound to is there now: the address, or the interface and switched on.
    ///
    /// # Errors
    /// The [`SocketError`] that says what is missing.
    pub(crate) fn check(&self) -> Result<(), SocketError> {
        let bind = self.bind();
        match &bind {
            Bind::Anything => Ok(()),
            Bind::Address(address) => {
                let family = Family::of(*address);
                let socket = open(&bind, family, Type::DGRAM, Protocol::UDP)?;
                bind_to(&socket, &bind, family, 0)
            }
            Bind::Interface(name) => {
                let socket = open(&bind, Family::V4, Type::DGRAM, Protocol::UDP)?;
                // Over an interface that is up the kernel finds a way to everywhere: it takes what no route
                // leads to for a neighbour.
                socket.connect(&ANYWHERE.into()).map_err(|source| {
                    let interface = name.clone();
                    match is(&source, Errno::NETUNREACH) || is(&source, Errno::NETDOWN) {
                        true => SocketError::InterfaceDown { interface },
                        false => SocketError::Interface { interface, source },
                    }
                })
            }
        }
    }

    /// The kernel's number of the interface that everything is bound to, 0 while it does not exist; `None`
    /// if no interface is configured. An interface that was removed and came back has another number, and
    /// what listened on the old one hears nothing.
    ///
    /// # Errors
    /// If the kernel cannot be asked, for lack of descriptors for example.
    pub fn interface_index(&self) -> Result<Option<u32>, SocketError> {
        let Bind::Interface(name) = self.bind() else {
            return Ok(None);
        };
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, None)?;
        match rustix::net::netdevice::name_to_index(&socket, &name) {
            Ok(index) => Ok(Some(index)),
            Err(Errno::NODEV) => Ok(Some(0)),
            Err(error) => Err(SocketError::Io(error.into())),
        }
    }

    fn bind(&self) -> Bind {
        self.setting().bind.clone()
    }

    fn setting(&self) -> RwLockReadGuard<'_, Setting> {
        self.setting.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn tcp_socket(&self, bind: &Bind, peer: SocketAddr) -> Result<Socket, SocketError> {
        let family = Family::of(peer.ip());
        let socket = open(bind, family, Type::STREAM, Protocol::TCP)?;
        // Writers batch what they send, so the kernel need not wait for more of it.
        socket.set_tcp_nodelay(true)?;
        if let Bind::Address(_) = bind {
            bind_to(&socket, bind, family, 0)?;
        }
        Ok(socket)
    }
}

/// A socket that can only use the configured interface.
fn open(bind: &Bind, family: Family, kind: Type, protocol: Protocol) -> Result<Socket, SocketError> {
    if let (Bind::Address(address), false) = (bind, bind.allows(family)) {
        return Err(SocketError::OtherFamily {
            address: *address,
            family: family.name(),
        });
    }
    let socket = Socket::new(family.domain(), kind, Some(protocol))?;
    if family == Family::V6 {
        socket.set_only_v6(true)?;
    }
    if let Bind::Interface(name) = bind {
        socket.bind_device(Some(name.as_bytes())).map_err(|source| {
            let interface = name.clone();
            match is(&source, Errno::NODEV) {
                true => SocketError::NoInterface { interface },
                false => SocketError::Interface { interface, source },
            }
        })?;
    }
    Ok(socket)
}

/// Gives a socket its source address.
fn bind_to(socket: &Socket, bind: &Bind, family: Family, port: u16) -> Result<(), SocketError> {
    let source = SocketAddr::new(bind.source(family), port);
    socket.bind(&source.into()).map_err(|error| match bind {
        Bind::Address(address) if is(&error, Errno::ADDRNOTAVAIL) => {
            SocketError::NoAddress { address: *address }
        }
        _ => SocketError::Io(error),
    })
}

fn listen_on_both(bind: &Bind, port: u16) -> Result<Vec<TcpListener>, SocketError> {
    let mut listeners: Vec<TcpListener> = Vec::new();
    let mut missing = None;
    let mut chosen = port;
    for family in [Family::V4, Family::V6] {
        if !bind.allows(family) {
            continue;
        }
        match listen_on(bind, family, chosen) {
            Ok(listener) => {
                chosen = listener.local_addr()?.port();
                listeners.push(listener);
            }
            Err(SocketError::Io(error)) if is_missing_family(&error) => missing = Some(error),
            Err(SocketError::Io(source)) => return Err(SocketError::Listen { port, source }),
            Err(error) => return Err(error),
        }
    }
    match missing {
        Some(source) if listeners.is_empty() => Err(SocketError::Listen { port, source }),
        _ => Ok(listeners),
    }
}

fn listen_on(bind: &Bind, family: Family, port: u16) -> Result<TcpListener, SocketError> {
    let socket = open(bind, family, Type::STREAM, Protocol::TCP)?;
    // So that a restart need not wait until the old connections have left TIME_WAIT. Not for port 0: the
    // system would then choose among ports that others have bound and not yet listened on.
    socket.set_reuse_address(port != 0)?;
    bind_to(&socket, bind, family, port)?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Whether this machine does not have the family at all: switched off in the kernel, or by `sysctl`.
fn is_missing_family(error: &io::Error) -> bool {
    [Errno::AFNOSUPPORT, Errno::PROTONOSUPPORT, Errno::ADDRNOTAVAIL]
        .iter()
        .any(|errno| is(error, *errno))
}

/// Says in the error what everything is bound to, if that can be why a peer is unreachable.
fn blame_bind(bind: &Bind, peer: SocketAddr, error: io::Error) -> io::Error {
    let is_routing = [
        Errno::NETUNREACH,
        Errno::HOSTUNREACH,
        Errno::NETDOWN,
        Errno::NODEV,
        Errno::INVAL,
        Errno::ADDRNOTAVAIL,
    ]
    .iter()
    .any(|errno| is(&error, *errno));
    if !is_routing || *bind == Bind::Anything {
        return error;
    }
    SocketError::Unreachable {
        peer,
        bind: bind.to_string(),
        source: error,
    }
    .into()
}

fn is(error: &io::Error, errno: Errno) -> bool {
    error.raw_os_error() == Some(errno.raw_os_error())
}

#[cfg(test)]
mod tests;
