//! The *Files* tab of a torrent, `ui/files_page.ui`. Layer 4.

use std::cell::{Cell, OnceCell, RefCell};
use std::path::PathBuf;
use std::sync::Arc;

use adw::prelude::*;
use adw::subclass::prelude::*;
use dtorrent::engine::api::{EngineCommand, Priority, TorrentDetails, TorrentSummary};
use dtorrent::id::InfoHash;
use gtk::{gdk, gio, glib};

use super::engine_link::EngineLink;
use super::file_nodes::FileNode;
use super::file_row::{Choice, FileRow, priority_called, priority_menu};
use super::i18n::{tr, tr_n};
use super::template::{launch, row_factory, set_text, template_class};
use super::torrent_tree::TorrentTree;
use super::words;

/// Trees up to this many files stand open.
const OPEN_FILES: usize = 40;

mod imp {
    use super::*;

    #[derive(Debug, Default, gtk::CompositeTemplate)]
    #[template(resource = "/io/github/dtorrent/DTorrent/files_page.ui")]
    pub(crate) struct FilesPage {
        #[template_child]
        pub(super) totals: TemplateChild<gtk::Label>,
        #[template_child]
        pub(super) files: TemplateChild<gtk::ListView>,
        pub(super) selection: OnceCell<gtk::MultiSelection>,
        pub(super) actions: gio::SimpleActionGroup,
        pub(super) link: OnceCell<EngineLink>,
        pub(super) menu: OnceCell<gtk::PopoverMenu>,
        /// The torrent whose files are shown.
        pub(super) shown: Cell<Option<InfoHash>>,
        pub(super) folder: RefCell<PathBuf>,
        pub(super) tree: RefCell<Option<TorrentTree>>,
        pub(super) details: RefCell<Option<Arc<TorrentDetails>>>,
    }

    template_class!(FilesPage is "DtFilesPage", a adw::Bin, then set_up);

    impl FilesPage {
        fn set_up(&self) {
            let page = self.obj();
            page.connect_map(super::FilesPage::show_files);
            page.set_up_list();
            page.set_up_actions();
            page.set_up_menu();
        }
    }

    impl BinImpl for FilesPage {}
}

glib::wrapper! {
    pub(crate) struct FilesPage(ObjectSubclass<imp::FilesPage>)
        @extends adw::Bin, gtk::Widget,
        @implements gtk::Accessible, gtk::Buildable, gtk::ConstraintTarget;
}

impl FilesPage {
    pub(crate) fn set_link(&self, link: EngineLink) {
        // There is one engine in the life of a window.
        let _ = self.imp().link.set(link);
    }

    fn selection(&self) -> &gtk::MultiSelection {
        let selection = &self.imp().selection;
        selection.get_or_init(|| gtk::MultiSelection::new(gio::ListModel::NONE.cloned()))
    }

    pub(crate) fn set_summary(&self, summary: &TorrentSummary) {
        if *self.imp().folder.borrow() != summary.folder {
            self.imp().folder.replace(summary.folder.clone());
        }
    }

    /// Shows the files of this torrent; `None`: they are not known yet.
    pub(crate) fn set_details(&self, details: Option<&Arc<TorrentDetails>>) {
        self.imp().details.replace(details.cloned());
        // A view makes its rows when it is given a model, seen or not: most torrents are chosen for something else.
        if details.is_none() || self.is_mapped() {
            self.show_files();
        }
    }

    fn show_files(&self) {
        let imp = self.imp();
        let details = imp.details.borrow();
        let Some(details) = &*details else {
            imp.shown.set(None);
            self.selection().set_model(gio::ListModel::NONE);
            imp.tree.take();
            return set_text(&imp.totals, "");
        };
        set_text(&imp.totals, &totals(details));
        if imp.shown.replace(Some(details.info_hash)) == Some(details.info_hash) {
            if let Some(tree) = &*imp.tree.borrow() {
                tree.update(&details.files);
            }
            return;
        }
        let tree = TorrentTree::new(&details.files);
        let model = tree.model(details.files.len() <= OPEN_FILES);
        self.selection().set_model(Some(&model));
        imp.tree.replace(Some(tree));
    }

    fn set_up_list(&self) {
        let page = self.downgrade();
        let make = move |_: &gtk::ListItem| {
            let page = page.clone();
            FileRow::new(move |node, choice| {
                let priority = match choice {
                    Choice::Wanted(is_wanted) => priority_for(is_wanted),
                    Choice::Priority(priority) => priority,
                };
                page.upgrade()
                    .inspect(|page| page.set_priority(std::slice::from_ref(node), priority));
            })
        };
        let files = &self.imp().files;
        files.set_factory(Some(&row_factory(make, FileRow::set_tree_row)));
        files.set_model(Some(self.selection()));
        let page = self.downgrade();
        files.connect_activate(move |_, position| {
            page.upgrade().inspect(|page| page.activate_row(position));
        });
    }

    fn set_up_actions(&self) {
        let imp = self.imp();
        let open = gio::SimpleAction::new("open", None);
        let page = self.downgrade();
        open.connect_activate(move |_, _| {
            let Some(page) = page.upgrade() else { return };
            let file = page.chosen().iter().find_map(FileNode::file);
            glib::spawn_future_local(async move { page.open_file(file).await });
        });
        imp.actions.add_action(&open);
        let toggle = gio::SimpleAction::new("toggle", None);
        let page = self.downgrade();
        toggle.connect_activate(move |_, _| {
            page.upgrade().inspect(|page| page.toggle_chosen());
        });
        imp.actions.add_action(&toggle);
        let priority = gio::SimpleAction::new("priority", Some(glib::VariantTy::STRING));
        let page = self.downgrade();
        priority.connect_activate(move |_, chosen| {
            if let (Some(page), Some(priority)) = (page.upgrade(), priority_called(chosen)) {
                page.set_priority(&page.chosen(), priority);
            }
        });
        imp.actions.add_action(&priority);
        self.insert_action_group("files", Some(&imp.actions));
    }

    /// Space toggles what is chosen, and the menu key or a right click offer all that can be done with it.
    fn set_up_menu(&self) {
        let imp = self.imp();
        let keys = gtk::EventControllerKey::new();
        // Before the list, which would take Space for a selection.
        keys.set_propagation_phase(gtk::PropagationPhase::Capture);
        let page = self.downgrade();
        keys.connect_key_pressed(move |_, key, _, state| {
            let Some(page) = page.upgrade() else {
                return glib::Propagation::Proceed;
            };
            let plain = !state.intersects(gdk::ModifierType::CONTROL_MASK | gdk::ModifierType::ALT_MASK);
            let shift = state.contains(gdk::ModifierType::SHIFT_MASK);
            match key {
                gdk::Key::space if plain && !shift && page.keyboard_is_at_a_row() => page.toggle_chosen(),
                gdk::Key::Menu => page.show_menu(None),
                gdk::Key::F10 if shift => page.show_menu(None),
                _ => return glib::Propagation::Proceed,
            }
            glib::Propagation::Stop
        });
        imp.files.add_controller(keys);
        let click = gtk::GestureClick::builder().button(gdk::BUTTON_SECONDARY).build();
        let page = self.downgrade();
        click.connect_pressed(move |_, _, x, y| {
            page.upgrade().inspect(|page| page.show_menu(Some((x, y))));
        });
        imp.files.add_controller(click);
    }

    /// Whether it is not at a button of a row, which has a use for Space of its own.
    fn keyboard_is_at_a_row(&self) -> bool {
        let focus = self.root().and_then(|root| root.focus());
        focus.is_some_and(|focus| focus.first_child().is_some_and(|child| child.is::<FileRow>()))
    }

    /// The files and folders that are chosen.
    fn chosen(&self) -> Vec<FileNode> {
        let selection = self.selection();
        let chosen = selection.selection();
        let rows = (0..chosen.size()).filter_map(|nth| selection.item(chosen.nth(nth as u32)));
        rows.filter_map(|row| row.downcast::<gtk::TreeListRow>().ok()?.item().and_downcast())
            .collect()
    }

    fn toggle_chosen(&self) {
        let chosen = self.chosen();
        let all_wanted = chosen.iter().all(FileNode::whole);
        self.set_priority(&chosen, priority_for(!all_wanted));
    }

    fn show_menu(&self, place: Option<(f64, f64)>) {
        let imp = self.imp();
        if let Some((x, y)) = place {
            self.choose_at(x, y);
        }
        let chosen = self.chosen();
        if chosen.is_empty() {
            return;
        }
        if let Some(open) = imp
            .actions
            .lookup_action("open")
            .and_downcast::<gio::SimpleAction>()
        {
            open.set_enabled(chosen.len() == 1 && !chosen[0].is_folder());
        }
        let menu = imp.menu.get_or_init(|| {
            let model = gio::Menu::new();
            let first = gio::Menu::new();
            first.append(Some(&tr!("_Open")), Some("files.open"));
            first.append(Some(&tr!("_Wanted or Not")), Some("files.toggle"));
            model.append_section(None, &first);
            model.append_section(Some(&tr!("Priority")), &priority_menu("files.priority"));
            let menu = gtk::PopoverMenu::from_model(Some(&model));
            menu.set_parent(&*imp.files);
            menu.set_has_arrow(false);
            menu.set_halign(gtk::Align::Start);
            menu
        });
        let (x, y) = place.unwrap_or_else(|| self.place_of_keyboard());
        menu.set_pointing_to(Some(&gdk::Rectangle::new(x as i32, y as i32, 1, 1)));
        menu.popup();
    }

    fn place_of_keyboard(&self) -> (f64, f64) {
        let focus = self.root().and_then(|root| root.focus());
        let list = &self.imp().files;
        let place = focus
            .and_then(|focus| focus.translate_coordinates(&**list, 40.0, f64::from(focus.height()) / 2.0));
        place.unwrap_or((40.0, 20.0))
    }

    /// Chooses the row at a place of the list, unless it is chosen with others already.
    fn choose_at(&self, x: f64, y: f64) {
        let list = &self.imp().files;
        let row = list
            .pick(x, y, gtk::PickFlags::DEFAULT)
            .and_then(|widget| widget.ancestor(FileRow::static_type()).or(Some(widget)))
            .and_downcast::<FileRow>();
        let Some(row) = row.and_then(|row| row.tree_row()) else {
            return;
        };
        let position = row.position();
        if !self.selection().is_selected(position) {
            self.selection().select_item(position, true);
        }
    }

    fn set_priority(&self, nodes: &[FileNode], priority: Priority) {
        let imp = self.imp();
        let (Some(link), Some(details)) = (imp.link.get(), &*imp.details.borrow()) else {
            return;
        };
        // Only what was changed: what is shown of the rest may be older than the click before.
        let files = nodes.iter().flat_map(FileNode::files);
        link.send(EngineCommand::SetPriorities {
            info_hash: details.info_hash,
            files: files.map(|file| (file, priority)).collect(),
        });
    }

    /// Opens a file, or unfolds a folder.
    fn activate_row(&self, position: u32) {
        let row = self.selection().item(position).and_downcast::<gtk::TreeListRow>();
        let Some(row) = row else { return };
        let Some(node) = row.item().and_downcast::<FileNode>() else {
            return;
        };
        if node.is_folder() {
            row.set_expanded(!row.is_expanded());
        } else {
            let page = self.clone();
            glib::spawn_future_local(async move { page.open_file(node.file()).await });
        }
    }

    async fn open_file(&self, file: Option<usize>) {
        let path = self.imp().details.borrow().as_ref().and_then(|details| {
            let file = details.files.get(file?)?;
            let folder = self.imp().folder.borrow().clone();
            Some(file.path.iter().fold(folder, |path, name| path.join(name)))
        });
        let Some(path) = path else { return };
        if let Err(error) = launch(self, &gio::File::for_path(&path)).await {
            let window = self.root().and_downcast::<gtk::Window>();
            let dialog = adw::MessageDialog::new(
                window.as_ref(),
                Some(&tr!("The File Cannot Be Opened")),
                Some(&format!("{}: {error}", path.display())),
            );
            dialog.add_response("close", &tr!("_OK"));
            dialog.present();
        }
    }
}

const fn priority_for(is_wanted: bool) -> Priority {
    if is_wanted {
        Priority::Normal
    } else {
        Priority::Skip
    }
}

/// What all files come to: "12 files · 3 of them not wanted · 1.2 GiB".
fn totals(details: &TorrentDetails) -> String {
    let files = details.files.len() as u64;
    let skipped = details
        .files
        .iter()
        .filter(|file| file.priority == Priority::Skip)
        .count() as u64;
    let length = details.files.iter().map(|file| file.length).sum();
    let mut parts = vec![tr_n!(files, "{n} file", "{n} files")];
    if skipped > 0 {
        parts.push(tr_n!(skipped, "{n} of them not wanted", "{n} of them not wanted"));
    }
    parts.push(words::size(length));
    parts.join(" · ")
}
