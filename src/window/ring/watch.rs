//! The thread that looks at a ring for the window, about once a second. Layer 4, but without widgets.
//!
//! It ends with the [`Watch`] that started it, at the latest when the page that it waits for has come or failed.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};
use dtorrent::id::InfoHash;
use dtorrent::net::sockets::SocketFactory;
use dtorrent::ring::picture::{Health, Picture, Route};
use dtorrent::tracker::visitor::{TrackerAddress, Visitor};

use super::asking::Asking;
use super::seen::Seen;

/// From one look to the next.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A lookup costs the ring some messages, so it is repeated less often, and when the ring has changed.
const FOLLOW_EVERY: Duration = Duration::from_secs(5);

/// What is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Wish {
    /// The node that is asked first; none: nothing is looked at.
    pub(crate) address: Option<TrackerAddress>,
    /// The torrent whose place is looked up.
    pub(crate) torrent: Option<InfoHash>,
}

/// One look.
#[derive(Debug)]
pub(crate) struct Look {
    /// The node that was asked, which may be another one of the ring than is wanted.
    pub(crate) asked: TrackerAddress,
    /// The node that is asked next.
    pub(crate) next: TrackerAddress,
    /// What was wanted when it began; what the window wants may be something else by now.
    pub(crate) wish: Wish,
    /// The ring, or why it cannot be seen.
    pub(crate) picture: Result<Seen, String>,
    /// The way to the torrent, if there is one; kept from an earlier look if nothing has changed.
    pub(crate) route: Option<Result<Arc<Route>, String>>,
}

/// The window's end.
#[derive(Debug)]
pub(crate) struct Watch {
    wishes: Sender<Wish>,
}

impl Watch {
    /// Starts the thread. Looks arrive at the receiver; one that was not taken gives way to the next.
    pub(crate) fn start(
        sockets: &Arc<SocketFactory>,
    ) -> std::io::Result<(Self, async_channel::Receiver<Look>)> {
        let (wishes, wished) = unbounded();
        let (looks, looked) = async_channel::bounded(1);
        let watcher = Watcher {
            visitor: Visitor::new(sockets),
            wished,
            looks,
            wish: Wish::default(),
            asking: None,
            hurries: false,
            followed: None,
        };
        thread::Builder::new()
            .name("ring view".to_owned())
            .spawn(move || watcher.run())?;
        Ok((Self { wishes }, looked))
    }

    /// From now on this is wanted; a look follows at once.
    pub(crate) fn wish(&self, wish: Wish) {
        // The thread ends after us.
        let _ = self.wishes.send(wish);
    }
}

struct Watcher {
    visitor: Visitor,
    wished: Receiver<Wish>,
    looks: async_channel::Sender<Look>,
    wish: Wish,
    asking: Option<Asking>,
    /// Somebody else is to be asked at once.
    hurries: bool,
    followed: Option<Followed>,
}

/// A lookup that was made.
struct Followed {
    of: InfoHash,
    asked: TrackerAddress,
    at: Instant,
    /// The nodes that were there.
    nodes: Vec<String>,
    result: Result<Arc<Route>, String>,
}

impl Watcher {
    fn run(mut self) {
        loop {
            let patience = match self.wish.address {
                Some(_) if self.hurries => self.wished.recv_timeout(Duration::ZERO),
                Some(_) => self.wished.recv_timeout(LOOK_EVERY),
                None => self.wished.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match patience {
                // Only the last of several counts.
                Ok(wish) => self.wish = self.wished.try_iter().last().unwrap_or(wish),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if let Some(look) = self.look()
                && self.looks.force_send(look).is_err()
            {
                return;
            }
        }
    }

    /// `None`: nobody is to be asked.
    fn look(&mut self) -> Option<Look> {
        let first = self.wish.address.clone()?;
        let known = self.asking.take().filter(|asking| *asking.first() == first);
        let mut asking = known.unwrap_or_else(|| Asking::new(first));
        let asked = asking.now().clone();
        let picture = self.visitor.picture(&asked).map_err(|error| error.to_string());
        match &picture {
            Ok(picture) => asking.answered(picture),
            Err(_) => {
                asking.failed();
            }
        }
        let route = match (&picture, self.wish.torrent) {
            (Ok(picture), Some(torrent)) => Some(self.follow(&asked, torrent, picture)),
            _ => None,
        };
        let next = asking.now().clone();
        self.asking = Some(asking);
        self.hurries = next != asked;
        Some(Look {
            asked,
            next,
            wish: self.wish.clone(),
            picture: picture.map(Seen::new),
            route,
        })
    }

    fn follow(
        &mut self,
        address: &TrackerAddress,
        torrent: InfoHash,
        picture: &Picture,
    ) -> Result<Arc<Route>, String> {
        let nodes = nodes_of(picture);
        let known = self.followed.as_ref().filter(|known| {
            (known.of, &known.asked) == (torrent, address)
                && known.nodes == nodes
                && known.at.elapsed() < FOLLOW_EVERY
                && known.result.is_ok()
        });
        if let Some(known) = known {
            return known.result.clone();
        }
        let result = self.visitor.route(address, torrent).map(Arc::new);
        let result = result.map_err(|error| error.to_string());
        self.followed = Some(Followed {
            of: torrent,
            asked: address.clone(),
            at: Instant::now(),
            nodes,
            result: result.clone(),
        });
        result
    }
}

/// Who is there, and who keeps copies for whom: when that changes, a torrent may live elsewhere.
fn nodes_of(picture: &Picture) -> Vec<String> {
    let there = picture.nodes.iter().filter(|node| node.health.is_heard());
    let with_copies = there.flat_map(|node| {
        let copies = node.copies.iter().map(|copy| copy.id.clone());
        let joins = node.health == Health::Joining;
        let own = if joins {
            format!("{} joins", node.id)
        } else {
            node.id.clone()
        };
        std::iter::once(own).chain(copies)
    });
    with_copies.collect()
}

#[cfg(test)]
mod tests {
    use super::super::sample::picture;
    use super::*;

    #[test]
    fn whoever_comes_goes_or_gets_copies_changes_the_ring() {
        let whole = picture(&[0.1, 0.5, 0.9]);
        assert_eq!(nodes_of(&whole), nodes_of(&whole.clone()));
        let change = |change: &dyn Fn(&mut Picture)| {
            let mut other = whole.clone();
            change(&mut other);
            nodes_of(&other) != nodes_of(&whole)
        };
        assert!(change(&|ring| ring.nodes[1].health = Health::Silent));
        assert!(change(&|ring| ring.nodes[1].health = Health::Joining));
        assert!(change(&|ring| drop(ring.nodes[1].copies.pop())));
        assert!(!change(&|ring| ring.nodes[1].announces += 1));
    }
}
