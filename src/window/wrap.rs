//! Lays widgets out in lines, as many in each as there is room for. Layer 4.

use gtk::glib;
use gtk::prelude::*;
use gtk::subclass::prelude::*;

use super::children::children;

/// Pixels between two widgets, and between two lines.
const SPACING: i32 = 6;

mod imp {
    use super::*;

    #[derive(Debug, Default)]
    pub(crate) struct WrapLayout;

    #[glib::object_subclass]
    impl ObjectSubclass for WrapLayout {
        const NAME: &'static str = "DtWrapLayout";
        type Type = super::WrapLayout;
        type ParentType = gtk::LayoutManager;
    }

    impl ObjectImpl for WrapLayout {}

    impl LayoutManagerImpl for WrapLayout {
        fn request_mode(&self, _widget: &gtk::Widget) -> gtk::SizeRequestMode {
            gtk::SizeRequestMode::HeightForWidth
        }

        fn measure(
            &self,
            widget: &gtk::Widget,
            orientation: gtk::Orientation,
            for_size: i32,
        ) -> (i32, i32, i32, i32) {
            let sizes: Vec<[i32; 2]> = laid_out(widget).map(|child| size(&child)).collect();
            let wanted = match orientation {
                // The lines take what they get: a natural width of one line would push others aside.
                gtk::Orientation::Horizontal => sizes.iter().map(|[width, _]| *width).max(),
                _ => places(&sizes, if for_size < 0 { i32::MAX } else { for_size })
                    .iter()
                    .zip(&sizes)
                    .map(|([_, y], [_, height])| y + height)
                    .max(),
            };
            let wanted = wanted.unwrap_or_default();
            (wanted, wanted, -1, -1)
        }

        fn allocate(&self, widget: &gtk::Widget, width: i32, _height: i32, _baseline: i32) {
            let children: Vec<gtk::Widget> = laid_out(widget).collect();
            let sizes: Vec<[i32; 2]> = children.iter().map(size).collect();
            let from_right = widget.direction() == gtk::TextDirection::Rtl;
            for ((child, [own, height]), [x, y]) in children.iter().zip(&sizes).zip(places(&sizes, width)) {
                let x = if from_right { width - x - own } else { x };
                child.size_allocate(&gtk::Allocation::new(x, y, *own, *height), -1);
            }
        }
    }

    fn laid_out(widget: &gtk::Widget) -> impl Iterator<Item = gtk::Widget> + use<> {
        children(widget).filter(WidgetExt::should_layout)
    }

    /// Natural width, and the height that goes with it.
    fn size(child: &gtk::Widget) -> [i32; 2] {
        let (_, width, _, _) = child.measure(gtk::Orientation::Horizontal, -1);
        let (_, height, _, _) = child.measure(gtk::Orientation::Vertical, width);
        [width, height]
    }
}

glib::wrapper! {
    pub(crate) struct WrapLayout(ObjectSubclass<imp::WrapLayout>)
        @extends gtk::LayoutManager;
}

/// Where widgets of these widths and heights go within a width: left and top of each.
fn places(sizes: &[[i32; 2]], within: i32) -> Vec<[i32; 2]> {
    let (mut x, mut y, mut line) = (0, 0, 0);
    let mut places = Vec::new();
    for [width, height] in sizes {
        if x > 0 && width.saturating_add(x) > within {
            (x, y, line) = (0, y + line + SPACING, 0);
        }
        places.push([x, y]);
        x += width + SPACING;
        line = line.max(*height);
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_ends_where_the_next_one_would_stick_out() {
        let sizes = [[50, 30], [110, 30], [80, 34], [80, 30]];
        let one_line = [[0, 0], [56, 0], [172, 0], [258, 0]];
        assert_eq!(places(&sizes, i32::MAX), one_line);
        assert_eq!(places(&sizes, 338), one_line);
        assert_eq!(places(&sizes, 337), [[0, 0], [56, 0], [172, 0], [0, 40]]);
        assert_eq!(places(&sizes, 170), [[0, 0], [56, 0], [0, 36], [86, 36]]);
        // Nothing is left out, however narrow it is.
        assert_eq!(places(&sizes, 0), [[0, 0], [0, 36], [0, 72], [0, 112]]);
        assert!(places(&[], 100).is_empty());
    }
}
