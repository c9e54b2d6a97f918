//! How a link ends, or why there was none. Layer 1.

use std::io;

use super::handshake::HandshakeError;
use super::hello::Refusal;
use super::inbox::ReadError;

/// Why there is no link to a node any more, or none came about.
#[derive(Debug, thiserror::Error)]
pub enum Ending {
    /// Neither side had anything to say for long.
    #[error("it was idle")]
    Idle,
    /// The other node shuts down and has said so.
    #[error("the other node shuts down")]
    Left,
    /// The other node opened a new link, as it had lost this one.
    #[error("the other node opened a new link")]
    Replaced,
    /// Another life of the node answers at its address.
    #[error("the node has started again")]
    OtherLife,
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Broken(io::Error),
    /// The connection was closed without a goodbye.
    #[error("the other node closed the connection without a goodbye")]
    Closed,
    /// It sent what makes no sense.
    #[error("it sent what makes no sense: {0}")]
    Nonsense(ReadError),
    /// More waits to be sent than may wait: it reads too slowly, or not at all.
    #[error("it does not read what is sent: {waiting} bytes wait")]
    TooSlow {
        /// How many.
        waiting: usize,
    },
    /// Nobody could be reached.
    #[error("it cannot be reached: {0}")]
    Unreachable(io::Error),
    /// The handshake did not go through.
    #[error("{0}")]
    Handshake(#[from] HandshakeError),
    /// Without a key of the ring nothing leaves this machine.
    #[error("this node has no ring key, so it talks to nodes on this machine only")]
    NoKey,
    /// The system gave no thread or socket.
    #[error("the system has no room for a link: {0}")]
    System(io::Error),
    /// We gave the node up.
    #[error("it was given up by us")]
    GivenUp,
    /// We shut down.
    #[error("this node shuts down")]
    ShutDown,
}

impl Ending {
    /// Whether this life of the node is to be taken for dead until it shows otherwise. Not so when a link is
    /// merely closed or made anew, or when the reason is ours.
    pub const fn means_dead(&self) -> bool {
        match self {
            // It is alive and will take the next call, or has called itself.
            Self::Handshake(HandshakeError::Refused(
                Refusal::Busy | Refusal::Crossed | Refusal::Overtaken,
            )) => false,
            Self::Left
            | Self::OtherLife
            | Self::Broken(_)
            | Self::Closed
            | Self::Nonsense(_)
            | Self::TooSlow { .. }
            | Self::Unreachable(_)
            | Self::Handshake(_) => true,
            Self::Idle | Self::Replaced | Self::NoKey | Self::System(_) | Self::GivenUp | Self::ShutDown => {
                false
            }
        }
    }
}

/// What a goodbye says, one byte; the receiver takes what it does not know for `Idle`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Goodbye {
    Idle,
    Left,
}

impl Goodbye {
    pub(super) const fn code(self) -> u8 {
        match self {
            Self::Idle => 0,
            Self::Left => 1,
        }
    }

    pub(super) const fn of(body: &[u8]) -> Self {
        match body {
            [1, ..] => Self::Left,
            _ => Self::Idle,
        }
    }
}
