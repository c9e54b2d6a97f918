//! How the list of torrents behaves: its rows, its menu and its keys. Layer 4.

use std::rc::Rc;

use adw::prelude::*;
use gtk::{gdk, gio, glib};

use super::children::children;
use super::dragging;
use super::template::row_factory;
use super::torrent_object::TorrentObject;
use super::torrent_row::{CompactRow, Row, TorrentRow, torrent_in};

/// Keys that mean something else outside of the list, and so are its own.
const KEYS: [(&str, &str); 5] = [
    ("space", "win.toggle"),
    ("Delete", "win.remove"),
    ("<Shift>Delete", "win.remove-with-files"),
    ("Menu|<Shift>F10", "win.torrent-menu"),
    ("<Control>c", "win.copy-info-hash"),
];

/// With these a click chooses more than one row.
const MORE: gdk::ModifierType = gdk::ModifierType::CONTROL_MASK.union(gdk::ModifierType::SHIFT_MASK);

/// Told of what a pointer does to the rows.
pub(super) trait Hands: Clone + 'static {
    /// The row of a torrent was clicked. The list chooses it as well, but only after this, and not at all if the row is
    /// no longer in sight by then.
    fn clicked(&self, torrent: &TorrentObject);
    /// The menu of a torrent is asked for, at this place of its row.
    fn menu_wanted(&self, torrent: &TorrentObject, row: &gtk::Widget, x: f64, y: f64);
    /// How many torrents would go along if this one were dragged; `None`: rows have no places to be dragged to.
    fn draggable(&self, torrent: &TorrentObject) -> Option<usize>;
    /// A torrent, with those that go along, was dropped above or below another one.
    fn dropped(&self, dragged: &TorrentObject, target: &TorrentObject, below: bool);
}

/// Makes the list react.
pub(super) fn set_up(list: &gtk::ListView) {
    list.connect_activate(|list, position| {
        if let Some(model) = list.model() {
            model.select_item(position, true);
        }
        activate(list, "win.details");
    });
    let keys = gtk::ShortcutController::new();
    // Before the list takes the space bar for itself.
    keys.set_propagation_phase(gtk::PropagationPhase::Capture);
    for (key, action) in KEYS {
        let trigger = gtk::ShortcutTrigger::parse_string(key);
        keys.add_shortcut(gtk::Shortcut::new(trigger, Some(gtk::NamedAction::new(action))));
    }
    list.add_controller(keys);
}

/// Fills the list with rows of one line, or with those that say more.
pub(super) fn set_compact(list: &gtk::ListView, compact: bool, hands: impl Hands) {
    list.set_factory(Some(&if compact {
        factory::<CompactRow>(hands)
    } else {
        factory::<TorrentRow>(hands)
    }));
}

fn factory<R: Row>(hands: impl Hands) -> gtk::SignalListItemFactory {
    let hands = Rc::new(hands);
    let make = move |_: &gtk::ListItem| {
        let row = R::default();
        add_gestures(&row, &hands);
        dragging::set_up(&row, &*hands);
        row
    };
    row_factory(make, R::set_torrent)
}

/// Brings the row at this position into view.
pub(super) fn scroll_to(list: &gtk::ListView, position: u32) {
    // The action belongs to every list view.
    let _ = list.activate_action("list.scroll-to-item", Some(&position.to_variant()));
}

/// Brings the row of a torrent into view and gives it the keyboard: what the keys of the list do is done to it.
pub(super) fn focus(list: &gtk::ListView, position: u32, torrent: &TorrentObject) {
    scroll_to(list, position);
    let (list, torrent) = (list.clone(), torrent.clone());
    // A row that was not in view has a widget only after the next layout.
    glib::idle_add_local_once(move || {
        let row = children(list.upcast_ref()).find(|row| {
            let shown = row.first_child().and_then(|row| torrent_in(&row));
            shown.as_ref() == Some(&torrent)
        });
        row.map_or_else(|| list.grab_focus(), |row| row.grab_focus());
    });
}

/// The menu of the chosen torrents at a place of `page`, or at the row with the keyboard when that asks for it.
/// `page` is around the list: a list view gives no room to a popover of its own.
pub(super) fn show_menu(
    page: &gtk::Box,
    list: &gtk::ListView,
    model: &gio::MenuModel,
    place: Option<(f64, f64)>,
) {
    let menu = gtk::PopoverMenu::from_model(Some(model));
    menu.set_parent(page);
    menu.set_has_arrow(false);
    menu.set_halign(gtk::Align::Start);
    let (x, y) = place.unwrap_or_else(|| focus_place(page, list));
    menu.set_pointing_to(Some(&gdk::Rectangle::new(x as i32, y as i32, 1, 1)));
    menu.connect_closed(|menu| {
        let menu = menu.clone();
        // An item's action runs after the menu has closed, and needs its place in the window.
        glib::idle_add_local_once(move || menu.unparent());
    });
    menu.popup();
}

/// The middle of the row that has the focus.
fn focus_place(page: &gtk::Box, list: &gtk::ListView) -> (f64, f64) {
    let row = list.focus_child();
    let bounds = row.and_then(|row| row.compute_bounds(page));
    bounds.map_or((24.0, 24.0), |bounds| {
        (
            f64::from(bounds.x() + 24.0),
            f64::from(bounds.y() + bounds.height() / 2.0),
        )
    })
}

/// A click tells so; a second button or a long press asks for the menu.
fn add_gestures<R: Row>(row: &R, hands: &Rc<impl Hands>) {
    let click = gtk::GestureClick::builder().button(gdk::BUTTON_PRIMARY).build();
    let told = Rc::clone(hands);
    click.connect_released(move |gesture, _, _, _| {
        let torrent = gesture.widget().and_then(|row| torrent_in(&row));
        let chooses_more = gesture.current_event_state().intersects(MORE);
        if let Some(torrent) = torrent.filter(|_| !chooses_more) {
            told.clicked(&torrent);
        }
    });
    row.add_controller(click);

    let second = gtk::GestureClick::builder().button(gdk::BUTTON_SECONDARY).build();
    let told = Rc::clone(hands);
    second.connect_pressed(move |gesture, _, x, y| open_menu(&*told, gesture.widget(), x, y));
    row.add_controller(second);

    let long = gtk::GestureLongPress::builder().touch_only(true).build();
    let told = Rc::clone(hands);
    long.connect_pressed(move |gesture, x, y| open_menu(&*told, gesture.widget(), x, y));
    row.add_controller(long);
}

fn open_menu(hands: &impl Hands, row: Option<gtk::Widget>, x: f64, y: f64) {
    if let Some(row) = row
        && let Some(torrent) = torrent_in(&row)
    {
        hands.menu_wanted(&torrent, &row, x, y);
    }
}

fn activate(widget: &impl IsA<gtk::Widget>, action: &str) {
    // Each action of the window is there as long as the window.
    let _ = widget.activate_action(action, None);
}
