//! Draws the circle. Layer 4.
//!
//! From outside in: what a node is called, the nodes on the band of those that own, two thin bands of those that keep
//! copies, and lines to the nodes that one knows. A colour stands for a place on the circle, so it means one node, and
//! the thin bands are in the colours of those that keep the copies. Words beside the nodes say the same.

use std::collections::HashMap;
use std::f64::consts::{PI, TAU};

use adw::prelude::*;
use dtorrent::ring::picture::{NodePicture, Route};
use gtk::{cairo, gdk, graphene, pango};

use super::facts;
use super::labels;
use super::seen::Seen;
use super::shape::{self, Drawn, Frame, Point, along, angle};

/// Everything that one drawing needs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View<'a> {
    pub(crate) frame: Frame,
    pub(crate) picture: &'a Seen,
    pub(crate) route: Option<&'a Route>,
    /// Name of the torrent to which the route leads.
    pub(crate) torrent: &'a str,
    pub(crate) drawn: &'a [Drawn],
    pub(crate) by_id: &'a HashMap<&'a str, &'a Drawn>,
    pub(crate) selected: &'a str,
    pub(crate) hovered: &'a str,
}

/// What is drawn of each node.
pub(super) fn by_id(drawn: &[Drawn]) -> HashMap<&str, &Drawn> {
    drawn.iter().map(|node| (node.id.as_str(), node)).collect()
}

impl<'a> View<'a> {
    pub(super) fn find(&self, id: &str) -> Option<&'a Drawn> {
        self.by_id.get(id).copied()
    }

    pub(super) fn node(&self, id: &str) -> Option<&'a NodePicture> {
        self.picture.find(id)
    }

    /// Whether something is shown of one node or torrent, so that the rest steps back.
    fn is_focused(&self) -> bool {
        self.route.is_some() || self.find(self.selected).is_some()
    }

    /// Whether the part of a band is looked at that `keeper` has of the arc of `owner`: all that the chosen node keeps,
    /// or all that is kept of the arc on which the torrent is.
    fn is_meant(&self, owner: &str, keeper: &str) -> bool {
        match (self.find(self.selected), self.route) {
            (Some(chosen), _) => keeper == chosen.id,
            (None, Some(route)) => owner == route.owner.id,
            (None, None) => true,
        }
    }
}

/// The colours of the desktop.
#[derive(Debug, Clone, Copy)]
pub(super) struct Colours {
    pub(super) text: gdk::RGBA,
    pub(super) back: gdk::RGBA,
    pub(super) accent: gdk::RGBA,
    pub(super) accent_back: gdk::RGBA,
    pub(super) on_accent: gdk::RGBA,
    pub(super) is_dark: bool,
}

impl Colours {
    fn of(widget: &gtk::Widget) -> Self {
        let style = widget.style_context();
        let text = style.color();
        let named = |name: &str| style.lookup_color(name).unwrap_or(text);
        Self {
            text,
            back: named("window_bg_color"),
            accent: named("accent_color"),
            accent_back: named("accent_bg_color"),
            on_accent: named("accent_fg_color"),
            is_dark: adw::StyleManager::default().is_dark(),
        }
    }

    /// That of a place on the circle.
    pub(super) fn hue(&self, place: f64) -> [f64; 3] {
        shape::hue(place, self.is_dark)
    }
}

/// Draws all of it.
pub(super) fn paint(snapshot: &gtk::Snapshot, widget: &gtk::Widget, view: &View<'_>) {
    let colours = Colours::of(widget);
    let area = graphene::Rect::new(0.0, 0.0, widget.width() as f32, widget.height() as f32);
    let brush = Brush {
        cr: snapshot.append_cairo(&area),
        view,
        colours,
    };
    brush.web();
    brush.neighbours();
    brush.way();
    brush.middle();
    brush.bands();
    brush.place_of_torrent();
    brush.nodes();
    drop(brush);
    labels::paint(snapshot, widget, view, &colours);
}

/// Draws one text, its middle at this point.
pub(super) fn text_at(snapshot: &gtk::Snapshot, layout: &pango::Layout, (x, y): Point, colour: &gdk::RGBA) {
    let (width, height) = layout.pixel_size();
    snapshot.save();
    snapshot.translate(&graphene::Point::new(
        x as f32 - width as f32 / 2.0,
        y as f32 - height as f32 / 2.0,
    ));
    snapshot.append_layout(layout, colour);
    snapshot.restore();
}

/// Where the number of a node on the way stands.
pub(super) fn badge(frame: &Frame, place: f64) -> Point {
    frame.point(place, frame.inner() - 13.0)
}

struct Brush<'a> {
    cr: cairo::Context,
    view: &'a View<'a>,
    colours: Colours,
}

impl Brush<'_> {
    fn paint_with(&self, [red, green, blue]: [f64; 3], alpha: f64) {
        self.cr.set_source_rgba(red, green, blue, alpha);
    }

    fn paint_in(&self, colour: gdk::RGBA, alpha: f64) {
        self.cr.set_source_rgba(
            colour.red().into(),
            colour.green().into(),
            colour.blue().into(),
            f64::from(colour.alpha()) * alpha,
        );
    }

    /// Cairo fails only for lack of memory, and then there is no picture.
    fn stroke(&self) {
        let _ = self.cr.stroke();
    }

    fn fill(&self) {
        let _ = self.cr.fill();
    }

    fn dashes(&self, lengths: &[f64]) {
        self.cr.set_dash(lengths, 0.0);
    }

    fn disc(&self, (x, y): Point, radius: f64) {
        self.cr.new_path();
        self.cr.arc(x, y, radius.max(0.1), 0.0, TAU);
    }

    fn curve(&self, [from, bend, to]: [Point; 3]) {
        let third = |a: f64, b: f64| a + (b - a) * 2.0 / 3.0;
        self.cr.new_path();
        self.cr.move_to(from.0, from.1);
        self.cr.curve_to(
            third(from.0, bend.0),
            third(from.1, bend.1),
            third(to.0, bend.0),
            third(to.1, bend.1),
            to.0,
            to.1,
        );
    }

    /// The head of an arrow, so far along the line.
    fn arrow(&self, chord: [Point; 3], way: f64, size: f64) {
        let ((x, y), direction) = along(chord, way);
        self.cr.new_path();
        self.cr.move_to(x, y);
        for side in [2.68, -2.68] {
            let (sin, cos) = (direction + side).sin_cos();
            self.cr.line_to(x + size * cos, y + size * sin);
        }
        self.cr.close_path();
        self.fill();
    }

    /// Faint lines between all who know each other: what the ring is held together by.
    fn web(&self) {
        let alpha = if self.view.is_focused() { 0.06 } else { 0.3 };
        self.cr.set_line_width(1.0);
        for node in self.view.drawn.iter().filter(|node| node.life > 0.5) {
            self.paint_with(self.colours.hue(node.place), alpha * node.presence);
            let fingers = self
                .view
                .node(&node.id)
                .into_iter()
                .flat_map(|node| &node.fingers_to);
            let behind = facts::successors(self.view.picture, &node.id);
            for to in behind.iter().chain(fingers).filter_map(|id| self.view.find(id)) {
                self.curve(self.view.frame.chord(node.place, to.place));
                self.stroke();
            }
        }
    }

    /// Lets the lines fade behind the words in the middle.
    fn middle(&self) {
        let (x, y) = self.view.frame.centre;
        let radius = self.view.frame.inner() * 0.62;
        let fade = cairo::RadialGradient::new(x, y, radius * 0.55, x, y, radius);
        let back = self.colours.back;
        let (red, green, blue) = (back.red().into(), back.green().into(), back.blue().into());
        fade.add_color_stop_rgba(0.0, red, green, blue, 0.94);
        fade.add_color_stop_rgba(1.0, red, green, blue, 0.0);
        let _ = self.cr.set_source(&fade);
        self.disc((x, y), radius);
        self.fill();
    }

    fn band(&self, node: &Drawn, copy: usize) {
        let (radius, width) = self.view.frame.band(copy);
        let (x, y) = self.view.frame.centre;
        // A little room between neighbours.
        let gap = (1.6 / radius).min(node.share * TAU / 4.0);
        let (begin, end) = (angle(node.begin), angle(node.begin + node.share));
        self.cr.set_line_width(width);
        self.cr.new_path();
        match node.share >= 0.999 {
            true => self.cr.arc(x, y, radius, 0.0, TAU),
            false => self.cr.arc(x, y, radius, begin + gap, end - gap),
        }
        self.stroke();
    }

    fn bands(&self) {
        self.cr.set_line_cap(cairo::LineCap::Butt);
        for node in self.view.drawn.iter().filter(|node| node.share > 0.0005) {
            let strength = |keeper: &str| match self.view.is_meant(&node.id, keeper) {
                true => 1.0,
                false => 0.28,
            };
            self.paint_with(self.colours.hue(node.place), node.presence * strength(&node.id));
            self.band(node, 0);
            let Some(told) = self.view.node(&node.id) else {
                continue;
            };
            let mut copies: Vec<_> = told
                .copies
                .iter()
                .filter_map(|copy| Some((copy, self.view.find(&copy.id)?)))
                .collect();
            copies.sort_by(|(_, one), (_, other)| {
                let away = |copy: &Drawn| shape::distance(node.place, copy.place);
                away(one).total_cmp(&away(other))
            });
            for (at, (copy, keeper)) in copies.into_iter().take(2).enumerate() {
                let is_there = copy.complete && keeper.life > 0.5;
                self.dashes(if is_there { &[] } else { &[3.0, 4.0] });
                let fainter = 0.82 - 0.16 * at as f64;
                self.paint_with(
                    self.colours.hue(keeper.place),
                    node.presence * fainter * strength(&copy.id),
                );
                self.band(node, at + 1);
            }
            self.dashes(&[]);
        }
    }

    /// Whom the chosen node knows.
    fn neighbours(&self) {
        let Some(node) = self.view.find(self.view.selected).filter(|node| node.life > 0.5) else {
            return;
        };
        let frame = &self.view.frame;
        let colour = self.colours.hue(node.place);
        let draw = |ids: &[String], dashes: &[f64], width: f64| {
            for to in ids.iter().filter_map(|id| self.view.find(id)) {
                let chord = frame.chord(node.place, to.place);
                self.cr.set_line_width(width);
                self.dashes(dashes);
                self.paint_with(colour, 0.95);
                self.curve(chord);
                self.stroke();
                self.arrow(chord, 1.0, 9.0);
            }
            self.dashes(&[]);
        };
        self.cr.set_line_cap(cairo::LineCap::Round);
        let before: Vec<String> = facts::predecessor(self.view.picture, &node.id)
            .into_iter()
            .collect();
        draw(&before, &[0.5, 5.0], 2.5);
        if let Some(told) = self.view.node(&node.id) {
            draw(&told.fingers_to, &[8.0, 6.0], 1.8);
        }
        draw(&facts::successors(self.view.picture, &node.id), &[], 1.8);
        self.cr.set_line_cap(cairo::LineCap::Butt);
    }

    /// The way to the torrent.
    fn way(&self) {
        let Some(route) = self.view.route else { return };
        let frame = &self.view.frame;
        let steps = facts::steps(route);
        let places: Vec<f64> = steps
            .iter()
            .filter(|step| step.number.is_some())
            .filter_map(|step| self.view.find(&step.id).map(|node| node.place))
            .collect();
        self.cr.set_line_cap(cairo::LineCap::Round);
        for pair in places.windows(2) {
            let chord = frame.chord(pair[0], pair[1]);
            for (colour, width) in [(self.colours.back, 7.0), (self.colours.accent, 3.0)] {
                self.cr.set_line_width(width);
                self.paint_in(colour, 1.0);
                self.curve(chord);
                self.stroke();
            }
            // At the very end is the number.
            self.arrow(chord, 0.8, 14.0);
        }
        self.cr.set_line_cap(cairo::LineCap::Butt);
    }

    /// Where the torrent is: a line across all bands, and a diamond outside.
    fn place_of_torrent(&self) {
        let Some(route) = self.view.route else { return };
        let frame = &self.view.frame;
        let outside = frame.radius + frame.band / 2.0;
        let (from, to) = (
            frame.point(route.place, frame.inner() + 2.0),
            frame.point(route.place, outside + 4.0),
        );
        for (colour, width) in [(self.colours.back, 5.0), (self.colours.text, 2.0)] {
            self.paint_in(colour, 1.0);
            self.cr.set_line_width(width);
            self.cr.new_path();
            self.cr.move_to(from.0, from.1);
            self.cr.line_to(to.0, to.1);
            self.stroke();
        }
        let (x, y) = frame.point(route.place, outside + 8.0);
        self.cr.new_path();
        for corner in 0..4 {
            let (sin, cos) = (f64::from(corner) * PI / 2.0).sin_cos();
            self.cr.line_to(x + 6.5 * cos, y + 6.5 * sin);
        }
        self.cr.close_path();
        self.paint_in(self.colours.text, 1.0);
        self.fill();
    }

    fn nodes(&self) {
        let frame = &self.view.frame;
        let owner = self.view.route.map(|route| route.owner.id.as_str());
        for node in self.view.drawn {
            let at = frame.point(node.place, frame.radius);
            let radius = frame.disc(node) * (0.4 + 0.6 * node.presence);
            // The ground under it, so that it stands out from the band.
            self.paint_in(self.colours.back, node.presence);
            self.disc(at, radius + 3.0);
            self.fill();
            self.paint_with(self.colours.hue(node.place), node.presence * node.life);
            self.disc(at, radius);
            self.fill();
            if node.life < 0.99 {
                self.cr.set_line_width(1.5);
                self.dashes(&[3.0, 3.0]);
                self.paint_in(self.colours.text, 0.7 * node.presence * (1.0 - node.life));
                self.disc(at, radius);
                self.stroke();
                self.dashes(&[]);
            }
            if node.id == self.view.picture.me {
                self.paint_in(self.colours.back, node.presence * node.life);
                self.disc(at, radius * 0.36);
                self.fill();
            }
            let keeps = self
                .view
                .route
                .is_some_and(|route| route.copies.iter().any(|copy| copy.id == node.id));
            let ring = |width: f64, colour: gdk::RGBA, alpha: f64| {
                self.cr.set_line_width(width);
                self.paint_in(colour, alpha);
                self.disc(at, radius + 4.5);
                self.stroke();
            };
            if owner == Some(node.id.as_str()) {
                ring(3.5, self.colours.accent, 1.0);
            } else if keeps {
                ring(1.5, self.colours.accent, 1.0);
            }
            if node.id == self.view.selected {
                ring(2.5, self.colours.text, 0.9);
            } else if node.id == self.view.hovered {
                ring(1.5, self.colours.text, 0.5);
            }
        }
        self.badges();
    }

    fn badges(&self) {
        let Some(route) = self.view.route else { return };
        for step in facts::steps(route).iter().filter(|step| step.number.is_some()) {
            let Some(node) = self.view.find(&step.id) else {
                continue;
            };
            let at = badge(&self.view.frame, node.place);
            self.paint_in(self.colours.back, 1.0);
            self.disc(at, 12.5);
            self.fill();
            self.paint_in(self.colours.accent_back, 1.0);
            self.disc(at, 10.5);
            self.fill();
        }
    }
}
