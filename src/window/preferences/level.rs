//! The levels of the log, as names of the settings file and as words. Layer 4.

use crate::window::i18n::tr;

/// From the least to the most.
pub(super) const NAMES: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// In the same order.
pub(super) fn words() -> [String; 6] {
    [
        tr!("Nothing"),
        tr!("Errors"),
        tr!("Warnings"),
        tr!("Events"),
        tr!("Protocol"),
        tr!("Everything"),
    ]
}
