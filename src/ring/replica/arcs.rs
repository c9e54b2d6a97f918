//! Arithmetic of arcs. Layer 1.

use crate::id::RingId;
use crate::ring::interval::{Interval, between};

/// Whether all of `inner` lies on `outer`.
pub fn covers(outer: Interval, inner: Interval) -> bool {
    outer.is_whole()
        || !inner.is_whole()
            && outer.contains(inner.upto)
            && (inner.after == outer.after || between(outer.after, inner.after, inner.upto))
}

/// Whether the arcs have a point in common. If they have, the last of such points is the end of one of them.
pub fn overlap(one: Interval, other: Interval) -> bool {
    one.contains(other.upto) || other.contains(one.upto)
}

/// Cuts the circle at all of `cuts`, asks for the label of each part (by its last point, which stands for all of
/// it), and joins neighbours with one label. The parts tile the circle. Without cuts there are none.
pub fn label<T: PartialEq>(mut cuts: Vec<RingId>, label: impl Fn(RingId) -> T) -> Vec<(Interval, T)> {
    cuts.sort_unstable();
    cuts.dedup();
    let mut parts: Vec<(Interval, T)> = Vec::with_capacity(cuts.len());
    for (i, &upto) in cuts.iter().enumerate() {
        let after = cuts[i.checked_sub(1).unwrap_or(cuts.len() - 1)];
        let of_part = label(upto);
        match parts.last_mut() {
            Some((arc, of_last)) if *of_last == of_part => arc.upto = upto,
            _ => parts.push((Interval::new(after, upto), of_part)),
        }
    }
    if let [(first, of_first), .., (last, of_last)] = &mut parts[..]
        && *of_first == *of_last
    {
        first.after = last.after;
        parts.pop();
    }
    parts
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id(first: u8) -> RingId {
        let mut bytes = [0; 20];
        bytes[0] = first;
        RingId::new(bytes)
    }

    fn arc(after: u8, upto: u8) -> Interval {
        Interval::new(id(after), id(upto))
    }

    fn points(arc: Interval) -> Vec<u8> {
        (0..=255).filter(|&point| arc.contains(id(point))).collect()
    }

    proptest! {
        #[test]
        fn arcs_are_sets_of_points(a: u8, b: u8, c: u8, d: u8) {
            let (one, other) = (arc(a, b), arc(c, d));
            let (in_one, in_other) = (points(one), points(other));
            prop_assert_eq!(covers(one, other), in_other.iter().all(|point| in_one.contains(point)));
            prop_assert_eq!(overlap(one, other), in_other.iter().any(|point| in_one.contains(point)));
        }

        #[test]
        fn labelled_parts_tile_the_circle(cuts in prop::collection::vec(any::<u8>(), 1..9), odd: u8) {
            let of = |point: RingId| point.as_bytes()[0] & odd == 0;
            let parts = label(cuts.iter().map(|&cut| id(cut)).collect(), of);
            for point in 0..=255 {
                prop_assert_eq!(parts.iter().filter(|(arc, _)| arc.contains(id(point))).count(), 1);
            }
            for &cut in &cuts {
                let (_, label) = parts.iter().find(|(arc, _)| arc.contains(id(cut))).expect("tiled");
                prop_assert_eq!(*label, of(id(cut)));
            }
            prop_assert!(parts.len() == 1 || parts.windows(2).all(|pair| pair[0].1 != pair[1].1));
        }
    }
}
