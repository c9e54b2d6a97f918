//! The ring as a table: one row a node. Layer 4.

use adw::prelude::*;
use gtk::gio;

use super::super::columns::{self, Column, column, number};
use super::super::i18n::tr;
use super::super::words;
use super::facts;
use super::node_object::{RingNodeObject, Row};

const COLUMNS: [Column<Row>; 11] = [
    column(
        || tr!("Node"),
        |row| facts::short(&row.node.id),
        |one, other| one.node.id.cmp(&other.node.id),
    ),
    column(
        || tr!("Address"),
        |row| facts::address(&row.node),
        |one, other| one.node.address.cmp(&other.node.address),
    ),
    column(
        || tr!("State"),
        |row| row.state.clone(),
        |one, other| one.state.cmp(&other.state),
    ),
    number(
        || tr!("Arc"),
        |row| facts::share(&row.node),
        |one, other| arc(one).total_cmp(&arc(other)),
    ),
    number(
        || tr!("Copies Complete"),
        |row| row.copies.clone(),
        |one, other| one.copies.cmp(&other.copies),
    ),
    column(
        || tr!("For the Torrent"),
        |row| {
            if row.part.is_empty() {
                "–".to_owned()
            } else {
                row.part.clone()
            }
        },
        |one, other| one.part.cmp(&other.part),
    ),
    number(
        || tr!("Torrents Owned"),
        |row| row.node.owned.swarms.to_string(),
        |one, other| one.node.owned.swarms.cmp(&other.node.owned.swarms),
    ),
    number(
        || tr!("Peers Owned"),
        |row| facts::peers(row.node.owned).to_string(),
        |one, other| facts::peers(one.node.owned).cmp(&facts::peers(other.node.owned)),
    ),
    number(
        || tr!("Peers Kept"),
        |row| facts::peers(row.node.held).to_string(),
        |one, other| facts::peers(one.node.held).cmp(&facts::peers(other.node.held)),
    ),
    number(
        || tr!("Running For"),
        |row| words::time(std::time::Duration::from_secs(row.node.uptime_secs)),
        |one, other| one.node.uptime_secs.cmp(&other.node.uptime_secs),
    ),
    column(
        || tr!("Version"),
        |row| {
            row.node
                .version
                .chars()
                .filter(|char| !char.is_control())
                .collect()
        },
        |one, other| one.node.version.cmp(&other.node.version),
    ),
];

fn arc(row: &Row) -> f64 {
    row.node.arc.as_ref().map_or(0.0, |arc| arc.share)
}

/// Gives the table its columns, and the button its menu to sort by them; returns what is chosen in the table.
pub(super) fn set_up(
    table: &gtk::ColumnView,
    sort: &gtk::MenuButton,
    store: &impl IsA<gio::ListModel>,
) -> gtk::SingleSelection {
    for column in &COLUMNS {
        columns::append::<RingNodeObject>(table, column);
    }
    let group = gio::SimpleActionGroup::new();
    columns::add_sort_actions(&group, table, &COLUMNS);
    sort.insert_action_group("nodes", Some(&group));
    sort.set_menu_model(Some(&columns::sort_menu("nodes", table)));
    // It is there when the table is.
    for (signal, is_there) in [("map", true), ("unmap", false)] {
        let sort = sort.downgrade();
        table.connect_local(signal, false, move |_| {
            sort.upgrade().inspect(|sort| sort.set_visible(is_there));
            None
        });
    }
    let selection = gtk::SingleSelection::default();
    columns::show(table, store, &selection);
    selection
}
