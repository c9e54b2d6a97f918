//! The *General* tab of a torrent, `ui/general_page.ui`: what it is, how far it is, its files and its
//! trackers. Layer 4.

use std::cell::{Cell, OnceCell, RefCell};

use adw::prelude::*;
use adw::subclass::prelude::*;
use dtorrent::bitfield::Bitfield;
use dtorrent::engine::api::{EngineCommand, Priority, TorrentDetails, TorrentSummary};
use dtorrent::id::InfoHash;
use dtorrent::size::Count;
use gtk::glib;

use super::engine_link::EngineLink;
use super::file_node::{FileNode, FileTree};
use super::file_row::FileRow;
use super::piece_bar::PieceBar;
use super::property_row::PropertyRow;
use super::template::{row_factory, set_text, template_class};
use super::tracker_row::TrackerRow;
use super::words;

/// Trees up to this many files stand open.
const OPEN_FILES: usize = 40;

/// Pixels of a row of the tree, as in `ui/style.css`.
const ROW_HEIGHT: u32 = 48;

/// Rows of the tree that are seen at a time; a longer one scrolls.
const VISIBLE_ROWS: u32 = 8;

mod imp {
    use super::*;

    #[derive(Debug, Default, gtk::CompositeTemplate)]
    #[template(resource = "/io/github/dtorrent/DTorrent/general_page.ui")]
    pub(crate) struct GeneralPage {
        #[template_child]
        pub(super) name: TemplateChild<gtk::Label>,
        #[template_child]
        pub(super) state_icon: TemplateChild<gtk::Image>,
        #[template_child]
        pub(super) state: TemplateChild<gtk::Label>,
        #[template_child]
        pub(super) progress: TemplateChild<gtk::ProgressBar>,
        #[template_child]
        pub(super) pieces: TemplateChild<PieceBar>,
        #[template_child]
        pub(super) completed_row: TemplateChild<PropertyRow>,
        #[template_child]
        pub(super) moved_row: TemplateChild<PropertyRow>,
        #[template_child]
        pub(super) received_row: TemplateChild<PropertyRow>,
        #[template_child]
        pub(super) verified_row: TemplateChild<PropertyRow>,
        #[template_child]
        pub(super) eta_row: TemplateChild<PropertyRow>,
        #[template_child]
        pub(super) peers_row: TemplateChild<PropertyRow>,
        #[template_child]
        pub(super) connections_row: TemplateChild<PropertyRow>,
        #[template_child]
        pub(super) down_row: TemplateChild<PropertyRow>,
        #[template_child]
        pub(super) up_row: TemplateChild<PropertyRow>,
        #[template_child]
        pub(super) name_row: TemplateChild<PropertyRow>,
        #[template_child]
        pub(super) hash_row: TemplateChild<PropertyRow>,
        #[template_child]
        pub(super) size_row: TemplateChild<PropertyRow>,
        #[template_child]
        pub(super) pieces_row: TemplateChild<PropertyRow>,
        #[template_child]
        pub(super) structure_row: TemplateChild<PropertyRow>,
        #[template_child]
        pub(super) folder_row: TemplateChild<PropertyRow>,
        #[template_child]
        pub(super) private_row: TemplateChild<PropertyRow>,
        #[template_child]
        pub(super) comment_row: TemplateChild<PropertyRow>,
        #[template_child]
        pub(super) creator_row: TemplateChild<PropertyRow>,
        #[template_child]
        pub(super) files: TemplateChild<gtk::ListView>,
        #[template_child]
        pub(super) files_scroller: TemplateChild<gtk::ScrolledWindow>,
        #[template_child]
        pub(super) trackers: TemplateChild<gtk::ListBox>,
        pub(super) link: OnceCell<EngineLink>,
        /// The torrent whose details are shown, once they have come.
        pub(super) shown: Cell<Option<InfoHash>>,
        pub(super) tree: RefCell<FileTree>,
        pub(super) priorities: RefCell<Vec<Priority>>,
        pub(super) tracker_rows: RefCell<Vec<TrackerRow>>,
    }

    template_class!(
        GeneralPage is "DtGeneralPage", a adw::Bin, with PieceBar, with PropertyRow, then set_up_files
    );

    impl GeneralPage {
        fn set_up_files(&self) {
            let page = self.obj().downgrade();
            let make = move |item: &gtk::ListItem| {
                item.set_activatable(false);
                let page = page.clone();
                FileRow::new(move |node, priority| {
                    if let Some(page) = page.upgrade() {
                        page.set_priority(node, priority);
                    }
                })
            };
            self.files
                .set_factory(Some(&row_factory(make, FileRow::set_tree_row)));
        }
    }

    impl BinImpl for GeneralPage {}
}

glib::wrapper! {
    pub(crate) struct GeneralPage(ObjectSubclass<imp::GeneralPage>)
        @extends adw::Bin, gtk::Widget,
        @implements gtk::Accessible, gtk::Buildable, gtk::ConstraintTarget;
}

impl GeneralPage {
    pub(crate) fn set_link(&self, link: EngineLink) {
        // There is one engine in the life of a window.
        let _ = self.imp().link.set(link);
    }

    /// Shows what the list knows already; the details follow.
    pub(crate) fn set_summary(&self, summary: &TorrentSummary) {
        let imp = self.imp();
        set_text(&imp.name, &summary.name);
        imp.state_icon
            .set_icon_name(Some(words::state_icon(summary.state)));
        imp.state.set_label(&words::state(summary));
        imp.progress.set_fraction(summary.progress);
        imp.completed_row.set_value(&words::completed(summary));
        imp.moved_row.set_optional(words::copied(summary).as_deref());
        imp.eta_row
            .set_value(&summary.eta.map_or_else(|| words::NONE.to_owned(), words::time));
        imp.peers_row.set_value(&format!(
            "{} connected, {}",
            summary.peers,
            Count(summary.seeds as u64, "seed")
        ));
        let down = words::limited_rate(summary.download_rate, summary.download_limit_kib);
        let up = words::limited_rate(summary.upload_rate, summary.upload_limit_kib);
        imp.down_row.set_value(&flow(&down, summary.downloaded));
        let ratio = summary.uploaded as f64 / summary.downloaded.max(1) as f64;
        let up = flow(&up, summary.uploaded);
        imp.up_row.set_value(&match summary.downloaded {
            0 => up,
            _ => format!("{up} · ratio {ratio:.2}"),
        });
        imp.name_row.set_value(&summary.name);
        imp.hash_row.set_value(&summary.info_hash.to_string());
        let bytes = Count(summary.total_length, "byte");
        imp.size_row
            .set_value(&format!("{} ({bytes})", words::size(summary.total_length)));
        imp.folder_row.set_value(&summary.folder.to_string_lossy());
        if imp.shown.get().is_some_and(|shown| shown != summary.info_hash) {
            self.clear_details();
        }
    }

    /// Shows the details of the torrent whose summary is shown.
    pub(crate) fn set_details(&self, details: &TorrentDetails) {
        let imp = self.imp();
        let length = words::size(u64::from(details.piece_length));
        imp.pieces_row
            .set_value(&format!("{} of {length}", details.piece_count));
        imp.verified_row
            .set_value(&format!("{} of {}", details.pieces_done, details.piece_count));
        imp.received_row.set_value(&received(details));
        let active = details
            .peers
            .iter()
            .filter(|peer| peer.download_rate + peer.upload_rate > 0)
            .count();
        imp.connections_row
            .set_value(&format!("{active} active of {}", details.peers.len()));
        imp.structure_row.set_value(&structure(details));
        imp.private_row.set_optional(
            details
                .private
                .then_some("Yes: only its own trackers tell of peers"),
        );
        imp.comment_row.set_optional(details.comment.as_deref());
        imp.creator_row.set_optional(details.created_by.as_deref());
        imp.pieces
            .set_pieces(Bitfield::from_bytes(&details.pieces, details.piece_count));
        self.show_files(details);
        self.show_trackers(details);
        imp.shown.set(Some(details.info_hash));
    }

    /// Takes away what belonged to another torrent.
    fn clear_details(&self) {
        let imp = self.imp();
        imp.shown.set(None);
        for row in [&imp.pieces_row, &imp.verified_row, &imp.received_row] {
            row.set_value(words::NONE);
        }
        for row in [&imp.connections_row, &imp.structure_row] {
            row.set_value(words::NONE);
        }
        imp.pieces.set_pieces(None);
        imp.files.set_model(gtk::SelectionModel::NONE);
        imp.tree.take();
        for row in imp.tracker_rows.take() {
            imp.trackers.remove(&row);
        }
    }

    fn show_files(&self, details: &TorrentDetails) {
        let imp = self.imp();
        *imp.priorities.borrow_mut() = details.files.iter().map(|file| file.priority).collect();
        if imp.shown.get() == Some(details.info_hash) {
            imp.tree.borrow().update(&details.files);
            return;
        }
        let tree = FileTree::new(&details.files);
        let model = tree.model(details.files.len() <= OPEN_FILES);
        // The view does not say how high it would like to be.
        let scroller = imp.files_scroller.downgrade();
        let fit = move |rows: u32| {
            let height = rows.clamp(1, VISIBLE_ROWS) * ROW_HEIGHT;
            scroller
                .upgrade()
                .inspect(|scroller| scroller.set_min_content_height(height as i32));
        };
        fit(model.n_items());
        model.connect_items_changed(move |model, _, _, _| fit(model.n_items()));
        imp.files.set_model(Some(&gtk::NoSelection::new(Some(model))));
        imp.tree.replace(tree);
    }

    fn show_trackers(&self, details: &TorrentDetails) {
        let mut rows = self.imp().tracker_rows.borrow_mut();
        while rows.len() > details.trackers.len() {
            if let Some(row) = rows.pop() {
                self.imp().trackers.remove(&row);
            }
        }
        while rows.len() < details.trackers.len() {
            let row = TrackerRow::default();
            self.imp().trackers.append(&row);
            rows.push(row);
        }
        for (row, tracker) in rows.iter().zip(&details.trackers) {
            row.update(tracker);
        }
    }

    fn set_priority(&self, node: &FileNode, priority: Priority) {
        let imp = self.imp();
        let (Some(link), Some(info_hash)) = (imp.link.get(), imp.shown.get()) else {
            return;
        };
        let mut priorities = imp.priorities.borrow().clone();
        for leaf in node.leaves() {
            if let Some(each) = priorities.get_mut(leaf) {
                *each = priority;
            }
        }
        link.send(EngineCommand::SetPriorities {
            info_hash,
            priorities,
        });
    }
}

fn flow(rate: &str, total: u64) -> String {
    format!("{rate} · {} in all", words::size(total))
}

/// Pieces that came from peers since the program was started: those of earlier runs, and data that was there
/// all along, count as verified only.
fn received(details: &TorrentDetails) -> String {
    let received = format!("{} in this session", details.pieces_received);
    match details.pieces_failed {
        0 => received,
        failed => format!("{received}, {failed} of them with a wrong hash"),
    }
}

fn structure(details: &TorrentDetails) -> String {
    if details.multi_file {
        format!("Folder of {}", Count(details.files.len() as u64, "file"))
    } else {
        "Single file".to_owned()
    }
}
