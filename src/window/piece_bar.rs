//! Which pieces of a torrent are verified, drawn as a bar. Layer 4.
//!
//! Each column of pixels is as dense as the share of its pieces that are there; neighbours of equal density
//! are drawn as one rectangle, so the bar of a finished torrent is a single one.

use std::cell::RefCell;

use dtorrent::bitfield::Bitfield;
use dtorrent::geometry::PieceIndex;
use dtorrent::size::Count;
use gtk::glib;
use gtk::prelude::*;
use gtk::subclass::prelude::*;

/// Densities that are told apart; more would only break the runs.
const LEVELS: u32 = 8;

const HEIGHT: i32 = 18;

mod imp {
    use super::*;

    #[derive(Debug, Default)]
    pub(crate) struct PieceBar {
        pub(super) pieces: RefCell<Option<Bitfield>>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for PieceBar {
        const NAME: &'static str = "DtPieceBar";
        type Type = super::PieceBar;
        type ParentType = gtk::Widget;

        fn class_init(class: &mut Self::Class) {
            class.set_css_name("piecebar");
            class.set_accessible_role(gtk::AccessibleRole::Img);
        }
    }

    impl ObjectImpl for PieceBar {
        fn constructed(&self) {
            self.parent_constructed();
            self.obj().set_overflow(gtk::Overflow::Hidden);
        }
    }

    impl WidgetImpl for PieceBar {
        fn measure(&self, orientation: gtk::Orientation, _for_size: i32) -> (i32, i32, i32, i32) {
            match orientation {
                gtk::Orientation::Vertical => (HEIGHT, HEIGHT, -1, -1),
                _ => (0, 0, -1, -1),
            }
        }

        fn snapshot(&self, snapshot: &gtk::Snapshot) {
            let obj = self.obj();
            let pieces = self.pieces.borrow();
            let Some(pieces) = pieces.as_ref() else { return };
            let color = self.color();
            let height = obj.height() as f32;
            for run in runs(pieces, u32::try_from(obj.width()).unwrap_or_default()) {
                let density = run.level as f32 / LEVELS as f32;
                let area = gtk::graphene::Rect::new(run.start as f32, 0.0, run.length as f32, height);
                snapshot.append_color(&color.with_alpha(color.alpha() * density), &area);
            }
        }
    }

    impl PieceBar {
        /// The colour that the style sheet gives to this widget, which follows light and dark.
        fn color(&self) -> gtk::gdk::RGBA {
            self.obj().style_context().color()
        }
    }
}

glib::wrapper! {
    pub(crate) struct PieceBar(ObjectSubclass<imp::PieceBar>)
        @extends gtk::Widget,
        @implements gtk::Accessible, gtk::Buildable, gtk::ConstraintTarget;
}

impl PieceBar {
    /// Draws these pieces.
    pub(crate) fn set_pieces(&self, pieces: Option<Bitfield>) {
        if *self.imp().pieces.borrow() == pieces {
            return;
        }
        let text = pieces.as_ref().map_or_else(String::new, |pieces| {
            let total = Count(u64::from(pieces.len()), "piece");
            format!("{} of {total} verified", pieces.count())
        });
        self.update_property(&[gtk::accessible::Property::Label(&text)]);
        self.set_tooltip_text(Some(&text));
        self.imp().pieces.replace(pieces);
        self.queue_draw();
    }
}

/// Neighbouring columns of pixels of the same density, `1..=LEVELS`; empty ones are left out.
#[derive(Debug, PartialEq, Eq)]
struct Run {
    start: u32,
    length: u32,
    level: u32,
}

fn runs(pieces: &Bitfield, width: u32) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for column in 0..width {
        let level = level(pieces, column, width);
        match runs.last_mut() {
            Some(run) if run.level == level && run.start + run.length == column => run.length += 1,
            _ if level > 0 => runs.push(Run {
                start: column,
                length: 1,
                level,
            }),
            _ => {}
        }
    }
    runs
}

/// How dense a column is: the share of the pieces that it stands for, and never nothing if one is there.
fn level(pieces: &Bitfield, column: u32, width: u32) -> u32 {
    let at = |column: u32| (u64::from(column) * u64::from(pieces.len()) / u64::from(width)) as u32;
    let first = at(column);
    let end = at(column + 1).max(first + 1).min(pieces.len());
    let held = (first..end)
        .filter(|&piece| pieces.has(PieceIndex(piece)))
        .count() as u32;
    (held * LEVELS).div_ceil(end.saturating_sub(first).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(held: &[u32], length: u32) -> Bitfield {
        let mut pieces = Bitfield::empty(length);
        for &piece in held {
            pieces.insert(PieceIndex(piece));
        }
        pieces
    }

    #[test]
    fn few_pieces_are_wide() {
        let expected = [Run {
            start: 0,
            length: 5,
            level: LEVELS,
        }];
        assert_eq!(runs(&pieces(&[0], 2), 10), expected);
    }

    #[test]
    fn many_pieces_share_a_column() {
        let expected = [Run {
            start: 1,
            length: 1,
            level: LEVELS / 2,
        }];
        assert_eq!(runs(&pieces(&[2], 4), 2), expected);
    }

    #[test]
    fn one_piece_of_many_is_seen() {
        assert_eq!(runs(&pieces(&[77], 1000), 1)[0].level, 1);
    }

    #[test]
    fn all_is_one_run_and_nothing_is_none() {
        assert_eq!(runs(&Bitfield::full(333), 100).len(), 1);
        assert_eq!(runs(&Bitfield::empty(333), 100), []);
        assert_eq!(runs(&Bitfield::empty(0), 100), []);
    }
}
