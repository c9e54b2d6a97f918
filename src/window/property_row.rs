//! A named value that can be selected and copied, `ui/property_row.ui`. Layer 4.

use adw::prelude::*;
use adw::subclass::prelude::*;
use gtk::glib;

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

    #[glib::object_subclass]
    impl ObjectSubclass for PropertyRow {
        const NAME: &'static str = "DtPropertyRow";
        type Type = super::PropertyRow;
        type ParentType = adw::PreferencesRow;

        fn class_init(class: &mut Self::Class) {
            class.bind_template();
        }

        fn instance_init(object: &glib::subclass::InitializingObject<Self>) {
            object.init_template();
        }
    }

    impl ObjectImpl for PropertyRow {
        fn constructed(&self) {
            self.parent_constructed();
            self.obj()
                .bind_property("title", &*self.title, "label")
                .sync_create()
                .build();
        }

        fn dispose(&self) {
            self.dispose_template();
        }
    }

    impl WidgetImpl for PropertyRow {}
    impl ListBoxRowImpl for PropertyRow {}
    impl PreferencesRowImpl for PropertyRow {}
}

glib::wrapper! {
    pub(crate) struct PropertyRow(ObjectSubclass<imp::PropertyRow>)
        @extends adw::PreferencesRow, gtk::ListBoxRow, gtk::Widget,
        @implements gtk::Accessible, gtk::Actionable, gtk::Buildable, gtk::ConstraintTarget;
}

impl PropertyRow {
    /// Shows this text; a selection in a text that stays the same is kept.
    pub(crate) fn set_value(&self, text: &str) {
        let label = &self.imp().value;
        if label.label() != text {
            label.set_label(text);
        }
    }

    /// Shows this text, or no row at all when there is none.
    pub(crate) fn set_optional(&self, text: Option<&str>) {
        self.set_value(text.unwrap_or_default());
        self.set_visible(text.is_some_and(|text| !text.is_empty()));
    }
}
