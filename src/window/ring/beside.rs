//! Lays two widgets out side by side in a wide window, one above the other in a narrow one. Layer 4.

use gtk::glib;
use gtk::prelude::*;
use gtk::subclass::prelude::*;

use crate::window::children::children;

/// From this width on there is room for both.
const WIDE: i32 = 760;
/// Width of the second one then.
const ASIDE: i32 = 360;
/// Parts of the height for the first one in a narrow window, of a hundred; it is never higher than wide.
const ABOVE: i32 = 52;

mod imp {
    use super::*;

    #[derive(Debug, Default)]
    pub(crate) struct BesideLayout;

    #[glib::object_subclass]
    impl ObjectSubclass for BesideLayout {
        const NAME: &'static str = "DtBesideLayout";
        type Type = super::BesideLayout;
        type ParentType = gtk::LayoutManager;
    }

    impl ObjectImpl for BesideLayout {}

    impl LayoutManagerImpl for BesideLayout {
        fn request_mode(&self, _widget: &gtk::Widget) -> gtk::SizeRequestMode {
            gtk::SizeRequestMode::ConstantSize
        }

        fn measure(
            &self,
            widget: &gtk::Widget,
            orientation: gtk::Orientation,
            _for_size: i32,
        ) -> (i32, i32, i32, i32) {
            let sizes = children(widget).map(|child| child.measure(orientation, -1));
            let (mut least, mut natural) = (0, 0);
            for (child_least, child_natural, _, _) in sizes {
                least = child_least.max(least);
                natural = child_natural.max(natural);
            }
            if orientation == gtk::Orientation::Vertical {
                // The higher one may be the first or the second, each with its part of the height.
                least = least * 100 / ABOVE.min(100 - ABOVE);
            }
            (least, natural.max(least), -1, -1)
        }

        fn allocate(&self, widget: &gtk::Widget, width: i32, height: i32, _baseline: i32) {
            let mut children = children(widget);
            let (Some(first), Some(second)) = (children.next(), children.next()) else {
                return;
            };
            let (one, other) = split(width, height);
            for (child, [x, y, width, height]) in [(first, one), (second, other)] {
                child.size_allocate(&gtk::Allocation::new(x, y, width, height), -1);
            }
        }
    }
}

glib::wrapper! {
    pub(crate) struct BesideLayout(ObjectSubclass<imp::BesideLayout>)
        @extends gtk::LayoutManager;
}

/// Left, top, width and height of both.
fn split(width: i32, height: i32) -> ([i32; 4], [i32; 4]) {
    if width >= WIDE {
        let first = width - ASIDE;
        return ([0, 0, first, height], [first, 0, ASIDE, height]);
    }
    let first = (height * ABOVE / 100).min(width);
    ([0, 0, width, first], [0, first, width, height - first])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_have_their_place_and_fill_the_window() {
        assert_eq!(split(1200, 700), ([0, 0, 840, 700], [840, 0, 360, 700]));
        assert_eq!(split(360, 700), ([0, 0, 360, 360], [0, 360, 360, 340]));
        assert_eq!(split(360, 500), ([0, 0, 360, 260], [0, 260, 360, 240]));
    }
}
