//! What the widgets of rows say when they are pointed at. Layer 4.
//!
//! Not by their `tooltip-text`: whenever that is set, even to nothing, GTK asks where the pointer is. On X11 that is a
//! dozen round trips during which the server serves nobody else, and rows that came into view by the dozen made the list
//! stand still for a second. Here the text is asked for only when somebody points.

use gtk::accessible::Property;
use gtk::glib;
use gtk::prelude::*;

/// A label says its whole text where that is cut short.
pub(super) fn show_whole(label: &gtk::Label) {
    let whole = |label: &gtk::Label| label.layout().is_ellipsized().then(|| label.label().into());
    show(label, whole);
}

/// A widget says this text, if there is any.
pub(super) fn show<W: IsA<gtk::Widget>>(widget: &W, text: impl Fn(&W) -> Option<String> + 'static) {
    widget.set_has_tooltip(true);
    widget.connect_query_tooltip(move |widget, _, _, _, tip| {
        let text = text(widget).filter(|text| !text.is_empty());
        tip.set_text(text.as_deref());
        text.is_some()
    });
}

/// Tells screen readers what a widget does not say itself. `tooltip-text` would.
pub(super) fn describe(widget: &impl IsA<gtk::Accessible>, text: &str) {
    widget.update_property(&[Property::Description(text)]);
}

/// The same with a text of the object that `bindings` will be given. The widget has a tip only while there is one.
pub(super) fn bind_description(bindings: &glib::BindingGroup, property: &str, widget: &gtk::Widget) {
    bindings
        .bind(property, widget, "has-tooltip")
        .transform_to(|binding, text: String| {
            let widget = binding.target().and_downcast::<gtk::Widget>()?;
            describe(&widget, &text);
            Some(!text.is_empty())
        })
        .sync_create()
        .build();
}
