//! One of two sides of the window: it is as wide as it is wanted to be where there is room, and gives way where there is
//! none. Layer 4.

use std::cell::Cell;

use adw::prelude::*;
use adw::subclass::prelude::*;
use gtk::glib;

/// Parts of the window that the list has until somebody draws its edge, of a hundred, and the most that it makes of them.
const SHARE: i32 = 34;
const MOST: i32 = 560;

mod imp {
    use super::*;

    #[derive(Debug, Default)]
    pub(crate) struct SideLayout {
        /// Pixels; 0: a share of the window, -1: as narrow as can be, for the side that gets the rest.
        pub(super) wanted: Cell<i32>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for SideLayout {
        const NAME: &'static str = "DtSideLayout";
        type Type = super::SideLayout;
        type ParentType = gtk::LayoutManager;
    }

    impl ObjectImpl for SideLayout {}

    impl LayoutManagerImpl for SideLayout {
        fn request_mode(&self, widget: &gtk::Widget) -> gtk::SizeRequestMode {
            widget
                .first_child()
                .map_or(gtk::SizeRequestMode::ConstantSize, |child| child.request_mode())
        }

        fn measure(&self, widget: &gtk::Widget, way: gtk::Orientation, other: i32) -> (i32, i32, i32, i32) {
            let Some(child) = widget.first_child() else {
                return (0, 0, -1, -1);
            };
            let (least, natural, above, below) = child.measure(way, other);
            if way == gtk::Orientation::Vertical {
                return (least, natural, above, below);
            }
            let window = widget.root().map_or(0, |root| root.width());
            (least, wanted(self.wanted.get(), window).max(least), -1, -1)
        }

        fn allocate(&self, widget: &gtk::Widget, width: i32, height: i32, _baseline: i32) {
            if let Some(child) = widget.first_child() {
                child.size_allocate(&gtk::Allocation::new(0, 0, width, height), -1);
            }
        }
    }

    #[derive(Debug, Default)]
    pub(crate) struct SidePane;

    #[glib::object_subclass]
    impl ObjectSubclass for SidePane {
        const NAME: &'static str = "DtSidePane";
        type Type = super::SidePane;
        type ParentType = adw::Bin;
    }

    impl ObjectImpl for SidePane {
        fn constructed(&self) {
            self.parent_constructed();
            self.obj()
                .set_layout_manager(Some(glib::Object::new::<super::SideLayout>()));
        }
    }

    impl WidgetImpl for SidePane {}
    impl BinImpl for SidePane {}
}

glib::wrapper! {
    pub(crate) struct SideLayout(ObjectSubclass<imp::SideLayout>)
        @extends gtk::LayoutManager;
}

glib::wrapper! {
    pub(crate) struct SidePane(ObjectSubclass<imp::SidePane>)
        @extends adw::Bin, gtk::Widget,
        @implements gtk::Accessible, gtk::Buildable, gtk::ConstraintTarget;
}

impl SidePane {
    /// How wide it is from now on, in pixels. 0: a share of the window, -1: as narrow as can be.
    pub(crate) fn want(&self, width: i32) {
        if let Some(layout) = self.layout_manager().and_downcast::<SideLayout>() {
            layout.imp().wanted.set(width);
            self.queue_resize();
        }
    }

    pub(crate) fn wanted(&self) -> i32 {
        let layout = self.layout_manager().and_downcast::<SideLayout>();
        layout.map_or(0, |layout| layout.imp().wanted.get())
    }
}

/// The width that is wanted in a window of this one.
fn wanted(wanted: i32, window: i32) -> i32 {
    match wanted {
        0 => (window * SHARE / 100).min(MOST),
        wanted => wanted.max(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wide_window_has_a_wide_list_until_somebody_wants_another() {
        assert_eq!(wanted(0, 1550), 527);
        assert_eq!(wanted(0, 3000), MOST);
        assert_eq!(wanted(700, 1550), 700);
        assert_eq!(wanted(-1, 1550), 0);
    }
}
