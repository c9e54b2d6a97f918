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

/// How far it is clockwise from one point to the other, as the unsigned number that it is; nothing from a point to
/// itself.
pub fn clockwise(from: RingId, to: RingId) -> RingId {
    let (from_high, from_low) = halves(from);
    let (to_high, to_low) = halves(to);
    let (low, borrow) = to_low.overflowing_sub(from_low);
    joined(to_high.wrapping_sub(from_high).wrapping_sub(borrow.into()), low)
}

/// The point at the distance `step` clockwise from `from`.
pub fn advance(from: RingId, step: RingId) -> RingId {
    let (from_high, from_low) = halves(from);
    let (step_high, step_low) = halves(step);
    let (low, carry) = from_low.overflowing_add(step_low);
    joined(from_high.wrapping_add(step_high).wrapping_add(carry.into()), low)
}

/// Half of a distance.
pub fn half(distance: RingId) -> RingId {
    let (high, low) = halves(distance);
    joined(high >> 1, low >> 1 | u32::from(high & 1 == 1) << 31)
}

/// The distance `2^bit`; `bit` counts from the least significant, and is below 160.
pub fn power_of_two(bit: u8) -> RingId {
    if bit < 32 {
        joined(0, 1 << bit)
    } else {
        joined(1_u128.checked_shl(u32::from(bit) - 32).unwrap_or(0), 0)
    }
}

/// The upper 128 and the lower 32 bits.
fn halves(id: RingId) -> (u128, u32) {
    let [high @ .., a, b, c, d] = *id.as_bytes();
    (u128::from_be_bytes(high), u32::from_be_bytes([a, b, c, d]))
}

fn joined(high: u128, low: u32) -> RingId {
    let mut bytes = [0; 20];
    let (front, back) = bytes.split_at_mut(16);
    front.copy_from_slice(&high.to_be_bytes());
    back.copy_from_slice(&low.to_be_bytes());
    RingId::new(bytes)
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
    fn distances_carry_over_all_bits() {
        let mut rng = fastrand::Rng::with_seed(1);
        for _ in 0..1000 {
            let (a, b) = (RingId::random(&mut rng), RingId::random(&mut rng));
            assert_eq!(advance(a, clockwise(a, b)), b);
            assert_eq!(advance(clockwise(a, b), clockwise(b, a)), RingId::new([0; 20]));
        }
        assert_eq!(clockwise(id(3), id(3)), RingId::new([0; 20]));
        assert_eq!(clockwise(id(3), id(1)), id(254));
    }

    #[test]
    fn powers_of_two_double() {
        for bit in 0..159 {
            let power = power_of_two(bit);
            assert_eq!(advance(power, power), power_of_two(bit + 1), "bit {bit}");
            assert_eq!(half(power_of_two(bit + 1)), power, "bit {bit}");
        }
        assert_eq!(power_of_two(159), id(128));
    }

    #[test]
    fn a_node_alone_owns_everything() {
        assert!((0..=255).all(|key| Interval::whole(id(9)).contains(id(key))));
    }
}
