//! How many peers to serve at a time. A machine: layer 2.
//!
//! On a slow line few: what many get at the same time is whole late, and only what is whole is passed on. On a fast line
//! many, or none of them could fill it. What a line can carry is not known, so it is tried out: with a few more slots it
//! either carries more, or the peers that are served share what it did; with a few fewer it carries less, or as much.

/// However slow the line: enough that it is full while one or two of them take nothing.
pub(super) const LEAST: usize = 4;

/// However fast.
const MOST: usize = 1_000;

/// So many bytes a second are worth a slot, whoever takes them.
const RATE_OF_A_SLOT: u64 = 512 << 10;

/// So many more are tried for each who has a slot and asks for nothing, if nobody takes anything: then a slot costs
/// nobody anything, and who would take something shall not wait behind a thousand who do not.
const TRIED_FOR_IDLE: usize = 8;

/// A trial changes the number of slots by this part of it.
const STEP: usize = 4;

/// After a trial that has changed nothing for the better, so many rounds pass before the next, and twice as many each
/// time up to the most.
const FIRST_REST: u32 = 3;
const LONGEST_REST: u32 = 24;

/// How many peers are served at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slots {
    /// As many as the line is found to be good for.
    Automatic,
    /// So many.
    Fixed(usize),
}

impl Slots {
    /// Of the number in `config.toml`, where 0 stands for automatic.
    pub const fn of_setting(number: usize) -> Self {
        match number {
            0 => Self::Automatic,
            number => Self::Fixed(number),
        }
    }
}

/// The number of slots that follows the line.
#[derive(Debug)]
pub(super) struct Automatic {
    slots: usize,
    /// So many more are served while those who are ask for nothing.
    spare: usize,
    trial: Option<Trial>,
    /// Rounds until the next trial, and how many there are after one that fails.
    rest: u32,
    next_rest: u32,
    /// Whether the next trial is one with fewer.
    fewer_is_next: bool,
}

/// Another number of slots, to see what that changes.
#[derive(Debug, Clone, Copy)]
struct Trial {
    slots_before: usize,
    rate_before: u64,
}

impl Automatic {
    pub(super) const fn new() -> Self {
        Self {
            slots: LEAST,
            spare: 0,
            trial: None,
            rest: 1,
            next_rest: FIRST_REST,
            fewer_is_next: false,
        }
    }

    pub(super) const fn get(&self) -> usize {
        self.slots + self.spare
    }

    /// Of those who want to be served and are, so many take something, and so many have asked for nothing for a while.
    pub(super) fn on_use(&mut self, wanting: usize, taking: usize, idle: usize) {
        if wanting <= self.slots || taking >= self.slots {
            self.spare = 0;
        } else {
            // If most are idle that is twice as many each time.
            let more = if taking == 0 { TRIED_FOR_IDLE - 1 } else { 1 };
            self.spare = (self.spare + more * idle).min(MOST);
        }
    }

    /// A round begins. `wanting`: how many peers want to be served; `rate`: bytes a second to all of them.
    pub(super) fn on_round(&mut self, wanting: usize, rate: u64) {
        let floor = LEAST.max(usize::try_from(rate / RATE_OF_A_SLOT).unwrap_or(MOST));
        if wanting <= self.slots || rate == 0 {
            // All are served: there is nothing to be tried. A trial is not at fault if some have gone.
            if let Some(trial) = self.trial.take() {
                self.slots = trial.slots_before;
            }
        } else if let Some(trial) = self.trial.take() {
            self.judge(trial, rate, floor);
        } else if self.rest > 0 {
            self.rest -= 1;
        } else {
            self.begin_trial(rate, floor);
        }
        self.slots = self.slots.max(floor).min(MOST);
    }

    fn begin_trial(&mut self, rate: u64, floor: usize) {
        let before = self.slots;
        let step = (before / STEP).max(1);
        self.slots = if self.fewer_is_next && before > floor {
            floor.max(before - step)
        } else {
            self.fewer_is_next = false;
            before + step
        };
        self.trial = Some(Trial {
            slots_before: before,
            rate_before: rate,
        });
    }

    /// Half of what would come of slots that are all worth the same decides.
    fn judge(&mut self, trial: Trial, rate: u64, floor: usize) {
        let Trial {
            slots_before,
            rate_before,
        } = trial;
        let worth = rate_before / slots_before as u64;
        let pays = if self.slots > slots_before {
            rate >= rate_before + worth * (self.slots - slots_before) as u64 / 2
        } else {
            rate + worth * (slots_before - self.slots) as u64 / 2 >= rate_before
        };
        if !pays {
            self.slots = slots_before;
            self.fewer_is_next = !self.fewer_is_next;
            self.rest = self.next_rest;
            self.next_rest = (2 * self.next_rest).min(LONGEST_REST);
            return;
        }
        self.next_rest = FIRST_REST;
        if self.slots > slots_before {
            // As in slow start: the line may be good for a hundred times as many.
            self.trial = Some(Trial {
                slots_before: self.slots,
                rate_before: rate,
            });
            self.slots *= 2;
        } else {
            self.begin_trial(rate, floor);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lets a line of this rate serve peers of this rate for some rounds, and gives the last number of slots.
    fn play(automatic: &mut Automatic, rounds: u32, line: u64, peers: usize, each: u64) -> Vec<usize> {
        (0..rounds)
            .map(|_| {
                let served = automatic.get().min(peers) as u64;
                automatic.on_round(peers, line.min(served * each));
                automatic.get()
            })
            .collect()
    }

    const KIB: u64 = 1 << 10;

    #[test]
    fn a_slow_line_serves_few() {
        for line in [50 * KIB, 1 << 20] {
            let mut automatic = Automatic::new();
            let slots = play(&mut automatic, 200, line, 200, 100 << 20);
            assert!(slots.iter().all(|slots| (4..=5).contains(slots)), "{slots:?}");
            let trials = slots.iter().filter(|slots| **slots == 5).count();
            assert!(trials <= 12, "{trials} of 200 rounds");
        }
    }

    #[test]
    fn a_fast_line_serves_all() {
        let mut automatic = Automatic::new();
        let slots = play(&mut automatic, 2, 120 << 20, 200, 120 << 20);
        assert!(*slots.last().unwrap() >= 200, "a few fill it: {slots:?}");
        let mut automatic = Automatic::new();
        let slots = play(&mut automatic, 12, 120 << 20, 200, 100 * KIB);
        assert!(*slots.last().unwrap() >= 200, "many do not: {slots:?}");
    }

    #[test]
    fn a_line_that_became_slower_serves_fewer() {
        let mut automatic = Automatic::new();
        play(&mut automatic, 20, 20 << 20, 500, 100 * KIB);
        assert!(automatic.get() > 100, "{automatic:?}");
        play(&mut automatic, 200, 1 << 20, 500, 100 * KIB);
        assert!((8..=20).contains(&automatic.get()), "ten fill it: {automatic:?}");
    }

    #[test]
    fn more_are_served_until_the_slots_are_used() {
        let mut automatic = Automatic::new();
        let mut served = |taking, idle| {
            automatic.on_use(1_000, taking, idle);
            automatic.get()
        };
        assert_eq!([served(0, 4), served(0, 32), served(1, 200)], [32, 256, 456]);
        assert_eq!(served(4, 400), 4);
        automatic.on_use(1_000, 0, 4);
        automatic.on_use(4, 0, 4);
        assert_eq!(automatic.get(), 4, "nobody waits");
    }

    #[test]
    fn nothing_is_tried_while_all_are_served() {
        let mut automatic = Automatic::new();
        assert!(
            play(&mut automatic, 50, 1 << 20, 4, 1 << 20)
                .iter()
                .all(|slots| *slots == 4)
        );
    }
}
