//! The circle of nodes, drawn. Layer 4.
//!
//! What the mouse does here the arrow keys do as well: they go round the circle from node to node.

use std::cell::{OnceCell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use adw::prelude::*;
use dtorrent::ring::picture::Route;
use gtk::subclass::prelude::*;
use gtk::{gdk, glib};

use super::super::i18n::tr;
use super::seen::Seen;
use super::shape::{self, Drawn, Frame};
use super::{facts, paint};

/// How long arcs and nodes take to their new places, in milliseconds.
const MOVE_MS: u32 = 700;

/// What is drawn.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scene {
    pub(crate) picture: Option<Rc<Seen>>,
    /// The way to the torrent that was picked, and its name.
    pub(crate) route: Option<Arc<Route>>,
    pub(crate) torrent: String,
}

#[expect(unreachable_pub, reason = "the getters that the derive makes are `pub`")]
mod imp {
    use super::*;

    #[derive(Debug, Default, glib::Properties)]
    #[properties(wrapper_type = super::RingCircle)]
    pub(crate) struct RingCircle {
        /// The node that is chosen; empty for none.
        #[property(get, set = Self::select, explicit_notify)]
        pub(super) selected: RefCell<String>,
        /// The node under the mouse.
        pub(super) hovered: RefCell<String>,
        pub(super) scene: RefCell<Scene>,
        /// Where everything was, where it is, and where it shall be.
        pub(super) before: RefCell<Vec<Drawn>>,
        pub(super) drawn: RefCell<Vec<Drawn>>,
        pub(super) wanted: RefCell<Vec<Drawn>>,
        pub(super) animation: OnceCell<adw::TimedAnimation>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for RingCircle {
        const NAME: &'static str = "DtRingCircle";
        type Type = super::RingCircle;
        type ParentType = gtk::Widget;

        fn class_init(class: &mut Self::Class) {
            class.set_css_name("ringcircle");
            class.set_accessible_role(gtk::AccessibleRole::Img);
        }
    }

    #[glib::derived_properties]
    impl ObjectImpl for RingCircle {
        fn constructed(&self) {
            self.parent_constructed();
            let circle = self.obj();
            circle.set_focusable(true);
            circle.set_overflow(gtk::Overflow::Hidden);
            circle.set_up_mouse();
            circle.set_up_keys();
            circle.describe();
        }
    }

    impl WidgetImpl for RingCircle {
        fn measure(&self, _orientation: gtk::Orientation, _for_size: i32) -> (i32, i32, i32, i32) {
            (180, 360, -1, -1)
        }

        fn snapshot(&self, snapshot: &gtk::Snapshot) {
            let scene = self.scene.borrow();
            let Some(picture) = &scene.picture else { return };
            let drawn = self.drawn.borrow();
            let view = paint::View {
                frame: self.obj().frame(drawn.len()),
                picture,
                route: scene.route.as_deref(),
                torrent: &scene.torrent,
                drawn: &drawn,
                by_id: &paint::by_id(&drawn),
                selected: &self.selected.borrow(),
                hovered: &self.hovered.borrow(),
            };
            paint::paint(snapshot, self.obj().upcast_ref(), &view);
        }
    }

    impl RingCircle {
        fn select(&self, id: String) {
            if *self.selected.borrow() == id {
                return;
            }
            self.selected.replace(id);
            let circle = self.obj();
            circle.notify_selected();
            circle.describe();
            circle.queue_draw();
        }
    }
}

glib::wrapper! {
    pub(crate) struct RingCircle(ObjectSubclass<imp::RingCircle>)
        @extends gtk::Widget,
        @implements gtk::Accessible, gtk::Buildable, gtk::ConstraintTarget;
}

impl RingCircle {
    /// Draws this ring. What has changed moves to its place, if the desktop wants motion at all.
    pub(crate) fn show(&self, scene: Scene) {
        let imp = self.imp();
        let wanted = scene
            .picture
            .as_deref()
            .map(|picture| shape::still(picture))
            .unwrap_or_default();
        let is_first = imp.scene.replace(scene).picture.is_none();
        let has_moved = *imp.wanted.borrow() != wanted;
        imp.wanted.replace(wanted);
        if is_first {
            imp.drawn.replace(imp.wanted.borrow().clone());
        } else if has_moved {
            imp.before.replace(imp.drawn.borrow().clone());
            self.animation().play();
        }
        self.describe();
        self.queue_draw();
    }

    fn animation(&self) -> &adw::TimedAnimation {
        self.imp().animation.get_or_init(|| {
            let circle = self.downgrade();
            let target = adw::CallbackAnimationTarget::new(move |way| {
                if let Some(circle) = circle.upgrade() {
                    let imp = circle.imp();
                    let now = shape::between(&imp.before.borrow(), &imp.wanted.borrow(), way);
                    imp.drawn.replace(now);
                    circle.queue_draw();
                }
            });
            let animation = adw::TimedAnimation::new(self, 0.0, 1.0, MOVE_MS, target);
            animation.set_easing(adw::Easing::EaseInOutCubic);
            animation
        })
    }

    fn frame(&self, nodes: usize) -> Frame {
        Frame::new(f64::from(self.width()), f64::from(self.height()), nodes)
    }

    /// The node at a point.
    fn node_at(&self, x: f64, y: f64) -> Option<String> {
        let drawn = self.imp().drawn.borrow();
        let hit = self.frame(drawn.len()).hit(&drawn, (x, y));
        hit.map(|node| node.id.clone())
    }

    fn set_up_mouse(&self) {
        let click = gtk::GestureClick::new();
        let circle = self.downgrade();
        click.connect_pressed(move |_, _, x, y| {
            if let Some(circle) = circle.upgrade() {
                circle.grab_focus();
                circle.set_selected(circle.node_at(x, y).unwrap_or_default());
            }
        });
        self.add_controller(click);
        let motion = gtk::EventControllerMotion::new();
        let circle = self.downgrade();
        motion.connect_motion(move |_, x, y| {
            circle
                .upgrade()
                .inspect(|circle| circle.hover(circle.node_at(x, y)));
        });
        let circle = self.downgrade();
        motion.connect_leave(move |_| {
            circle.upgrade().inspect(|circle| circle.hover(None));
        });
        self.add_controller(motion);
    }

    fn hover(&self, id: Option<String>) {
        let imp = self.imp();
        let text = id.as_deref().and_then(|id| self.sentence_of(id));
        self.set_tooltip_text(text.as_deref());
        let id = id.unwrap_or_default();
        if *imp.hovered.borrow() != id {
            imp.hovered.replace(id);
            self.queue_draw();
        }
    }

    fn set_up_keys(&self) {
        let keys = gtk::EventControllerKey::new();
        let circle = self.downgrade();
        keys.connect_key_pressed(move |_, key, _, modifiers| {
            let Some(circle) = circle.upgrade() else {
                return glib::Propagation::Proceed;
            };
            let is_plain = !modifiers.intersects(
                gdk::ModifierType::CONTROL_MASK | gdk::ModifierType::ALT_MASK | gdk::ModifierType::SUPER_MASK,
            );
            let step = match key {
                gdk::Key::Right | gdk::Key::Down => 1,
                gdk::Key::Left | gdk::Key::Up => -1,
                gdk::Key::Home => 0,
                _ => return glib::Propagation::Proceed,
            };
            match is_plain && circle.step(step) {
                true => glib::Propagation::Stop,
                false => glib::Propagation::Proceed,
            }
        });
        self.add_controller(keys);
    }

    /// Chooses the next node clockwise, the one before, or the one that was asked. Whether there is one.
    fn step(&self, step: isize) -> bool {
        let Some(picture) = self.imp().scene.borrow().picture.clone() else {
            return false;
        };
        let nodes = &picture.nodes;
        let selected = self.selected();
        let next = match nodes.iter().position(|node| node.id == selected) {
            Some(at) if step != 0 => {
                let count = nodes.len() as isize;
                nodes.get((at as isize + step).rem_euclid(count) as usize)
            }
            _ => picture.this_node().or(nodes.first()),
        };
        next.inspect(|node| self.set_selected(node.id.clone())).is_some()
    }

    fn sentence_of(&self, id: &str) -> Option<String> {
        let scene = self.imp().scene.borrow();
        let picture = scene.picture.as_deref()?;
        let node = picture.find(id)?;
        Some(facts::sentence(picture, node, scene.route.as_deref()))
    }

    /// Tells who does not see the circle what it shows.
    fn describe(&self) {
        let chosen = self.sentence_of(&self.selected());
        let scene = self.imp().scene.borrow();
        let label = match &scene.picture {
            Some(picture) => tr!(
                "The ring: {summary}",
                summary = facts::summary(picture).join(", ")
            ),
            None => tr!("The ring"),
        };
        drop(scene);
        let value = chosen.unwrap_or_else(|| tr!("No node is chosen; the arrow keys go from node to node"));
        self.update_property(&[
            gtk::accessible::Property::Label(&label),
            gtk::accessible::Property::Description(&value),
        ]);
    }
}
