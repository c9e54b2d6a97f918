//! Toasts, one at a time: the newest takes the place of the one before, as what has waited in a queue comes too late to be
//! understood. Layer 4.
//!
//! In libadwaita 1.2 a toast takes 0.5 s to come while another goes, and 0.3 s to go, and it is freed once it is gone. If
//! it goes sooner than 0.2 s after it was shown, its coming ends after that, and the program falls. So a toast has come
//! before it goes here, and is gone before the next comes; libadwaita's own queue, which does otherwise, stays empty.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::time::Duration;

use adw::prelude::*;
use gtk::{glib, pango};

/// Longer than a toast takes to come, or to go, by the clock of frames.
const MOVE: Duration = Duration::from_millis(600);

/// What a toast has beside its text: edges and margins, the button that closes it and one more, in pixels.
const BESIDE_TEXT: i32 = 170;

/// Where a line of a toast ends at the latest, in characters; longer ones are hard to read.
const LINE: i32 = 60;

/// Names can be very long.
const MOST_LINES: i32 = 4;

/// A passing message. It may have several lines where libadwaita's own would be cut off.
pub(crate) fn toast(text: &str) -> adw::Toast {
    let label = gtk::Label::builder()
        .label(text)
        .wrap(true)
        .wrap_mode(pango::WrapMode::WordChar)
        .lines(MOST_LINES)
        .ellipsize(pango::EllipsizeMode::End)
        .xalign(0.0)
        .css_classes(["heading"])
        .build();
    let toast = adw::Toast::new("");
    toast.set_custom_title(Some(&label));
    toast
}

/// The toasts of one window.
#[derive(Debug, Clone)]
pub(crate) struct Toasts(Rc<Place>);

struct Place {
    /// What they are shown over.
    widget: glib::WeakRef<gtk::Widget>,
    add: Box<dyn Fn(adw::Toast)>,
    shown: RefCell<Option<Shown>>,
    /// What is said next.
    next: RefCell<Option<adw::Toast>>,
}

/// The toast that is there, or on its way out.
#[derive(Debug)]
struct Shown {
    toast: adw::Toast,
    phase: Rc<Cell<Phase>>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Coming,
    /// It is to go as soon as it has come.
    ComingToGo,
    There,
    Going,
}

impl Toasts {
    /// Toasts that `add` shows over `widget`.
    pub(crate) fn over(widget: &impl IsA<gtk::Widget>, add: impl Fn(adw::Toast) + 'static) -> Self {
        Self(Rc::new(Place {
            widget: widget.upcast_ref().downgrade(),
            add: Box::new(add),
            shown: RefCell::default(),
            next: RefCell::default(),
        }))
    }

    /// Shows a toast in place of the one that is there. Nobody sees one while the window is hidden, and it would be old when
    /// the window comes back.
    pub(crate) fn show(&self, toast: adw::Toast) {
        if self.0.is_hidden() {
            return;
        }
        self.0.next.replace(Some(toast));
        match &*self.0.shown.borrow() {
            Some(shown) => shown.let_go(),
            None => self.0.show_next_soon(),
        }
    }

    /// Takes a toast back, if it is still there or to come.
    pub(crate) fn withdraw(&self, toast: &adw::Toast) {
        self.0.next.borrow_mut().take_if(|next| next == toast);
        if let Some(shown) = self
            .0
            .shown
            .borrow()
            .as_ref()
            .filter(|shown| shown.toast == *toast)
        {
            shown.let_go();
        }
    }
}

impl Place {
    fn is_hidden(&self) -> bool {
        let root = self.widget.upgrade().and_then(|widget| widget.root());
        root.is_none_or(|root| !root.is_visible())
    }

    /// Not at once: it may have been asked for while the one before says that it goes.
    fn show_next_soon(self: &Rc<Self>) {
        let place = Rc::downgrade(self);
        glib::idle_add_local_once(move || {
            place.upgrade().inspect(Self::show_next);
        });
    }

    fn show_next(self: &Rc<Self>) {
        if self.shown.borrow().is_some() {
            return;
        }
        let Some(toast) = self.next.take() else {
            return;
        };
        let shown = Shown {
            toast: toast.clone(),
            phase: Rc::default(),
        };
        let (phase, coming) = (Rc::clone(&shown.phase), toast.clone());
        self.after_move(move |_| match phase.get() {
            Phase::Coming => phase.set(Phase::There),
            Phase::ComingToGo => coming.dismiss(),
            // A person was quicker.
            Phase::There | Phase::Going => {}
        });
        let (phase, place) = (Rc::clone(&shown.phase), Rc::downgrade(self));
        toast.connect_dismissed(move |_| {
            if phase.replace(Phase::Going) != Phase::Going {
                place.upgrade().inspect(Self::let_it_leave);
            }
        });
        self.shown.replace(Some(shown));
        self.fit(&toast);
        (self.add)(toast);
    }

    /// The height of a toast is that which its text has at its natural width, so that is to be what there is room for.
    fn fit(&self, toast: &adw::Toast) {
        let label = toast.custom_title().and_downcast::<gtk::Label>();
        if let (Some(widget), Some(label)) = (self.widget.upgrade(), label) {
            let metrics = label.pango_context().metrics(None, None);
            let width = metrics
                .approximate_char_width()
                .max(metrics.approximate_digit_width());
            let room = (widget.width() - BESIDE_TEXT) * pango::SCALE / width.max(1);
            label.set_max_width_chars(room.clamp(1, LINE));
        }
    }

    /// The next one comes when this one is gone.
    fn let_it_leave(self: &Rc<Self>) {
        self.after_move(|place| {
            place.shown.take();
            place.show_next_soon();
        });
    }

    /// Runs this when frames were drawn for so long that whatever moves has arrived.
    fn after_move(self: &Rc<Self>, run: impl Fn(&Rc<Self>) + 'static) {
        let place: Weak<Self> = Rc::downgrade(self);
        let first = Cell::new(None);
        self.widget.upgrade().inspect(|widget| {
            widget.add_tick_callback(move |_, clock| {
                let now = clock.frame_time();
                let begin = first.get().unwrap_or(now);
                first.set(Some(begin));
                if now - begin < MOVE.as_micros() as i64 {
                    return glib::ControlFlow::Continue;
                }
                place.upgrade().inspect(&run);
                glib::ControlFlow::Break
            });
        });
    }
}

impl Shown {
    fn let_go(&self) {
        match self.phase.get() {
            Phase::Coming => self.phase.set(Phase::ComingToGo),
            Phase::There => self.toast.dismiss(),
            Phase::ComingToGo | Phase::Going => {}
        }
    }
}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Place")
            .field("shown", &self.shown)
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}
