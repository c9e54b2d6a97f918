//! Who may open the one link between two nodes, and when. A machine: layer 2.
//!
//! Frames of one sender must arrive in the order in which they were sent, so two nodes never use two links at
//! once. Both may call at the same moment, and either may lose its link without the other noticing. Rules:
//!
//! 1. An attempt has a *serial*, greater than those before, and is *offered* when its hello goes out. Until then
//!    nobody can have accepted it, and it can be dropped.
//! 2. Who is called while an attempt of its own is offered, accepts if the caller has the greater id, and drops its
//!    own; else it refuses, and the caller waits for the other attempt to come through.
//! 3. Who accepts says the serial of its own latest attempt; those up to it are void, and so are those of the
//!    caller up to the accepted one. A void attempt that arrives late is refused.
//! 4. A call that is not void says that the caller has no link. Whatever link there is, is ended first, and only
//!    after its last frame was handled the new one begins.

use std::time::{Duration, Instant};

use super::hello::{Refusal, Serial};

/// The wait after the first attempt that failed. It doubles with each one more, and varies by half.
const FIRST_WAIT: Duration = Duration::from_millis(50);

/// The longest such wait.
const LAST_WAIT: Duration = Duration::from_secs(5);

/// How far the link is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// There is none.
    Idle,
    /// We call.
    Dialing { serial: Serial, offered: bool },
    /// Our call was refused because theirs goes on.
    Yielding { serial: Serial },
    /// They called, and are being answered.
    Accepting { serial: Serial },
    /// It is there.
    Up { serial: Serial },
    /// It is being closed in good order: nothing new is sent over it.
    Retiring { serial: Serial },
    /// It has ended, and its last frames are being handled.
    Ending { serial: Serial },
}

/// What to do with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    /// Take it: the phase is [`Phase::Accepting`] now.
    Accept,
    /// End the link that there is, wait until it has ended, and ask again.
    Replace,
    /// Another call is being answered: wait until that is done, and ask again.
    Wait,
    /// Say no.
    Refuse(Refusal),
}

/// The state of the link to one other node.
#[derive(Debug)]
pub(super) struct Slot {
    phase: Phase,
    /// Whether our id is the greater one.
    ours_is_greater: bool,
    /// The latest life of theirs that proved itself.
    life: u64,
    /// In that life, their attempts up to this one are void.
    void: Serial,
    failures: u32,
    retry_at: Option<Instant>,
}

impl Slot {
    pub(super) const fn new(ours_is_greater: bool) -> Self {
        Self {
            phase: Phase::Idle,
            ours_is_greater,
            life: 0,
            void: 0,
            failures: 0,
            retry_at: None,
        }
    }

    pub(super) const fn phase(&self) -> Phase {
        self.phase
    }

    /// Whether there is no link, and it is time to call.
    pub(super) fn may_dial(&self, now: Instant) -> bool {
        self.phase == Phase::Idle && self.retry_at.is_none_or(|at| now >= at)
    }

    /// We begin to call.
    pub(super) fn dial(&mut self, serial: Serial) {
        debug_assert_eq!(self.phase, Phase::Idle);
        self.phase = Phase::Dialing {
            serial,
            offered: false,
        };
    }

    /// Asked right before our hello goes out: whether it still should.
    pub(super) fn offer(&mut self, serial: Serial) -> bool {
        let dialing = Phase::Dialing {
            serial,
            offered: false,
        };
        let is_on = self.phase == dialing;
        if is_on {
            self.phase = Phase::Dialing {
                serial,
                offered: true,
            };
        }
        is_on
    }

    /// Our call was accepted by this life of theirs. If not `true`, the connection is void.
    pub(super) fn dialed(&mut self, serial: Serial, life: u64, void: Serial) -> bool {
        let is_ours = self.phase
            == Phase::Dialing {
                serial,
                offered: true,
            }
            && life >= self.life;
        if is_ours {
            self.hear_of(life, void);
            self.phase = Phase::Up { serial };
            self.is_well();
        }
        is_ours
    }

    /// Our call was refused because of theirs. Whether theirs is not here yet.
    pub(super) fn yield_to_theirs(&mut self, serial: Serial) -> bool {
        let is_ours = self.phase
            == Phase::Dialing {
                serial,
                offered: true,
            };
        if is_ours {
            self.phase = Phase::Yielding { serial };
        }
        is_ours
    }

    /// Our call came to nothing. Whether that leaves us without a link.
    pub(super) fn dial_failed(&mut self, serial: Serial, now: Instant, rng: &mut fastrand::Rng) -> bool {
        let is_ours = match self.phase {
            Phase::Dialing { serial: mine, .. } | Phase::Yielding { serial: mine } => mine == serial,
            _ => false,
        };
        if is_ours {
            let wait = FIRST_WAIT * 2_u32.pow(self.failures.min(10));
            let wait = wait.min(LAST_WAIT).mul_f64(0.75 + rng.f64() / 2.0);
            self.failures += 1;
            self.retry_at = Some(now + wait);
            self.phase = Phase::Idle;
        }
        is_ours
    }

    /// They call, with a proven identity. `ours` is a new serial of ours.
    pub(super) fn call(&mut self, life: u64, theirs: Serial, ours: Serial) -> Call {
        if life < self.life {
            return Call::Refuse(Refusal::OldLife);
        }
        if life == self.life && theirs <= self.void {
            return Call::Refuse(Refusal::Overtaken);
        }
        match self.phase {
            Phase::Dialing { offered: true, .. } if self.ours_is_greater => Call::Refuse(Refusal::Crossed),
            Phase::Idle | Phase::Dialing { .. } | Phase::Yielding { .. } => {
                self.hear_of(life, theirs);
                self.phase = Phase::Accepting { serial: ours };
                Call::Accept
            }
            Phase::Up { .. } | Phase::Retiring { .. } | Phase::Ending { .. } => Call::Replace,
            Phase::Accepting { .. } => Call::Wait,
        }
    }

    /// Our answer to their call is out, or could not be sent.
    pub(super) fn accepted(&mut self, serial: Serial, is_sent: bool) {
        if self.phase == (Phase::Accepting { serial }) {
            self.phase = match is_sent {
                true => Phase::Up { serial },
                false => Phase::Idle,
            };
            if is_sent {
                self.is_well();
            }
        }
    }

    /// The link is to be closed in good order. Whether that begins now.
    pub(super) fn retire(&mut self, serial: Serial) -> bool {
        let is_up = self.phase == Phase::Up { serial };
        if is_up {
            self.phase = Phase::Retiring { serial };
        }
        is_up
    }

    /// Nothing more comes over the link.
    pub(super) fn ending(&mut self, serial: Serial) {
        if [Phase::Up { serial }, Phase::Retiring { serial }].contains(&self.phase) {
            self.phase = Phase::Ending { serial };
        }
    }

    /// All that came over the link was handled.
    pub(super) fn ended(&mut self, serial: Serial) {
        if self.phase == (Phase::Ending { serial }) {
            self.phase = Phase::Idle;
        }
    }

    fn hear_of(&mut self, life: u64, void: Serial) {
        match life > self.life {
            true => (self.life, self.void) = (life, void),
            false => self.void = self.void.max(void),
        }
    }

    fn is_well(&mut self) {
        self.failures = 0;
        self.retry_at = None;
    }
}

#[cfg(test)]
#[path = "slot_tests.rs"]
mod tests;
