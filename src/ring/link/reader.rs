//! The reading thread of a link, which is also the one that ends it. Layer 3.

use std::io::{self, Read};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::ending::{Ending, Goodbye};
use super::inbox::Inbox;
use super::neighbour::{Line, Neighbour};
use super::post::Post;
use super::service::FrameHandler;
use super::shared::Shared;
use super::status::{Counters, Totals};

/// How long the other side may take to answer a goodbye.
const FAREWELL: Duration = Duration::from_secs(2);

/// Reads until the link ends, and clears it away. Starts the writer.
pub(super) fn run(shared: &Arc<Shared>, neighbour: &Arc<Neighbour>, line: &Line, inbox: Inbox) {
    log::debug!("link to the ring node {} is there", line.contact);
    let mut post = Post::new(Arc::clone(shared));
    let handler = shared.service.opened(&line.contact, line.version);
    if shared.is_stopping() {
        // Who shuts down may have ended the others before this one was there.
        neighbour.cut(Ending::ShutDown);
    }
    let why = match spawn_writer(shared, neighbour, line) {
        Ok(()) => {
            shared.flush(neighbour);
            let mut reading = Reading {
                shared,
                neighbour,
                line,
                inbox,
                handler,
                seen: Totals::default(),
                quiet_since: Instant::now(),
                parting_since: None,
                heard: None,
            };
            reading.read_all(&mut post)
        }
        Err(error) => {
            neighbour.cut(Ending::System(error));
            Ending::GivenUp
        }
    };
    // Who ended the link knows better than what our socket died of.
    let why = neighbour.ending(line.serial).unwrap_or(why);
    let _ = line.socket.shutdown(std::net::Shutdown::Both);
    log::debug!("link to the ring node {} has ended: {why}", line.contact);
    if let Ending::Nonsense(error) = &why {
        let host = line.contact.addr.ip();
        shared.complain(
            host,
            &format!("ended the link to the ring node {}: {error}", line.contact),
        );
    }
    shared.service.closed(&line.contact, &why);
    neighbour.ended(line.serial);
    // For the next link.
    shared.flush(neighbour);
}

fn spawn_writer(shared: &Arc<Shared>, neighbour: &Arc<Neighbour>, line: &Line) -> io::Result<()> {
    let (node, serial) = (Arc::clone(neighbour), line.serial);
    let name = format!("ring out {}", line.contact.addr);
    shared.threads.spawn(name, move || node.write_when_asked(serial))
}

struct Reading<'a> {
    shared: &'a Arc<Shared>,
    neighbour: &'a Arc<Neighbour>,
    line: &'a Line,
    inbox: Inbox,
    handler: FrameHandler,
    /// What had gone over the link when it was last looked at, and since when that is all.
    seen: Totals,
    quiet_since: Instant,
    parting_since: Option<Instant>,
    /// Their goodbye.
    heard: Option<Goodbye>,
}

impl Reading<'_> {
    fn read_all(&mut self, post: &mut Post) -> Ending {
        if let Err(error) = self.wait_at_most(self.shared.settings.idle / 4) {
            return Ending::Broken(error);
        }
        loop {
            match self.read_once(post) {
                Ok(()) => {}
                Err(why) => match self.heard {
                    None => return why,
                    // All of theirs has come, so it does not matter what ended the connection. Another thread may
                    // still be sending the last of ours.
                    Some(goodbye) => {
                        self.neighbour.wait_until_parted(self.line.serial, FAREWELL);
                        return match goodbye {
                            Goodbye::Idle => Ending::Idle,
                            Goodbye::Left => Ending::Left,
                        };
                    }
                },
            }
        }
    }

    fn read_once(&mut self, post: &mut Post) -> Result<(), Ending> {
        let mut socket: &TcpStream = &self.line.socket;
        let count = match socket.read(self.inbox.space()) {
            Ok(0) => return Err(Ending::Closed),
            Ok(count) => count,
            Err(error) => {
                return match error.kind() {
                    io::ErrorKind::Interrupted => Ok(()),
                    io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => self.look_at_the_clock(),
                    _ => Err(Ending::Broken(error)),
                };
            }
        };
        let split = self.inbox.filled(count).map_err(Ending::Nonsense)?;
        let counters = &self.line.counters;
        Counters::add(&counters.reads, 1);
        Counters::add(&counters.bytes_in, count);
        Counters::add(&counters.frames_in, split.frames.len());
        if split.frames.len() > 0 {
            (self.handler)(split.frames, post);
            post.flush();
        }
        if let Some(body) = split.goodbye {
            self.heard = Some(Goodbye::of(body));
            self.part()?;
        }
        Ok(())
    }

    /// Nothing has come for a while.
    fn look_at_the_clock(&mut self) -> Result<(), Ending> {
        if self
            .parting_since
            .is_some_and(|since| since.elapsed() >= FAREWELL)
        {
            return Err(Ending::Idle);
        }
        let seen = self.line.counters.totals();
        if seen != self.seen {
            self.seen = seen;
            self.quiet_since = Instant::now();
        } else if self.quiet_since.elapsed() >= self.shared.settings.idle && self.parting_since.is_none() {
            return self.part();
        }
        Ok(())
    }

    fn part(&mut self) -> Result<(), Ending> {
        self.parting_since = Some(Instant::now());
        self.neighbour.part(Goodbye::Idle);
        self.shared.flush(self.neighbour);
        self.wait_at_most(FAREWELL / 4).map_err(Ending::Broken)
    }

    fn wait_at_most(&self, wait: Duration) -> io::Result<()> {
        self.line
            .socket
            .set_read_timeout(Some(wait.max(Duration::from_millis(1))))
    }
}
