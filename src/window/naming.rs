//! Names of buttons for who cannot see them. Layer 4.
//!
//! GTK 4.8 names a button with a mnemonic by its text as it is written and once more as it is read: "_Add Add".

use gtk::prelude::*;

use super::children::children;

/// Names the buttons in a widget.
pub(super) fn name_buttons(widget: &gtk::Widget) {
    if let Some(button) = widget
        .downcast_ref::<gtk::Button>()
        .filter(|button| button.uses_underline())
    {
        name(button);
        button.connect_label_notify(name);
    }
    children(widget).for_each(|child| name_buttons(&child));
}

fn name(button: &gtk::Button) {
    let label = button.label().unwrap_or_default();
    if !label.is_empty() {
        button.reset_relation(gtk::AccessibleRelation::LabelledBy);
        button.update_property(&[gtk::accessible::Property::Label(&as_read(&label))]);
    }
}

/// A text without its mnemonic.
fn as_read(label: &str) -> String {
    label.replace("__", "\0").replace('_', "").replace('\0', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mnemonic_is_not_read() {
        assert_eq!(as_read("_Add"), "Add");
        assert_eq!(as_read("Open a__b_c"), "Open a_bc");
    }
}
