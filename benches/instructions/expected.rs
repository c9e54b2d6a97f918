//! What is kept of an earlier count, `expected.toml`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::cases::Case;

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/instructions/expected.toml");
const SHORT_PATH: &str = "benches/instructions/expected.toml";
const RENEW: &str = "make bench-instructions BENCH=--write";

/// How much more or less than is kept counts as the same, in parts of it. Between two counts of one program lies less:
/// what differs is the keys of the hash maps, which are drawn anew in each process.
const TOLERANCE: f64 = 0.03;

/// The counts that are kept.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Expected {
    /// The compiler that made the code, and the valgrind that ran it.
    counted_with: String,
    /// By the name of the case, for one unit.
    instructions: BTreeMap<String, f64>,
}

/// How a count compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Same,
    Slower,
    Faster,
    /// Nothing is kept of the case.
    New,
}

impl Expected {
    pub(crate) fn read() -> Result<Self> {
        let text = fs::read_to_string(PATH).with_context(|| format!("{SHORT_PATH} cannot be read"))?;
        let expected: Self =
            toml_edit::de::from_str(&text).with_context(|| format!("{SHORT_PATH} cannot be used"))?;
        for (name, kept) in &expected.instructions {
            ensure!(
                *kept > 0.0,
                "{SHORT_PATH} has {kept} for {name}, which no case can take"
            );
        }
        Ok(expected)
    }

    /// What is kept of a case, and how `counted` compares with it.
    pub(crate) fn judge(&self, name: &str, counted: f64) -> (Option<f64>, Verdict) {
        let kept = self.instructions.get(name).copied();
        let verdict = match kept {
            None => Verdict::New,
            Some(kept) if counted > kept * (1.0 + TOLERANCE) => Verdict::Slower,
            Some(kept) if counted < kept * (1.0 - TOLERANCE) => Verdict::Faster,
            Some(_) => Verdict::Same,
        };
        (kept, verdict)
    }

    /// A sentence about it if these counts are not of the same kind.
    pub(crate) fn other_tools(&self, tools: &str) -> Option<String> {
        (tools != self.counted_with).then(|| {
            format!(
                "{SHORT_PATH} was counted with {}, and this is {tools}. Other tools count otherwise: renew the file \
                 from a commit before the change that is in question ({RENEW}), then compare.",
                self.counted_with
            )
        })
    }
}

/// What a person should know of a count, if anything.
pub(crate) fn remark(case: &Case, counted: f64, kept: Option<f64>, verdict: Verdict) -> Option<String> {
    let Case { name, unit, .. } = case;
    let Some(kept) = kept else {
        return Some(format!(
            "{name} takes {counted:.1} instructions per {unit}, but {SHORT_PATH} has no count of it. {RENEW} writes one."
        ));
    };
    let percent = 100.0 * (counted / kept - 1.0).abs();
    match verdict {
        Verdict::Slower => Some(format!(
            "{name} has become slower: {counted:.1} instructions per {unit}, {percent:.1} % more than the {kept:.1} of \
             {SHORT_PATH}. If that is meant to be: {RENEW}, and say why in the commit."
        )),
        Verdict::Faster => Some(format!(
            "{name} has become faster: {counted:.1} instructions per {unit}, {percent:.1} % less than the {kept:.1} of \
             {SHORT_PATH}, which should be renewed, so that it stays so: {RENEW}."
        )),
        Verdict::Same | Verdict::New => None,
    }
}

/// Keeps these counts.
pub(crate) fn write(counted: &[(&str, f64)], tools: &str) -> Result<()> {
    let mut text = format!(
        "# Instructions that one unit of each case takes; written by `{RENEW}`.\n\ncounted_with = \"{tools}\"\n\n\
         [instructions]\n"
    );
    for (name, instructions) in counted {
        // Writing to a string does not fail.
        let _ = writeln!(text, "\"{name}\" = {instructions:.1}");
    }
    fs::write(PATH, text).with_context(|| format!("{SHORT_PATH} cannot be written"))
}
