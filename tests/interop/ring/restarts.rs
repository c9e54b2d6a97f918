//! One node after the other is stopped in good order and started again, while clients announce.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use fastrand::Rng;

use super::{Ledger, all_of, swarm};
use crate::support::datagrams::Datagrams;
use crate::support::ring::{self, Answer, HttpClient, LIMIT, NoAnswer, Word, wait_for_ring};
use crate::support::stage::{Stage, wait_for};

const NODES: usize = 5;
const SWARMS: u32 = 500;
/// Peers for which one client announces, again and again.
const PEERS: u16 = 500;
/// Clients are not in a hurry; the machine is small.
const PAUSE: Duration = Duration::from_millis(10);
/// Announces of all clients of a node before the next node is told to go.
const IN_BETWEEN: usize = 300;

/// What the clients of one node know of it.
#[derive(Debug, Default)]
struct Standing {
    /// Odd from the moment at which it is told to go until it is back: only then may it be away.
    phase: AtomicUsize,
    /// Announces that it has answered.
    answered: AtomicUsize,
}

impl Standing {
    fn phase(&self) -> usize {
        self.phase.load(Ordering::SeqCst)
    }

    fn next_phase(&self) {
        self.phase.fetch_add(1, Ordering::SeqCst);
    }
}

/// What one client was told.
#[derive(Debug, Default)]
struct Told {
    acknowledged: Vec<Word>,
    /// How often it was told nothing, and why, while the node was away.
    away: BTreeMap<String, usize>,
}

/// Announces at one node until it is over, for one peer after the other, each in a swarm of its own choice.
fn announce_on(
    mut announce: impl FnMut(Word) -> Answer,
    standing: &Standing,
    over: &AtomicBool,
    first_port: u16,
) -> Told {
    let mut rng = Rng::new();
    let mut told = Told::default();
    let words: Vec<Word> = (first_port..first_port + PEERS)
        .map(|port| Word::of(swarm(rng.u32(..SWARMS)), port))
        .collect();
    for &word in words.iter().cycle() {
        if over.load(Ordering::SeqCst) {
            break;
        }
        let before = standing.phase();
        match announce(word) {
            Ok(_) => {
                standing.answered.fetch_add(1, Ordering::SeqCst);
                told.acknowledged.push(word);
            }
            // A client takes the next tracker of its list at once.
            Err(NoAnswer::Gone(why)) if before % 2 == 1 || standing.phase() != before => {
                *told.away.entry(why).or_default() += 1;
            }
            Err(why) => panic!("a node that is up does not answer: {why:?}"),
        }
        thread::sleep(PAUSE);
    }
    told
}

#[test]
fn a_rolling_restart_refuses_nobody_and_loses_nothing() {
    let stage = Stage::new();
    let mut nodes = ring::start(&stage, NODES);
    let mut ledger = Ledger::default();
    let standings: Vec<Standing> = (0..NODES).map(|_| Standing::default()).collect();
    let over = AtomicBool::new(false);
    let addresses: Vec<String> = nodes.iter().map(|node| node.plan.address.clone()).collect();
    thread::scope(|scope| {
        let clients = addresses.iter().zip(&standings).enumerate();
        let clients: Vec<_> = clients
            .flat_map(|(number, (address, standing))| {
                let first = 1 + 2 * PEERS * u16::try_from(number).unwrap();
                let over = &over;
                let http = scope.spawn(move || {
                    let client = HttpClient::to(address);
                    announce_on(|word| client.announce(word), standing, over, first)
                });
                let udp = scope.spawn(move || {
                    let mut client = Datagrams::to(address);
                    announce_on(|word| client.announce(word), standing, over, first + PEERS)
                });
                [("HTTP", number, http), ("UDP", number, udp)]
            })
            .collect();
        // Whatever goes wrong here, the clients must end.
        let _ends = Ends(&over);
        for at in 0..NODES {
            let before: usize = answered(&standings);
            wait_for("announces before the next node goes", LIMIT, || {
                (answered(&standings) >= before + IN_BETWEEN).then_some(())
            });
            standings[at].next_phase();
            nodes[at].process.terminate();
            nodes[at].process.finish(LIMIT);
            assert!(
                nodes[at]
                    .process
                    .output()
                    .contains("what was kept here is on other nodes"),
                "it must hand over before it goes"
            );
            nodes[at].start_again(&stage);
            standings[at].next_phase();
            wait_for_ring(&all_of(&nodes));
        }
        over.store(true, Ordering::SeqCst);
        for (face, number, client) in clients {
            let told = client.join().unwrap();
            println!(
                "node{number} over {face}: {} announces acknowledged; while it was away: {:?}",
                told.acknowledged.len(),
                told.away
            );
            for word in told.acknowledged {
                ledger.note(word);
            }
        }
    });
    wait_for_ring(&all_of(&nodes));
    // UDP repeats what got no answer, and a node may have kept what it did not live to acknowledge.
    ledger.check_own(&all_of(&nodes));
}

fn answered(standings: &[Standing]) -> usize {
    let answered = standings
        .iter()
        .map(|standing| standing.answered.load(Ordering::SeqCst));
    answered.sum()
}

/// Ends the clients when the story is over, also where it ends badly.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}
