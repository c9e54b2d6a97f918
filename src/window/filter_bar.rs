//! The filters above the list, `ui/filter_bar.ui`: a button for each, with how many torrents belong to it. Where one
//! line is too short they take two. Layer 4.

use std::cell::{Cell, OnceCell};

use adw::prelude::*;
use adw::subclass::prelude::*;
use gtk::glib;

use super::template::template_class;
use super::view::Filter;
use super::wrap::WrapLayout;

mod imp {
    use super::*;

    #[derive(Debug, Default, gtk::CompositeTemplate)]
    #[template(resource = "/io/github/dtorrent/DTorrent/filter_bar.ui")]
    pub(crate) struct FilterBar {
        #[template_child]
        buttons: TemplateChild<gtk::Box>,
        pub(super) toggles: OnceCell<[gtk::ToggleButton; Filter::EVERY.len()]>,
        pub(super) counts: Cell<Option<[usize; Filter::EVERY.len()]>>,
    }

    template_class!(FilterBar is "DtFilterBar", a adw::Bin, then set_up);

    impl BinImpl for FilterBar {}

    impl FilterBar {
        fn set_up(&self) {
            self.buttons
                .set_layout_manager(Some(glib::Object::new::<WrapLayout>()));
            let toggles = Filter::EVERY.map(|filter| {
                let toggle = gtk::ToggleButton::new();
                toggle.add_css_class("filter");
                toggle.set_action_name(Some("win.filter"));
                toggle.set_action_target_value(Some(&filter.id().to_variant()));
                self.buttons.append(&toggle);
                toggle
            });
            // This runs once.
            let _ = self.toggles.set(toggles);
            self.obj().set_counts([0; Filter::EVERY.len()]);
        }
    }
}

glib::wrapper! {
    pub(crate) struct FilterBar(ObjectSubclass<imp::FilterBar>)
        @extends adw::Bin, gtk::Widget,
        @implements gtk::Accessible, gtk::Buildable, gtk::ConstraintTarget;
}

impl FilterBar {
    /// Shows how many torrents belong to each filter, in the order of [`Filter::EVERY`].
    pub(crate) fn set_counts(&self, counts: [usize; Filter::EVERY.len()]) {
        let imp = self.imp();
        let before = imp.counts.replace(Some(counts));
        for (at, filter) in Filter::EVERY.into_iter().enumerate() {
            let toggle = imp.toggles.get().map(|toggles| &toggles[at]);
            let is_new = before.is_none_or(|before| before[at] != counts[at]);
            if let Some(toggle) = toggle.filter(|_| is_new) {
                toggle.set_label(&filter.words(counts[at]));
                if counts[at] == 0 {
                    toggle.add_css_class("dim-label");
                } else {
                    toggle.remove_css_class("dim-label");
                }
            }
        }
    }
}
