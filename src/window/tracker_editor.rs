//! All trackers of a torrent as a text to be edited, `ui/tracker_editor.ui`. Layer 4.

use std::cell::OnceCell;

use adw::prelude::*;
use adw::subclass::prelude::*;
use gtk::{gio, glib};

use super::creation;
use super::template::{close_by, set_text, template_class};

/// Called with the tiers that a person wants from now on.
type OnSave = Box<dyn Fn(Vec<Vec<String>>)>;

mod imp {
    use super::*;

    #[derive(Default, gtk::CompositeTemplate)]
    #[template(resource = "/io/github/dtorrent/DTorrent/tracker_editor.ui")]
    pub(crate) struct TrackerEditor {
        #[template_child]
        pub(super) text: TemplateChild<gtk::TextView>,
        #[template_child]
        pub(super) problem: TemplateChild<gtk::Label>,
        #[template_child]
        pub(super) save: TemplateChild<gtk::Button>,
        pub(super) on_save: OnceCell<OnSave>,
    }

    template_class!(TrackerEditor is "DtTrackerEditor", a adw::Window, then set_up);

    impl TrackerEditor {
        fn set_up(&self) {
            let editor = self.obj().downgrade();
            self.text.buffer().connect_changed(move |_| {
                editor.upgrade().inspect(super::TrackerEditor::check);
            });
            let editor = self.obj().downgrade();
            self.save.connect_clicked(move |_| {
                editor.upgrade().inspect(super::TrackerEditor::save);
            });
            close_by(&*self.obj(), "Escape");
        }
    }

    impl WindowImpl for TrackerEditor {}
    impl AdwWindowImpl for TrackerEditor {}
}

glib::wrapper! {
    pub(crate) struct TrackerEditor(ObjectSubclass<imp::TrackerEditor>)
        @extends adw::Window, gtk::Window, gtk::Widget,
        @implements gio::ActionGroup, gtk::Accessible, gtk::Buildable, gtk::ConstraintTarget, gtk::Native, gtk::Root,
            gtk::ShortcutManager;
}

impl TrackerEditor {
    /// Begins with these tiers.
    pub(crate) fn new(
        parent: Option<&gtk::Window>,
        tiers: &[Vec<String>],
        on_save: impl Fn(Vec<Vec<String>>) + 'static,
    ) -> Self {
        let editor: Self = glib::Object::builder().property("transient-for", parent).build();
        // It was made in the line above.
        let _ = editor.imp().on_save.set(Box::new(on_save));
        let tiers: Vec<String> = tiers.iter().map(|tier| tier.join("\n")).collect();
        editor.imp().text.buffer().set_text(&tiers.join("\n\n"));
        editor.check();
        editor
    }

    fn tiers(&self) -> Vec<Vec<String>> {
        let buffer = self.imp().text.buffer();
        creation::tiers(&buffer.text(&buffer.start_iter(), &buffer.end_iter(), false))
    }

    /// Says at once what cannot be a tracker.
    fn check(&self) {
        let imp = self.imp();
        let problem = creation::tracker_problem(&self.tiers());
        let invalid = match problem {
            Some(_) => gtk::AccessibleInvalidState::True,
            None => gtk::AccessibleInvalidState::False,
        };
        imp.text.update_state(&[gtk::accessible::State::Invalid(invalid)]);
        imp.problem.set_visible(problem.is_some());
        set_text(&imp.problem, problem.as_deref().unwrap_or_default());
        imp.save.set_sensitive(problem.is_none());
    }

    fn save(&self) {
        if let Some(on_save) = self.imp().on_save.get() {
            on_save(self.tiers());
        }
        self.close();
    }
}
