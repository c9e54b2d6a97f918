//! Rows that are dragged to another place of the queue. Layer 4.

use gtk::prelude::*;
use gtk::{gdk, glib};

use super::i18n::tr_n;
use super::torrent_list::Hands;
use super::torrent_object::TorrentObject;
use super::torrent_row::{Row, torrent_in};

/// A line above the row, and one below it.
const LINES: [&str; 2] = ["drop-above", "drop-below"];

/// Lets a row be dragged, and others be dropped on it.
pub(super) fn set_up<R: Row>(row: &R, hands: &impl Hands) {
    row.add_controller(source(hands.clone()));
    row.add_controller(target(hands.clone()));
}

fn source(hands: impl Hands) -> gtk::DragSource {
    let source = gtk::DragSource::builder().actions(gdk::DragAction::MOVE).build();
    let asked = hands.clone();
    source.connect_prepare(move |source, _, _| {
        let torrent = torrent_in(&source.widget()?)?;
        asked.draggable(&torrent)?;
        Some(gdk::ContentProvider::for_value(&torrent.to_value()))
    });
    source.connect_drag_begin(move |source, drag| {
        let torrent = source.widget().and_then(|row| torrent_in(&row));
        let Some(torrent) = torrent else { return };
        let text = match hands.draggable(&torrent) {
            Some(count) if count > 1 => tr_n!(count as u64, "{n} torrent", "{n} torrents"),
            _ => torrent.name(),
        };
        let label = gtk::Label::builder()
            .label(text)
            .ellipsize(gtk::pango::EllipsizeMode::Middle)
            .max_width_chars(40)
            .css_classes(["dragged", "card"])
            .build();
        if let Ok(icon) = gtk::DragIcon::for_drag(drag).downcast::<gtk::DragIcon>() {
            icon.set_child(Some(&label));
        }
    });
    source
}

fn target(hands: impl Hands) -> gtk::DropTarget {
    let target = gtk::DropTarget::new(TorrentObject::static_type(), gdk::DragAction::MOVE);
    target.connect_motion(|target, _, y| {
        if let Some(row) = target.widget() {
            show_line(&row, Some(is_below(&row, y)));
        }
        gdk::DragAction::MOVE
    });
    target.connect_leave(|target| {
        if let Some(row) = target.widget() {
            show_line(&row, None);
        }
    });
    target.connect_drop(move |target, value, _, y| {
        let Some(row) = target.widget() else {
            return false;
        };
        show_line(&row, None);
        let (Ok(dragged), Some(at)) = (value.get::<TorrentObject>(), torrent_in(&row)) else {
            return false;
        };
        let below = is_below(&row, y);
        // The list changes under the drop only after it has ended.
        let hands = hands.clone();
        glib::idle_add_local_once(move || hands.dropped(&dragged, &at, below));
        true
    });
    target
}

fn is_below(row: &gtk::Widget, y: f64) -> bool {
    y > f64::from(row.height()) / 2.0
}

/// Shows where what is dragged would go; `None`: nowhere.
fn show_line(row: &gtk::Widget, below: Option<bool>) {
    // The line is that of the whole row, not of what is in it.
    let Some(row) = row.parent() else { return };
    for (line, is_below) in LINES.into_iter().zip([false, true]) {
        if below == Some(is_below) {
            row.add_css_class(line);
        } else {
            row.remove_css_class(line);
        }
    }
}
