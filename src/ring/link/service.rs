//! What stands behind the links: who handles the frames. Layer 3.

use std::fmt;
use std::net::SocketAddr;

use super::ending::Ending;
use super::post::Post;
use crate::ring::contact::Contact;
use crate::ring::frame::Frames;

/// Handles the frames of one link, in the link's own thread: called with all that one wake-up brought, in order,
/// until the link ends. What it sends by the [`Post`] goes out when it returns. While it works, nothing more is
/// read from that node, which in the end slows its sender down: it should not wait for anything.
pub type FrameHandler = Box<dyn FnMut(Frames<'_>, &mut Post) + Send>;

/// Who uses the links of a node. Every method is called from threads of the links; no lock of theirs is held.
pub trait Service: Send + Sync + fmt::Debug {
    /// There is a link to this life of a node, which speaks `version` with us, from
    /// [`super::OLDEST_VERSION`] to [`super::VERSION`]. For one id,
    /// `opened` and [`Self::closed`] never overlap, and the handler of an earlier link has returned for good.
    fn opened(&self, contact: &Contact, version: u16) -> FrameHandler;

    /// The link has ended, or frames for the node were dropped because there could be none. Called once for each
    /// [`Self::opened`]. What was sent and not answered may be lost, unless the reason is [`Ending::Idle`].
    fn closed(&self, contact: &Contact, why: &Ending);

    /// The answer to [`super::Links::meet`].
    fn met(&self, addr: SocketAddr, outcome: Result<Contact, Ending>);
}
