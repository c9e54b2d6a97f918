//! The log, followed live, `ui/log_window.ui`. Layer 4.

use std::cell::{Cell, OnceCell, RefCell};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use adw::prelude::*;
use adw::subclass::prelude::*;
use dtorrent::engine::api::TorrentSummary;
use gtk::{gio, glib};
use log::Level;

use super::i18n::tr;
use super::log_line::{LogFilter, LogLine};
use super::log_object::LogObject;
use super::log_reader;
use super::log_row::LogRow;
use super::template::{close_by, launch, row_factory, set_text, template_class};

/// Lines that are kept in the window; older ones are in the file.
const MOST_LINES: u32 = 20_000;

/// The levels of the choice in the template, in its order.
const LEVELS: [Level; 4] = [Level::Trace, Level::Info, Level::Warn, Level::Error];

/// The one that is chosen at first.
const FIRST_LEVEL: u32 = 1;

mod imp {
    use super::*;

    #[derive(Debug, Default, gtk::CompositeTemplate)]
    #[template(resource = "/io/github/dtorrent/DTorrent/log_window.ui")]
    pub(crate) struct LogWindow {
        #[template_child]
        pub(super) open: TemplateChild<gtk::Button>,
        #[template_child]
        pub(super) follow: TemplateChild<gtk::ToggleButton>,
        #[template_child]
        pub(super) search: TemplateChild<gtk::SearchEntry>,
        #[template_child]
        pub(super) level: TemplateChild<gtk::DropDown>,
        #[template_child]
        pub(super) torrent: TemplateChild<gtk::DropDown>,
        #[template_child]
        pub(super) problem_bar: TemplateChild<gtk::InfoBar>,
        #[template_child]
        pub(super) problem: TemplateChild<gtk::Label>,
        #[template_child]
        pub(super) stack: TemplateChild<gtk::Stack>,
        #[template_child]
        pub(super) scroller: TemplateChild<gtk::ScrolledWindow>,
        #[template_child]
        pub(super) list: TemplateChild<gtk::ListView>,
        pub(super) lines: OnceCell<gio::ListStore>,
        pub(super) filter: gtk::CustomFilter,
        pub(super) path: RefCell<PathBuf>,
        /// The list moves to its end after this layout.
        pub(super) is_moving: Cell<bool>,
    }

    template_class!(LogWindow is "DtLogWindow", a adw::Window, then set_up);

    impl LogWindow {
        fn set_up(&self) {
            self.obj().set_up();
        }

        pub(super) fn lines(&self) -> &gio::ListStore {
            self.lines.get_or_init(gio::ListStore::new::<LogObject>)
        }
    }

    impl WindowImpl for LogWindow {}
    impl AdwWindowImpl for LogWindow {}
}

glib::wrapper! {
    pub(crate) struct LogWindow(ObjectSubclass<imp::LogWindow>)
        @extends adw::Window, gtk::Window, gtk::Widget,
        @implements gtk::Accessible, gtk::Buildable, gtk::ConstraintTarget, gtk::Native, gtk::Root,
            gtk::ShortcutManager;
}

impl LogWindow {
    /// Shows the log at `path`, and goes on reading it until the window is closed.
    pub(crate) fn new(parent: &impl IsA<gtk::Window>, path: &Path) -> Self {
        let window: Self = glib::Object::builder().property("transient-for", parent).build();
        window.imp().path.replace(path.to_owned());
        window.listen();
        window
    }

    fn set_up(&self) {
        let imp = self.imp();
        imp.level.set_selected(FIRST_LEVEL);
        imp.torrent
            .set_model(Some(&gtk::StringList::new(&[&tr!("All torrents")])));
        let shown = gtk::FilterListModel::new(Some(imp.lines().clone()), Some(imp.filter.clone()));
        let window = self.downgrade();
        shown.connect_items_changed(move |shown, _, _, _| {
            window
                .upgrade()
                .inspect(|window| window.show_lines(shown.n_items()));
        });
        imp.list
            .set_factory(Some(&row_factory(|_| LogRow::default(), LogRow::set_line)));
        imp.list.set_model(Some(&gtk::NoSelection::new(Some(shown))));
        self.show_lines(0);
        self.set_up_choices();
        self.set_up_following();
        let window = self.downgrade();
        imp.open.connect_clicked(move |_| {
            window.upgrade().inspect(Self::open_file);
        });
        close_by(self, "Escape|<Control>w");
    }

    fn set_up_choices(&self) {
        let imp = self.imp();
        let window = self.downgrade();
        let changed = move || {
            window.upgrade().inspect(Self::choose);
        };
        // Who types anywhere in the window searches.
        imp.search.set_key_capture_widget(Some(self));
        imp.search.grab_focus();
        let window = self.downgrade();
        // Escape ends the search first, and then the window.
        imp.search
            .connect_stop_search(move |search| match search.text().is_empty() {
                true => drop(window.upgrade().inspect(|window| window.close())),
                false => search.set_text(""),
            });
        let on_search = changed.clone();
        imp.search.connect_search_changed(move |_| on_search());
        for choice in [&imp.level, &imp.torrent] {
            let changed = changed.clone();
            choice.connect_selected_notify(move |_| changed());
        }
        self.choose();
    }

    /// The newest line stays in view until somebody scrolls away from it, and again from when he is back.
    fn set_up_following(&self) {
        let imp = self.imp();
        let adjustment = imp.scroller.vadjustment();
        let window = self.downgrade();
        adjustment.connect_changed(move |_| {
            let window = window.upgrade().filter(|window| window.imp().follow.is_active());
            let Some(window) = window.filter(|window| !window.imp().is_moving.replace(true)) else {
                return;
            };
            // The list is being laid out, and takes no notice of a place that it is given meanwhile.
            glib::idle_add_local_once(move || {
                window.scroll_to_end();
                window.imp().is_moving.set(false);
            });
        });
        let window = self.downgrade();
        adjustment.connect_value_changed(move |adjustment| {
            if let Some(window) = window.upgrade().filter(|window| !window.imp().is_moving.get()) {
                let at_end = adjustment.value() + adjustment.page_size() >= adjustment.upper() - 1.0;
                window.imp().follow.set_active(at_end);
            }
        });
        let window = self.downgrade();
        imp.follow.connect_toggled(move |follow| {
            if let Some(window) = window.upgrade().filter(|_| follow.is_active()) {
                window.scroll_to_end();
            }
        });
    }

    fn scroll_to_end(&self) {
        let adjustment = self.imp().scroller.vadjustment();
        adjustment.set_value(adjustment.upper() - adjustment.page_size());
    }

    fn listen(&self) {
        let lines = log_reader::follow(&self.imp().path.borrow());
        let closed = lines.clone();
        // The thread ends with the channel, and nobody may wait for a line that does not come.
        self.connect_close_request(move |_| {
            closed.close();
            glib::Propagation::Proceed
        });
        let window = self.downgrade();
        glib::spawn_future_local(async move {
            while let Ok(read) = lines.recv().await {
                let Some(window) = window.upgrade().filter(|window| window.is_visible()) else {
                    return;
                };
                match read {
                    Ok(lines) => window.add_lines(lines),
                    Err(problem) => {
                        set_text(&window.imp().problem, &problem);
                        window.imp().problem_bar.set_revealed(true);
                    }
                }
            }
        });
    }

    fn add_lines(&self, lines: Vec<LogLine>) {
        let store = self.imp().lines();
        let new: Vec<LogObject> = lines.into_iter().map(LogObject::new).collect();
        store.splice(store.n_items(), 0, &new);
        let surplus = store.n_items().saturating_sub(MOST_LINES);
        if surplus > 0 {
            store.splice(0, surplus, &[] as &[LogObject]);
        }
    }

    /// Offers these torrents to choose from.
    pub(crate) fn set_torrents(&self, torrents: &[Arc<TorrentSummary>]) {
        let choice = &self.imp().torrent;
        let Some(names) = choice.model().and_downcast::<gtk::StringList>() else {
            return;
        };
        let is_same = names.n_items() as usize == torrents.len() + 1
            && (1..)
                .zip(torrents)
                .all(|(at, torrent)| names.string(at).as_deref() == Some(&torrent.name));
        if is_same {
            return;
        }
        let chosen = names.string(choice.selected()).filter(|_| choice.selected() > 0);
        let new: Vec<&str> = torrents.iter().map(|torrent| torrent.name.as_str()).collect();
        names.splice(1, names.n_items() - 1, &new);
        let position = new.iter().position(|name| chosen.as_deref() == Some(*name));
        choice.set_selected(position.map_or(0, |position| position as u32 + 1));
    }

    fn choose(&self) {
        let imp = self.imp();
        let names = imp.torrent.model().and_downcast::<gtk::StringList>();
        let chosen = Some(imp.torrent.selected()).filter(|&position| position > 0);
        let filter = LogFilter {
            level: LEVELS
                .get(imp.level.selected() as usize)
                .copied()
                .unwrap_or(Level::Info),
            torrent: names
                .zip(chosen)
                .and_then(|(names, at)| names.string(at))
                .map(String::from),
            search: imp.search.text().trim().to_lowercase(),
        };
        imp.filter.set_filter_func(move |object| {
            let line = object.downcast_ref::<LogObject>();
            line.is_some_and(|line| filter.shows(line.line()))
        });
    }

    fn show_lines(&self, shown: u32) {
        let page = if shown > 0 { "lines" } else { "empty" };
        self.imp().stack.set_visible_child_name(page);
    }

    fn open_file(&self) {
        let path = self.imp().path.borrow().clone();
        let window = self.clone();
        glib::spawn_future_local(async move {
            if let Err(error) = launch(&window, &gio::File::for_path(&path)).await {
                let problem = tr!(
                    "“{file}” cannot be opened: {error}",
                    file = path.display(),
                    error = error
                );
                set_text(&window.imp().problem, &problem);
                window.imp().problem_bar.set_revealed(true);
            }
        });
    }
}
