//! The columns of a table whose rows are [`RowObject`]s, and how a table is sorted by them. Layer 4.

use std::any::Any;
use std::cell::Cell;
use std::cmp::Ordering;

use gtk::prelude::*;
use gtk::{gio, glib};

use super::i18n::tr;
use super::row_object::RowObject;
use super::tips;

/// A column of a table with such rows.
pub(crate) struct Column<R> {
    pub(crate) title: fn() -> String,
    pub(crate) text: fn(&R) -> String,
    /// What a cell says when it is pointed at, and to a screen reader.
    pub(crate) meaning: Option<fn(&R) -> String>,
    pub(crate) order: fn(&R, &R) -> Ordering,
    /// Numbers stand at the right.
    pub(crate) numeric: bool,
    /// Nothing stands in it as a rule: it is hidden until the table shows it.
    pub(crate) rare: bool,
}

/// A column of texts.
pub(crate) const fn column<R>(
    title: fn() -> String,
    text: fn(&R) -> String,
    order: fn(&R, &R) -> Ordering,
) -> Column<R> {
    Column {
        title,
        text,
        meaning: None,
        order,
        numeric: false,
        rare: false,
    }
}

/// A column of numbers.
pub(crate) const fn number<R>(
    title: fn() -> String,
    text: fn(&R) -> String,
    order: fn(&R, &R) -> Ordering,
) -> Column<R> {
    Column {
        numeric: true,
        ..column(title, text, order)
    }
}

/// Appends a column to a table.
pub(crate) fn append<O: RowObject>(
    table: &gtk::ColumnView,
    column: &'static Column<O::Row>,
) -> gtk::ColumnViewColumn {
    let view = view::<O>(column);
    table.append_column(&view);
    if column.numeric {
        // GTK has no property for it: the title is a box with a text and an arrow.
        let title = table.first_child().and_then(|header| header.last_child());
        if let Some(title) = title
            .and_then(|title| title.first_child())
            .and_downcast::<gtk::Box>()
        {
            title.set_halign(gtk::Align::End);
            // The text ends where the numbers do, whether there is an arrow or not.
            if let Some(text) = title.first_child() {
                title.reorder_child_after(&text, title.last_child().as_ref());
            }
        }
    }
    view
}

/// The column as a table shows it.
fn view<O: RowObject>(column: &'static Column<O::Row>) -> gtk::ColumnViewColumn {
    let factory = gtk::SignalListItemFactory::new();
    factory.connect_setup(|_, item| {
        let Some(item) = item.downcast_ref::<gtk::ListItem>() else {
            return;
        };
        let label = gtk::Label::builder()
            .xalign(if column.numeric { 1.0 } else { 0.0 })
            .build();
        label.add_css_class("numeric");
        text_expression::<O>(column.text).bind(&label, "label", Some(item));
        if let Some(meaning) = column.meaning {
            describe(&label, item, &text_expression::<O>(meaning));
        }
        item.set_child(Some(&label));
    });
    // It only tells whether the user sorts by this column: the rows are sorted before they are shown.
    let sorter = gtk::CustomSorter::new(move |row, _| Probe::asked(row, column));
    let view = gtk::ColumnViewColumn::new(Some(&(column.title)()), Some(factory));
    view.set_sorter(Some(&sorter));
    view.set_resizable(true);
    view.set_visible(!column.rare);
    view
}

/// A cell says this when it is pointed at, and to a screen reader.
fn describe(label: &gtk::Label, item: &gtk::ListItem, meaning: &gtk::Expression) {
    let (item_of, read) = (item.downgrade(), meaning.clone());
    let read = move || read.evaluate_as::<String, _>(item_of.upgrade().as_ref());
    tips::show(label, {
        let read = read.clone();
        move |_| read()
    });
    let label = label.downgrade();
    meaning.watch(Some(item), move || {
        if let (Some(label), Some(text)) = (label.upgrade(), read()) {
            tips::describe(&label, &text);
        }
    });
}

/// The text of a cell: read again from the object of the list item whenever that has a new revision.
fn text_expression<O: RowObject>(text: fn(&O::Row) -> String) -> gtk::Expression {
    let object = gtk::ListItem::this_expression("item");
    let revision = object.chain_property::<O>("revision");
    let read = glib::closure!(
        move |_: Option<glib::Object>, object: &glib::Object, _revision: u64| {
            let object = object.downcast_ref::<O>();
            object.map(|object| object.with(text)).unwrap_or_default()
        }
    );
    gtk::ClosureExpression::new::<String>([object.upcast(), revision.upcast()], read).upcast()
}

/// Has a table show a list. One row can be chosen, or none.
pub(crate) fn show(
    table: &gtk::ColumnView,
    list: &impl IsA<gio::ListModel>,
    selection: &gtk::SingleSelection,
) {
    selection.set_autoselect(false);
    selection.set_can_unselect(true);
    selection.set_model(Some(list));
    table.set_model(Some(selection));
}

/// Puts rows into the order that the user wants, and says whether there is one. Rows that are equal in it stay as they
/// are, so that those of which nothing changes do not move.
///
/// Not by a `GtkSortListModel`: it would have to be told of each change of a row, compares objects, and after rows that
/// come and go sorts once with the old order of the others and once with the new one.
pub(crate) fn sort<R: 'static>(table: &gtk::ColumnView, rows: &mut [&R]) -> bool {
    let Some((column, reversed)) = order::<R>(table) else {
        return false;
    };
    rows.sort_by(|one, other| {
        let order = (column.order)(one, other);
        if reversed { order.reverse() } else { order }
    });
    true
}

/// Calls when the user wants another order.
pub(crate) fn connect_order_changed(table: &gtk::ColumnView, changed: impl Fn() + 'static) {
    table.sorter().inspect(|sorter| {
        sorter.connect_changed(move |_, _| changed());
    });
}

/// Stands for a row where it is asked by which column a table is sorted: that column is the first to see it.
#[derive(Default)]
struct Probe(Cell<Option<&'static dyn Any>>);

impl Probe {
    /// The sorter of this column was asked.
    fn asked<R>(row: &glib::Object, column: &'static Column<R>) -> gtk::Ordering {
        let probe = row.downcast_ref::<glib::BoxedAnyObject>();
        match probe.and_then(|probe| probe.try_borrow::<Self>().ok()) {
            Some(probe) => {
                probe.0.set(Some(column));
                gtk::Ordering::Smaller
            }
            None => gtk::Ordering::Equal,
        }
    }
}

/// The column by which a table is sorted, and whether the other way round; `None`: it is not. GTK tells of it from 4.10
/// on.
fn order<R: 'static>(table: &gtk::ColumnView) -> Option<(&'static Column<R>, bool)> {
    let probe = glib::BoxedAnyObject::new(Probe::default());
    // A thing is equal to itself, unasked.
    let other = glib::BoxedAnyObject::new(());
    let ordering = table.sorter()?.compare(&probe, &other);
    let column = probe.borrow::<Probe>().0.get()?.downcast_ref()?;
    Some((column, ordering == gtk::Ordering::Larger))
}

fn sort_by(table: &gtk::ColumnView, title: &str, reversed: bool) {
    let columns = table.columns();
    let mut columns = columns.iter::<gtk::ColumnViewColumn>().filter_map(Result::ok);
    let column = columns.find(|column| column.title().is_some_and(|other| other == title));
    let direction = match reversed {
        true => gtk::SortType::Descending,
        false => gtk::SortType::Ascending,
    };
    table.sort_by_column(column.as_ref(), direction);
}

/// What a click on a title does, as actions for the keyboard, which GTK 4.8 leads to no title: `sort` by the column of
/// a title, and `reversed`. They follow the clicks.
pub(crate) fn add_sort_actions<R>(
    group: &gio::SimpleActionGroup,
    table: &gtk::ColumnView,
    columns: &'static [Column<R>],
) {
    let sort = gio::SimpleAction::new_stateful("sort", Some(glib::VariantTy::STRING), &"".to_variant());
    let sorted = table.downgrade();
    sort.connect_activate(move |_, title| {
        if let (Some(table), Some(title)) = (sorted.upgrade(), title.and_then(glib::Variant::str)) {
            // Of numbers the largest are of interest.
            let is_it = |column: &Column<R>| column.numeric && (column.title)() == title;
            sort_by(&table, title, columns.iter().any(is_it));
        }
    });
    let reversed = gio::SimpleAction::new_stateful("reversed", None, &false.to_variant());
    reversed.set_enabled(false);
    let sorted = table.downgrade();
    reversed.connect_activate(move |_, _| {
        if let Some(table) = sorted.upgrade()
            && let Some((column, reversed)) = order::<R>(&table)
        {
            sort_by(&table, &(column.title)(), !reversed);
        }
    });
    group.add_action(&sort);
    group.add_action(&reversed);
    let sorted = table.downgrade();
    connect_order_changed(table, move || {
        let order = sorted.upgrade().and_then(|table| order::<R>(&table));
        reversed.set_enabled(order.is_some());
        let (title, is_reversed) = order.map_or_else(Default::default, |(column, is_reversed)| {
            ((column.title)(), is_reversed)
        });
        sort.set_state(&title.to_variant());
        reversed.set_state(&is_reversed.to_variant());
    });
}

/// The menu of these actions, with the columns that are shown.
pub(crate) fn sort_menu(group: &str, table: &gtk::ColumnView) -> gio::Menu {
    let titles = gio::Menu::new();
    let columns = table.columns();
    let columns = columns.iter::<gtk::ColumnViewColumn>().filter_map(Result::ok);
    let shown = columns.filter(gtk::ColumnViewColumn::is_visible);
    for title in shown.filter_map(|column| column.title()) {
        let item = gio::MenuItem::new(Some(&title), None);
        item.set_action_and_target_value(Some(&format!("{group}.sort")), Some(&title.to_variant()));
        titles.append_item(&item);
    }
    let direction = gio::Menu::new();
    direction.append(Some(&tr!("Re_versed Order")), Some(&format!("{group}.reversed")));
    let menu = gio::Menu::new();
    menu.append_section(None, &titles);
    menu.append_section(None, &direction);
    menu
}
