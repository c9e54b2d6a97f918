//! The dialog that makes a torrent, `ui/create_dialog.ui`. Layer 4.

mod own_tracker;

use std::cell::{Cell, OnceCell, RefCell};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use adw::prelude::*;
use adw::subclass::prelude::*;
use dtorrent::create::{self, CreateError, CreateOptions, MIN_PIECE_LENGTH, Survey};
use dtorrent::engine::api::{AddTorrent, TrackerNodeStatus};
use dtorrent::metainfo::Metainfo;
use gtk::{gdk, gio, glib};

use super::creation::{self, Creation, Creator, Surveyor};
use super::engine_link::EngineLink;
use super::i18n::{tr, tr_n};
use super::shared_page::SharedPage;
use super::template::{close_by, set_text};
use super::{library, words};

/// Called with the torrent that was made, to be added; says what should be known if it is in the list already.
type OnCreated = Box<dyn Fn(AddTorrent) -> Option<String>>;

/// Piece lengths to choose from: [`MIN_PIECE_LENGTH`] and its doubles, so many of them (to 16 MiB).
const PIECE_LENGTHS: u32 = 11;

mod imp {
    use super::*;

    #[derive(Default, gtk::CompositeTemplate)]
    #[template(resource = "/io/github/dtorrent/DTorrent/create_dialog.ui")]
    pub(crate) struct CreateDialog {
        #[template_child]
        pub(super) cancel: TemplateChild<gtk::Button>,
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
        #[template_child]
        pub(super) shared: TemplateChild<SharedPage>,
        pub(super) source: RefCell<Option<PathBuf>>,
        /// The look at the source.
        pub(super) surveyor: RefCell<Option<Surveyor>>,
        pub(super) survey: Cell<Option<Survey>>,
        pub(super) creator: RefCell<Option<Creator>>,
        pub(super) on_created: OnceCell<OnCreated>,
        pub(super) link: OnceCell<EngineLink>,
        /// How the tracker in this computer stands.
        pub(super) tracker: RefCell<Option<TrackerNodeStatus>>,
        /// It was switched on here, and no torrent names it yet.
        pub(super) tries_tracker: Cell<bool>,
        /// A person has said whether the torrent shall name it.
        pub(super) has_chosen_tracker: Cell<bool>,
        /// The switch is being set, and not by a person.
        pub(super) is_setting_tracker: Cell<bool>,
        /// The torrent that was made names it.
        pub(super) names_tracker: Cell<bool>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for CreateDialog {
        const NAME: &'static str = "DtCreateDialog";
        type Type = super::CreateDialog;
        type ParentType = adw::Window;

        fn class_init(class: &mut Self::Class) {
            SharedPage::ensure_type();
            class.bind_template();
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
            self.surveyor.take();
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
        on_created: impl Fn(AddTorrent) -> Option<String> + 'static,
    ) -> Self {
        let dialog: Self = glib::Object::builder().property("transient-for", parent).build();
        close_by(&dialog, "Escape");
        // Not wider than what it lies on.
        let width = parent.upcast_ref::<gtk::Window>().width();
        let width = width.clamp(dialog.width_request(), dialog.default_width());
        dialog.set_default_width(width);
        // A dialog that was just made has no callback yet.
        let _ = dialog.imp().on_created.set(Box::new(on_created));
        let _ = dialog.imp().link.set(link);
        // Where no other tracker is named, it is this computer. It becomes one when the torrent is made.
        dialog.show_tracker(tracker);
        dialog.set_own_tracker(true);
        dialog.check();
        dialog
    }

    fn set_up(&self) {
        let imp = self.imp();
        self.offer_piece_lengths();
        let dialog = self.downgrade();
        imp.piece_length.connect_selected_notify(move |_| {
            dialog.upgrade().inspect(Self::show_piece_count);
        });
        self.set_default_widget(Some(&*imp.create));
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
            glib::spawn_future_local(async move { dialog.share().await });
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
            match (dialog.upgrade().filter(Self::takes_source), path) {
                (Some(dialog), Some(path)) => dialog.set_source(path),
                _ => return false,
            }
            true
        });
        self.add_controller(drop);
    }

    async fn choose_source(&self, action: gtk::FileChooserAction) {
        let title = match action {
            gtk::FileChooserAction::SelectFolder => tr!("Choose a Folder to Share"),
            _ => tr!("Choose a File to Share"),
        };
        let choose = tr!("_Choose");
        let chooser = gtk::FileChooserNative::new(Some(&title), Some(self), action, Some(&choose), None);
        chooser.set_modal(true);
        if chooser.run_future().await == gtk::ResponseType::Accept
            && let Some(path) = chooser.file().and_then(|file| file.path())
        {
            self.set_source(path);
        }
    }

    /// Whether it is still open what is to be shared.
    pub(crate) fn takes_source(&self) -> bool {
        self.imp().stack.visible_child_name().as_deref() == Some("form")
    }

    /// Takes this file or folder to be shared, and looks how much it is.
    pub(crate) fn set_source(&self, path: PathBuf) {
        let imp = self.imp();
        imp.source_row.set_title(&name_of(&path));
        imp.source.replace(Some(path.clone()));
        self.show_problem(None);
        self.show_survey(None);
        self.check();
        imp.create.grab_focus();
        match Surveyor::start(path) {
            Ok((surveyor, answer)) => {
                imp.surveyor.replace(Some(surveyor));
                let dialog = self.downgrade();
                glib::spawn_future_local(async move {
                    let answer = answer.recv().await;
                    if let (Some(dialog), Ok(answer)) = (dialog.upgrade(), answer) {
                        dialog.surveyed(answer);
                    }
                });
            }
            Err(error) => self.show_problem(Some(&no_thread(&error))),
        }
    }

    fn surveyed(&self, answer: Result<Survey, CreateError>) {
        match answer {
            Ok(survey) => self.show_survey(Some(survey)),
            // Another source was chosen meanwhile.
            Err(CreateError::Cancelled) => {}
            Err(error) => self.show_problem(Some(&words::told(&error.to_string()))),
        }
    }

    /// Says how much the source is, and into how many pieces it may be cut.
    fn show_survey(&self, survey: Option<Survey>) {
        let imp = self.imp();
        imp.survey.set(survey);
        let source = imp.source.borrow();
        let folder = source.as_deref().and_then(Path::parent).unwrap_or(Path::new("/"));
        let mut place = folder.to_string_lossy().into_owned();
        if let Some(survey) = survey {
            let files = tr_n!(survey.files as u64, "{n} file", "{n} files");
            place.push_str(&format!("\n{files} · {}", words::size(survey.total)));
        }
        imp.source_row.set_subtitle(&place);
        drop(source);
        self.offer_piece_lengths();
    }

    /// The first choice is the one that is proposed.
    fn offer_piece_lengths(&self) {
        let imp = self.imp();
        let first = match imp.survey.get() {
            Some(survey) => tr!(
                "Proposed: {length}",
                length = words::size(u64::from(create::choose_piece_length(survey.total)))
            ),
            None => tr!("Automatic"),
        };
        let lengths = piece_lengths().map(|length| words::size(u64::from(length)));
        let choices: Vec<String> = std::iter::once(first).chain(lengths).collect();
        let choices: Vec<&str> = choices.iter().map(String::as_str).collect();
        let chosen = imp.piece_length.selected();
        imp.piece_length.set_model(Some(&gtk::StringList::new(&choices)));
        if chosen != gtk::INVALID_LIST_POSITION {
            imp.piece_length.set_selected(chosen);
        }
        self.show_piece_count();
    }

    /// Says how many pieces there will be.
    fn show_piece_count(&self) {
        let imp = self.imp();
        let words = imp.survey.get().map_or_else(String::new, |survey| {
            let length = (self.piece_length()).unwrap_or_else(|| create::choose_piece_length(survey.total));
            let count = survey.total.div_ceil(u64::from(length));
            tr_n!(count, "{n} piece", "{n} pieces")
        });
        imp.piece_length.set_subtitle(&words);
    }

    /// The piece length that was chosen; `None`: the one that is proposed.
    fn piece_length(&self) -> Option<u32> {
        let chosen = self.imp().piece_length.selected() as usize;
        // The first choice is the one that is proposed.
        chosen.checked_sub(1).and_then(|index| piece_lengths().nth(index))
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
        // Until a person says something else, this computer is the tracker where no other is.
        if !imp.has_chosen_tracker.get() && imp.tracker.borrow().is_none() {
            self.set_own_tracker(tiers.is_empty());
        }
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

    /// Makes the torrent and shares it.
    async fn share(&self) {
        let Some(source) = self.imp().source.borrow().clone() else {
            return;
        };
        self.show_problem(None);
        self.show_page("working");
        let made = self.make(&source).await;
        match made {
            Ok(Some(metainfo)) => self.finish(&metainfo, &source),
            Ok(None) => self.show_page("form"),
            Err(problem) => {
                self.show_page("form");
                self.show_problem(Some(&problem));
            }
        }
    }

    /// `None`: it was stopped.
    async fn make(&self, source: &Path) -> Result<Option<Arc<Metainfo>>, String> {
        let own_tracker = self.own_tracker_urls().await?;
        if !self.is_visible() {
            return Ok(None);
        }
        self.imp().names_tracker.set(!own_tracker.is_empty());
        let options = self.options(source.to_owned(), own_tracker);
        let (creator, told) = Creator::start(options).map_err(|error| no_thread(&error))?;
        self.imp().creator.replace(Some(creator));
        while let Ok(creation) = told.recv().await {
            match creation {
                Creation::Progress(hashed, total) => self.show_progress(hashed, total),
                Creation::Done(Ok(metainfo)) => return Ok(Some(metainfo)),
                Creation::Done(Err(CreateError::Cancelled)) => return Ok(None),
                Creation::Done(Err(error)) => return Err(words::told(&error.to_string())),
            }
        }
        Ok(None)
    }

    fn options(&self, path: PathBuf, own_tracker: Vec<String>) -> CreateOptions {
        let imp = self.imp();
        let mut tiers = self.tiers();
        if !own_tracker.is_empty() {
            tiers.insert(0, own_tracker);
        }
        let comment = imp.comment.text().trim().to_owned();
        CreateOptions {
            path,
            piece_length: self.piece_length(),
            trackers: tiers,
            comment: (!comment.is_empty()).then_some(comment),
            private: imp.private.is_active(),
            ..CreateOptions::default()
        }
    }

    /// Shares the new torrent from where its data lies, unless the dialog was closed in the last moment.
    fn finish(&self, metainfo: &Arc<Metainfo>, source: &Path) {
        let imp = self.imp();
        if imp.creator.take().is_none() {
            return;
        }
        // From now on a torrent needs the tracker, if it names it.
        if imp.names_tracker.get() {
            imp.tries_tracker.set(false);
        }
        let folder = source.parent().unwrap_or(Path::new("/"));
        let remark = imp.on_created.get().and_then(|on_created| {
            on_created(AddTorrent {
                folder: Some(folder.to_owned()),
                trust_data: true,
                ..AddTorrent::new(Arc::clone(metainfo))
            })
        });
        imp.shared.set_torrent(metainfo, folder, remark.as_deref());
        self.explain_tracker();
        imp.cancel.set_label(&tr!("_Done"));
        self.show_page("shared");
        imp.shared.begin();
    }

    fn show_progress(&self, hashed: u64, total: u64) {
        let progress = &self.imp().progress;
        progress.set_fraction(hashed as f64 / total.max(1) as f64);
        progress.set_text(Some(&tr!(
            "{done} of {total}",
            done = words::size(hashed),
            total = words::size(total)
        )));
    }

    fn show_page(&self, page: &str) {
        let imp = self.imp();
        imp.progress.set_fraction(0.0);
        imp.progress.set_text(None);
        imp.create.set_visible(page == "form");
        imp.stack.set_visible_child_name(page);
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

fn no_thread(error: &io::Error) -> String {
    tr!(
        "No thread can be started: {error}",
        error = library::in_own_words(&error.to_string())
    )
}

fn name_of(path: &Path) -> String {
    path.file_name()
        .unwrap_or(path.as_os_str())
        .to_string_lossy()
        .into_owned()
}
