//! What the speed graph says: its scale and its words. Layer 4, without widgets.

use dtorrent::engine::api::Speed;

use super::i18n::tr;
use super::words;

/// Bytes a second at the top of the graph, so that the greatest value fits: a round number of KiB, MiB or GiB.
pub(crate) fn top(speeds: &[Speed]) -> u64 {
    let greatest = speeds.iter().map(|speed| speed.down.max(speed.up)).max();
    let greatest = greatest.unwrap_or_default();
    let mut unit = 1024_u64;
    loop {
        for steps in [1, 2, 4, 10, 20, 40, 100, 200, 400] {
            let top = unit.saturating_mul(steps);
            if greatest <= top {
                return top;
            }
        }
        let Some(next) = unit.checked_mul(1024) else {
            return greatest;
        };
        unit = next;
    }
}

/// One direction in words: "now 3 MiB/s, at most 5 MiB/s, mean 2 MiB/s". The mean is over all that is known.
pub(crate) fn direction(speeds: &[Speed], of: impl Fn(&Speed) -> u64) -> String {
    let values = || speeds.iter().map(&of);
    let most = values().max().unwrap_or_default();
    let mean = values().map(u128::from).sum::<u128>() / speeds.len().max(1) as u128;
    tr!(
        "now {now}, at most {most}, mean {mean}",
        now = words::rate(values().next_back().unwrap_or_default()),
        most = words::rate(most),
        mean = words::rate(u64::try_from(mean).unwrap_or(u64::MAX))
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn speeds(down: &[u64]) -> Vec<Speed> {
        down.iter().map(|&down| Speed { down, up: down / 2 }).collect()
    }

    #[test]
    fn the_top_is_round_and_above_all() {
        const KIB: u64 = 1024;
        let cases = [
            (0, KIB),
            (KIB, KIB),
            (KIB + 1, 2 * KIB),
            (3 * KIB, 4 * KIB),
            (5 * KIB, 10 * KIB),
            (500 * KIB, KIB * KIB),
            (3 * KIB * KIB, 4 * KIB * KIB),
            (u64::MAX, u64::MAX),
        ];
        for (greatest, expected) in cases {
            assert_eq!(top(&speeds(&[0, greatest, 7])), expected, "{greatest}");
        }
        assert_eq!(top(&[]), KIB);
        assert_eq!(
            top(&[Speed { down: 1, up: 3 * KIB }]),
            4 * KIB,
            "both directions fit"
        );
    }

    #[test]
    fn the_words_are_of_what_is_known() {
        let told = direction(&speeds(&[1024, 3072, 2048]), |speed| speed.down);
        assert_eq!(told, "now 2 KiB/s, at most 3 KiB/s, mean 2 KiB/s");
        assert_eq!(
            direction(&[], |speed| speed.up),
            "now 0 B/s, at most 0 B/s, mean 0 B/s"
        );
    }
}
