//! The chosen torrent, `ui/details_pane.ui`: its header bar, what is wrong with it, and its tabs. Layer 4.

use std::cell::RefCell;

use adw::prelude::*;
use adw::subclass::prelude::*;
use dtorrent::engine::api::{TorrentDetails, TorrentState, TorrentSummary};
use dtorrent::id::InfoHash;
use gtk::glib;

use super::engine_link::EngineLink;
use super::general_page::GeneralPage;
use super::statistics_page::StatisticsPage;
use super::template::{set_text, template_class};
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
        pub(super) general: TemplateChild<GeneralPage>,
        #[template_child]
        pub(super) statistics: TemplateChild<StatisticsPage>,
        pub(super) summary: RefCell<Option<TorrentSummary>>,
    }

    template_class!(DetailsPane is "DtDetailsPane", a adw::Bin, with GeneralPage, with StatisticsPage);

    impl BinImpl for DetailsPane {}
}

glib::wrapper! {
    pub(crate) struct DetailsPane(ObjectSubclass<imp::DetailsPane>)
        @extends adw::Bin, gtk::Widget,
        @implements gtk::Accessible, gtk::Buildable, gtk::ConstraintTarget;
}

impl DetailsPane {
    pub(crate) fn set_link(&self, link: EngineLink) {
        self.imp().general.set_link(link);
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
            imp.statistics.set_details(None);
        }
        if let Some(summary) = summary {
            imp.general.set_summary(summary);
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
    pub(crate) fn set_details(&self, details: &TorrentDetails) {
        let imp = self.imp();
        if self.info_hash() == Some(details.info_hash) {
            imp.general.set_details(details);
            imp.statistics.set_details(Some(details));
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
            ("media-playback-start-symbolic", "Start")
        } else {
            ("media-playback-pause-symbolic", "Pause")
        };
        let toggle = &self.imp().toggle;
        if toggle.icon_name().as_deref() != Some(icon) {
            toggle.set_icon_name(icon);
            toggle.set_tooltip_text(Some(label));
            toggle.update_property(&[gtk::accessible::Property::Label(label)]);
        }
    }

    fn show_problem(&self, summary: Option<&TorrentSummary>) {
        let imp = self.imp();
        let problem = summary
            .and_then(|summary| summary.error.as_deref().or(summary.notice.as_deref()))
            .map(words::sentence);
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
        imp.problem_bar.set_revealed(problem.is_some());
    }
}
