//! The thread that lets other nodes in. Layer 3.

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::calls;
use super::shared::Shared;
use crate::net::waker::Waker;

/// The wait after the system refused to let somebody in, for lack of descriptors for example.
const PAUSE: Timespec = Timespec {
    tv_sec: 1,
    tv_nsec: 0,
};

/// The same after `poll` failed, for lack of memory: it must not be called in a loop.
const POLL_PAUSE: Duration = Duration::from_millis(100);

/// Lets nodes in until it is woken to stop. The listener does not block.
pub(super) fn run(shared: &Arc<Shared>, listener: &TcpListener, waker: &Waker) {
    let mut is_paused = false;
    while !shared.is_stopping() {
        let mut fds = vec![PollFd::new(waker, PollFlags::IN)];
        if !is_paused {
            fds.push(PollFd::new(listener, PollFlags::IN));
        }
        if let Err(error) = poll(&mut fds, is_paused.then_some(&PAUSE))
            && error != rustix::io::Errno::INTR
        {
            log::warn!("the listener for ring nodes cannot wait: {error}");
            std::thread::sleep(POLL_PAUSE);
        }
        is_paused = false;
        match listener.accept() {
            Ok((socket, peer)) => calls::answer(shared, socket, peer),
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock
                | io::ErrorKind::Interrupted
                | io::ErrorKind::ConnectionAborted
                | io::ErrorKind::ConnectionReset => {}
                _ => {
                    log::warn!("cannot let ring nodes in for a second: {error}");
                    is_paused = true;
                }
            },
        }
    }
}
