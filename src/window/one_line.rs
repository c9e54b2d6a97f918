//! Lays a name and what is said of it out in one line: the longest of several texts that leaves the name room. Layer 4.

use gtk::glib;
use gtk::prelude::*;
use gtk::subclass::prelude::*;

use super::children::children;

/// Pixels between the name and the text.
const SPACING: i32 = 9;

mod imp {
    use super::*;

    /// The first child is the name, the others are the texts, each shorter than the one before.
    #[derive(Debug, Default)]
    pub(crate) struct OneLine;

    #[glib::object_subclass]
    impl ObjectSubclass for OneLine {
        const NAME: &'static str = "DtOneLine";
        type Type = super::OneLine;
        type ParentType = gtk::LayoutManager;
    }

    impl ObjectImpl for OneLine {}

    impl LayoutManagerImpl for OneLine {
        fn request_mode(&self, _widget: &gtk::Widget) -> gtk::SizeRequestMode {
            gtk::SizeRequestMode::ConstantSize
        }

        fn measure(
            &self,
            widget: &gtk::Widget,
            orientation: gtk::Orientation,
            _for_size: i32,
        ) -> (i32, i32, i32, i32) {
            let sizes: Vec<(i32, i32)> = children(widget).map(|child| size(&child, orientation)).collect();
            let (minimum, natural) = match (orientation, &sizes[..]) {
                (gtk::Orientation::Horizontal, [name, first, .., last]) => {
                    (name.0 + SPACING + last.0, name.1 + SPACING + first.1)
                }
                (_, sizes) => (
                    sizes.iter().map(|(least, _)| *least).max().unwrap_or_default(),
                    sizes.iter().map(|(_, wanted)| *wanted).max().unwrap_or_default(),
                ),
            };
            (minimum, natural.max(minimum), -1, -1)
        }

        fn allocate(&self, widget: &gtk::Widget, width: i32, height: i32, _baseline: i32) {
            let children: Vec<gtk::Widget> = children(widget).collect();
            let Some((name, texts)) = children.split_first() else {
                return;
            };
            let widths: Vec<(i32, i32)> = texts
                .iter()
                .map(|text| size(text, gtk::Orientation::Horizontal))
                .collect();
            let (chosen, own) = choose(size(name, gtk::Orientation::Horizontal), &widths, width);
            let rest = (width - own - SPACING).max(0);
            let from_right = widget.direction() == gtk::TextDirection::Rtl;
            let place = |child: &gtk::Widget, x: i32, own: i32| {
                let x = if from_right { width - x - own } else { x };
                child.size_allocate(&gtk::Allocation::new(x, 0, own, height), -1);
            };
            place(name, 0, rest);
            for (index, text) in texts.iter().enumerate() {
                text.set_child_visible(index == chosen);
                if index == chosen {
                    place(text, width - own, own);
                }
            }
        }
    }

    /// The least that it can be, and what it would like to be.
    fn size(child: &gtk::Widget, orientation: gtk::Orientation) -> (i32, i32) {
        let (least, wanted, _, _) = child.measure(orientation, -1);
        (least, wanted)
    }
}

glib::wrapper! {
    pub(crate) struct OneLine(ObjectSubclass<imp::OneLine>)
        @extends gtk::LayoutManager;
}

/// Which of the texts is shown within this width, and how wide. A name that does not fit has more than half of it.
fn choose(name: (i32, i32), texts: &[(i32, i32)], within: i32) -> (usize, i32) {
    let for_name = name.1.min(within * 11 / 20).max(name.0);
    let room = within - SPACING - for_name;
    let fits = texts.iter().position(|(_, wanted)| *wanted <= room);
    match (fits, texts.split_last()) {
        (Some(index), _) => (index, texts[index].1),
        // It is cut short, but only where the name can be no shorter.
        (None, Some(((least, wanted), before))) => {
            let most = (within - SPACING - name.0).max(*least);
            (before.len(), (*wanted).min(most))
        }
        (None, None) => (0, 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_text_is_shown_that_leaves_the_name_room() {
        let texts = [(180, 180), (130, 130), (40, 85)];
        let short = (60, 100);
        assert_eq!(choose(short, &texts, 300), (0, 180));
        assert_eq!(choose(short, &texts, 288), (1, 130));
        assert_eq!(choose(short, &texts, 239), (1, 130));
        assert_eq!(choose(short, &texts, 238), (2, 85));
        // A long name cannot have all.
        let long = (60, 900);
        assert_eq!(choose(long, &texts, 500), (0, 180));
        assert_eq!(choose(long, &texts, 320), (1, 130));
        assert_eq!(choose(long, &texts, 240), (2, 85));
        // Both are as short as they can be.
        assert_eq!(choose(long, &texts, 140), (2, 71));
        assert_eq!(choose(long, &texts, 109), (2, 40));
        assert_eq!(choose(long, &[], 109), (0, 0));
    }
}
