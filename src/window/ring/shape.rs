//! Where everything of the ring's picture is: numbers only, no colours and no widgets. Layer 4.
//!
//! The circle begins at the top and goes clockwise. A *place* is a part of the way round, 0 up to 1; lengths are pixels.

use std::collections::HashMap;
use std::f64::consts::{FRAC_PI_2, TAU};

use dtorrent::ring::picture::{Health, NodePicture, Picture};

/// Labels of two lines fit around so many nodes; more have short ones that point away from the centre.
pub(crate) const FEW: usize = 14;
/// The smallest and the largest node.
const NODE_RADII: (f64, f64) = (6.0, 15.0);
/// How far from a node it is still meant.
const REACH: f64 = 8.0;

pub(crate) type Point = (f64, f64);

/// An angle as cairo has it: 0 is to the right, and it grows clockwise.
pub(crate) fn angle(place: f64) -> f64 {
    place * TAU - FRAC_PI_2
}

/// How far it is clockwise from one place to another: 0 up to 1.
pub(crate) fn distance(from: f64, to: f64) -> f64 {
    (to - from).rem_euclid(1.0)
}

/// The circle in its widget.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Frame {
    pub(crate) centre: Point,
    /// To the middle of the band of owners.
    pub(crate) radius: f64,
    /// Width of that band.
    pub(crate) band: f64,
}

impl Frame {
    /// As large as fits with its labels.
    pub(crate) fn new(width: f64, height: f64, nodes: usize) -> Self {
        let (aside, above) = match (nodes > FEW, width < 480.0) {
            (true, true) => (60.0, 60.0),
            (true, false) => (92.0, 92.0),
            (false, true) => (84.0, 46.0),
            (false, false) => (156.0, 60.0),
        };
        let radius = (width / 2.0 - aside).min(height / 2.0 - above).max(40.0);
        Self {
            centre: (width / 2.0, height / 2.0),
            radius,
            band: (radius * 0.085).clamp(8.0, 26.0),
        }
    }

    /// The point at a place, so far from the centre.
    pub(crate) fn point(&self, place: f64, radius: f64) -> Point {
        let (sin, cos) = angle(place).sin_cos();
        (self.centre.0 + radius * cos, self.centre.1 + radius * sin)
    }

    /// How large a node is drawn here.
    pub(crate) fn disc(&self, node: &Drawn) -> f64 {
        node.radius * (self.radius / 230.0).clamp(0.6, 1.2)
    }

    /// The radius and the width of the band of the owners (0), and of the first and second copies (1, 2).
    pub(crate) fn band(&self, copy: usize) -> (f64, f64) {
        match copy {
            0 => (self.radius, self.band),
            copy => {
                let thin = self.band * 0.36;
                let inner = self.radius - self.band / 2.0;
                (inner - (copy as f64 - 0.5) * thin - copy as f64 * 3.0, thin)
            }
        }
    }

    /// Where lines across the circle begin and end.
    pub(crate) fn inner(&self) -> f64 {
        let (radius, width) = self.band(2);
        radius - width / 2.0 - 5.0
    }

    /// A line from one place to another, bent towards the centre: its two ends and the point that bends it.
    pub(crate) fn chord(&self, from: f64, to: f64) -> [Point; 3] {
        let way = distance(from, to);
        let (middle, apart) = match way <= 0.5 {
            true => (from + way / 2.0, way),
            false => (to + (1.0 - way) / 2.0, 1.0 - way),
        };
        // The nearer the ends, the nearer to the band it stays.
        let bend = self.inner() * (0.86 - 1.5 * apart).max(0.1);
        [
            self.point(from, self.inner()),
            self.point(middle, bend),
            self.point(to, self.inner()),
        ]
    }

    /// What is at this point: a node, or the one whose arc it is.
    pub(crate) fn hit<'a>(&self, drawn: &'a [Drawn], (x, y): Point) -> Option<&'a Drawn> {
        let near = drawn.iter().filter(|node| node.presence > 0.5).map(|node| {
            let (nx, ny) = self.point(node.place, self.radius);
            ((nx - x).hypot(ny - y) - self.disc(node), node)
        });
        let nearest = near.min_by(|(one, _), (other, _)| one.total_cmp(other));
        if let Some((_, node)) = nearest.filter(|(away, _)| *away < REACH) {
            return Some(node);
        }
        let (dx, dy) = (x - self.centre.0, y - self.centre.1);
        if (dx.hypot(dy) - self.radius).abs() > self.band / 2.0 + 2.0 {
            return None;
        }
        let place = ((dy.atan2(dx) + FRAC_PI_2) / TAU).rem_euclid(1.0);
        drawn
            .iter()
            .find(|node| node.share > 0.0 && distance(node.begin, place) <= node.share)
    }
}

/// A point of the way along a chord, 0 up to 1, and the direction there.
pub(crate) fn along([from, bend, to]: [Point; 3], way: f64) -> (Point, f64) {
    let back = 1.0 - way;
    let mix = |a: f64, b: f64, c: f64| back * back * a + 2.0 * back * way * b + way * way * c;
    let slope = |a: f64, b: f64, c: f64| 2.0 * back * (b - a) + 2.0 * way * (c - b);
    (
        (mix(from.0, bend.0, to.0), mix(from.1, bend.1, to.1)),
        slope(from.1, bend.1, to.1).atan2(slope(from.0, bend.0, to.0)),
    )
}

/// A node as it is drawn at one moment.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Drawn {
    pub(crate) id: String,
    pub(crate) place: f64,
    /// Where its arc begins.
    pub(crate) begin: f64,
    /// How long its arc is: 0 for none.
    pub(crate) share: f64,
    /// Of its disc, in a circle of ordinary size.
    pub(crate) radius: f64,
    /// 1 for a node that is there, 0 for one that is not.
    pub(crate) presence: f64,
    /// 1 for one whose word counts, 0 for one that is gone.
    pub(crate) life: f64,
}

/// Where an arc with these digits begins, as [`dtorrent::ring::picture::place`] has it.
fn place_of(digits: &str) -> f64 {
    let first = digits
        .get(..8)
        .and_then(|first| u32::from_str_radix(first, 16).ok());
    f64::from(first.unwrap_or_default()) / (f64::from(u32::MAX) + 1.0)
}

/// All nodes as they are drawn when nothing moves any more.
pub(crate) fn still(picture: &Picture) -> Vec<Drawn> {
    let load =
        |node: &NodePicture| node.held.seeds as f64 + node.held.leechers as f64 + node.held.swarms as f64;
    let most = picture.nodes.iter().map(load).fold(1.0, f64::max);
    // In a full ring discs must not cover each other.
    let crowd = (24.0 / picture.nodes.len().max(1) as f64).clamp(0.45, 1.0);
    let radius = |node: &NodePicture| {
        let (least, largest) = NODE_RADII;
        (least + (largest - least) * (load(node) / most).sqrt()) * crowd
    };
    let drawn = picture.nodes.iter().map(|node| {
        let alive = node.health.is_heard();
        let arc = node
            .arc
            .as_ref()
            .filter(|_| alive && node.health != Health::Joining);
        Drawn {
            id: node.id.clone(),
            place: node.place,
            begin: arc.map_or(node.place, |arc| place_of(&arc.after)),
            share: arc.map_or(0.0, |arc| arc.share),
            radius: radius(node),
            presence: 1.0,
            life: f64::from(u8::from(alive)),
        }
    });
    drawn.collect()
}

/// The moment between two pictures, `way` 0 up to 1: arcs grow and shrink at their beginning, nodes come and fade.
pub(crate) fn between<'a>(from: &'a [Drawn], to: &'a [Drawn], way: f64) -> Vec<Drawn> {
    let mix = |a: f64, b: f64| a + (b - a) * way;
    let absent = |node: &Drawn| Drawn {
        presence: 0.0,
        share: 0.0,
        begin: node.place,
        ..node.clone()
    };
    let moving = |a: &Drawn, b: &Drawn| {
        let share = mix(a.share, b.share);
        Drawn {
            // Both arcs end at the node, so what changes is the length.
            begin: if share >= 1.0 {
                b.begin
            } else {
                (b.place - share).rem_euclid(1.0)
            },
            share,
            radius: mix(a.radius, b.radius),
            presence: mix(a.presence, b.presence),
            life: mix(a.life, b.life),
            ..b.clone()
        }
    };
    let by_id = |nodes: &'a [Drawn]| -> HashMap<&'a str, &'a Drawn> {
        nodes.iter().map(|node| (node.id.as_str(), node)).collect()
    };
    let (before, after) = (by_id(from), by_id(to));
    let mut now: Vec<Drawn> = to
        .iter()
        .map(|node| match before.get(node.id.as_str()) {
            Some(old) => moving(old, node),
            None => moving(&absent(node), node),
        })
        .collect();
    let gone = from.iter().filter(|old| !after.contains_key(old.id.as_str()));
    now.extend(
        gone.map(|old| moving(old, &absent(old)))
            .filter(|old| old.presence > 0.01),
    );
    now
}

/// Pushes labels of one side apart, so that no two are closer than `gap`; `heights` are in order and stay so, and no
/// label leaves `0..=height` as long as there is room.
pub(crate) fn spread(heights: &mut [f64], gap: f64, height: f64) {
    for at in 1..heights.len() {
        heights[at] = heights[at].max(heights[at - 1] + gap);
    }
    let mut limit = height;
    for at in heights.iter_mut().rev() {
        *at = at.min(limit);
        limit = *at - gap;
    }
}

/// A colour of even lightness for a place: red, green and blue, 0 up to 1. Neighbours differ as much as they are apart.
pub(crate) fn hue(place: f64, is_dark: bool) -> [f64; 3] {
    let (lightness, chroma) = if is_dark { (0.74, 0.125) } else { (0.66, 0.145) };
    let (sin, cos) = ((place + 0.07) * TAU).sin_cos();
    oklab(lightness, chroma * cos, chroma * sin)
}

/// Oklab (B. Ottosson, 2020) to sRGB.
fn oklab(lightness: f64, a: f64, b: f64) -> [f64; 3] {
    let cube = |value: f64| value * value * value;
    let l = cube(lightness + 0.396_337_777_4 * a + 0.215_803_757_3 * b);
    let m = cube(lightness - 0.105_561_345_8 * a - 0.063_854_172_8 * b);
    let s = cube(lightness - 0.089_484_177_5 * a - 1.291_485_548 * b);
    let gamma = |value: f64| match value.clamp(0.0, 1.0) {
        low if low <= 0.003_130_8 => 12.92 * low,
        high => 1.055 * high.powf(1.0 / 2.4) - 0.055,
    };
    [
        gamma(4.076_741_662_1 * l - 3.307_711_591_3 * m + 0.230_969_929_2 * s),
        gamma(-1.268_438_004_6 * l + 2.609_757_401_1 * m - 0.341_319_396_5 * s),
        gamma(-0.004_196_086_3 * l - 0.703_418_614_7 * m + 1.707_614_701 * s),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::sample::{node, picture};
    use super::*;

    fn close(one: f64, other: f64) -> bool {
        (one - other).abs() < 1e-6
    }

    #[test]
    fn the_circle_begins_at_the_top_and_goes_clockwise() {
        let frame = Frame::new(800.0, 800.0, 5);
        let (x, y) = frame.point(0.0, 100.0);
        assert!(close(x, 400.0) && close(y, 300.0), "{x} {y}");
        let (x, y) = frame.point(0.25, 100.0);
        assert!(close(x, 500.0) && close(y, 400.0), "{x} {y}");
        assert!(close(distance(0.9, 0.1), 0.2));
    }

    #[test]
    fn bands_lie_inside_each_other_and_all_fits() {
        for (width, height, nodes) in [(360.0, 320.0, 5), (360.0, 320.0, 40), (1000.0, 700.0, 5)] {
            let frame = Frame::new(width, height, nodes);
            assert!(frame.radius < width / 2.0 && frame.radius < height / 2.0);
            for copy in 1..3 {
                let ((outer, thick), (inner, thin)) = (frame.band(copy - 1), frame.band(copy));
                assert!(inner + thin / 2.0 < outer - thick / 2.0, "{copy}");
            }
            assert!(frame.inner() > 0.0);
        }
    }

    #[test]
    fn nodes_and_arcs_are_hit_and_the_middle_is_not() {
        let picture = picture(&[0.0, 0.25, 0.5, 0.75]);
        let (frame, drawn) = (Frame::new(800.0, 800.0, 4), still(&picture));
        let hit = |place: f64, radius: f64| {
            let hit = frame.hit(&drawn, frame.point(place, radius));
            hit.map(|node| node.place)
        };
        assert_eq!(hit(0.25, frame.radius), Some(0.25));
        assert_eq!(hit(0.255, frame.radius + 6.0), Some(0.25));
        assert_eq!(
            hit(0.4, frame.radius),
            Some(0.5),
            "the arc belongs to the node at its end"
        );
        assert_eq!(hit(0.9, frame.radius), Some(0.0), "also across the top");
        assert_eq!(hit(0.4, frame.radius / 2.0), None);
    }

    #[test]
    fn the_heir_of_a_dead_node_takes_its_arc_step_by_step() {
        let before = still(&picture(&[0.0, 0.25, 0.5, 0.75]));
        let mut after = picture(&[0.0, 0.5, 0.75]);
        after.nodes.push(dtorrent::ring::picture::NodePicture {
            health: Health::Silent,
            ..node(0.25, 0.0)
        });
        let after = still(&after);
        let half = between(&before, &after, 0.5);
        let at = |nodes: &[Drawn], place: f64| nodes.iter().find(|node| node.place == place).cloned();
        let (dead, heir) = (at(&half, 0.25).unwrap(), at(&half, 0.5).unwrap());
        assert!(
            close(dead.share, 0.125) && close(dead.life, 0.5) && close(dead.presence, 1.0),
            "{dead:?}"
        );
        assert!(close(heir.share, 0.375) && close(heir.begin, 0.125), "{heir:?}");
        assert_eq!(between(&before, &after, 1.0), after);
        let new = between(&[], &before, 0.25);
        assert!(new.iter().all(|node| close(node.presence, 0.25)));
        assert!(between(&before, &[], 1.0).is_empty());
    }

    #[test]
    fn labels_are_pushed_apart_and_stay_inside() {
        let mut heights = [10.0, 12.0, 90.0, 98.0];
        spread(&mut heights, 20.0, 100.0);
        assert_eq!(heights, [10.0, 30.0, 80.0, 100.0]);
        spread(&mut [], 20.0, 100.0);
    }

    #[test]
    fn chords_stay_inside_and_know_their_direction() {
        let frame = Frame::new(800.0, 800.0, 5);
        for to in [0.05, 0.3, 0.5, 0.8] {
            let chord = frame.chord(0.0, to);
            for step in 0..=10 {
                let ((x, y), _) = along(chord, f64::from(step) / 10.0);
                let away = (x - frame.centre.0).hypot(y - frame.centre.1);
                assert!(away <= frame.inner() + 1e-6, "{to} {step}");
            }
        }
        let (_, direction) = along([(0.0, 0.0), (1.0, 0.0), (2.0, 0.0)], 0.5);
        assert!(close(direction, 0.0));
    }

    #[test]
    fn colours_are_of_one_lightness_and_differ() {
        let light = |[r, g, b]: [f64; 3]| 0.2126 * r + 0.7152 * g + 0.0722 * b;
        for step in 0..16 {
            let place = f64::from(step) / 16.0;
            let colour = hue(place, true);
            assert!((0.45..0.8).contains(&light(colour)), "{place} {colour:?}");
            assert_ne!(colour, hue(place + 0.05, true));
        }
    }
}
