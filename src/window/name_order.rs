//! The order of names. Layer 4, but pure.

use std::cmp::Ordering;

/// A name as people sort it: capitals count as small letters, and "part 2" comes before "part 10".
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Name(String);

impl Name {
    pub(super) fn of(name: &str) -> Self {
        Self(name.to_lowercase())
    }
}

impl Ord for Name {
    fn cmp(&self, other: &Self) -> Ordering {
        let (mut one, mut two) = (self.0.as_str(), other.0.as_str());
        loop {
            match (take_number(one), take_number(two)) {
                (Some((left, rest)), Some((right, other_rest))) => {
                    // Without leading zeros the longer number is the larger one.
                    let order = left.len().cmp(&right.len()).then_with(|| left.cmp(right));
                    if order != Ordering::Equal {
                        return order;
                    }
                    (one, two) = (rest, other_rest);
                }
                _ => match (one.chars().next(), two.chars().next()) {
                    (Some(left), Some(right)) if left == right => {
                        (one, two) = (&one[left.len_utf8()..], &two[right.len_utf8()..]);
                    }
                    // Names that differ in zeros alone are still not the same.
                    (None, None) => return self.0.cmp(&other.0),
                    (left, right) => return left.cmp(&right),
                },
            }
        }
    }
}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The digits at the start of a text, without leading zeros, and the rest.
fn take_number(text: &str) -> Option<(&str, &str)> {
    let end = text
        .find(|letter: char| !letter.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    (end > 0).then(|| (digits.trim_start_matches('0'), rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn names_are_in_one_order(names in prop::collection::vec("[aB01 .é]{0,6}", 3)) {
            let [a, b, c] = [0, 1, 2].map(|at: usize| Name::of(&names[at]));
            prop_assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
            prop_assert_eq!(a.cmp(&b) == Ordering::Equal, a == b);
            if a <= b && b <= c {
                prop_assert!(a <= c);
            }
        }
    }
}
