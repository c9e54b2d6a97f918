//! What one node knows of the ring around it, for those who store and route by it. Layer 1.

use super::contact::Contact;

/// A node of the ring as its neighbours know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Neighbour {
    /// Which life of which node.
    pub contact: Contact,
    /// Whether it has authority over an arc that ends at itself. A node that has just joined does not serve yet.
    pub serving: bool,
}

/// How far a node is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    /// It looks for its place in a ring.
    Outside,
    /// It is a node of a ring, perhaps of one alone.
    Member,
    /// It has said goodbye.
    Left,
}

/// Where the arc begins that would be a serving node's: at the nearest serving node before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ServedBefore {
    /// Behind this node.
    Node(Contact),
    /// No other node serves: the arc is the whole circle.
    Nobody,
    /// The known predecessors do not tell: none of them serves, and there are more nodes before them. What was
    /// true before stays true.
    Unknown,
}

/// The neighbourhood of a node at one moment. In a ring of a few nodes the lists end before they come round to
/// the node itself, so no node stands twice in a list, and `me` in none. A ring of two has its one other node in
/// both lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// Greater whenever anything else here is different.
    pub epoch: u64,
    /// This node.
    pub me: Contact,
    /// How far it is. Outside of a ring both lists are empty.
    pub stage: Stage,
    /// Whether this node serves.
    pub serving: bool,
    /// The nodes before this one, the nearest first: three, where there are as many; more only as far as the
    /// nearest serving one, and at most [`MAX_PREDS`].
    pub preds: Vec<Neighbour>,
    /// Whether `preds` are all other nodes of the ring: before the last of them comes this node again.
    pub preds_go_round: bool,
    /// The nodes behind this one, the nearest first, at most [`MAX_SUCC`]. Those beyond the first are hearsay of
    /// the one before them.
    pub succ: Vec<Neighbour>,
}

/// Most successors that a node keeps: Chord's `r`.
pub const MAX_SUCC: usize = 4;
/// Predecessors that a node keeps where the ring has them: it holds what three nodes own beside its own arc.
pub const PREDS: usize = 3;
/// Most predecessors that a node keeps when the nearest do not serve yet.
pub const MAX_PREDS: usize = 8;

impl View {
    /// The view of a node that is in no ring.
    pub fn outside(me: Contact) -> Self {
        Self {
            epoch: 0,
            me,
            stage: Stage::Outside,
            serving: false,
            preds: Vec::new(),
            preds_go_round: false,
            succ: Vec::new(),
        }
    }

    /// The nearest serving node before this one.
    pub fn served_before(&self) -> ServedBefore {
        match self.preds.iter().find(|pred| pred.serving) {
            Some(pred) => ServedBefore::Node(pred.contact),
            None if self.preds_go_round => ServedBefore::Nobody,
            None => ServedBefore::Unknown,
        }
    }

    /// Whether this node is a ring of one.
    pub fn is_alone(&self) -> bool {
        self.stage == Stage::Member && self.succ.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::RingId;

    fn neighbour(first: u8, serving: bool) -> Neighbour {
        let mut id = [0; 20];
        id[0] = first;
        let contact = Contact {
            id: RingId::new(id),
            incarnation: 1,
            addr: ([127, 0, 0, 1], u16::from(first)).into(),
        };
        Neighbour { contact, serving }
    }

    #[test]
    fn the_arc_begins_at_the_nearest_serving_predecessor() {
        let (new, old) = (neighbour(8, false), neighbour(5, true));
        let mut view = View {
            stage: Stage::Member,
            preds: vec![new, old],
            ..View::outside(neighbour(9, true).contact)
        };
        assert_eq!(view.served_before(), ServedBefore::Node(old.contact));
        view.preds.truncate(1);
        assert_eq!(view.served_before(), ServedBefore::Unknown);
        view.preds_go_round = true;
        assert_eq!(view.served_before(), ServedBefore::Nobody);
    }
}
