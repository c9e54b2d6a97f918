//! Where other peers of a torrent may be reached, and when to try each. Layer 2.
//!
//! Anybody may tell of any number of addresses at which nobody is. So each has a *rank*, its place in the list
//! that it came in, and those in front come first: they are dialled first, and when the book is full it is the
//! ends of the long lists that make room. Thus a list of thousands keeps no list of fifty waiting.

use std::collections::{BTreeMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

/// Addresses that are remembered; more would only be a way to fill our memory.
const MOST_ADDRESSES: usize = 4_000;

/// Time to the second attempt; it doubles with each failure.
const FIRST_RETRY: Duration = Duration::from_secs(10);

/// The longest time between two attempts.
const LONGEST_RETRY: Duration = Duration::from_secs(30 * 60);

/// A peer that was connected and left is tried again after this.
const RECONNECT: Duration = Duration::from_secs(30);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Idle,
    Dialing,
    Connected,
}

#[derive(Debug, Clone)]
struct Known {
    state: State,
    failures: u32,
    next_try: Option<Instant>,
    seed: bool,
    /// It was connected, and no dial has failed since.
    met: bool,
    /// Its place among the new ones of the list that it came in, the best of them if in several.
    rank: usize,
}

/// The lower, the more an address is worth.
type Worth = (bool, u32, usize);

impl Known {
    fn new(rank: usize) -> Self {
        Self {
            state: State::Idle,
            failures: 0,
            next_try: None,
            seed: false,
            met: false,
            rank,
        }
    }

    fn worth(&self) -> Worth {
        (!self.met, self.failures, self.rank)
    }
}

/// The addresses of one torrent.
#[derive(Debug, Default)]
pub struct AddressBook {
    known: BTreeMap<SocketAddr, Known>,
    banned: HashSet<IpAddr>,
    own: HashSet<SocketAddr>,
}

impl AddressBook {
    /// Remembers addresses, which somebody told in one list; says how many are new. When there is no room, those
    /// that are worth less make some.
    pub fn add(&mut self, addresses: impl IntoIterator<Item = SocketAddr>) -> usize {
        let mut added = 0;
        let mut worst = None;
        for addr in addresses {
            let usable = addr.port() != 0 && !addr.ip().is_unspecified() && !addr.ip().is_multicast();
            if !usable || self.is_banned(addr.ip()) || self.own.contains(&addr) {
                continue;
            }
            if let Some(known) = self.known.get_mut(&addr) {
                known.rank = known.rank.min(added);
                continue;
            }
            let new = Known::new(added);
            if self.known.len() >= MOST_ADDRESSES {
                // Worked out once for a list, and only if it must be: it may hold thousands.
                let worst = worst.get_or_insert_with(|| self.by_worth());
                let Some((_, old)) = worst.pop().filter(|(worth, _)| *worth > new.worth()) else {
                    // The next ones are worth still less.
                    break;
                };
                self.known.remove(&old);
            }
            self.known.insert(addr, new);
            added += 1;
        }
        added
    }

    /// The addresses that may be forgotten, the least worth last.
    fn by_worth(&self) -> Vec<(Worth, SocketAddr)> {
        let idle = |(_, known): &(&SocketAddr, &Known)| known.state == State::Idle;
        let mut all: Vec<_> = self
            .known
            .iter()
            .filter(idle)
            .map(|(addr, known)| (known.worth(), *addr))
            .collect();
        all.sort_unstable();
        all
    }

    /// Up to `most` addresses that may be dialled now, never-tried ones first, by rank; they count as being dialled
    /// from here on. Seeds are left out when `skip_seeds`: two seeds have nothing for each other.
    pub fn next_dials(&mut self, now: Instant, most: usize, skip_seeds: bool) -> Vec<SocketAddr> {
        let mut due: Vec<_> = self
            .known
            .iter()
            .filter(|(_, known)| known.state == State::Idle && known.next_try.is_none_or(|at| at <= now))
            .filter(|(_, known)| !(skip_seeds && known.seed))
            .map(|(addr, known)| (known.failures, known.next_try, known.rank, *addr))
            .collect();
        due.sort_unstable();
        due.truncate(most);
        due.iter()
            .for_each(|(.., addr)| self.set_state(*addr, State::Dialing));
        due.into_iter().map(|(.., addr)| addr).collect()
    }

    /// How many addresses are known.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether none is known.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// How many dials are under way.
    pub fn dialing(&self) -> usize {
        self.known
            .values()
            .filter(|known| known.state == State::Dialing)
            .count()
    }

    /// A connection to this address stands, whoever opened it.
    pub fn connected(&mut self, addr: SocketAddr) {
        self.add([addr]);
        self.set_state(addr, State::Connected);
    }

    /// A connection to this address ended.
    pub fn disconnected(&mut self, now: Instant, addr: SocketAddr) {
        if let Some(known) = self.known.get_mut(&addr) {
            known.state = State::Idle;
            known.failures = known.failures.max(1);
            known.next_try = Some(now + RECONNECT);
        }
    }

    /// A dial did not succeed: it is tried later and later. Not if the peer there came to us meanwhile: then it is
    /// connected all the same.
    pub fn failed(&mut self, now: Instant, addr: SocketAddr) {
        if let Some(known) = self.known.get_mut(&addr)
            && known.state != State::Connected
        {
            known.state = State::Idle;
            let pause = FIRST_RETRY
                .saturating_mul(1 << known.failures.min(16))
                .min(LONGEST_RETRY);
            known.failures += 1;
            known.met = false;
            known.next_try = Some(now + pause);
        }
    }

    /// The address turned out to be our own.
    pub fn is_own(&mut self, addr: SocketAddr) {
        self.known.remove(&addr);
        self.own.insert(addr);
    }

    /// The peer there has everything.
    pub fn is_seed(&mut self, addr: SocketAddr) {
        if let Some(known) = self.known.get_mut(&addr) {
            known.seed = true;
        }
    }

    /// Nothing at this host is talked to again, until [`Self::lift_ban`].
    pub fn ban(&mut self, ip: IpAddr) {
        let ip = ip.to_canonical();
        self.banned.insert(ip);
        self.known.retain(|addr, _| addr.ip().to_canonical() != ip);
    }

    /// This host may be talked to again.
    pub fn lift_ban(&mut self, ip: IpAddr) {
        self.banned.remove(&ip.to_canonical());
    }

    /// Whether this host was banned.
    pub fn is_banned(&self, ip: IpAddr) -> bool {
        self.banned.contains(&ip.to_canonical())
    }

    /// Addresses worth keeping for the next run: those that failed at most once, and first those that are or
    /// were connected, as not all may be kept.
    pub fn worth_keeping(&self) -> Vec<SocketAddr> {
        let mut kept: Vec<_> = self
            .known
            .iter()
            .filter(|(_, known)| known.failures <= 1)
            .map(|(addr, known)| (known.worth(), *addr))
            .collect();
        kept.sort_unstable();
        kept.into_iter().map(|(_, addr)| addr).collect()
    }

    fn set_state(&mut self, addr: SocketAddr, state: State) {
        if let Some(known) = self.known.get_mut(&addr) {
            known.state = state;
            if state == State::Connected {
                known.failures = 0;
                known.met = true;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addr(last: u8) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, last], 6881))
    }

    #[test]
    fn a_failing_address_is_tried_later_and_later() {
        let start = Instant::now();
        let mut book = AddressBook::default();
        assert_eq!(book.add([addr(1), addr(1)]), 1);
        assert_eq!(book.next_dials(start, 5, false), [addr(1)]);
        assert_eq!(book.next_dials(start, 5, false), [], "it is being dialled");
        book.failed(start, addr(1));
        assert_eq!(book.next_dials(start + FIRST_RETRY / 2, 5, false), []);
        assert_eq!(book.next_dials(start + FIRST_RETRY, 5, false), [addr(1)]);
        book.failed(start, addr(1));
        assert_eq!(book.next_dials(start + FIRST_RETRY, 5, false), []);
        assert_eq!(book.next_dials(start + LONGEST_RETRY, 5, false), [addr(1)]);
    }

    #[test]
    fn untried_addresses_come_first() {
        let start = Instant::now();
        let mut book = AddressBook::default();
        book.add([addr(1)]);
        book.next_dials(start, 1, false);
        book.failed(start, addr(1));
        book.add([addr(2)]);
        assert_eq!(book.next_dials(start + LONGEST_RETRY, 1, false), [addr(2)]);
    }

    /// A list of addresses in 10.`net`.0.0/16, at which nobody is.
    fn flood(net: u8) -> Vec<SocketAddr> {
        let host = |host: u16| SocketAddr::from(([10, net, (host >> 8) as u8, host as u8], 6881));
        (0..5_000).map(host).collect()
    }

    #[test]
    fn a_long_list_keeps_no_short_one_waiting() {
        let start = Instant::now();
        let mut book = AddressBook::default();
        assert_eq!(book.add(flood(1)), MOST_ADDRESSES);
        assert_eq!(book.add([addr(1), addr(2)]), 2);
        assert_eq!(book.known.len(), MOST_ADDRESSES);
        assert_eq!(
            book.next_dials(start, 4, false),
            [flood(1)[0], addr(1), flood(1)[1], addr(2)]
        );
        assert_eq!(book.add(flood(2)), MOST_ADDRESSES / 2 - 1, "half of the room");
        assert_eq!(book.add([addr(3)]), 1);
    }

    #[test]
    fn those_that_fail_make_room_and_those_that_were_met_stay() {
        let start = Instant::now();
        let mut book = AddressBook::default();
        book.add([addr(1), addr(2)]);
        book.connected(addr(1));
        book.disconnected(start, addr(1));
        book.connected(addr(2));
        book.add(flood(1));
        for dead in book.next_dials(start, MOST_ADDRESSES, false) {
            book.failed(start, dead);
        }
        assert_eq!(book.add(flood(2)), MOST_ADDRESSES - 2, "all that are dead");
        assert!(book.known.contains_key(&addr(1)) && book.known.contains_key(&addr(2)));
        assert_eq!(book.known.len(), MOST_ADDRESSES);
    }

    #[test]
    fn those_that_were_connected_are_kept_first() {
        let start = Instant::now();
        let mut book = AddressBook::default();
        book.add((1..=6).map(addr));
        for met in [5, 6] {
            book.connected(addr(met));
        }
        book.disconnected(start, addr(5));
        book.failed(start, addr(6));
        for _ in 0..2 {
            book.failed(start, addr(1));
        }
        book.failed(start, addr(2));
        assert_eq!(book.worth_keeping(), [6, 5, 3, 4, 2].map(addr));
    }

    #[test]
    fn banned_own_and_useless_addresses_stay_out() {
        let mut book = AddressBook::default();
        book.ban(addr(1).ip());
        book.is_own(addr(2));
        assert_eq!(
            book.add([addr(1), addr(2), SocketAddr::from(([127, 0, 0, 3], 0))]),
            0
        );
        assert!(book.is_banned(addr(1).ip()));
    }

    #[test]
    fn a_host_is_banned_under_either_form_of_its_address_until_that_is_lifted() {
        let mapped = IpAddr::from(std::net::Ipv4Addr::new(127, 0, 0, 1).to_ipv6_mapped());
        let mut book = AddressBook::default();
        book.add([SocketAddr::new(mapped, 6881), addr(2)]);
        book.ban(addr(1).ip());
        assert!(book.is_banned(mapped) && !book.is_banned(addr(2).ip()));
        assert_eq!((book.len(), book.add([addr(1)])), (1, 0));
        book.lift_ban(mapped);
        assert_eq!(book.add([addr(1)]), 1);
    }

    #[test]
    fn a_seed_dials_no_seeds() {
        let mut book = AddressBook::default();
        book.add([addr(1), addr(2)]);
        book.is_seed(addr(1));
        assert_eq!(book.next_dials(Instant::now(), 5, true), [addr(2)]);
    }
}
