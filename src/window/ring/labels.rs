//! The words in and around the circle. Layer 4.

use std::f64::consts::PI;

use adw::prelude::*;
use dtorrent::ring::picture::NodePicture;
use gtk::{gdk, glib, graphene, pango};

use super::super::i18n::{tr, tr_n};
use super::facts;
use super::paint::{Colours, View, badge, text_at};
use super::seen::Seen;
use super::shape::{self, Drawn, FEW, angle};

/// From the band to a label.
const AWAY: f64 = 16.0;
/// In a narrower picture nodes are called by the part of the address that differs.
const ROOMY: f64 = 480.0;
/// What two parts of the way of a torrent take beside each other.
const TWO_PARTS: f64 = 180.0;

/// Draws all of them.
pub(super) fn paint(snapshot: &gtk::Snapshot, widget: &gtk::Widget, view: &View<'_>, colours: &Colours) {
    match view.drawn.len() > FEW {
        true => around(snapshot, widget, view, colours),
        false => beside(snapshot, widget, view, colours),
    }
    middle(snapshot, widget, view, colours);
    numbers(snapshot, widget, view, colours);
}

/// How a node is called where there is little room: by the part of its address in which the nodes differ.
pub(super) fn brief(picture: &Seen, node: &NodePicture) -> String {
    let (host, port) = facts::host_and_port(node);
    match (picture.same_host, picture.same_port) {
        (true, _) => format!(":{port}"),
        (false, true) => host,
        (false, false) => format!("{host}:{port}"),
    }
}

fn layout(widget: &gtk::Widget, markup: &str, width: f64, alignment: pango::Alignment) -> pango::Layout {
    let layout = widget.create_pango_layout(None);
    layout.set_markup(markup);
    layout.set_width((width.max(20.0) * f64::from(pango::SCALE)) as i32);
    // The end of an address tells nodes apart.
    layout.set_ellipsize(pango::EllipsizeMode::Start);
    layout.set_alignment(alignment);
    layout
}

fn escaped(text: &str) -> glib::GString {
    glib::markup_escape_text(text)
}

/// Two or three lines beside each of a few nodes.
fn beside(snapshot: &gtk::Snapshot, widget: &gtk::Widget, view: &View<'_>, colours: &Colours) {
    let frame = &view.frame;
    let (width, height) = (f64::from(widget.width()), f64::from(widget.height()));
    for is_right in [true, false] {
        let mut side: Vec<(&Drawn, f64, f64)> = view
            .drawn
            .iter()
            .map(|node| {
                let (x, y) = frame.point(node.place, frame.radius + frame.band / 2.0 + AWAY);
                (node, x, y)
            })
            .filter(|(_, x, _)| (*x >= frame.centre.0) == is_right)
            .collect();
        side.sort_by(|(_, _, one), (_, _, other)| one.total_cmp(other));
        let texts: Vec<(pango::Layout, f64)> = side
            .iter()
            .map(|(node, x, _)| {
                let room = if is_right { width - x } else { *x } - 6.0;
                let alignment = if is_right {
                    pango::Alignment::Left
                } else {
                    pango::Alignment::Right
                };
                let text = layout(widget, &markup(view, node, width, room), room, alignment);
                if width < ROOMY {
                    // A second line for what would be cut off.
                    text.set_wrap(pango::WrapMode::WordChar);
                    text.set_height(-2);
                }
                (text, room)
            })
            .collect();
        let tallest = texts
            .iter()
            .map(|(text, _)| text.pixel_size().1)
            .max()
            .unwrap_or_default();
        let tallest = f64::from(tallest);
        // Above the circle a label ends at its node's height, below it begins there.
        let lift = |place: f64| (1.0 - angle(place).sin()) / 2.0;
        let mut heights: Vec<f64> = side
            .iter()
            .map(|(node, _, y)| y - tallest * lift(node.place))
            .collect();
        shape::spread(&mut heights, tallest + 2.0, height - tallest - 2.0);
        for (((node, x, _), (text, room)), y) in side.iter().zip(&texts).zip(heights) {
            let left = if is_right { *x } else { x - room };
            snapshot.save();
            snapshot.translate(&graphene::Point::new(left as f32, y as f32));
            snapshot.append_layout(text, &faded(colours, node.presence as f32));
            snapshot.restore();
        }
    }
}

fn faded(colours: &Colours, presence: f32) -> gdk::RGBA {
    colours.text.with_alpha(colours.text.alpha() * presence)
}

fn markup(view: &View<'_>, node: &Drawn, width: f64, room: f64) -> String {
    let Some(told) = view.node(&node.id) else {
        return String::new();
    };
    let name = match width < ROOMY {
        true => brief(view.picture, told),
        false => facts::address(told),
    };
    let is_whole = facts::complete(view.picture, told) >= told.copies_wanted;
    let second = match (facts::has_arc(told), is_whole, width >= ROOMY) {
        (false, _, _) => facts::state(view.picture, told),
        (true, true, false) => facts::share(told),
        (true, true, true) => {
            let torrents = tr_n!(told.owned.swarms, "{n} torrent", "{n} torrents");
            format!("{} · {torrents}", facts::share(told))
        }
        (true, false, _) => tr!("copies {copies}", copies = facts::copies(view.picture, told)),
    };
    let mut markup = format!("<b>{}</b>\n<small>{}</small>", escaped(&name), escaped(&second));
    if let Some(part) = view.route.and_then(|route| facts::part(route, &node.id)) {
        // Who has two parts has a line for each where one would be cut short.
        let part = match room < TWO_PARTS {
            true => part.replace(", ", ",\n"),
            false => part,
        };
        markup += &format!("\n<small><b>{}</b></small>", escaped(&part));
    }
    markup
}

/// A short word for each of many nodes, leading away from the centre.
fn around(snapshot: &gtk::Snapshot, widget: &gtk::Widget, view: &View<'_>, colours: &Colours) {
    let frame = &view.frame;
    let room = (f64::from(widget.width().min(widget.height())) / 2.0 - frame.radius).max(30.0) - AWAY;
    let mut last: Option<f64> = None;
    let mut in_order: Vec<&Drawn> = view.drawn.iter().collect();
    in_order.sort_by(|one, other| one.place.total_cmp(&other.place));
    for node in in_order {
        let Some(told) = view.node(&node.id) else { continue };
        let is_meant = node.id == view.selected
            || node.id == view.hovered
            || view
                .route
                .is_some_and(|route| facts::part(route, &node.id).is_some());
        // Where nodes are closer than their words are high only some have one.
        let near =
            last.is_some_and(|last| shape::distance(last, node.place) * frame.radius * 2.0 * PI < 11.0);
        if near && !is_meant {
            continue;
        }
        last = Some(node.place);
        let name = escaped(&brief(view.picture, told));
        let name = match (is_meant, told.health.is_heard()) {
            (true, _) => format!("<small><b>{name}</b></small>"),
            (false, true) => format!("<small>{name}</small>"),
            (false, false) => format!(
                "<small><i>{} {name}</i></small>",
                escaped(&facts::state(view.picture, told))
            ),
        };
        let is_right = node.place < 0.5;
        let alignment = if is_right {
            pango::Alignment::Left
        } else {
            pango::Alignment::Right
        };
        let text = layout(widget, &name, room, alignment);
        let (x, y) = frame.point(node.place, frame.radius + frame.band / 2.0 + AWAY);
        let turn = angle(node.place) + if is_right { 0.0 } else { PI };
        let left = if is_right { 0.0 } else { -room };
        snapshot.save();
        snapshot.translate(&graphene::Point::new(x as f32, y as f32));
        snapshot.rotate(turn.to_degrees() as f32);
        snapshot.translate(&graphene::Point::new(
            left as f32,
            -text.pixel_size().1 as f32 / 2.0,
        ));
        snapshot.append_layout(&text, &faded(colours, node.presence as f32));
        snapshot.restore();
    }
}

/// The ring as a whole, or the torrent whose way is shown.
fn middle(snapshot: &gtk::Snapshot, widget: &gtk::Widget, view: &View<'_>, colours: &Colours) {
    let [nodes, totals, health] = facts::summary(view.picture);
    let (size, small) = match view.frame.radius {
        radius if radius < 130.0 => ("large", "small"),
        radius if radius < 220.0 => ("x-large", "medium"),
        _ => ("xx-large", "medium"),
    };
    let is_small = small == "small";
    let (title, size, lines) = match view.route {
        // The way itself takes the room, and the list of its steps says the rest.
        Some(_) if is_small => (view.torrent.to_owned(), "medium", Vec::new()),
        Some(route) => (view.torrent.to_owned(), size, vec![facts::hops(route), health]),
        None => (nodes, size, vec![totals, health]),
    };
    let title = format!("<span size='{size}' weight='bold'>{}</span>", escaped(&title));
    let lines = lines.into_iter().map(|line| {
        let line = match is_small {
            true => line.replace(" · ", "\n"),
            false => line,
        };
        format!("<span size='{small}'>{}</span>", escaped(&line))
    });
    let markup: Vec<String> = std::iter::once(title).chain(lines).collect();
    let text = layout(
        widget,
        &markup.join("\n"),
        view.frame.inner() * 1.25,
        pango::Alignment::Center,
    );
    text.set_wrap(pango::WrapMode::WordChar);
    text.set_ellipsize(pango::EllipsizeMode::None);
    let (x, y) = view.frame.centre;
    let (width, height) = (
        f64::from(text.width()) / f64::from(pango::SCALE),
        text.pixel_size().1,
    );
    snapshot.save();
    snapshot.translate(&graphene::Point::new(
        (x - width / 2.0) as f32,
        y as f32 - height as f32 / 2.0,
    ));
    snapshot.append_layout(&text, &colours.text);
    snapshot.restore();
}

/// The numbers of the nodes on the way.
fn numbers(snapshot: &gtk::Snapshot, widget: &gtk::Widget, view: &View<'_>, colours: &Colours) {
    let Some(route) = view.route else { return };
    for step in facts::steps(route) {
        if let (Some(number), Some(node)) = (step.number, view.find(&step.id)) {
            let text = widget.create_pango_layout(None);
            text.set_markup(&format!("<small><b>{number}</b></small>"));
            text_at(
                snapshot,
                &text,
                badge(&view.frame, node.place),
                &colours.on_accent,
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::{picture, seen};
    use super::*;

    #[test]
    fn nodes_are_called_by_what_differs() {
        let mut ring = picture(&[0.1, 0.5]);
        assert_eq!(brief(&seen(&ring), &ring.nodes[0]), ":7010");
        ring.nodes[0].address = "192.0.2.1:6970".to_owned();
        ring.nodes[1].address = "[2001:db8::1]:6970".to_owned();
        assert_eq!(brief(&seen(&ring), &ring.nodes[1]), "[2001:db8::1]");
        ring.nodes[1].address = "192.0.2.2:7".to_owned();
        assert_eq!(brief(&seen(&ring), &ring.nodes[1]), "192.0.2.2:7");
    }
}
