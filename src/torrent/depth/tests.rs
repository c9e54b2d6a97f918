//! Pipelines over simulated paths: what is asked for in time that is only counted.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::{FIRST, MOST};
use crate::geometry::{BLOCK_LENGTH, Block, PieceIndex};
use crate::torrent::pipeline::Pipeline;

/// The clock goes on by this.
const STEP: Duration = Duration::from_millis(1);
const STEPS_A_TICK: u32 = 500;

/// What a gigabit a second is in blocks.
const GIGABIT: f64 = 125e6 / BLOCK_LENGTH as f64;

/// A path to a peer that answers in order.
#[derive(Debug, Clone, Copy)]
struct Path {
    /// There and back.
    delay: Duration,
    /// Blocks a second.
    rate: f64,
    /// What it may send in such a time it sends at once.
    turns: Duration,
    /// Up to so much longer an answer takes by chance; none overtakes another one.
    jitter: Duration,
    /// Requests that the peer lets wait.
    queue: usize,
}

impl Path {
    const fn new(delay_ms: u64, rate: f64) -> Self {
        Self {
            delay: Duration::from_millis(delay_ms),
            rate,
            turns: Duration::ZERO,
            jitter: Duration::ZERO,
            queue: 2_000,
        }
    }

    fn of_bytes(delay_ms: u64, bytes_per_sec: f64) -> Self {
        Self::new(delay_ms, bytes_per_sec / f64::from(BLOCK_LENGTH))
    }
}

/// A pipeline, and what is under way.
struct Play {
    path: Path,
    pipeline: Pipeline,
    now: Instant,
    steps: u32,
    next: u32,
    rng: fastrand::Rng,
    /// Requests on their way to the peer, with the times when they arrive.
    there: VecDeque<(Instant, Block)>,
    /// Those that it has not answered.
    waiting: VecDeque<Block>,
    back: VecDeque<(Instant, Block)>,
    /// Blocks that the peer may send.
    credit: f64,
    next_turn: Instant,
    received: u64,
    most_out: usize,
    /// How many more may be asked for.
    wanted: usize,
}

impl Play {
    fn new(path: Path) -> Self {
        let now = Instant::now();
        Self {
            path,
            pipeline: Pipeline::new(),
            now,
            steps: 0,
            next: 0,
            rng: fastrand::Rng::with_seed(7),
            there: VecDeque::new(),
            waiting: VecDeque::new(),
            back: VecDeque::new(),
            credit: 0.0,
            next_turn: now,
            received: 0,
            most_out: 0,
            wanted: usize::MAX,
        }
    }

    fn step(&mut self) {
        self.now += STEP;
        self.steps += 1;
        self.answer();
        while let Some((_, block)) = self.back.pop_front_if(|(due, _)| *due <= self.now) {
            assert!(self.pipeline.answered(self.now, block));
            self.received += 1;
        }
        if self.steps.is_multiple_of(STEPS_A_TICK) {
            self.pipeline.on_tick(self.now);
        }
        let room = self.pipeline.room(self.now, self.path.queue);
        if room > 0 {
            self.ask(room);
        }
    }

    fn ask(&mut self, room: usize) {
        let count = room.min(self.wanted);
        self.wanted -= count;
        let blocks: Vec<_> = (0..count as u32).map(|at| self.block(self.next + at)).collect();
        self.next += count as u32;
        self.pipeline.sent(self.now, &blocks, room);
        self.there.extend(
            blocks
                .into_iter()
                .map(|block| (self.now + self.path.delay / 2, block)),
        );
        self.most_out = self.most_out.max(self.pipeline.len());
    }

    fn block(&self, number: u32) -> Block {
        Block {
            piece: PieceIndex(number),
            begin: 0,
            length: BLOCK_LENGTH,
        }
    }

    fn answer(&mut self) {
        while let Some((_, block)) = self.there.pop_front_if(|(due, _)| *due <= self.now) {
            self.waiting.push_back(block);
        }
        assert!(
            self.waiting.len() <= self.path.queue,
            "the peer would drop requests"
        );
        self.credit += self.path.rate * STEP.as_secs_f64();
        if self.waiting.is_empty() && self.path.turns.is_zero() {
            // What was not used is gone.
            self.credit = self.credit.min(1.0);
        }
        if self.now < self.next_turn {
            return;
        }
        if !self.path.turns.is_zero() {
            self.next_turn = self.now + self.path.turns;
        }
        while self.credit >= 1.0
            && let Some(block) = self.waiting.pop_front()
        {
            self.credit -= 1.0;
            let late = self.path.jitter.mul_f64(self.rng.f64());
            let due = self.now + self.path.delay / 2 + late;
            let due = self.back.back().map_or(due, |(last, _)| due.max(*last));
            self.back.push_back((due, block));
        }
        self.credit = self
            .credit
            .min(self.path.rate * self.path.turns.as_secs_f64() + 1.0);
    }

    /// Plays on, and says which part of the path's rate was used.
    fn run(&mut self, time: Duration) -> f64 {
        let before = self.received;
        let steps = time.as_millis() as u32;
        (0..steps).for_each(|_| self.step());
        (self.received - before) as f64 / (self.path.rate * time.as_secs_f64())
    }

    /// When the path was full for the first time over a quarter of a second.
    fn time_to_fill(&mut self) -> Duration {
        let start = self.now;
        for _ in 0..400 {
            if self.run(Duration::from_millis(250)) >= 0.9 {
                return self.now - start;
            }
        }
        panic!("the path never filled: {} out", self.pipeline.len());
    }
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_gigabit_is_filled_at_any_delay() {
    for (delay, most) in [(1, 1), (10, 1), (100, 2), (200, 3)] {
        let mut play = Play::new(Path::new(delay, GIGABIT));
        let took = play.time_to_fill();
        assert!(took <= SECOND * most, "{delay} ms: filled after {took:?}");
        let used = play.run(SECOND * 30);
        assert!(used > 0.98, "{delay} ms: {used} of the path");
    }
}

#[test]
fn what_the_peer_lets_wait_is_all_that_is_out() {
    // The path asserts that it is kept.
    let mut play = Play::new(Path {
        queue: 250,
        ..Path::new(100, GIGABIT)
    });
    play.run(SECOND * 5);
    let used = play.run(SECOND * 10);
    let possible = 250.0 / 0.1 / GIGABIT;
    assert!(
        used > possible * 0.85,
        "{used} of the path, {possible} would be possible"
    );
    assert_eq!(play.most_out, 250);
}

#[test]
fn not_much_more_is_out_than_the_path_holds() {
    let mut play = Play::new(Path::new(20, GIGABIT));
    play.run(SECOND * 2);
    play.most_out = 0;
    play.run(SECOND * 60);
    // 153 are under way; there is as much again and what a pause of a thread may cost.
    assert!(play.most_out < 750, "{} out", play.most_out);
}

#[test]
fn a_slow_peer_holds_few() {
    for (bytes_per_sec, most) in [(5e3, FIRST + 2), (50e3, FIRST + 2), (200e3, 32)] {
        let mut play = Play::new(Path::of_bytes(100, bytes_per_sec));
        play.run(SECOND * 20);
        assert!(play.most_out <= most, "{bytes_per_sec}: {} out", play.most_out);
        play.most_out = 0;
        let used = play.run(SECOND * 60);
        assert!(used > 0.95, "{bytes_per_sec}: {used} of the path");
        let second = (bytes_per_sec / f64::from(BLOCK_LENGTH)) as usize;
        assert!(
            play.most_out <= 2 * second + 4,
            "{bytes_per_sec}: {} out in the long run",
            play.most_out
        );
    }
}

#[test]
fn a_peer_that_serves_in_turns_is_kept_busy() {
    for bytes_per_sec in [100e3, 2e6] {
        let mut play = Play::new(Path {
            turns: Duration::from_millis(500),
            ..Path::of_bytes(50, bytes_per_sec)
        });
        play.run(SECOND * 10);
        let used = play.run(SECOND * 60);
        assert!(used > 0.95, "{bytes_per_sec}: {used} of the path");
    }
}

#[test]
fn bursts_of_a_slow_peer_are_no_rate() {
    let mut play = Play::new(Path {
        turns: Duration::from_secs(2),
        ..Path::of_bytes(50, 50e3)
    });
    play.run(SECOND * 10);
    play.most_out = 0;
    let used = play.run(SECOND * 60);
    assert!(used > 0.9, "{used} of the path");
    // Six come at a time, two seconds apart.
    assert!(play.most_out <= 20, "{} out", play.most_out);
}

#[test]
fn a_path_whose_answers_come_irregularly_is_filled_too() {
    let mut play = Play::new(Path {
        jitter: Duration::from_millis(60),
        ..Path::new(80, GIGABIT)
    });
    assert!(play.time_to_fill() <= SECOND * 3);
    let used = play.run(SECOND * 30);
    assert!(used > 0.95, "{used} of the path");
}

#[test]
fn a_path_that_changes_is_followed() {
    let mut play = Play::new(Path::new(20, GIGABIT));
    play.run(SECOND * 15);
    // A tenth of the rate.
    play.path.rate = GIGABIT / 10.0;
    play.run(SECOND * 5);
    play.most_out = 0;
    assert!(play.run(SECOND * 20) > 0.98);
    assert!(play.most_out < 350, "{} out", play.most_out);
    // Ten times as long: known when the round trip is next measured.
    play.path.delay = Duration::from_millis(200);
    play.path.rate = GIGABIT;
    play.run(SECOND * 15);
    assert!(play.run(SECOND * 20) > 0.98);
    // And back again.
    play.path.delay = Duration::from_millis(20);
    play.run(SECOND * 15);
    play.most_out = 0;
    assert!(play.run(SECOND * 20) > 0.98);
    assert!(play.most_out < 750, "{} out", play.most_out);
}

#[test]
fn a_slow_peer_that_becomes_fast_is_noticed() {
    let mut play = Play::new(Path::of_bytes(100, 50e3));
    play.run(SECOND * 30);
    play.path.rate = GIGABIT;
    let took = play.time_to_fill();
    assert!(took < SECOND * 4, "filled after {took:?}");
}

#[test]
fn a_fast_peer_that_becomes_slow_is_asked_no_more_for_a_while() {
    let mut play = Play::new(Path::new(100, GIGABIT));
    play.run(SECOND * 5);
    assert!(play.most_out <= MOST);
    play.path.rate = 50e3 / f64::from(BLOCK_LENGTH);
    play.run(SECOND * 8);
    let asked = play.next;
    play.run(SECOND * 60);
    assert_eq!(play.next, asked, "{} are out still", play.pipeline.len());
}

#[test]
fn where_little_is_wanted_the_speed_is_not_unlearned() {
    let mut play = Play::new(Path::new(50, GIGABIT));
    play.run(SECOND * 3);
    let depth = play.pipeline.len();
    for _ in 0..100 {
        // A piece of two blocks each tenth of a second, where there would be room for many.
        play.wanted = 2;
        play.run(SECOND / 10);
    }
    let room = play.pipeline.room(play.now, 2_000);
    assert!(room >= depth / 2, "{room} of {depth}");
}
