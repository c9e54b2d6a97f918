//! The speeds of a torrent over the last minute or hour, drawn as steps. Layer 4.
//!
//! Download is a filled area with a thin edge, upload a thick line with nothing under it: the two are told apart without
//! their colours.

use std::cell::{Cell, RefCell};

use dtorrent::engine::api::{Speed, SpeedHistory};
use gtk::prelude::*;
use gtk::subclass::prelude::*;
use gtk::{gdk, glib, graphene, pango};

use super::i18n::tr;
use super::{speed_words, words};

/// Pixels.
const HEIGHT: i32 = 140;

/// Pixels under the graph for the times.
const FOOT: f32 = 18.0;

/// Pixels between a speed and the graph.
const GAP: f32 = 6.0;

mod imp {
    use super::*;

    #[derive(Debug, Default)]
    pub(crate) struct SpeedGraph {
        pub(super) speeds: RefCell<SpeedHistory>,
        pub(super) shows_hour: Cell<bool>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for SpeedGraph {
        const NAME: &'static str = "DtSpeedGraph";
        type Type = super::SpeedGraph;
        type ParentType = gtk::Widget;

        fn class_init(class: &mut Self::Class) {
            class.set_css_name("speedgraph");
            class.set_accessible_role(gtk::AccessibleRole::Img);
        }
    }

    impl ObjectImpl for SpeedGraph {
        fn constructed(&self) {
            self.parent_constructed();
            self.obj().set_overflow(gtk::Overflow::Hidden);
        }
    }

    impl WidgetImpl for SpeedGraph {
        fn measure(&self, orientation: gtk::Orientation, _: i32) -> (i32, i32, i32, i32) {
            match orientation {
                gtk::Orientation::Vertical => (HEIGHT, HEIGHT, -1, -1),
                _ => (100, 100, -1, -1),
            }
        }

        fn snapshot(&self, snapshot: &gtk::Snapshot) {
            self.obj().draw(snapshot);
        }
    }
}

glib::wrapper! {
    pub(crate) struct SpeedGraph(ObjectSubclass<imp::SpeedGraph>)
        @extends gtk::Widget,
        @implements gtk::Accessible, gtk::Buildable, gtk::ConstraintTarget;
}

/// Where the graph is, and what a value comes to in it.
#[derive(Debug, Clone, Copy)]
struct Plot {
    /// Pixels at the left for the speeds.
    gutter: f32,
    width: f32,
    height: f32,
    slots: usize,
    top: u64,
}

impl Plot {
    fn left(&self, slot: usize) -> f32 {
        self.gutter + (self.width * slot as f32 / self.slots as f32).round()
    }

    fn y(&self, value: u64) -> f32 {
        let share = value as f64 / self.top.max(1) as f64;
        (f64::from(self.height) * (1.0 - share)).round() as f32
    }
}

impl SpeedGraph {
    /// Shows these speeds. Gives both directions in words.
    pub(crate) fn set_speeds(&self, speeds: &SpeedHistory) -> (String, String) {
        if *self.imp().speeds.borrow() != *speeds {
            self.imp().speeds.replace(speeds.clone());
            self.queue_draw();
        }
        self.tell()
    }

    /// Shows the last hour rather than the last minute. Gives both directions in words.
    pub(crate) fn set_shows_hour(&self, shows_hour: bool) -> (String, String) {
        self.imp().shows_hour.set(shows_hour);
        self.queue_draw();
        self.tell()
    }

    fn tell(&self) -> (String, String) {
        let down = self.with_shown(|speeds| speed_words::direction(speeds, |speed| speed.down));
        let up = self.with_shown(|speeds| speed_words::direction(speeds, |speed| speed.up));
        let label = if self.imp().shows_hour.get() {
            tr!(
                "Speeds of the last hour. Download: {down}. Upload: {up}.",
                down = down,
                up = up
            )
        } else {
            tr!(
                "Speeds of the last minute. Download: {down}. Upload: {up}.",
                down = down,
                up = up
            )
        };
        self.update_property(&[gtk::accessible::Property::Label(&label)]);
        (down, up)
    }

    fn with_shown<T>(&self, read: impl FnOnce(&[Speed]) -> T) -> T {
        let speeds = self.imp().speeds.borrow();
        read(if self.imp().shows_hour.get() {
            &speeds.hour
        } else {
            &speeds.minute
        })
    }

    fn draw(&self, snapshot: &gtk::Snapshot) {
        let style = self.style_context();
        let text = style.color();
        let named = |name: &str| style.lookup_color(name).unwrap_or(text);
        let (down, up) = (named("accent_color"), named("success_color"));
        self.with_shown(|speeds| {
            let top = speed_words::top(speeds);
            let gutter = self.gutter(top);
            let plot = Plot {
                gutter,
                width: (self.width() as f32 - gutter).max(1.0),
                height: self.height() as f32 - FOOT,
                slots: if self.imp().shows_hour.get() {
                    SpeedHistory::HOUR
                } else {
                    SpeedHistory::MINUTE
                },
                top,
            };
            for half in 0..=2_u64 {
                let y = plot.y(plot.top / 2 * half).min(plot.height - 1.0);
                fill(snapshot, &text.with_alpha(0.12), (gutter, y), (plot.width, 1.0));
            }
            let shown = &speeds[speeds.len().saturating_sub(plot.slots)..];
            let first = plot.slots - shown.len();
            steps(
                snapshot,
                plot,
                first,
                shown,
                |speed| speed.down,
                (&down, 1.0, 0.28),
            );
            steps(snapshot, plot, first, shown, |speed| speed.up, (&up, 2.0, 0.0));
            self.draw_axes(snapshot, plot, &text.with_alpha(text.alpha() * 0.7));
        });
    }

    fn draw_axes(&self, snapshot: &gtk::Snapshot, plot: Plot, color: &gdk::RGBA) {
        for half in [0, 1, 2] {
            let value = plot.top / 2 * half;
            let words = words::rate(value);
            let (width, height) = self.layout(&words).pixel_size();
            let y = plot.y(value) - height as f32 / 2.0;
            let lowest = plot.height - height as f32;
            let place = (plot.gutter - GAP - width as f32, y.clamp(0.0, lowest.max(0.0)));
            self.write(snapshot, &words, place, color);
        }
        let (oldest, middle) = if self.imp().shows_hour.get() {
            (tr!("1 h ago"), tr!("30 min ago"))
        } else {
            (tr!("60 s ago"), tr!("30 s ago"))
        };
        for (share, words) in [(0.0, oldest), (0.5, middle), (1.0, tr!("now"))] {
            let width = self.layout(&words).pixel_size().0 as f32;
            let x = plot.gutter + (plot.width - width) * share;
            self.write(snapshot, &words, (x, plot.height + 2.0), color);
        }
    }

    /// Room for what stands at the left.
    fn gutter(&self, top: u64) -> f32 {
        let width = |value| self.layout(&words::rate(value)).pixel_size().0;
        (width(top).max(width(top / 2)) as f32) + GAP
    }

    fn layout(&self, words: &str) -> pango::Layout {
        let layout = self.create_pango_layout(Some(words));
        let attributes = pango::AttrList::new();
        attributes.insert(pango::AttrFloat::new_scale(0.8));
        layout.set_attributes(Some(&attributes));
        layout
    }

    fn write(&self, snapshot: &gtk::Snapshot, words: &str, (x, y): (f32, f32), color: &gdk::RGBA) {
        snapshot.save();
        snapshot.translate(&graphene::Point::new(x, y));
        snapshot.append_layout(&self.layout(words), color);
        snapshot.restore();
    }
}

/// One direction: an edge of this width and colour, and under it the colour as strong as this share.
fn steps(
    snapshot: &gtk::Snapshot,
    plot: Plot,
    first: usize,
    speeds: &[Speed],
    of: impl Fn(&Speed) -> u64,
    (color, edge, area): (&gdk::RGBA, f32, f32),
) {
    let mut before: Option<f32> = None;
    for (slot, speed) in speeds.iter().enumerate() {
        let (left, right) = (plot.left(first + slot), plot.left(first + slot + 1));
        let y = plot.y(of(speed)).min(plot.height - edge);
        let area_color = color.with_alpha(color.alpha() * area);
        fill(snapshot, &area_color, (left, y), (right - left, plot.height - y));
        fill(snapshot, color, (left, y), (right - left, edge));
        if let Some(last) = before {
            let (top, bottom) = (last.min(y), last.max(y) + edge);
            fill(snapshot, color, (left, top), (edge, bottom - top));
        }
        before = Some(y);
    }
}

fn fill(snapshot: &gtk::Snapshot, color: &gdk::RGBA, (x, y): (f32, f32), (width, height): (f32, f32)) {
    if width > 0.0 && height > 0.0 && color.alpha() > 0.0 {
        snapshot.append_color(color, &graphene::Rect::new(x, y, width, height));
    }
}
