//! The chosen torrent, `ui/details_pane.ui`: its header bar, what is wrong with it, and its tabs. Layer 4.

use std::cell::RefCell;
use std::sync::Arc;

use adw::prelude::*;
use adw::subclass::prelude::*;
use dtorrent::engine::api::{EngineSnapshot, TorrentDetails, TorrentState, TorrentSummary};
use dtorrent::id::InfoHash;
use gtk::glib;

use super::engine_link::EngineLink;
use super::files_page::FilesPage;
use super::i18n::tr;
use super::overview_page::OverviewPage;
use super::overwriting;
use super::peers_page::PeersPage;
use super::template::{reveal_for_want_of_room, set_text, template_class};
use super::trackers_page::TrackersPage;
use super::words;

mod imp {
    use super::*;

    #[derive(Debug, Default, gtk::CompositeTemplate)]
    #[template(resource = "/io/github/dtorrent/DTorrent/details_pane.ui")]
    pub(crate) struct DetailsPane {
        #[template_child]
        pub(super) header: TemplateChild<adw::HeaderBar>,
        #[template_child]
        pub(super) switcher: TemplateChild<adw::ViewSwitcherTitle>,
        #[template_child]
        pub(super) tabs: TemplateChild<adw::ViewSwitcherBar>,
        #[template_child]
        pub(super) back: TemplateChild<gtk::Button>,
        #[template_child]
        pub(super) toggle: TemplateChild<gtk::Button>,
        #[template_child]
        pub(super) menu: TemplateChild<gtk::MenuButton>,
        #[template_child]
        pub(super) problem_bar: TemplateChild<gtk::InfoBar>,
        #[template_child]
        pub(super) problem: TemplateChild<gtk::Label>,
        #[template_child]
        pub(super) retry: TemplateChild<gtk::Button>,
        #[template_child]
        pub(super) overwrite: TemplateChild<gtk::Button>,
        #[template_child]
        pub(super) overview: TemplateChild<OverviewPage>,
        #[template_child]
        pub(super) peers: TemplateChild<PeersPage>,
        #[template_child]
        pub(super) files: TemplateChild<FilesPage>,
        #[template_child]
        pub(super) trackers: TemplateChild<TrackersPage>,
        pub(super) summary: RefCell<Option<TorrentSummary>>,
    }

    template_class!(
        DetailsPane is "DtDetailsPane", a adw::Bin,
        with OverviewPage, with PeersPage, with FilesPage, with TrackersPage,
        then set_up
    );

    impl DetailsPane {
        fn set_up(&self) {
            reveal_for_want_of_room(&self.switcher, &self.tabs);
        }
    }

    impl BinImpl for DetailsPane {}
}

glib::wrapper! {
    pub(crate) struct DetailsPane(ObjectSubclass<imp::DetailsPane>)
        @extends adw::Bin, gtk::Widget,
        @implements gtk::Accessible, gtk::Buildable, gtk::ConstraintTarget;
}

impl DetailsPane {
    pub(crate) fn set_link(&self, link: EngineLink) {
        let imp = self.imp();
        imp.peers.set_link(link.clone());
        imp.files.set_link(link.clone());
        imp.trackers.set_link(link);
    }

    /// How the client as a whole stands.
    pub(crate) fn set_client(&self, snapshot: &EngineSnapshot) {
        self.imp().overview.set_client(snapshot.into());
        self.imp().peers.set_bans(&snapshot.bans);
    }

    /// Whether the pane has the window for itself and needs a way back to the list.
    pub(crate) fn set_alone(&self, alone: bool) {
        self.imp().back.set_visible(alone);
        self.imp().header.set_show_start_title_buttons(alone);
    }

    /// Shows this torrent; `None`: none is chosen.
    pub(crate) fn set_summary(&self, summary: Option<&TorrentSummary>) {
        let imp = self.imp();
        let chosen = |summary: &TorrentSummary| summary.info_hash;
        if imp.summary.borrow().as_ref().map(chosen) != summary.map(chosen) {
            imp.peers.set_details(None);
            imp.files.set_details(None);
            imp.trackers.set_details(None);
        }
        if let Some(summary) = summary {
            imp.overview.set_summary(summary);
            imp.files.set_summary(summary);
            imp.switcher.set_title(&summary.name);
            self.show_toggle(summary);
        }
        self.show_problem(summary);
        for button in [imp.toggle.upcast_ref::<gtk::Widget>(), imp.menu.upcast_ref()] {
            button.set_visible(summary.is_some());
        }
        imp.switcher.set_view_switcher_enabled(summary.is_some());
        imp.summary.replace(summary.cloned());
    }

    /// Shows these details if they are of the torrent that is shown: those of another may still be under way.
    pub(crate) fn set_details(&self, details: &Arc<TorrentDetails>) {
        let imp = self.imp();
        if self.info_hash() == Some(details.info_hash) {
            imp.overview.set_details(details);
            imp.peers.set_details(Some(details));
            imp.files.set_details(Some(details));
            imp.trackers.set_details(Some(details));
        }
    }

    /// The menu of the torrent, for the list as well.
    pub(crate) fn menu(&self) -> Option<gtk::gio::MenuModel> {
        self.imp().menu.menu_model()
    }

    /// The torrent that is shown.
    fn info_hash(&self) -> Option<InfoHash> {
        self.imp()
            .summary
            .borrow()
            .as_ref()
            .map(|summary| summary.info_hash)
    }

    fn show_toggle(&self, summary: &TorrentSummary) {
        let stopped = words::is_stopped(summary.state);
        let (icon, label) = if stopped {
            ("media-playback-start-symbolic", tr!("Start"))
        } else {
            ("media-playback-pause-symbolic", tr!("Pause"))
        };
        let toggle = &self.imp().toggle;
        if toggle.icon_name().as_deref() != Some(icon) {
            toggle.set_icon_name(icon);
            toggle.set_tooltip_text(Some(&label));
            toggle.update_property(&[gtk::accessible::Property::Label(&label)]);
        }
    }

    fn show_problem(&self, summary: Option<&TorrentSummary>) {
        let imp = self.imp();
        let problem = summary
            .and_then(|summary| summary.error.as_deref().or(summary.notice.as_deref()))
            .map(words::told);
        let failed = summary.is_some_and(|summary| summary.state == TorrentState::Failed);
        // The text goes with the problem: a bar that is put away can still be read aloud.
        set_text(&imp.problem, problem.as_deref().unwrap_or_default());
        let kind = if failed {
            gtk::MessageType::Error
        } else {
            gtk::MessageType::Warning
        };
        imp.problem_bar.set_message_type(kind);
        imp.retry.set_visible(failed);
        imp.overwrite
            .set_visible(summary.is_some_and(overwriting::is_stopped_by_files));
        imp.problem_bar.set_revealed(problem.is_some());
    }
}
