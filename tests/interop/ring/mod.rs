//! Rings of real `dtracker`s, and what may befall them.

mod first_down;
mod kills;
mod meeting;
mod parts;
mod refusals;
mod restarts;
mod stops;

use std::collections::{BTreeMap, BTreeSet};
use std::thread;
use std::time::{Duration, Instant};

use dtorrent::id::InfoHash;
use dtorrent::tracker::announce::Event;
use fastrand::Rng;

use crate::support::ring::{Answer, Face, NoAnswer, RingNode, Word};

/// The port of whoever asks who is there. He leaves nothing behind that anybody else could miss.
const ASKER: u16 = 65_000;

/// How long a tracker may say that it has no time to answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// Swarms in which peers come and go, and the ports that they may have.
const LIVELY_SWARMS: u32 = 100;
const LIVELY_PEERS: u16 = 20;

fn swarm(number: u32) -> InfoHash {
    InfoHash::of_info(&number.to_be_bytes())
}

/// Asks again as long as the tracker says that one should, which it does where it found no time to answer: so would any
/// client, and the test does not judge how fast a loaded machine is.
fn ask_again(node: &RingNode, face: Face, word: Word, mut refused: NoAnswer) -> Answer {
    let start = Instant::now();
    while matches!(&refused, NoAnswer::Refused(reason) if reason.contains("try again"))
        && start.elapsed() < PATIENCE
    {
        thread::sleep(Duration::from_millis(200));
        match node.announce_all(face, &[word]).pop() {
            Some(Err(again)) => refused = again,
            Some(answer) => return answer,
            None => break,
        }
    }
    Err(refused)
}

fn all_of(nodes: &[RingNode]) -> Vec<&RingNode> {
    nodes.iter().collect()
}

/// What is to be said to whom.
type Told<'a> = Vec<(&'a RingNode, Vec<Word>)>;

/// What the nodes of a ring have acknowledged, and what they must therefore know.
#[derive(Debug, Default)]
struct Ledger {
    /// Of each swarm, the ports that must be there, and those that must not.
    swarms: BTreeMap<InfoHash, Members>,
}

#[derive(Debug, Default)]
struct Members {
    here: BTreeSet<u16>,
    gone: BTreeSet<u16>,
}

impl Ledger {
    /// Peers that come, go on and leave, in all lively swarms: of those that `may` a third, each at a node by chance.
    fn changes<'a>(&self, nodes: &[&'a RingNode], rng: &mut Rng, may: impl Fn(u16) -> bool) -> Told<'a> {
        let mut told: Told<'a> = nodes.iter().map(|&node| (node, Vec::new())).collect();
        for number in 0..LIVELY_SWARMS {
            let info_hash = swarm(number);
            for port in (1..=LIVELY_PEERS).filter(|&port| may(port)) {
                let is_here = |members: &Members| members.here.contains(&port);
                let is_here = self.swarms.get(&info_hash).is_some_and(is_here);
                let word = match (rng.u8(..6), is_here) {
                    (0, true) => Word::stopped(info_hash, port),
                    (0 | 1, _) => Word::of(info_hash, port),
                    _ => continue,
                };
                let node = rng.usize(..told.len());
                told[node].1.push(word);
            }
        }
        told
    }

    /// Tells each node what is meant for it, by both faces, and notes what was acknowledged: everything must be.
    fn announce(&mut self, told: &Told<'_>) {
        thread::scope(|scope| {
            let asked = told.iter().flat_map(|(node, words)| {
                let (http, udp) = words.split_at(words.len() / 2);
                [(node, Face::Http, http), (node, Face::Udp, udp)]
            });
            let asked = asked.map(|(node, face, words)| {
                let answers = scope.spawn(move || node.announce_all(face, words));
                (node, face, words, answers)
            });
            for (node, face, words, answers) in asked.collect::<Vec<_>>() {
                for (word, answer) in words.iter().zip(answers.join().unwrap()) {
                    assert!(answer.is_ok(), "{face:?} {} {word:?}: {answer:?}", node.plan.name);
                    self.note(*word);
                }
            }
        });
    }

    /// All this was acknowledged.
    fn note_all(&mut self, told: &Told<'_>) {
        for word in told.iter().flat_map(|(_, words)| words) {
            self.note(*word);
        }
    }

    /// An announce was acknowledged.
    fn note(&mut self, word: Word) {
        let members = self.swarms.entry(word.info_hash).or_default();
        let (to, from) = match word.event {
            Some(Event::Stopped) => (&mut members.gone, &mut members.here),
            _ => (&mut members.here, &mut members.gone),
        };
        from.remove(&word.port);
        to.insert(word.port);
    }

    /// Asks every node for every swarm, by one face or the other: all that must be there is, and nobody else.
    fn check(&self, nodes: &[&RingNode]) {
        self.ask(nodes, true);
    }

    /// The same, but there may be others of whom nothing is written here.
    fn check_own(&self, nodes: &[&RingNode]) {
        self.ask(nodes, false);
    }

    fn ask(&self, nodes: &[&RingNode], knows_all: bool) {
        let swarms: Vec<(&InfoHash, &Members)> = self.swarms.iter().collect();
        thread::scope(|scope| {
            let asked = nodes.iter().enumerate().flat_map(|(number, node)| {
                let mut halves = [(Face::Http, Vec::new()), (Face::Udp, Vec::new())];
                for (at, swarm) in swarms.iter().enumerate() {
                    halves[(at + number) % 2].1.push(*swarm);
                }
                halves.map(|(face, swarms)| (node, face, swarms))
            });
            let asked = asked.map(|(node, face, swarms)| {
                scope.spawn(move || {
                    let words: Vec<Word> = swarms
                        .iter()
                        .map(|(info_hash, _)| Word::of(**info_hash, ASKER))
                        .collect();
                    let answers = node.announce_all(face, &words);
                    for (((info_hash, members), answer), word) in swarms.iter().zip(answers).zip(&words) {
                        let answer = answer.or_else(|refused| ask_again(node, face, *word, refused));
                        let of = format!("{info_hash} at {} over {face:?}", node.plan.name);
                        let found: BTreeSet<u16> = answer
                            .unwrap_or_else(|error| panic!("{of}: {error:?}"))
                            .into_iter()
                            .collect();
                        let missing: Vec<_> = members.here.difference(&found).collect();
                        assert!(missing.is_empty(), "{of} misses {missing:?}");
                        let back: Vec<_> = members.gone.intersection(&found).collect();
                        assert!(back.is_empty(), "{of} brings back {back:?}");
                        let more: Vec<_> = found.difference(&members.here).collect();
                        assert!(more.is_empty() || !knows_all, "{of} invents {more:?}");
                    }
                })
            });
            for thread in asked.collect::<Vec<_>>() {
                thread.join().unwrap();
            }
        });
    }
}
