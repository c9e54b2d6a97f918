//! Ctrl-C and SIGTERM: the first asks for a clean end, the second ends at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

/// Exit status after the second Ctrl-C: what shells report for a program that SIGINT ended.
const INTERRUPTED: i32 = 130;

/// Set when the user wants us to end.
#[derive(Debug, Clone)]
pub(crate) struct StopFlag(Arc<AtomicBool>);

impl StopFlag {
    /// Catches the signals from now on.
    pub(crate) fn install() -> Result<Self> {
        let asked = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            // In this order: the first signal finds the flag clear, then sets it.
            flag::register_conditional_shutdown(signal, INTERRUPTED, Arc::clone(&asked))
                .and_then(|_| flag::register(signal, Arc::clone(&asked)))
                .context("cannot catch signals")?;
        }
        Ok(Self(asked))
    }

    /// As if the user had asked already: the next signal ends at once.
    pub(crate) fn arm(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// For work that looks at a flag of its own accord.
    pub(crate) fn as_atomic(&self) -> &AtomicBool {
        &self.0
    }
}
