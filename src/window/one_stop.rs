//! A list that Tab enters and leaves in one step: the arrow keys go from row to row inside. Layer 4.
//!
//! GTK 4.12 has a property of the list for it; before, Tab stops at each row.

use adw::prelude::*;
use adw::subclass::prelude::*;
use gtk::glib;

mod imp {
    use super::*;

    #[derive(Debug, Default)]
    pub(crate) struct OneStop;

    #[glib::object_subclass]
    impl ObjectSubclass for OneStop {
        const NAME: &'static str = "DtOneStop";
        type Type = super::OneStop;
        type ParentType = adw::Bin;
    }

    impl ObjectImpl for OneStop {}

    impl WidgetImpl for OneStop {
        fn focus(&self, direction: gtk::DirectionType) -> bool {
            let is_tab = matches!(
                direction,
                gtk::DirectionType::TabForward | gtk::DirectionType::TabBackward
            );
            let is_inside = self.obj().focus_child().is_some();
            !(is_tab && is_inside) && self.parent_focus(direction)
        }
    }

    impl BinImpl for OneStop {}
}

glib::wrapper! {
    pub(crate) struct OneStop(ObjectSubclass<imp::OneStop>)
        @extends adw::Bin, gtk::Widget,
        @implements gtk::Accessible, gtk::Buildable, gtk::ConstraintTarget;
}
