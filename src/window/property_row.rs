//! A named value that can be selected and copied, `ui/property_row.ui`. Layer 4.

use adw::prelude::*;
use adw::subclass::prelude::*;
use gtk::glib;

use super::template::{set_text, template_class};
use super::words;

mod imp {
    use super::*;

    #[derive(Debug, Default, gtk::CompositeTemplate)]
    #[template(resource = "/io/github/dtorrent/DTorrent/property_row.ui")]
    pub(crate) struct PropertyRow {
        #[template_child]
        title: TemplateChild<gtk::Label>,
        #[template_child]
        pub(super) value: TemplateChild<gtk::Label>,
    }

    template_class!(PropertyRow is "DtPropertyRow", a adw::PreferencesRow, then set_up);

    impl PropertyRow {
        fn set_up(&self) {
            self.obj()
                .bind_property("title", &*self.title, "label")
                .sync_create()
                .build();
        }
    }

    impl ListBoxRowImpl for PropertyRow {}
    impl PreferencesRowImpl for PropertyRow {}
}

glib::wrapper! {
    pub(crate) struct PropertyRow(ObjectSubclass<imp::PropertyRow>)
        @extends adw::PreferencesRow, gtk::ListBoxRow, gtk::Widget,
        @implements gtk::Accessible, gtk::Actionable, gtk::Buildable, gtk::ConstraintTarget;
}

impl Default for PropertyRow {
    fn default() -> Self {
        glib::Object::new()
    }
}

impl PropertyRow {
    /// Shows this text; a selection in a text that stays the same is kept.
    pub(crate) fn set_value(&self, text: &str) {
        set_text(&self.imp().value, text);
    }

    /// Shows figures, which stay with their units where the text is too long for one line.
    pub(crate) fn set_figures(&self, text: &str) {
        self.set_value(&words::unbroken(text));
    }

    /// Takes back a selection in the text.
    pub(crate) fn deselect(&self) {
        self.imp().value.select_region(0, 0);
    }

    /// Shows this text, or no row at all when there is none.
    pub(crate) fn set_optional(&self, text: Option<&str>) {
        self.set_value(text.unwrap_or_default());
        self.set_visible(text.is_some_and(|text| !text.is_empty()));
    }
}
