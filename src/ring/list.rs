//! The rule of the lists of neighbours. Layer 1.
//!
//! A list goes away from its owner, each node farther than the one before, and ends before it comes round to the
//! owner. That makes rings of a few nodes work, and no list can be bent into one that is out of order, whatever
//! another node sent.

use super::contact::Contact;
use super::interval::clockwise;
use super::view::{MAX_PREDS, MAX_SUCC, Neighbour, PREDS};
use crate::id::RingId;

/// What a list became.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// What is left of it.
    pub list: Vec<Neighbour>,
    /// Whether it went round to the owner, so that there are no other nodes.
    pub goes_round: bool,
}

/// The successors of `me` out of `nodes`, the nearest first. Those for which `skip` holds are left out.
pub fn cut_succ(
    me: RingId,
    nodes: impl IntoIterator<Item = Neighbour>,
    skip: impl Fn(&Contact) -> bool,
) -> Cut {
    cut(
        me,
        nodes,
        |id| clockwise(me, id),
        skip,
        |list| list.len() == MAX_SUCC,
    )
}

/// The predecessors of `me` out of `nodes`, the nearest first: [`PREDS`], or as many more as it takes to the
/// nearest serving one.
pub fn cut_preds(
    me: RingId,
    nodes: impl IntoIterator<Item = Neighbour>,
    skip: impl Fn(&Contact) -> bool,
) -> Cut {
    cut(
        me,
        nodes,
        |id| clockwise(id, me),
        skip,
        |list| list.len() == MAX_PREDS || list.len() >= PREDS && list.iter().any(|pred| pred.serving),
    )
}

fn cut(
    me: RingId,
    nodes: impl IntoIterator<Item = Neighbour>,
    distance: impl Fn(RingId) -> RingId,
    skip: impl Fn(&Contact) -> bool,
    is_full: impl Fn(&[Neighbour]) -> bool,
) -> Cut {
    let mut list: Vec<Neighbour> = Vec::new();
    for node in nodes {
        if node.contact.id == me {
            return Cut {
                list,
                goes_round: true,
            };
        }
        // The list may still be about to come round; that is worth knowing even when it is full.
        if is_full(&list) {
            break;
        }
        let last = list.last().map(|last| distance(last.contact.id));
        if last == Some(distance(node.contact.id)) || skip(&node.contact) {
            continue;
        }
        if last > Some(distance(node.contact.id)) {
            break;
        }
        list.push(node);
    }
    Cut {
        list,
        goes_round: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes(firsts: &[u8]) -> Vec<Neighbour> {
        serving(firsts, true)
    }

    fn serving(firsts: &[u8], serving: bool) -> Vec<Neighbour> {
        let contact = |&first: &u8| Contact {
            id: id(first),
            incarnation: 1,
            addr: ([127, 0, 0, 1], 1).into(),
        };
        let neighbour = |contact| Neighbour { contact, serving };
        firsts.iter().map(contact).map(neighbour).collect()
    }

    fn id(first: u8) -> RingId {
        let mut bytes = [0; 20];
        bytes[0] = first;
        RingId::new(bytes)
    }

    #[test]
    fn successors_go_clockwise_and_end_at_their_owner() {
        for (name, given, expected, goes_round) in [
            (
                "a long list",
                &[60, 70, 80, 90, 95][..],
                &[60, 70, 80, 90][..],
                false,
            ),
            ("round the top", &[200, 10, 40], &[200, 10, 40], false),
            ("comes round", &[200, 50, 60], &[200], true),
            (
                "comes round when full",
                &[60, 70, 80, 90, 50],
                &[60, 70, 80, 90],
                true,
            ),
            ("the owner alone", &[50], &[], true),
            ("a node twice", &[60, 60, 70], &[60, 70], false),
            ("passes the owner", &[60, 200, 55], &[60, 200], false),
            ("out of order", &[60, 90, 70, 95], &[60, 90], false),
            ("nothing", &[], &[], false),
        ] {
            let expected = Cut {
                list: nodes(expected),
                goes_round,
            };
            assert_eq!(cut_succ(id(50), nodes(given), |_| false), expected, "{name}");
        }
    }

    #[test]
    fn skipped_nodes_do_not_end_a_list() {
        let cut = cut_succ(id(50), nodes(&[60, 70, 80]), |node| node.id == id(70));
        assert_eq!(cut.list, nodes(&[60, 80]));
    }

    #[test]
    fn predecessors_reach_as_far_as_the_nearest_that_serves() {
        let given = [serving(&[40, 30, 20, 10], false), nodes(&[5, 250])].concat();
        assert_eq!(cut_preds(id(50), given.clone(), |_| false).list, given[..5]);
        let given = nodes(&[40, 30, 20, 10]);
        assert_eq!(cut_preds(id(50), given.clone(), |_| false).list, given[..3]);
        let given = serving(&[40, 30, 20, 10, 9, 8, 7, 6, 5], false);
        assert_eq!(
            cut_preds(id(50), given.clone(), |_| false).list,
            given[..MAX_PREDS]
        );
    }
}
