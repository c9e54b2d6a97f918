//! Who announces what.

use std::ops::Range;

use dtorrent::id::InfoHash;

/// The first port of the peers in a swarm.
pub(crate) const FIRST_PORT: u16 = 1024;
/// Peers that each announce asks for.
pub(crate) const WANTED: u32 = 30;

/// Peers, spread evenly over swarms. A peer is a swarm and a port: all of them are on this machine.
#[derive(Debug, Clone)]
pub(crate) struct Population {
    hashes: Vec<InfoHash>,
    pub(crate) peers: u32,
}

impl Population {
    pub(crate) fn new(swarms: u32, peers: u32) -> Self {
        Self {
            hashes: (0..swarms)
                .map(|number| InfoHash::of_info(&number.to_be_bytes()))
                .collect(),
            peers,
        }
    }

    pub(crate) fn hashes(&self) -> impl Iterator<Item = InfoHash> + '_ {
        self.hashes.iter().copied()
    }

    pub(crate) fn swarms(&self) -> Range<u32> {
        0..self.hashes.len() as u32
    }

    pub(crate) fn hash(&self, swarm: u32) -> InfoHash {
        self.hashes[swarm as usize]
    }

    /// Swarm and port of a peer.
    pub(crate) fn peer(&self, peer: u32) -> (InfoHash, u16) {
        let swarms = self.hashes.len() as u32;
        (
            self.hashes[(peer % swarms) as usize],
            FIRST_PORT + (peer / swarms) as u16,
        )
    }

    /// The ports of the peers in each swarm.
    pub(crate) fn ports(&self) -> Range<u16> {
        FIRST_PORT..FIRST_PORT + (self.peers / self.hashes.len() as u32) as u16
    }
}

/// Which peers announce, one after the other.
#[derive(Debug)]
pub(crate) enum Order {
    /// Each once.
    Each(Range<u32>),
    /// So many more, at random out of this many.
    Random { left: u32, of: u32, rng: fastrand::Rng },
}

impl Order {
    pub(crate) fn each(population: &Population) -> Self {
        Self::Each(0..population.peers)
    }

    pub(crate) fn random(count: u32, population: &Population) -> Self {
        Self::Random {
            left: count,
            of: population.peers,
            rng: fastrand::Rng::with_seed(7),
        }
    }
}

impl Iterator for Order {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        match self {
            Self::Each(range) => range.next(),
            Self::Random { left, of, rng } => {
                *left = left.checked_sub(1)?;
                Some(rng.u32(..*of))
            }
        }
    }
}
