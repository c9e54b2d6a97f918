//! The pieces of a torrent as a grid of cells, drawn here; what they mean is in `piece_cells`. Layer 4.
//!
//! No state is told by colour alone: what is here fills its cell from below, what is on its way has a frame, what is rare
//! a dot, what nobody has is hollow, what failed has stripes, and what is not wanted is a line.

use std::cell::{Cell as StdCell, RefCell};
use std::sync::Arc;

use dtorrent::engine::api::TorrentDetails;
use gtk::prelude::*;
use gtk::subclass::prelude::*;
use gtk::{gdk, glib, graphene};

use super::i18n::tr;
use super::piece_cells::{Cell, Grid, Kind, LEVELS, Pieces, Run};

#[expect(unreachable_pub, reason = "the getters that the derive makes are `pub`")]
mod imp {
    use super::*;

    #[derive(Debug, Default, glib::Properties)]
    #[properties(wrapper_type = super::PieceMap)]
    pub(crate) struct PieceMap {
        /// What is known of the cell under the pointer or the keyboard's cursor; empty without one.
        #[property(get)]
        pub(super) told: RefCell<String>,
        pub(super) pieces: RefCell<Option<Pieces>>,
        /// Where the pointer was last seen: GTK tells of it again after each layout.
        pub(super) pointer: StdCell<Option<(f64, f64)>>,
        /// The cell under the pointer.
        pub(super) pointed: StdCell<Option<u32>>,
        /// The keyboard's cell.
        pub(super) cursor: StdCell<u32>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for PieceMap {
        const NAME: &'static str = "DtPieceMap";
        type Type = super::PieceMap;
        type ParentType = gtk::Widget;

        fn class_init(class: &mut Self::Class) {
            class.set_css_name("piecemap");
            class.set_accessible_role(gtk::AccessibleRole::Img);
        }
    }

    #[glib::derived_properties]
    impl ObjectImpl for PieceMap {
        fn constructed(&self) {
            self.parent_constructed();
            let map = self.obj();
            map.set_focusable(true);
            map.set_up_pointer();
            map.set_up_keyboard();
        }
    }

    impl WidgetImpl for PieceMap {
        fn request_mode(&self) -> gtk::SizeRequestMode {
            gtk::SizeRequestMode::HeightForWidth
        }

        fn measure(&self, orientation: gtk::Orientation, for_size: i32) -> (i32, i32, i32, i32) {
            const NARROWEST: u32 = 100;
            let (minimum, natural) = match orientation {
                gtk::Orientation::Vertical => {
                    let width = u32::try_from(for_size).unwrap_or(NARROWEST);
                    let height = self.grid(width).height();
                    (height, height)
                }
                _ => (NARROWEST, NARROWEST),
            };
            (minimum as i32, natural as i32, -1, -1)
        }

        fn snapshot(&self, snapshot: &gtk::Snapshot) {
            let pieces = self.pieces.borrow();
            let Some(pieces) = pieces.as_ref() else { return };
            let grid = self.grid_now();
            let brush = Brush::of(&*self.obj());
            for run in grid.runs(pieces) {
                let (x, y) = grid.place(run.start);
                brush.run(snapshot, &run, (x as f32, y as f32), grid.pitch as f32);
            }
            let marked = if self.obj().has_focus() {
                Some(self.cursor.get())
            } else {
                self.pointed.get()
            };
            if let Some(cell) = marked.filter(|cell| *cell < grid.cells()) {
                let (x, y) = grid.place(cell);
                let size = grid.pitch as f32 + 1.0;
                brush.frame(snapshot, &brush.text, (x as f32 - 1.0, y as f32 - 1.0), size, 2.0);
            }
        }
    }

    impl PieceMap {
        fn grid(&self, width: u32) -> Grid {
            Grid::new(self.pieces.borrow().as_ref().map_or(0, Pieces::len), width)
        }

        pub(super) fn grid_now(&self) -> Grid {
            self.grid(u32::try_from(self.obj().width()).unwrap_or_default())
        }
    }
}

glib::wrapper! {
    pub(crate) struct PieceMap(ObjectSubclass<imp::PieceMap>)
        @extends gtk::Widget,
        @implements gtk::Accessible, gtk::Buildable, gtk::ConstraintTarget;
}

impl PieceMap {
    /// Shows these pieces; `None`: they are not known yet. Says how many there are of each kind.
    pub(crate) fn set_details(&self, details: Option<&Arc<TorrentDetails>>) -> Vec<(Kind, u32)> {
        let imp = self.imp();
        let pieces = details.and_then(Pieces::new);
        let counts = pieces
            .as_ref()
            .map_or_else(Vec::new, |pieces| pieces.counts().to_vec());
        let len = |pieces: &Option<Pieces>| pieces.as_ref().map(Pieces::len);
        let before = imp.pieces.replace(pieces);
        if len(&before) != len(&imp.pieces.borrow()) {
            imp.cursor.set(0);
            imp.pointed.set(None);
            self.queue_resize();
        }
        let told = counts.iter().filter(|(_, count)| *count > 0);
        let told: Vec<String> = told
            .map(|(kind, count)| format!("{}: {count}", kind.name()))
            .collect();
        let label = match told.is_empty() {
            true => tr!("Piece map"),
            false => tr!("Piece map. {counts}", counts = told.join(", ")),
        };
        self.update_property(&[gtk::accessible::Property::Label(&label)]);
        self.tell();
        self.queue_draw();
        counts
    }

    fn set_up_pointer(&self) {
        let motion = gtk::EventControllerMotion::new();
        let map = self.downgrade();
        motion.connect_motion(move |_, x, y| {
            let map = map.upgrade();
            if let Some(map) = map.filter(|map| map.imp().pointer.replace(Some((x, y))) != Some((x, y))) {
                map.point_at(map.imp().grid_now().cell_at(x, y));
            }
        });
        let map = self.downgrade();
        motion.connect_leave(move |_| {
            if let Some(map) = map.upgrade() {
                map.imp().pointer.set(None);
                map.point_at(None);
            }
        });
        self.add_controller(motion);
        let click = gtk::GestureClick::new();
        let map = self.downgrade();
        click.connect_pressed(move |_, _, x, y| {
            let Some(map) = map.upgrade() else { return };
            if let Some(cell) = map.imp().grid_now().cell_at(x, y) {
                map.imp().cursor.set(cell);
                map.grab_focus();
                map.tell();
                map.queue_draw();
            }
        });
        self.add_controller(click);
    }

    fn set_up_keyboard(&self) {
        let keys = gtk::EventControllerKey::new();
        let map = self.downgrade();
        keys.connect_key_pressed(move |_, key, _, _| {
            let moved = map.upgrade().is_some_and(|map| map.walk(key));
            if moved {
                glib::Propagation::Stop
            } else {
                glib::Propagation::Proceed
            }
        });
        self.add_controller(keys);
        self.connect_has_focus_notify(|map| {
            map.tell();
            map.queue_draw();
        });
    }

    /// Moves the keyboard's cell. Says whether the key does.
    fn walk(&self, key: gdk::Key) -> bool {
        let cursor = &self.imp().cursor;
        let grid = self.imp().grid_now();
        let (now, columns, last) = (cursor.get(), grid.columns(), grid.cells().saturating_sub(1));
        let next = match key {
            gdk::Key::Left => now.checked_sub(1),
            gdk::Key::Right => Some(now + 1),
            gdk::Key::Up => now.checked_sub(columns),
            gdk::Key::Down => Some(now + columns),
            gdk::Key::Home => Some(0),
            gdk::Key::End => Some(last),
            _ => return false,
        };
        // Past the edge the keyboard may go elsewhere.
        let Some(next) = next.filter(|next| *next <= last && (*next != now || last == 0)) else {
            return matches!(key, gdk::Key::Home | gdk::Key::End);
        };
        cursor.set(next);
        // Whoever uses the keyboard means its cell, wherever the pointer was left.
        self.imp().pointed.set(None);
        self.tell();
        self.queue_draw();
        true
    }

    fn point_at(&self, cell: Option<u32>) {
        if self.imp().pointed.replace(cell) != cell {
            self.tell();
            self.queue_draw();
        }
    }

    /// Tells of the cell under the pointer, or else of the keyboard's.
    fn tell(&self) {
        let imp = self.imp();
        let grid = imp.grid_now();
        let cell = imp.pointed.get().or(self.has_focus().then(|| imp.cursor.get()));
        let told = match (&*imp.pieces.borrow(), cell.filter(|cell| *cell < grid.cells())) {
            (Some(pieces), Some(cell)) => pieces.describe(grid.pieces_of(cell)),
            _ => String::new(),
        };
        if *imp.told.borrow() != told {
            self.update_property(&[gtk::accessible::Property::Description(&told)]);
            imp.told.replace(told);
            self.notify_told();
        }
    }
}

/// Draws cells in the colours of the style.
#[derive(Debug)]
pub(crate) struct Brush {
    text: gdk::RGBA,
    here: gdk::RGBA,
    rare: gdk::RGBA,
    wrong: gdk::RGBA,
}

impl Brush {
    pub(crate) fn of(widget: &impl IsA<gtk::Widget>) -> Self {
        let style = widget.style_context();
        let text = style.color();
        let named = |name: &str| style.lookup_color(name).unwrap_or(text);
        Self {
            text,
            here: named("accent_color"),
            rare: named("warning_color"),
            wrong: named("error_color"),
        }
    }

    /// Cells from this place on, each so many pixels from the next.
    pub(crate) fn run(&self, snapshot: &gtk::Snapshot, run: &Run, (x, y): (f32, f32), pitch: f32) {
        let solid = run.cell.kind == Kind::Have || run.cell.kind == Kind::Missing && run.cell.filled == 0;
        if solid {
            let color = match run.cell.kind {
                Kind::Have => self.here,
                _ => faint(&self.text, 0.16),
            };
            let width = pitch * run.length as f32 - 1.0;
            return fill(snapshot, &color, (x, y), (width, pitch - 1.0));
        }
        for number in 0..run.length {
            self.cell(snapshot, run.cell, (x + pitch * number as f32, y), pitch - 1.0);
        }
    }

    fn cell(&self, snapshot: &gtk::Snapshot, cell: Cell, (x, y): (f32, f32), size: f32) {
        let filled = size * cell.filled as f32 / LEVELS as f32;
        let base = match cell.kind {
            Kind::Absent | Kind::Unwanted => 0.0,
            Kind::Suspect => 0.08,
            _ => 0.16,
        };
        fill(snapshot, &faint(&self.text, base), (x, y), (size, size));
        fill(snapshot, &self.here, (x, y + size - filled), (size, filled));
        match cell.kind {
            Kind::InFlight => self.frame(snapshot, &self.here, (x, y), size, 1.0),
            Kind::Absent => self.frame(snapshot, &self.wrong, (x, y), size, 1.0),
            Kind::Rare => {
                let dot = (size / 3.0).round().max(3.0);
                let at = ((size - dot) / 2.0).floor();
                fill(snapshot, &self.rare, (x + at, y + at), (dot, dot));
            }
            Kind::Suspect => {
                let stripe = (size / 5.0).floor().max(1.0);
                for number in 0..3_u8 {
                    let at = (size - stripe) * f32::from(number) / 2.0;
                    fill(snapshot, &self.wrong, (x, y + at.floor()), (size, stripe));
                }
            }
            Kind::Unwanted => {
                let line = faint(&self.text, 0.35);
                fill(snapshot, &line, (x, y + (size / 2.0).floor()), (size, 1.0));
            }
            Kind::Have | Kind::Missing => {}
        }
    }

    fn frame(&self, snapshot: &gtk::Snapshot, color: &gdk::RGBA, (x, y): (f32, f32), size: f32, line: f32) {
        let far = size - line;
        fill(snapshot, color, (x, y), (size, line));
        fill(snapshot, color, (x, y + far), (size, line));
        fill(snapshot, color, (x, y), (line, size));
        fill(snapshot, color, (x + far, y), (line, size));
    }
}

fn faint(color: &gdk::RGBA, share: f32) -> gdk::RGBA {
    color.with_alpha(color.alpha() * share)
}

fn fill(snapshot: &gtk::Snapshot, color: &gdk::RGBA, (x, y): (f32, f32), (width, height): (f32, f32)) {
    if width > 0.0 && height > 0.0 && color.alpha() > 0.0 {
        snapshot.append_color(color, &graphene::Rect::new(x, y, width, height));
    }
}
