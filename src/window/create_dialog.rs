//! The dialog that makes a torrent, `ui/create_dialog.ui`. Layer 4.

use std::cell::{Cell, OnceCell, RefCell};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use adw::prelude::*;
use adw::subclass::prelude::*;
use dtorrent::create::{CreateError, CreateOptions, MIN_PIECE_LENGTH};
use dtorrent::engine::api::{AddTorrent, EngineCommand, TrackerNodeStatus};
use dtorrent::metainfo::Metainfo;
use gtk::{gdk, gio, glib};

use super::creation::{self, Creation, Creator};
use super::engine_link::EngineLink;
use super::template::set_text;
use super::{tracker_words, words};

/// Called with the torrent that was made, to be added.
type OnCreated = Box<dyn Fn(AddTorrent)>;

/// Piece lengths to choose from: [`MIN_PIECE_LENGTH`] and its doubles, so many of them (to 16 MiB).
const PIECE_LENGTHS: u32 = 11;

mod imp {
    use super::*;

    #[derive(Default, gtk::CompositeTemplate)]
    #[template(resource = "/io/github/dtorrent/DTorrent/create_dialog.ui")]
    pub(crate) struct CreateDialog {
        #[template_child]
        pub(super) create: TemplateChild<gtk::Button>,
        #[template_child]
        pub(super) problem_bar: TemplateChild<gtk::InfoBar>,
        #[template_child]
        pub(super) problem: TemplateChild<gtk::Label>,
        #[template_child]
        pub(super) stack: TemplateChild<gtk::Stack>,
        #[template_child]
        pub(super) source_row: TemplateChild<adw::ActionRow>,
        #[template_child]
        pub(super) choose_file: TemplateChild<gtk::Button>,
        #[template_child]
        pub(super) choose_folder: TemplateChild<gtk::Button>,
        #[template_child]
        pub(super) own_tracker_row: TemplateChild<adw::ActionRow>,
        #[template_child]
        pub(super) own_tracker: TemplateChild<gtk::Switch>,
        #[template_child]
        pub(super) no_tracker_row: TemplateChild<adw::ActionRow>,
        #[template_child]
        pub(super) trackers: TemplateChild<gtk::TextView>,
        #[template_child]
        pub(super) trackers_problem: TemplateChild<gtk::Label>,
        #[template_child]
        pub(super) comment: TemplateChild<adw::EntryRow>,
        #[template_child]
        pub(super) piece_length: TemplateChild<adw::ComboRow>,
        #[template_child]
        pub(super) private: TemplateChild<gtk::Switch>,
        #[template_child]
        pub(super) progress: TemplateChild<gtk::ProgressBar>,
        pub(super) source: RefCell<Option<PathBuf>>,
        pub(super) creator: RefCell<Option<Creator>>,
        pub(super) on_created: OnceCell<OnCreated>,
        pub(super) link: OnceCell<EngineLink>,
        /// How the tracker in this computer stands.
        pub(super) tracker: RefCell<Option<TrackerNodeStatus>>,
        /// It was switched on here, and no torrent names it yet.
        pub(super) tries_tracker: Cell<bool>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for CreateDialog {
        const NAME: &'static str = "DtCreateDialog";
        type Type = super::CreateDialog;
        type ParentType = adw::Window;

        fn class_init(class: &mut Self::Class) {
            class.bind_template();
            class.add_binding_action(gdk::Key::Escape, gdk::ModifierType::empty(), "window.close");
        }

        fn instance_init(object: &glib::subclass::InitializingObject<Self>) {
            object.init_template();
        }
    }

    impl ObjectImpl for CreateDialog {
        fn constructed(&self) {
            self.parent_constructed();
            self.obj().set_up();
        }

        fn dispose(&self) {
            self.dispose_template();
        }
    }

    impl WidgetImpl for CreateDialog {}

    impl WindowImpl for CreateDialog {
        /// Closing stops the work, and a tracker that nobody needs.
        fn close_request(&self) -> glib::Propagation {
            self.creator.take();
            self.obj().stop_trying_tracker();
            self.parent_close_request()
        }
    }

    impl AdwWindowImpl for CreateDialog {}
}

glib::wrapper! {
    pub(crate) struct CreateDialog(ObjectSubclass<imp::CreateDialog>)
        @extends adw::Window, gtk::Window, gtk::Widget,
        @implements gtk::Accessible, gtk::Buildable, gtk::ConstraintTarget, gtk::Native, gtk::Root,
            gtk::ShortcutManager;
}

impl CreateDialog {
    /// `tracker` is how the tracker in this computer stands; [`Self::show_tracker`] tells how it goes on.
    pub(crate) fn new(
        parent: &impl IsA<gtk::Window>,
        link: EngineLink,
        tracker: Option<TrackerNodeStatus>,
        on_created: impl Fn(AddTorrent) + 'static,
    ) -> Self {
        let dialog: Self = glib::Object::builder().property("transient-for", parent).build();
        // Not wider than what it lies on.
        let width = parent.upcast_ref::<gtk::Window>().width();
        let width = width.clamp(dialog.width_request(), dialog.default_width());
        dialog.set_default_width(width);
        // A dialog that was just made has no callback yet.
        let _ = dialog.imp().on_created.set(Box::new(on_created));
        let _ = dialog.imp().link.set(link);
        // Who is a tracker already wants to be that of the new torrent, too.
        let is_tracker = tracker.is_some();
        dialog.show_tracker(tracker);
        dialog.imp().own_tracker.set_active(is_tracker);
        dialog
    }

    fn set_up(&self) {
        let imp = self.imp();
        let lengths: Vec<String> = piece_lengths()
            .map(|length| words::size(u64::from(length)))
            .collect();
        let choices: Vec<&str> = std::iter::once("Automatic")
            .chain(lengths.iter().map(String::as_str))
            .collect();
        imp.piece_length.set_model(Some(&gtk::StringList::new(&choices)));
        for (button, action) in [
            (&imp.choose_file, gtk::FileChooserAction::Open),
            (&imp.choose_folder, gtk::FileChooserAction::SelectFolder),
        ] {
            let dialog = self.downgrade();
            button.connect_clicked(move |_| {
                let Some(dialog) = dialog.upgrade() else { return };
                glib::spawn_future_local(async move { dialog.choose_source(action).await });
            });
        }
        let dialog = self.downgrade();
        imp.create.connect_clicked(move |_| {
            let Some(dialog) = dialog.upgrade() else { return };
            glib::spawn_future_local(async move { dialog.create().await });
        });
        let dialog = self.downgrade();
        imp.own_tracker.connect_active_notify(move |_| {
            dialog.upgrade().inspect(Self::own_tracker_changed);
        });
        let dialog = self.downgrade();
        imp.trackers.buffer().connect_changed(move |_| {
            dialog.upgrade().inspect(Self::check);
        });
        self.check();
        let drop = gtk::DropTarget::new(gdk::FileList::static_type(), gdk::DragAction::COPY);
        let dialog = self.downgrade();
        drop.connect_drop(move |_, value, _, _| {
            let files = value
                .get::<gdk::FileList>()
                .map(|list| list.files())
                .unwrap_or_default();
            let path = files.first().and_then(gio::File::path);
            match (dialog.upgrade(), path) {
                (Some(dialog), Some(path)) => dialog.set_source(path),
                _ => return false,
            }
            true
        });
        self.add_controller(drop);
    }

    async fn choose_source(&self, action: gtk::FileChooserAction) {
        let title = match action {
            gtk::FileChooserAction::SelectFolder => "Choose a Folder to Share",
            _ => "Choose a File to Share",
        };
        let chooser = gtk::FileChooserNative::new(Some(title), Some(self), action, Some("_Choose"), None);
        chooser.set_modal(true);
        if chooser.run_future().await == gtk::ResponseType::Accept
            && let Some(path) = chooser.file().and_then(|file| file.path())
        {
            self.set_source(path);
        }
    }

    fn set_source(&self, path: PathBuf) {
        let imp = self.imp();
        imp.source_row.set_title(&name_of(&path));
        imp.source_row
            .set_subtitle(&path.parent().unwrap_or(Path::new("/")).to_string_lossy());
        imp.source.replace(Some(path));
        self.check();
    }

    /// The trackers as they are typed.
    fn tiers(&self) -> Vec<Vec<String>> {
        let buffer = self.imp().trackers.buffer();
        creation::tiers(&buffer.text(&buffer.start_iter(), &buffer.end_iter(), false))
    }

    /// Says at once what stands in the way of a torrent, and what it would lack.
    fn check(&self) {
        let imp = self.imp();
        let tiers = self.tiers();
        let problem = creation::tracker_problem(&tiers);
        let invalid = match problem {
            Some(_) => gtk::AccessibleInvalidState::True,
            None => gtk::AccessibleInvalidState::False,
        };
        imp.trackers
            .update_state(&[gtk::accessible::State::Invalid(invalid)]);
        imp.trackers_problem.set_visible(problem.is_some());
        set_text(&imp.trackers_problem, problem.as_deref().unwrap_or_default());
        // A torrent without trackers is a torrent: peers may be told of each other in other ways.
        imp.no_tracker_row
            .set_visible(tiers.is_empty() && !imp.own_tracker.is_active());
        let has_source = imp.source.borrow().is_some();
        imp.create.set_sensitive(has_source && problem.is_none());
    }

    /// The tracker starts at once, so that what stands in the way is seen before the torrent is made.
    fn own_tracker_changed(&self) {
        let imp = self.imp();
        let runs = imp.tracker.borrow().is_some();
        if imp.own_tracker.is_active() && !runs {
            imp.tries_tracker.set(true);
            self.send(EngineCommand::SetTrackerNode(true));
        } else if !imp.own_tracker.is_active() {
            self.stop_trying_tracker();
        }
        self.explain_tracker();
        self.check();
    }

    fn stop_trying_tracker(&self) {
        if self.imp().tries_tracker.take() {
            self.send(EngineCommand::SetTrackerNode(false));
        }
    }

    fn send(&self, command: EngineCommand) {
        if let Some(link) = self.imp().link.get() {
            link.send(command);
        }
    }

    /// Takes in how the tracker in this computer stands now.
    pub(crate) fn show_tracker(&self, tracker: Option<TrackerNodeStatus>) {
        self.imp().tracker.replace(tracker);
        self.explain_tracker();
    }

    fn explain_tracker(&self) {
        let imp = self.imp();
        let words = match imp.own_tracker.is_active() {
            true => tracker_words::explanation(imp.tracker.borrow().as_ref()),
            false => "Others need nothing but the torrent file, as long as this computer is on".to_owned(),
        };
        if imp.own_tracker_row.subtitle().as_deref() != Some(&words) {
            imp.own_tracker_row.set_subtitle(&words);
        }
    }

    /// The addresses of the tracker in this computer, if the torrent is to name it.
    fn own_tracker_urls(&self) -> Result<Vec<String>, String> {
        let imp = self.imp();
        if !imp.own_tracker.is_active() {
            return Ok(Vec::new());
        }
        let tracker = imp.tracker.borrow();
        match tracker.as_ref().filter(|tracker| tracker.is_reachable()) {
            Some(tracker) => Ok(tracker.urls.clone()),
            None => Err(format!(
                "This computer is not a tracker yet. {}",
                tracker_words::explanation(tracker.as_ref())
            )),
        }
    }

    async fn create(&self) {
        let Some(source) = self.imp().source.borrow().clone() else {
            return;
        };
        let own_tracker = match self.own_tracker_urls() {
            Ok(urls) => urls,
            Err(problem) => return self.show_problem(Some(&problem)),
        };
        let Some(output) = self.choose_output(&source).await else {
            return;
        };
        self.show_problem(None);
        let (creator, told) = match Creator::start(self.options(source.clone(), own_tracker), output) {
            Ok(started) => started,
            Err(error) => return self.show_problem(Some(&format!("No thread can be started: {error}"))),
        };
        self.imp().creator.replace(Some(creator));
        self.show_working(true);
        while let Ok(creation) = told.recv().await {
            match creation {
                Creation::Progress(share) => self.imp().progress.set_fraction(share),
                Creation::Done(Ok(metainfo)) => self.finish(metainfo, &source),
                Creation::Done(Err(CreateError::Cancelled)) => {}
                Creation::Done(Err(error)) => self.show_problem(Some(&words::sentence(&error.to_string()))),
            }
        }
        self.show_working(false);
    }

    async fn choose_output(&self, source: &Path) -> Option<PathBuf> {
        let chooser = gtk::FileChooserNative::new(
            Some("Save the Torrent"),
            Some(self),
            gtk::FileChooserAction::Save,
            Some("_Save"),
            None,
        );
        chooser.set_modal(true);
        chooser.set_current_name(&format!("{}.torrent", name_of(source)));
        // The chooser opens somewhere else if it cannot go there.
        let _ = chooser.set_current_folder(source.parent().map(gio::File::for_path).as_ref());
        let accepted = chooser.run_future().await == gtk::ResponseType::Accept;
        chooser.file().filter(|_| accepted)?.path()
    }

    fn options(&self, path: PathBuf, own_tracker: Vec<String>) -> CreateOptions {
        let imp = self.imp();
        let mut tiers = self.tiers();
        if !own_tracker.is_empty() {
            tiers.insert(0, own_tracker);
        }
        let comment = imp.comment.text().trim().to_owned();
        let chosen = imp.piece_length.selected() as usize;
        CreateOptions {
            path,
            // The first choice is the automatic one.
            piece_length: chosen.checked_sub(1).and_then(|index| piece_lengths().nth(index)),
            trackers: tiers,
            comment: (!comment.is_empty()).then_some(comment),
            private: imp.private.is_active(),
            ..CreateOptions::default()
        }
    }

    /// Shares the new torrent from where its data lies, unless the dialog was closed in the last moment.
    fn finish(&self, metainfo: Arc<Metainfo>, source: &Path) {
        if self.imp().creator.take().is_none() {
            return;
        }
        // From now on a torrent needs the tracker.
        self.imp().tries_tracker.set(false);
        if let Some(on_created) = self.imp().on_created.get() {
            on_created(AddTorrent {
                folder: source.parent().map(Path::to_owned),
                trust_data: true,
                ..AddTorrent::new(metainfo)
            });
        }
        self.close();
    }

    fn show_working(&self, working: bool) {
        let imp = self.imp();
        imp.progress.set_fraction(0.0);
        imp.create.set_visible(!working);
        imp.stack
            .set_visible_child_name(if working { "working" } else { "form" });
    }

    fn show_problem(&self, problem: Option<&str>) {
        let imp = self.imp();
        if let Some(problem) = problem {
            imp.problem.set_label(problem);
        }
        imp.problem_bar.set_revealed(problem.is_some());
    }
}

fn piece_lengths() -> impl Iterator<Item = u32> {
    (0..PIECE_LENGTHS).map(|doublings| MIN_PIECE_LENGTH << doublings)
}

fn name_of(path: &Path) -> String {
    path.file_name()
        .unwrap_or(path.as_os_str())
        .to_string_lossy()
        .into_owned()
}
