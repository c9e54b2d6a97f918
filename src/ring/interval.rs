//! What lies between two points of a circle. Layer 1, Chord (2001) §4.2.

use crate::id::RingId;

/// Whether going clockwise from `after` meets `x` before `before`, both ends excluded. From a point round to
/// itself lies everything else.
pub fn between(after: RingId, x: RingId, before: RingId) -> bool {
    if after < before {
        after < x && x < before
    } else {
        (x > after || x < before) && x != after
    }
}

/// A half-open arc of the circle, `(after, upto]`: what a node owns when `after` is its predecessor and `upto` is
/// itself. With both ends equal it is the whole circle, since a node alone owns everything; there is no empty one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Interval {
    /// The point before the first one inside.
    pub after: RingId,
    /// The last point inside.
    pub upto: RingId,
}

impl Interval {
    /// The arc `(after, upto]`.
    pub const fn new(after: RingId, upto: RingId) -> Self {
        Self { after, upto }
    }

    /// The whole circle, as seen by the node `id`.
    pub const fn whole(id: RingId) -> Self {
        Self { after: id, upto: id }
    }

    /// Whether `key` lies on the arc.
    pub fn contains(&self, key: RingId) -> bool {
        key == self.upto || between(self.after, key, self.upto)
    }

    /// Whether this is the whole circle.
    pub fn is_whole(&self) -> bool {
        self.after == self.upto
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(first: u8) -> RingId {
        let mut bytes = [0; 20];
        bytes[0] = first;
        RingId::new(bytes)
    }

    #[test]
    fn between_goes_clockwise_and_leaves_the_ends_out() {
        for (after, x, before, expected) in [
            (10, 20, 30, true),
            (10, 10, 30, false),
            (10, 30, 30, false),
            (10, 40, 30, false),
            (30, 40, 10, true),
            (30, 5, 10, true),
            (30, 20, 10, false),
            (30, 30, 10, false),
            (30, 10, 10, false),
            (10, 20, 10, true),
            (10, 10, 10, false),
        ] {
            assert_eq!(
                between(id(after), id(x), id(before)),
                expected,
                "{after} {x} {before}"
            );
        }
    }

    #[test]
    fn the_arcs_of_a_ring_tile_the_circle() {
        let nodes = [3, 77, 78, 200];
        for key in 0..=255 {
            let owners = (0..nodes.len())
                .filter(|&i| Interval::new(id(nodes[(i + 3) % 4]), id(nodes[i])).contains(id(key)))
                .count();
            assert_eq!(owners, 1, "key {key}");
        }
    }

    #[test]
    fn a_node_alone_owns_everything() {
        assert!((0..=255).all(|key| Interval::whole(id(9)).contains(id(key))));
    }
}
