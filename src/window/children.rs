//! The widgets in a widget. Layer 4.

use gtk::prelude::*;

/// From the first to the last.
pub(super) fn children(widget: &gtk::Widget) -> impl Iterator<Item = gtk::Widget> + use<> {
    std::iter::successors(widget.first_child(), gtk::Widget::next_sibling)
}
