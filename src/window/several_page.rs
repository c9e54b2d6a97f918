//! What stands in place of the details when several torrents are chosen, or none, `ui/several_page.ui`: their sums.
//! Layer 4.

use std::sync::Arc;

use adw::prelude::*;
use adw::subclass::prelude::*;
use dtorrent::engine::api::{TorrentState, TorrentSummary};
use dtorrent::ratio;
use gtk::{gio, glib};

use super::i18n::{tr, tr_n};
use super::property_row::PropertyRow;
use super::template::{set_text, template_class};
use super::words;

mod imp {
    use super::*;

    #[derive(Debug, Default, gtk::CompositeTemplate)]
    #[template(resource = "/io/github/dtorrent/DTorrent/several_page.ui")]
    pub(crate) struct SeveralPage {
        #[template_child]
        pub(super) header: TemplateChild<adw::HeaderBar>,
        #[template_child]
        pub(super) back: TemplateChild<gtk::Button>,
        #[template_child]
        pub(super) menu: TemplateChild<gtk::MenuButton>,
        #[template_child]
        pub(super) title: TemplateChild<gtk::Label>,
        #[template_child]
        pub(super) buttons: TemplateChild<gtk::Box>,
        #[template_child]
        pub(super) sums: TemplateChild<gtk::ListBox>,
        #[template_child]
        pub(super) states: TemplateChild<PropertyRow>,
        #[template_child]
        pub(super) completed: TemplateChild<PropertyRow>,
        #[template_child]
        pub(super) rates: TemplateChild<PropertyRow>,
        #[template_child]
        pub(super) transferred: TemplateChild<PropertyRow>,
        #[template_child]
        pub(super) ratio: TemplateChild<PropertyRow>,
        #[template_child]
        pub(super) peers: TemplateChild<PropertyRow>,
    }

    template_class!(SeveralPage is "DtSeveralPage", a adw::Bin, with PropertyRow);

    impl BinImpl for SeveralPage {}
}

glib::wrapper! {
    pub(crate) struct SeveralPage(ObjectSubclass<imp::SeveralPage>)
        @extends adw::Bin, gtk::Widget,
        @implements gtk::Accessible, gtk::Buildable, gtk::ConstraintTarget;
}

impl SeveralPage {
    /// Whether the page has the window for itself and needs a way back to the list.
    pub(crate) fn set_alone(&self, alone: bool) {
        self.imp().back.set_visible(alone);
        self.imp().header.set_show_start_title_buttons(alone);
    }

    /// What can be done with the chosen torrents.
    pub(crate) fn set_menu(&self, menu: Option<&gio::MenuModel>) {
        self.imp().menu.set_menu_model(menu);
    }

    /// Shows the sums of these.
    pub(crate) fn set_torrents(&self, torrents: &[Arc<TorrentSummary>]) {
        let imp = self.imp();
        let any = !torrents.is_empty();
        imp.sums.set_visible(any);
        imp.menu.set_visible(any);
        imp.buttons.set_visible(any);
        let title = match torrents.len() {
            0 => tr!("No Torrent Chosen"),
            count => tr_n!(count as u64, "{n} Torrent Chosen", "{n} Torrents Chosen"),
        };
        set_text(&imp.title, &title);
        let sum = |of: fn(&TorrentSummary) -> u64| torrents.iter().map(|torrent| of(torrent)).sum::<u64>();
        let (done, wanted) = (
            sum(|torrent| torrent.wanted_done),
            sum(|torrent| torrent.wanted_length),
        );
        let (down, up) = (sum(|torrent| torrent.downloaded), sum(|torrent| torrent.uploaded));
        imp.states.set_value(&states(torrents));
        let share = words::percent(if wanted > 0 {
            done as f64 / wanted as f64
        } else {
            1.0
        });
        let (size_done, size_wanted) = (words::size(done), words::size(wanted));
        imp.completed.set_figures(&tr!(
            "{done} of {total} ({share})",
            done = size_done,
            total = size_wanted,
            share = share
        ));
        let rates = (
            sum(|torrent| torrent.download_rate),
            sum(|torrent| torrent.upload_rate),
        );
        imp.rates.set_figures(&format!(
            "↓ {}   ↑ {}",
            words::rate(rates.0),
            words::rate(rates.1)
        ));
        imp.transferred
            .set_value(&format!("↓ {}   ↑ {}", words::size(down), words::size(up)));
        imp.ratio.set_value(&words::ratio(ratio::ratio(up, wanted)));
        let peers = sum(|torrent| torrent.peers as u64);
        imp.peers
            .set_value(&tr_n!(peers, "{n} connected", "{n} connected"));
    }
}

/// How many are in which state: "2 downloading, 1 paused".
fn states(torrents: &[Arc<TorrentSummary>]) -> String {
    use TorrentState::{Checking, Downloading, Failed, Moving, Paused, Queued, Removing, Seeding, Waiting};
    let count = |state| torrents.iter().filter(|torrent| torrent.state == state).count() as u64;
    let every = [
        Failed,
        Waiting,
        Downloading,
        Checking,
        Moving,
        Removing,
        Queued,
        Seeding,
        Paused,
    ];
    let counted = every.into_iter().map(|state| (state, count(state)));
    let words: Vec<String> = counted
        .filter(|(_, count)| *count > 0)
        .map(|(state, count)| match state {
            Failed => tr_n!(count, "{n} failed", "{n} failed"),
            Waiting => tr_n!(count, "{n} waiting", "{n} waiting"),
            Downloading => tr_n!(count, "{n} downloading", "{n} downloading"),
            Checking => tr_n!(count, "{n} being checked", "{n} being checked"),
            Moving => tr_n!(count, "{n} being moved", "{n} being moved"),
            Removing => tr_n!(count, "{n} being removed", "{n} being removed"),
            Queued => tr_n!(count, "{n} queued", "{n} queued"),
            Seeding => tr_n!(count, "{n} seeding", "{n} seeding"),
            Paused => tr_n!(count, "{n} paused", "{n} paused"),
        })
        .collect();
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use dtorrent::id::InfoHash;

    #[test]
    fn states_are_counted() {
        use TorrentState::{Downloading, Paused};
        let torrents = [Paused, Downloading, Downloading]
            .map(|state| Arc::new(TorrentSummary::new(InfoHash::new([0; 20]), "name", state)));
        assert_eq!(states(&torrents), "2 downloading, 1 paused");
        assert_eq!(states(&[]), "");
    }
}
