//! The writing half of a link: frames in, Noise messages out, as few writes as can be. Layer 3.

use std::io;
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;

use rustix::net::SendFlags;

use super::hello::Serial;
use super::noise::{MAX_PLAIN, Sealer};
use super::status::Counters;

/// Bytes that are encrypted, and given to the system, at once.
const WRITE_LENGTH: usize = 4 * MAX_PLAIN;

/// What a buffer may keep for later use.
const KEPT_LENGTH: usize = 2 * WRITE_LENGTH;

/// Whoever holds this value writes.
#[derive(Debug)]
pub(super) struct Outlet {
    pub(super) serial: Serial,
    socket: Arc<TcpStream>,
    sealer: Sealer,
    counters: Arc<Counters>,
    /// Whole frames; those before `sealed_upto` are in `sealed` or sent.
    plain: Vec<u8>,
    sealed_upto: usize,
    sealed: Vec<u8>,
    sent_upto: usize,
}

impl Outlet {
    pub(super) fn new(
        serial: Serial,
        socket: Arc<TcpStream>,
        sealer: Sealer,
        counters: Arc<Counters>,
    ) -> Self {
        Self {
            serial,
            socket,
            sealer,
            counters,
            plain: Vec::new(),
            sealed_upto: 0,
            sealed: Vec::new(),
            sent_upto: 0,
        }
    }

    /// Bytes of frames that were taken and not sent, more or less.
    pub(super) fn waiting(&self) -> usize {
        self.plain.len() - self.sealed_upto + self.sealed.len() - self.sent_upto
    }

    /// Takes the frames out of `queue`, and leaves an empty buffer there. Only when nothing is waiting.
    pub(super) fn take(&mut self, queue: &mut Vec<u8>) {
        debug_assert_eq!(self.waiting(), 0);
        self.plain.clear();
        self.sealed_upto = 0;
        // The buffers change places, so that none is made anew; a large one is not kept for ever.
        if self.plain.capacity() > KEPT_LENGTH {
            self.plain = Vec::new();
        }
        std::mem::swap(&mut self.plain, queue);
    }

    /// Sends until nothing is waiting: `true`; or until the socket takes no more, which is waited for with `wait`:
    /// `false`.
    pub(super) fn send(&mut self, wait: bool) -> io::Result<bool> {
        let flags = match wait {
            true => SendFlags::NOSIGNAL,
            false => SendFlags::NOSIGNAL | SendFlags::DONTWAIT,
        };
        loop {
            if self.sent_upto == self.sealed.len() && !self.seal_more()? {
                return Ok(true);
            }
            match rustix::net::send(&self.socket, &self.sealed[self.sent_upto..], flags) {
                Ok(count) => {
                    self.sent_upto += count;
                    Counters::add(&self.counters.writes, 1);
                    Counters::add(&self.counters.bytes_out, count);
                }
                Err(rustix::io::Errno::AGAIN) => return Ok(false),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Tells the other side that nothing more comes.
    pub(super) fn finish(&self) {
        // It fails when the connection is gone, which its reader sees.
        let _ = self.socket.shutdown(Shutdown::Write);
    }

    fn seal_more(&mut self) -> io::Result<bool> {
        self.sealed.clear();
        self.sent_upto = 0;
        let end = self.plain.len().min(self.sealed_upto + WRITE_LENGTH);
        if end == self.sealed_upto {
            return Ok(false);
        }
        self.sealer
            .seal(&self.plain[self.sealed_upto..end], &mut self.sealed)
            .map_err(io::Error::other)?;
        self.sealed_upto = end;
        Ok(true)
    }
}
