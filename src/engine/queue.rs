//! The order of the queue, and how it changes when several torrents move together.

use std::collections::BTreeSet;

use crate::engine::api::QueueStep;
use crate::id::InfoHash;

/// `order` after the `chosen` ones have moved. Among themselves these keep their order, and so do the others.
pub(super) fn moved(order: &[InfoHash], chosen: &BTreeSet<InfoHash>, step: QueueStep) -> Vec<InfoHash> {
    match step {
        QueueStep::Up => stepped(order, chosen),
        QueueStep::Down => {
            let reversed: Vec<_> = order.iter().rev().copied().collect();
            let mut order = stepped(&reversed, chosen);
            order.reverse();
            order
        }
        QueueStep::Top => gathered(order, chosen, |_| Some(0)),
        QueueStep::Bottom => gathered(order, chosen, |_| None),
        QueueStep::Before(target) => gathered(order, chosen, |rest| place(rest, order, chosen, target)),
        QueueStep::After(target) => {
            // Behind one that moves itself is where that one stands.
            let behind = usize::from(!chosen.contains(&target));
            gathered(order, chosen, |rest| {
                place(rest, order, chosen, target).map(|at| at + behind)
            })
        }
    }
}

/// Each chosen one passes the one before it, unless that is chosen too, and has not moved itself.
fn stepped(order: &[InfoHash], chosen: &BTreeSet<InfoHash>) -> Vec<InfoHash> {
    let mut order = order.to_vec();
    for at in 1..order.len() {
        if chosen.contains(&order[at]) && !chosen.contains(&order[at - 1]) {
            order.swap(at - 1, at);
        }
    }
    order
}

/// The chosen ones together at the place among the others that `place` gives; `None`: the end.
fn gathered(
    order: &[InfoHash],
    chosen: &BTreeSet<InfoHash>,
    place: impl Fn(&[InfoHash]) -> Option<usize>,
) -> Vec<InfoHash> {
    let (moving, mut rest): (Vec<_>, Vec<_>) = order.iter().copied().partition(|id| chosen.contains(id));
    let at = place(&rest).unwrap_or(rest.len());
    rest.splice(at..at, moving);
    rest
}

/// Where `target` stands among the `rest`, or where it would stand if it is chosen itself.
fn place(
    rest: &[InfoHash],
    order: &[InfoHash],
    chosen: &BTreeSet<InfoHash>,
    target: InfoHash,
) -> Option<usize> {
    if !chosen.contains(&target) {
        return rest.iter().position(|id| *id == target);
    }
    let before = order.iter().take_while(|id| **id != target);
    Some(before.filter(|id| !chosen.contains(id)).count())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(letter: char) -> InfoHash {
        InfoHash::new([letter as u8; 20])
    }

    fn after(order: &str, chosen: &str, step: QueueStep) -> String {
        let order: Vec<_> = order.chars().map(id).collect();
        let moved = moved(&order, &chosen.chars().map(id).collect(), step);
        moved.iter().map(|id| char::from(id.as_bytes()[0])).collect()
    }

    #[test]
    fn several_move_together() {
        use QueueStep::{After, Before, Bottom, Down, Top, Up};
        for (chosen, step, expected) in [
            ("c", Up, "acbde"),
            ("a", Up, "abcde"),
            ("bc", Up, "bcade"),
            ("abd", Up, "abdce"),
            ("bd", Up, "badce"),
            ("bd", Down, "acbed"),
            ("de", Down, "abcde"),
            ("ace", Down, "badce"),
            ("db", Top, "bdace"),
            ("db", Bottom, "acebd"),
            ("ae", Before(id('c')), "baecd"),
            ("ae", After(id('c')), "bcaed"),
            ("bc", Before(id('c')), "abcde"),
            ("bd", After(id('b')), "abdce"),
            ("b", Before(id('x')), "acdeb"),
            ("x", Top, "abcde"),
        ] {
            assert_eq!(after("abcde", chosen, step), expected, "{chosen} {step:?}");
        }
    }
}
