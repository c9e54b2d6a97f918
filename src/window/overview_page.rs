//! The *Overview* tab of a torrent, `ui/overview_page.ui`: how far it is, its pieces, how fast it is, what it is, and why
//! it is not faster: that comes and goes, and so is last. Layer 4.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use adw::prelude::*;
use adw::subclass::prelude::*;
use dtorrent::engine::api::{TorrentDetails, TorrentSummary};
use gtk::glib;

use super::i18n::{tr, tr_n};
use super::piece_cells::Kind;
use super::piece_map::PieceMap;
use super::piece_swatch::PieceSwatch;
use super::property_row::PropertyRow;
use super::slowness::{self, ClientFacts, Reason, Steady};
use super::speed_graph::SpeedGraph;
use super::template::{set_text, template_class};
use super::{row_words, words};

mod imp {
    use super::*;

    #[derive(Debug, Default, gtk::CompositeTemplate)]
    #[template(resource = "/io/github/dtorrent/DTorrent/overview_page.ui")]
    pub(crate) struct OverviewPage {
        #[template_child]
        pub(super) name: TemplateChild<gtk::Label>,
        #[template_child]
        pub(super) state_icon: TemplateChild<gtk::Image>,
        #[template_child]
        pub(super) state: TemplateChild<gtk::Label>,
        #[template_child]
        pub(super) share: TemplateChild<gtk::Label>,
        #[template_child]
        pub(super) progress: TemplateChild<gtk::ProgressBar>,
        #[template_child]
        pub(super) slow: TemplateChild<adw::PreferencesGroup>,
        #[template_child]
        pub(super) slow_list: TemplateChild<gtk::ListBox>,
        #[template_child]
        pub(super) pieces: TemplateChild<PieceMap>,
        #[template_child]
        pub(super) piece: TemplateChild<gtk::Label>,
        #[template_child]
        pub(super) legend: TemplateChild<gtk::FlowBox>,
        #[template_child]
        pub(super) speeds: TemplateChild<SpeedGraph>,
        #[template_child]
        pub(super) last_hour: TemplateChild<gtk::ToggleButton>,
        #[template_child]
        pub(super) down_words: TemplateChild<gtk::Label>,
        #[template_child]
        pub(super) up_words: TemplateChild<gtk::Label>,
        #[template_child]
        pub(super) completed_row: TemplateChild<PropertyRow>,
        #[template_child]
        pub(super) moved_row: TemplateChild<PropertyRow>,
        #[template_child]
        pub(super) received_row: TemplateChild<PropertyRow>,
        #[template_child]
        pub(super) verified_row: TemplateChild<PropertyRow>,
        #[template_child]
        pub(super) failed_row: TemplateChild<PropertyRow>,
        #[template_child]
        pub(super) wasted_row: TemplateChild<PropertyRow>,
        #[template_child]
        pub(super) copies_row: TemplateChild<PropertyRow>,
        #[template_child]
        pub(super) ratio_row: TemplateChild<PropertyRow>,
        #[template_child]
        pub(super) seed_end_row: TemplateChild<PropertyRow>,
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
        pub(super) summary: RefCell<Option<TorrentSummary>>,
        pub(super) details: RefCell<Option<Arc<TorrentDetails>>>,
        pub(super) client: Cell<ClientFacts>,
        pub(super) steady: RefCell<Steady>,
        pub(super) reasons: RefCell<Vec<Reason>>,
        pub(super) reason_rows: RefCell<Vec<adw::ActionRow>>,
        /// The label of each kind in the legend.
        pub(super) kinds: RefCell<Vec<(Kind, gtk::FlowBoxChild, gtk::Label)>>,
    }

    template_class!(
        OverviewPage is "DtOverviewPage", a adw::Bin,
        with PieceMap, with SpeedGraph, with PropertyRow, then set_up
    );

    impl OverviewPage {
        fn set_up(&self) {
            self.obj().set_up_legend();
            self.obj().connect_map(super::OverviewPage::show_details);
            let page = self.obj().downgrade();
            self.pieces.connect_told_notify(move |pieces| {
                if let Some(page) = page.upgrade() {
                    set_text(&page.imp().piece, &told_or_hint(&pieces.told()));
                }
            });
            let page = self.obj().downgrade();
            self.last_hour.connect_toggled(move |button| {
                if let Some(page) = page.upgrade() {
                    let words = page.imp().speeds.set_shows_hour(button.is_active());
                    page.show_speeds(&words);
                }
            });
        }
    }

    impl BinImpl for OverviewPage {}
}

glib::wrapper! {
    pub(crate) struct OverviewPage(ObjectSubclass<imp::OverviewPage>)
        @extends adw::Bin, gtk::Widget,
        @implements gtk::Accessible, gtk::Buildable, gtk::ConstraintTarget;
}

impl OverviewPage {
    /// How the client as a whole stands, which may be what holds a torrent back.
    pub(crate) fn set_client(&self, client: ClientFacts) {
        self.imp().client.set(client);
    }

    /// Shows what the list knows already; the details follow.
    pub(crate) fn set_summary(&self, summary: &TorrentSummary) {
        let imp = self.imp();
        set_text(&imp.name, &summary.name);
        imp.state_icon
            .set_icon_name(Some(words::state_icon(summary.state)));
        set_text(&imp.state, &words::state(summary));
        set_text(&imp.share, &row_words::outlook(summary));
        imp.progress.set_fraction(summary.progress);
        imp.completed_row.set_figures(&words::completed(summary));
        imp.moved_row.set_optional(words::copied(summary).as_deref());
        imp.eta_row.set_value(
            &summary
                .eta
                .map_or_else(|| words::NONE.to_owned(), words::estimate),
        );
        imp.peers_row.set_value(&tr_n!(
            summary.seeds as u64,
            "{peers} connected, {n} seed",
            "{peers} connected, {n} seeds",
            peers = summary.peers
        ));
        let down = words::limited_rate(summary.download_rate, summary.download_limit_kib);
        let up = words::limited_rate(summary.upload_rate, summary.upload_limit_kib);
        imp.down_row.set_figures(&flow(&down, summary.downloaded));
        imp.up_row.set_figures(&flow(&up, summary.uploaded));
        imp.ratio_row.set_value(&words::limited_ratio(summary));
        let end = summary.seed_end.map(words::seed_end);
        (imp.seed_end_row).set_optional(end.as_deref().map(words::sentence).as_deref());
        imp.name_row.set_value(&summary.name);
        imp.hash_row.set_value(&summary.info_hash.to_string());
        imp.size_row.set_figures(&tr_n!(
            summary.total_length,
            "{size} ({n} byte)",
            "{size} ({n} bytes)",
            size = words::size(summary.total_length)
        ));
        imp.folder_row.set_value(&summary.folder.to_string_lossy());
        imp.summary.replace(Some(summary.clone()));
        let other = |details: &Arc<TorrentDetails>| details.info_hash != summary.info_hash;
        let is_of_another = imp.details.borrow().as_ref().is_some_and(other);
        if is_of_another {
            self.clear_details();
        }
    }

    /// Shows the details of the torrent whose summary is shown.
    pub(crate) fn set_details(&self, details: &Arc<TorrentDetails>) {
        self.imp().details.replace(Some(Arc::clone(details)));
        if self.is_mapped() {
            self.show_details();
        }
    }

    fn show_details(&self) {
        let imp = self.imp();
        let Some(details) = &imp.details.borrow().clone() else {
            return;
        };
        imp.pieces_row.set_figures(&tr!(
            "{count} of {length}",
            count = details.piece_count,
            length = words::size(u64::from(details.piece_length))
        ));
        imp.verified_row.set_value(&tr!(
            "{done} of {total}",
            done = details.pieces_done,
            total = details.piece_count
        ));
        imp.received_row
            .set_value(&tr!("{n} in this session", n = details.pieces_received));
        imp.failed_row.set_figures(&failed(details));
        imp.wasted_row.set_figures(&words::size(details.wasted));
        imp.copies_row.set_figures(&copies(details));
        let active = details
            .peers
            .iter()
            .filter(|peer| peer.download_rate + peer.upload_rate > 0)
            .count();
        imp.connections_row.set_value(&tr!(
            "{active} active of {all}",
            active = active,
            all = details.peers.len()
        ));
        imp.structure_row.set_value(&structure(details));
        let private = details
            .private
            .then(|| tr!("Yes: only its own trackers tell of peers"));
        imp.private_row.set_optional(private.as_deref());
        imp.comment_row.set_optional(details.comment.as_deref());
        imp.creator_row.set_optional(details.created_by.as_deref());
        self.show_counts(&imp.pieces.set_details(Some(details)));
        self.show_speeds(&imp.speeds.set_speeds(&details.speeds));
        self.show_reasons(details);
    }

    /// Takes away what belonged to another torrent.
    fn clear_details(&self) {
        let imp = self.imp();
        imp.details.replace(None);
        let rows = [
            &imp.pieces_row,
            &imp.verified_row,
            &imp.received_row,
            &imp.failed_row,
            &imp.wasted_row,
            &imp.copies_row,
            &imp.connections_row,
            &imp.structure_row,
        ];
        for row in rows {
            row.set_value(words::NONE);
        }
        self.show_counts(&imp.pieces.set_details(None));
        self.show_speeds(&imp.speeds.set_speeds(&Default::default()));
        imp.steady.take();
        self.show_reason_rows(Vec::new());
    }

    fn set_up_legend(&self) {
        let imp = self.imp();
        for kind in Kind::ALL {
            let label = gtk::Label::new(Some(&kind.name()));
            label.add_css_class("caption");
            label.add_css_class("numeric");
            let entry = gtk::Box::new(gtk::Orientation::Horizontal, 6);
            entry.append(&PieceSwatch::new(kind));
            entry.append(&label);
            let child = gtk::FlowBoxChild::builder()
                .focusable(false)
                .child(&entry)
                .build();
            imp.legend.append(&child);
            imp.kinds.borrow_mut().push((kind, child, label));
        }
        set_text(&imp.piece, &told_or_hint(""));
    }

    /// How many pieces there are of each kind, where the legend says what the kinds are.
    fn show_counts(&self, counts: &[(Kind, u32)]) {
        for (kind, child, label) in &*self.imp().kinds.borrow() {
            let count = counts.iter().find(|(counted, _)| counted == kind);
            let count = count.map_or(0, |(_, count)| *count);
            set_text(label, &tr!("{kind}: {count}", kind = kind.name(), count = count));
            child.set_visible(count > 0 || *kind == Kind::Have);
        }
    }

    fn show_speeds(&self, (down, up): &(String, String)) {
        let imp = self.imp();
        let [down, up] = [
            tr!("Download: {words}", words = down),
            tr!("Upload: {words}", words = up),
        ];
        set_text(&imp.down_words, &words::unbroken_between(&down, ", "));
        set_text(&imp.up_words, &words::unbroken_between(&up, ", "));
    }

    fn show_reasons(&self, details: &TorrentDetails) {
        let imp = self.imp();
        let reasons = match &*imp.summary.borrow() {
            Some(summary) => slowness::reasons(summary, details, imp.client.get()),
            None => Vec::new(),
        };
        let shown = imp.steady.borrow_mut().show(&reasons);
        self.show_reason_rows(shown);
    }

    fn show_reason_rows(&self, reasons: Vec<Reason>) {
        let imp = self.imp();
        if *imp.reasons.borrow() == reasons {
            return;
        }
        let mut rows = imp.reason_rows.borrow_mut();
        while rows.len() > reasons.len() {
            if let Some(row) = rows.pop() {
                imp.slow_list.remove(&row);
            }
        }
        while rows.len() < reasons.len() {
            let row = adw::ActionRow::builder().activatable(false).build();
            row.set_title_lines(0);
            row.set_subtitle_lines(0);
            imp.slow_list.append(&row);
            rows.push(row);
        }
        for (row, reason) in rows.iter().zip(&reasons) {
            row.set_title(&glib::markup_escape_text(&reason.sentence()));
            row.set_subtitle(&glib::markup_escape_text(&reason.advice()));
        }
        imp.slow.set_visible(!reasons.is_empty());
        imp.reasons.replace(reasons);
    }
}

fn told_or_hint(told: &str) -> String {
    if told.is_empty() {
        tr!("Point at a piece, or go there with the arrow keys, to see what is known of it.")
    } else {
        told.to_owned()
    }
}

fn flow(rate: &str, total: u64) -> String {
    tr!("{rate} · {total} in all", rate = rate, total = words::size(total))
}

/// What had a wrong hash in this session: "2 pieces, 512 KiB".
fn failed(details: &TorrentDetails) -> String {
    match details.pieces_failed {
        0 => tr!("None"),
        failed => tr_n!(
            failed,
            "{n} piece, {size}",
            "{n} pieces, {size}",
            size = words::size(failed.saturating_mul(u64::from(details.piece_length)))
        ),
    }
}

/// How often the torrent is there among the connected peers.
fn copies(details: &TorrentDetails) -> String {
    if details.map.availability.is_empty() {
        return words::NONE.to_owned();
    }
    let copies = (details.map.copies() * 100.0).floor() / 100.0;
    tr!(
        "{copies} copies at connected peers",
        copies = format!("{copies:.2}")
    )
}

fn structure(details: &TorrentDetails) -> String {
    if details.multi_file {
        let files = details.files.len() as u64;
        tr_n!(files, "Folder of {n} file", "Folder of {n} files")
    } else {
        tr!("Single file")
    }
}
