//! One cell of the piece map for its legend. Layer 4.

use std::cell::Cell as StdCell;

use gtk::glib;
use gtk::prelude::*;
use gtk::subclass::prelude::*;

use super::piece_cells::{Cell, Kind, LEVELS, Run};
use super::piece_map::Brush;

/// Pixels.
const SIZE: i32 = 16;

mod imp {
    use super::*;

    #[derive(Debug, Default)]
    pub(crate) struct PieceSwatch {
        pub(super) kind: StdCell<Option<Kind>>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for PieceSwatch {
        const NAME: &'static str = "DtPieceSwatch";
        type Type = super::PieceSwatch;
        type ParentType = gtk::Widget;

        fn class_init(class: &mut Self::Class) {
            class.set_css_name("piecemap");
            // The label beside it says what it is.
            class.set_accessible_role(gtk::AccessibleRole::Presentation);
        }
    }

    impl ObjectImpl for PieceSwatch {}

    impl WidgetImpl for PieceSwatch {
        fn measure(&self, _: gtk::Orientation, _: i32) -> (i32, i32, i32, i32) {
            (SIZE, SIZE, -1, -1)
        }

        fn snapshot(&self, snapshot: &gtk::Snapshot) {
            let Some(kind) = self.kind.get() else { return };
            let filled = match kind {
                Kind::Have => LEVELS,
                Kind::InFlight => LEVELS / 2,
                _ => 0,
            };
            let run = Run {
                start: 0,
                length: 1,
                cell: Cell { kind, filled },
            };
            let top = (self.obj().height() - SIZE).max(0) / 2;
            Brush::of(&*self.obj()).run(snapshot, &run, (0.0, top as f32), SIZE as f32);
        }
    }
}

glib::wrapper! {
    pub(crate) struct PieceSwatch(ObjectSubclass<imp::PieceSwatch>)
        @extends gtk::Widget,
        @implements gtk::Accessible, gtk::Buildable, gtk::ConstraintTarget;
}

impl PieceSwatch {
    pub(crate) fn new(kind: Kind) -> Self {
        let swatch: Self = glib::Object::new();
        swatch.imp().kind.set(Some(kind));
        swatch
    }
}
