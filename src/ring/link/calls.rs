//! From a connection to a link: calling other nodes, and being called. Layer 3.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socket2::{SockRef, TcpKeepalive};

use super::ending::Ending;
use super::handshake::{self, Agreed, HandshakeError};
use super::hello::{Hello, Refusal, Reply, Serial};
use super::inbox::Inbox;
use super::neighbour::{Line, Neighbour};
use super::outlet::Outlet;
use super::reader;
use super::shared::Shared;
use super::status::Counters;
use super::timed::Timed;
use crate::ring::contact::Contact;

/// Most calls under way; it takes a ring of many dead nodes to get there.
const MAX_DIALS: usize = 256;

/// How often a call that is not answered looks whether we shut down.
const CHECK_INTERVAL: Duration = Duration::from_millis(100);

/// A host that is silent for so long is asked whether it is there, and given up some time later. Links to
/// neighbours are never silent; this is for the others.
const KEEPALIVE: TcpKeepalive = TcpKeepalive::new()
    .with_time(Duration::from_secs(60))
    .with_interval(Duration::from_secs(10))
    .with_retries(6);

/// Calls a node, in a thread of its own, which becomes the reader of the link.
pub(super) fn dial(shared: &Arc<Shared>, neighbour: &Arc<Neighbour>, serial: Serial, asked: Contact) {
    let (far, node) = (Arc::clone(shared), Arc::clone(neighbour));
    let name = format!("ring {}", asked.addr);
    let spawned = shared
        .threads
        .spawn(name, move || match try_dial(&far, &node, serial, &asked) {
            Ok(link) => link.run(&far, &node),
            Err(why) => fail(&far, &node, serial, &asked, &why),
        });
    if let Err(error) = spawned {
        fail(shared, neighbour, serial, &asked, &Ending::System(error));
    }
}

fn fail(shared: &Arc<Shared>, neighbour: &Arc<Neighbour>, serial: Serial, asked: &Contact, why: &Ending) {
    if neighbour.dial_failed(serial, &mut fastrand::Rng::new()) {
        log::debug!("no link to the ring node {asked}: {why}");
        shared.service.closed(asked, why);
    }
}

/// A link that was agreed upon.
struct Link {
    line: Line,
    inbox: Inbox,
    /// Whose frames had to be dropped, as they were for another life.
    dropped: Option<Contact>,
}

impl Link {
    fn run(self, shared: &Arc<Shared>, neighbour: &Arc<Neighbour>) {
        if let Some(contact) = self.dropped {
            shared.service.closed(&contact, &Ending::OtherLife);
        }
        reader::run(shared, neighbour, &self.line, self.inbox);
        shared.lines.leave();
    }
}

fn try_dial(
    shared: &Arc<Shared>,
    neighbour: &Arc<Neighbour>,
    serial: Serial,
    asked: &Contact,
) -> Result<Link, Ending> {
    if !shared.lines.enter(shared.settings.max_links) {
        return Err(Ending::System(io::Error::other("too many links")));
    }
    let link = reach(shared, asked.addr, |socket, deadline| {
        let agreed = handshake::open(&mut Timed::new(socket, deadline), shared.keys(), || {
            let is_on = neighbour.offer(serial) && !shared.is_stopping();
            is_on.then(|| shared.hello(asked.id, serial))
        });
        let agreed = match agreed {
            Err(HandshakeError::Refused(Refusal::Crossed))
                if neighbour.wait_for_theirs(serial, shared.settings.handshake_timeout) =>
            {
                Err(HandshakeError::Overtaken)
            }
            agreed => agreed,
        }?;
        if agreed.hello.contact.id != asked.id {
            return Err(HandshakeError::Refused(Refusal::NotMe).into());
        }
        let version = verify(shared, &agreed, asked.addr).map_err(HandshakeError::Refused)?;
        let (line, outlet, inbox, hello) = prepare(serial, version, Arc::clone(socket), agreed)?;
        let dropped = neighbour.dialed(&hello, line.clone(), outlet)?;
        Ok(Link { line, inbox, dropped })
    });
    link.inspect_err(|_| shared.lines.leave())
}

/// Asks who is at an address, in a thread of its own.
pub(super) fn meet(shared: &Arc<Shared>, addr: SocketAddr) {
    let far = Arc::clone(shared);
    let spawned = shared.threads.spawn(format!("ring {addr}"), move || {
        let outcome = reach(&far, addr, |socket, deadline| {
            let hello = Hello {
                is_introduction: true,
                ..far.hello(far.me.id, 0)
            };
            let agreed = handshake::open(&mut Timed::new(socket, deadline), far.keys(), || Some(hello))?;
            verify(&far, &agreed, addr).map_err(HandshakeError::Refused)?;
            Ok(agreed.hello.contact)
        });
        far.service.met(addr, outcome);
    });
    if let Err(error) = spawned {
        shared.service.met(addr, Err(Ending::System(error)));
    }
}

/// Connects, and lets `talk` have the socket until its deadline.
fn reach<T>(
    shared: &Shared,
    addr: SocketAddr,
    talk: impl FnOnce(&Arc<TcpStream>, Instant) -> Result<T, Ending>,
) -> Result<T, Ending> {
    if shared.ring_key.is_none() && !addr.ip().to_canonical().is_loopback() {
        return Err(Ending::NoKey);
    }
    let socket = connect(shared, addr).map_err(Ending::Unreachable)?;
    let _half_open = shared.half_open_out.enter(&socket, MAX_DIALS);
    if shared.is_stopping() {
        return Err(Ending::ShutDown);
    }
    let outcome = talk(&socket, Instant::now() + shared.settings.handshake_timeout);
    if let Err(Ending::Handshake(error)) = &outcome
        && !shared.is_stopping()
        && !is_harmless(error)
    {
        shared.complain(addr.ip(), &format!("no link to the ring node at {addr}: {error}"));
    }
    outcome
}

/// What happens between honest nodes, for a caller.
const fn is_harmless(error: &HandshakeError) -> bool {
    match error {
        HandshakeError::Overtaken | HandshakeError::Io(_) => true,
        HandshakeError::Refused(refusal) => {
            is_harmless_refusal(*refusal) || matches!(refusal, Refusal::SameId)
        }
        _ => false,
    }
}

const fn is_harmless_refusal(refusal: Refusal) -> bool {
    matches!(
        refusal,
        Refusal::Crossed | Refusal::Overtaken | Refusal::Busy | Refusal::NotMe
    )
}

fn connect(shared: &Shared, addr: SocketAddr) -> io::Result<Arc<TcpStream>> {
    let socket = shared.sockets.start_connect(addr)?;
    let deadline = Instant::now() + shared.settings.connect_timeout;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() || shared.is_stopping() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let wait = Timespec::try_from(left.min(CHECK_INTERVAL)).map_err(io::Error::other)?;
        let mut fds = [PollFd::new(&socket, PollFlags::OUT)];
        match poll(&mut fds, Some(&wait)) {
            Ok(0) | Err(rustix::io::Errno::INTR) => {}
            Ok(_) => break,
            Err(error) => return Err(error.into()),
        }
    }
    if let Some(error) = socket.take_error()? {
        return Err(error);
    }
    socket.set_nonblocking(false)?;
    Ok(Arc::new(socket))
}

/// What is sent over a link and not confirmed for so long ends it. The kernel would try again for a quarter of an
/// hour, at the end every two minutes: after a cut in the network nodes would find together that late, and be told
/// what was true before it.
const UNCONFIRMED: Duration = Duration::from_secs(3);

/// Takes a connection that somebody opened; its thread becomes the reader of the link.
pub(super) fn answer(shared: &Arc<Shared>, socket: TcpStream, peer: SocketAddr) {
    let far = Arc::clone(shared);
    let spawned = shared.threads.spawn(format!("ring {peer}"), move || {
        let socket = Arc::new(socket);
        match try_answer(&far, &socket, peer) {
            Ok(Some((link, neighbour))) => link.run(&far, &neighbour),
            Ok(None) => {}
            Err(_) if far.is_stopping() => {}
            Err(error) => far.complain(peer.ip(), &format!("refused {peer} as a ring node: {error}")),
        }
    });
    if let Err(error) = spawned {
        shared.complain(
            peer.ip(),
            &format!("no thread for the ring node at {peer}: {error}"),
        );
    }
}

/// The link that came about; `None` if it is none, and nobody need hear of it.
fn try_answer(
    shared: &Arc<Shared>,
    socket: &Arc<TcpStream>,
    peer: SocketAddr,
) -> Result<Option<(Link, Arc<Neighbour>)>, HandshakeError> {
    let _half_open = shared.half_open_in.enter(socket, shared.settings.max_half_open);
    if shared.is_stopping() {
        return Ok(None);
    }
    socket.set_nonblocking(false)?;
    socket.set_nodelay(true)?;
    let mut stream = Timed::new(socket, Instant::now() + shared.settings.handshake_timeout);
    let mut agreed = handshake::listen(&mut stream, shared.keys())?;
    let hello = agreed.hello;
    let verdict = verify(shared, &agreed, peer);
    if let (true, Ok(_)) = (hello.is_introduction, verdict) {
        let reply = Ok(Hello::introduction(shared.me));
        handshake::answer(&mut stream, &mut agreed, &reply)?;
        return Ok(None);
    }
    let taken = verdict.and_then(|version| take(shared, &hello).map(|taken| (version, taken)));
    let (version, (neighbour, serial)) = match taken {
        Ok(taken) => taken,
        Err(refusal) => {
            handshake::answer(&mut stream, &mut agreed, &Err(refusal))?;
            // Lists of nodes to join may name this one too.
            let is_myself = hello.contact == shared.me;
            return match is_harmless_refusal(refusal) || is_myself {
                true => Ok(None),
                false => Err(HandshakeError::Refused(refusal)),
            };
        }
    };
    let reply: Reply = Ok(Hello::new(shared.me, hello.contact.id, serial));
    let linked = handshake::answer(&mut stream, &mut agreed, &reply)
        .and_then(|()| prepare(serial, version, Arc::clone(socket), agreed));
    match linked {
        Ok((line, outlet, inbox, _)) => {
            let dropped = neighbour.accepted(serial, Some((line.clone(), outlet)));
            let link = Link { line, inbox, dropped };
            Ok(Some((link, neighbour)))
        }
        Err(error) => {
            neighbour.accepted(serial, None);
            shared.lines.leave();
            // Frames of ours may be waiting, and it is for us to call now.
            shared.flush(&neighbour);
            Err(error)
        }
    }
}

/// Gives a caller its place, and counts the link in.
fn take(shared: &Arc<Shared>, hello: &Hello) -> Result<(Arc<Neighbour>, Serial), Refusal> {
    if hello.callee != shared.me.id {
        return Err(Refusal::NotMe);
    }
    let neighbour = shared.neighbour(hello.contact.id).ok_or(Refusal::Busy)?;
    if !shared.lines.enter(shared.settings.max_links) {
        return Err(Refusal::Busy);
    }
    let patience = shared.settings.handshake_timeout / 2;
    let serial = neighbour
        .call(hello.contact.incarnation, hello.serial, &shared.serials, patience)
        .inspect_err(|_| shared.lines.leave())?;
    Ok((neighbour, serial))
}

/// Whether the other side may be who it says; then the version that both speak.
fn verify(shared: &Shared, agreed: &Agreed, peer: SocketAddr) -> Result<u16, Refusal> {
    let hello = &agreed.hello;
    let mine = Hello::new(shared.me, hello.contact.id, 0);
    let version = mine.agree(hello).ok_or(Refusal::Version)?;
    if hello.contact.id == shared.me.id {
        return Err(Refusal::SameId);
    }
    let Contact { id, addr, .. } = hello.contact;
    let compared = match hello.is_visitor {
        true => shared.known.check_visitor(id, agreed.key),
        false => shared.known.check(id, agreed.key, addr),
    };
    if compared.is_err() {
        let line = format!(
            "{peer} says that it is the ring node {id}, with another key than that node had: refused. If the node \
             was set up anew, remove its line from {}",
            shared.known.place()
        );
        shared.complain(peer.ip(), &line);
        return Err(Refusal::OtherKey);
    }
    Ok(version)
}

type Prepared = (Line, Outlet, Inbox, Hello);

/// Makes the halves of a link out of a handshake.
fn prepare(
    serial: Serial,
    version: u16,
    socket: Arc<TcpStream>,
    agreed: Agreed,
) -> Result<Prepared, HandshakeError> {
    socket.set_write_timeout(None)?;
    let socket_ref = SockRef::from(&*socket);
    socket_ref.set_tcp_keepalive(&KEEPALIVE)?;
    socket_ref.set_tcp_user_timeout(Some(UNCONFIRMED))?;
    let counters = Arc::new(Counters::default());
    let line = Line {
        serial,
        contact: agreed.hello.contact,
        version,
        socket: Arc::clone(&socket),
        counters: Arc::clone(&counters),
    };
    let outlet = Outlet::new(serial, socket, agreed.sealer, counters);
    Ok((line, outlet, Inbox::new(agreed.opener), agreed.hello))
}
