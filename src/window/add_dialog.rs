//! What is about to be added, `ui/add_dialog.ui`: which files, where to, and how it begins. Layer 4.
//!
//! Several torrents that are opened together are one tree and one question.

use std::cell::{Cell, OnceCell, RefCell};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use adw::prelude::*;
use adw::subclass::prelude::*;
use dtorrent::engine::api::AddTorrent;
use dtorrent::metainfo::Metainfo;
use dtorrent::sentence::printable;
use gtk::glib::variant::FromVariant;
use gtk::{gdk, gio, glib};

use super::content_tree::ContentTree;
use super::file_row::FileRow;
use super::file_tree::Sums;
use super::i18n::{tr, tr_n};
use super::space::{self, Space};
use super::template::{close_by, row_factory, set_text};
use super::words;

/// Torrents with up to so many files stand open.
const OPEN_FILES: u32 = 40;

/// Pixels of a row of the tree, as in `ui/style.css`.
const ROW_HEIGHT: i32 = 48;

/// Rows of the tree that are seen at least, if there are so many.
const LEAST_ROWS: u32 = 3;

/// Height of a dialog in which there is much to choose.
const TALL: i32 = 720;

/// Called with each torrent that is to be added.
type OnAdd = Box<dyn Fn(AddTorrent)>;

mod imp {
    use super::*;

    #[derive(Default, gtk::CompositeTemplate)]
    #[template(resource = "/io/github/dtorrent/DTorrent/add_dialog.ui")]
    pub(crate) struct AddDialog {
        #[template_child]
        pub(super) add: TemplateChild<gtk::Button>,
        #[template_child]
        pub(super) name: TemplateChild<gtk::Label>,
        #[template_child]
        pub(super) facts: TemplateChild<gtk::Label>,
        #[template_child]
        pub(super) comment: TemplateChild<gtk::Label>,
        #[template_child]
        pub(super) selected: TemplateChild<gtk::Label>,
        #[template_child]
        pub(super) choice: TemplateChild<gtk::Box>,
        #[template_child]
        pub(super) files: TemplateChild<gtk::ListView>,
        #[template_child]
        pub(super) files_scroller: TemplateChild<gtk::ScrolledWindow>,
        #[template_child]
        pub(super) folder_row: TemplateChild<adw::ActionRow>,
        #[template_child]
        pub(super) recent: TemplateChild<gtk::MenuButton>,
        #[template_child]
        pub(super) problem_row: TemplateChild<adw::ActionRow>,
        #[template_child]
        pub(super) paused: TemplateChild<gtk::Switch>,
        #[template_child]
        pub(super) in_order: TemplateChild<gtk::Switch>,
        pub(super) tree: ContentTree,
        pub(super) folder: RefCell<PathBuf>,
        /// What the folder has room for; `None`: that is not known yet.
        pub(super) space: RefCell<Option<Result<Space, String>>>,
        /// Counts the questions to the disk, so that only the last answer counts.
        pub(super) questions: Cell<u32>,
        pub(super) on_add: OnceCell<OnAdd>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for AddDialog {
        const NAME: &'static str = "DtAddDialog";
        type Type = super::AddDialog;
        type ParentType = adw::Window;

        fn class_init(class: &mut Self::Class) {
            class.bind_template();
        }

        fn instance_init(object: &glib::subclass::InitializingObject<Self>) {
            object.init_template();
        }
    }

    impl ObjectImpl for AddDialog {
        fn constructed(&self) {
            self.parent_constructed();
            self.obj().set_up();
        }

        fn dispose(&self) {
            self.dispose_template();
        }
    }

    impl WidgetImpl for AddDialog {}
    impl WindowImpl for AddDialog {}
    impl AdwWindowImpl for AddDialog {}
}

glib::wrapper! {
    pub(crate) struct AddDialog(ObjectSubclass<imp::AddDialog>)
        @extends adw::Window, gtk::Window, gtk::Widget,
        @implements gtk::Accessible, gtk::Buildable, gtk::ConstraintTarget, gtk::Native, gtk::Root,
            gtk::ShortcutManager;
}

impl AddDialog {
    /// For these torrents, into the first of `folders` unless another is chosen.
    pub(crate) fn new(
        parent: &impl IsA<gtk::Window>,
        torrents: Vec<Arc<Metainfo>>,
        folders: &[PathBuf],
        on_add: impl Fn(AddTorrent) + 'static,
    ) -> Self {
        let dialog: Self = glib::Object::builder().property("transient-for", parent).build();
        // A dialog that was just made has no callback yet.
        let _ = dialog.imp().on_add.set(Box::new(on_add));
        // Not wider than what it lies on, which may be about to appear.
        let parent = parent.upcast_ref::<gtk::Window>();
        let width = match parent.width() {
            0 => parent.default_width(),
            width => width,
        };
        let width = width.clamp(dialog.width_request(), dialog.default_width());
        dialog.set_default_width(width);
        close_by(&dialog, "Escape");
        dialog.offer_folders(folders);
        if let Some(folder) = folders.first() {
            dialog.imp().folder.replace(folder.clone());
        }
        dialog.add_torrents(torrents);
        dialog
    }

    /// Takes up more torrents, that were opened meanwhile.
    pub(crate) fn add_torrents(&self, torrents: Vec<Arc<Metainfo>>) {
        let imp = self.imp();
        imp.tree
            .change(|content| torrents.into_iter().for_each(|torrent| content.add(torrent)));
        self.open_small_trees();
        self.describe();
        self.measure();
    }

    fn set_up(&self) {
        let imp = self.imp();
        let tree = imp.tree.clone();
        let make = move |item: &gtk::ListItem| {
            item.set_activatable(false);
            let tree = tree.clone();
            FileRow::offer(move |node, choice| tree.choose(node, choice))
        };
        imp.files
            .set_factory(Some(&row_factory(make, FileRow::set_tree_row)));
        let model = imp.tree.model();
        let scroller = imp.files_scroller.downgrade();
        model.connect_items_changed(move |model, _, _, _| {
            let rows = model.n_items().clamp(1, LEAST_ROWS) as i32;
            scroller
                .upgrade()
                .inspect(|scroller| scroller.set_min_content_height(rows * ROW_HEIGHT));
        });
        imp.files.set_model(Some(&gtk::NoSelection::new(Some(model))));
        let dialog = self.downgrade();
        imp.tree.connect_changed(move || {
            dialog.upgrade().inspect(Self::show_choice);
        });
        let dialog = self.downgrade();
        imp.add.connect_clicked(move |_| {
            dialog.upgrade().inspect(Self::add);
        });
        self.set_default_widget(Some(&*imp.add));
        GtkWindowExt::set_focus(self, Some(&*imp.add));
        self.add_actions();
        self.add_keys();
    }

    fn add_actions(&self) {
        let group = gio::SimpleActionGroup::new();
        let plain = |name: &str, run: fn(&Self)| {
            let action = gio::SimpleAction::new(name, None);
            let dialog = self.downgrade();
            action.connect_activate(move |_, _| {
                dialog.upgrade().inspect(run);
            });
            group.add_action(&action);
        };
        plain("all", |dialog| {
            dialog.imp().tree.change(|content| content.set_all_wanted(true));
        });
        plain("none", |dialog| {
            dialog.imp().tree.change(|content| content.set_all_wanted(false));
        });
        plain("choose-folder", |dialog| {
            let dialog = dialog.clone();
            glib::spawn_future_local(async move { dialog.choose_folder().await });
        });
        let folder = gio::SimpleAction::new("folder", Some(glib::VariantTy::STRING));
        let dialog = self.downgrade();
        folder.connect_activate(move |_, chosen| {
            let chosen = chosen.and_then(String::from_variant);
            if let (Some(dialog), Some(chosen)) = (dialog.upgrade(), chosen) {
                dialog.set_folder(chosen.into());
            }
        });
        group.add_action(&folder);
        self.insert_action_group("add", Some(&group));
    }

    /// Return adds from marks, switches and rows as well; it is the space bar that changes them.
    fn add_keys(&self) {
        let keys = gtk::EventControllerKey::new();
        keys.set_propagation_phase(gtk::PropagationPhase::Capture);
        let dialog = self.downgrade();
        keys.connect_key_pressed(move |_, key, _, modifiers| match dialog.upgrade() {
            Some(dialog) if modifiers.is_empty() && dialog.takes_key(key) => glib::Propagation::Stop,
            _ => glib::Propagation::Proceed,
        });
        self.add_controller(keys);
    }

    fn takes_key(&self, key: gdk::Key) -> bool {
        let Some(focus) = GtkWindowExt::focus(self) else {
            return false;
        };
        let row = FileRow::of_focus(&focus);
        let has_mark = focus.is::<gtk::CheckButton>() || focus.is::<gtk::Switch>();
        match key {
            gdk::Key::Return | gdk::Key::KP_Enter if row.is_some() || has_mark => self.add(),
            gdk::Key::space | gdk::Key::KP_Space => match row {
                Some(row) => row.toggle(),
                None => return false,
            },
            _ => return false,
        }
        true
    }

    /// Opens the torrents of which a person can see everything.
    fn open_small_trees(&self) {
        let imp = self.imp();
        let totals = imp.tree.content().totals();
        let Some(model) = imp.files.model().and_downcast::<gtk::NoSelection>() else {
            return;
        };
        let Some(rows) = model.model().and_downcast::<gtk::TreeListModel>() else {
            return;
        };
        let torrents = imp.tree.content().metainfos().count();
        if torrents == 1
            && let Some(top) = rows.row(0)
        {
            top.set_expanded(true);
        }
        if torrents == 1 && totals.files() <= OPEN_FILES {
            // Rows come behind their folder while this goes on.
            let mut at = 0;
            while let Some(row) = rows.row(at) {
                row.set_expanded(true);
                at += 1;
            }
        }
        let has_choice = totals.files() > 1;
        imp.choice.set_visible(has_choice);
        imp.files_scroller.set_vexpand(has_choice);
        if has_choice {
            self.set_default_height(TALL);
        }
    }

    /// Says what it is that may be added.
    fn describe(&self) {
        let imp = self.imp();
        let content = imp.tree.content();
        let metainfos: Vec<_> = content.metainfos().collect();
        let totals = content.totals();
        let size = words::size(totals.length);
        let files = tr_n!(u64::from(totals.files()), "{n} file", "{n} files");
        let (title, name) = match &metainfos[..] {
            [one] => (tr!("Add a Torrent"), printable(&one.info.name).into_owned()),
            several => {
                let count = several.len() as u64;
                let title = tr_n!(count, "Add {n} Torrent", "Add {n} Torrents");
                (title, tr_n!(count, "{n} torrent", "{n} torrents"))
            }
        };
        self.set_title(Some(&title));
        set_text(&imp.name, &name);
        let mut facts = vec![size, files];
        if metainfos.iter().all(|metainfo| metainfo.info.private) {
            facts.push(tr!("private: only its own trackers tell of peers"));
        }
        set_text(&imp.facts, &facts.join(" · "));
        let comment = match &metainfos[..] {
            [one] => one.comment.as_deref().unwrap_or_default().trim(),
            _ => "",
        };
        set_text(&imp.comment, comment);
        imp.comment
            .set_tooltip_text(Some(comment).filter(|comment| !comment.is_empty()));
        imp.comment.set_visible(!comment.is_empty());
    }

    fn offer_folders(&self, folders: &[PathBuf]) {
        let menu = gio::Menu::new();
        // A folder whose name is no text can still be chosen in the chooser.
        for folder in folders.iter().filter_map(|folder| folder.to_str()) {
            let item = gio::MenuItem::new(Some(&folder.replace('_', "__")), None);
            item.set_action_and_target_value(Some("add.folder"), Some(&folder.to_variant()));
            menu.append_item(&item);
        }
        self.imp().recent.set_visible(folders.len() > 1);
        self.imp().recent.set_menu_model(Some(&menu));
    }

    async fn choose_folder(&self) {
        let chooser = gtk::FileChooserNative::new(
            Some(&tr!("Choose a Folder")),
            Some(self),
            gtk::FileChooserAction::SelectFolder,
            Some(&tr!("_Choose")),
            None,
        );
        chooser.set_modal(true);
        let present = self.imp().folder.borrow().clone();
        // The chooser opens somewhere else if it cannot go there.
        let _ = chooser.set_current_folder(Some(&gio::File::for_path(present)));
        if chooser.run_future().await == gtk::ResponseType::Accept
            && let Some(folder) = chooser.file().and_then(|file| file.path())
        {
            self.set_folder(folder);
        }
    }

    fn set_folder(&self, folder: PathBuf) {
        self.imp().folder.replace(folder);
        self.measure();
    }

    /// Looks how much room the folder has.
    fn measure(&self) {
        let imp = self.imp();
        let question = imp.questions.get() + 1;
        imp.questions.set(question);
        imp.space.replace(None);
        self.show_choice();
        let (folder, files) = (imp.folder.borrow().clone(), imp.tree.content().paths());
        let dialog = self.downgrade();
        glib::spawn_future_local(async move {
            let space = space::measure(folder, files).await;
            let dialog = dialog.upgrade();
            if let Some(dialog) = dialog.filter(|dialog| dialog.imp().questions.get() == question) {
                dialog.imp().space.replace(Some(space));
                dialog.show_choice();
            }
        });
    }

    /// Says what is chosen, and whether there is room for it.
    fn show_choice(&self) {
        let imp = self.imp();
        let totals = imp.tree.content().totals();
        set_text(&imp.selected, &selected(totals));
        imp.add.set_sensitive(totals.wanted_files() > 0);
        let space = imp.space.borrow();
        let folder = imp.folder.borrow();
        let place = match &*space {
            None => folder.display().to_string(),
            Some(Ok(space)) if !space.writable => folder.display().to_string(),
            Some(Ok(space)) => free(&folder, space.free),
            Some(Err(error)) => tr!(
                "{folder}\nHow much is free there is not known: {error}",
                folder = folder.display(),
                error = error
            ),
        };
        if imp.folder_row.subtitle().as_deref() != Some(&place) {
            imp.folder_row.set_subtitle(&place);
        }
        let space = space.as_ref().and_then(|space| space.as_ref().ok());
        let problem = space.and_then(|space| {
            if !space.writable {
                return Some(tr!("Nothing can be written to this folder. Choose another one."));
            }
            let lacking = imp.tree.content().lacking(&space.present);
            space::shortage(lacking, space.free)
        });
        imp.problem_row.set_visible(problem.is_some());
        if let Some(problem) = problem
            && imp.problem_row.subtitle().as_deref() != Some(&problem)
        {
            imp.problem_row.set_subtitle(&problem);
        }
    }

    fn add(&self) {
        let imp = self.imp();
        let chosen = imp.tree.content().chosen();
        let Some(on_add) = imp.on_add.get().filter(|_| !chosen.is_empty()) else {
            return;
        };
        for (metainfo, priorities) in chosen {
            on_add(AddTorrent {
                folder: Some(imp.folder.borrow().clone()),
                paused: imp.paused.is_active(),
                sequential: imp.in_order.is_active(),
                priorities,
                ..AddTorrent::new(metainfo)
            });
        }
        self.close();
    }
}

fn free(folder: &Path, free: u64) -> String {
    tr!(
        "{folder}\n{free} free",
        folder = folder.display(),
        free = words::size(free)
    )
}

/// What of everything is chosen.
fn selected(totals: Sums) -> String {
    if totals.wanted_files() == 0 {
        return tr!("Nothing is selected");
    }
    if totals.is_whole() {
        return tr!("All files, {size}", size = words::size(totals.length));
    }
    tr_n!(
        u64::from(totals.files()),
        "{wanted} of {n} file, {size} of {total}",
        "{wanted} of {n} files, {size} of {total}",
        wanted = totals.wanted_files(),
        size = words::size(totals.wanted_length),
        total = words::size(totals.length)
    )
}

#[cfg(test)]
mod tests {
    use dtorrent::engine::api::Priority;

    use super::super::file_tree::FileTree;
    use super::*;

    #[test]
    fn what_is_selected_is_told_with_its_size() {
        let sums = |wanted: &[bool]| {
            let mut tree = FileTree::default();
            let paths: Vec<_> = (0..wanted.len()).map(|at| [at.to_string()]).collect();
            let priority = |wanted: &bool| if *wanted { Priority::Normal } else { Priority::Skip };
            let files = wanted.iter().map(|wanted| Sums::of(1024, 0, priority(wanted)));
            tree.add(paths.iter().map(|path| &path[..]).zip(files));
            tree.totals()
        };
        assert_eq!(selected(sums(&[true; 4])), "All files, 4 KiB");
        let some = sums(&[false, true, false, false]);
        assert_eq!(selected(some), "1 of 4 files, 1 KiB of 4 KiB");
        assert_eq!(selected(sums(&[false; 4])), "Nothing is selected");
        assert_eq!(free(Path::new("/srv"), 1024), "/srv\n1 KiB free");
    }
}
