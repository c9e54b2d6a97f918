//! A row of the list of torrents, `ui/torrent_row.ui`. Layer 4.

use std::cell::RefCell;

use gtk::glib;
use gtk::prelude::*;
use gtk::subclass::prelude::*;

use super::template::{bind, bind_visible, template_class};
use super::torrent_object::TorrentObject;

mod imp {
    use super::*;

    #[derive(Debug, Default, gtk::CompositeTemplate)]
    #[template(resource = "/io/github/dtorrent/DTorrent/torrent_row.ui")]
    pub(crate) struct TorrentRow {
        #[template_child]
        icon: TemplateChild<gtk::Image>,
        #[template_child]
        name: TemplateChild<gtk::Label>,
        #[template_child]
        status: TemplateChild<gtk::Label>,
        #[template_child]
        progress: TemplateChild<gtk::ProgressBar>,
        #[template_child]
        transfer: TemplateChild<gtk::Box>,
        #[template_child]
        rates: TemplateChild<gtk::Label>,
        #[template_child]
        swarm: TemplateChild<gtk::Label>,
        #[template_child]
        problem: TemplateChild<gtk::Label>,
        #[template_child]
        notice: TemplateChild<gtk::Label>,
        bindings: glib::BindingGroup,
        pub(super) torrent: RefCell<Option<TorrentObject>>,
    }

    template_class!(TorrentRow is "DtTorrentRow", a gtk::Box, then set_up);

    impl BoxImpl for TorrentRow {}

    impl TorrentRow {
        fn set_up(&self) {
            let (name, problem) = (self.name.upcast_ref(), self.problem.upcast_ref());
            let notice = self.notice.upcast_ref();
            let shown = [
                ("icon", self.icon.upcast_ref(), "icon-name"),
                ("name", name, "label"),
                ("name", name, "tooltip-text"),
                ("status", self.status.upcast_ref(), "label"),
                ("fraction", self.progress.upcast_ref(), "fraction"),
                ("rates", self.rates.upcast_ref(), "label"),
                ("swarm", self.swarm.upcast_ref(), "label"),
                ("problem", problem, "label"),
                ("problem", problem, "tooltip-text"),
                ("notice", notice, "label"),
                ("notice", notice, "tooltip-text"),
            ];
            bind(&self.bindings, &shown);
            bind_visible(
                &self.bindings,
                &[
                    ("problem", problem),
                    ("notice", notice),
                    ("swarm", self.transfer.upcast_ref()),
                ],
            );
        }

        pub(super) fn set_source(&self, torrent: Option<&TorrentObject>) {
            self.bindings.set_source(torrent);
            self.torrent.replace(torrent.cloned());
        }
    }
}

glib::wrapper! {
    pub(crate) struct TorrentRow(ObjectSubclass<imp::TorrentRow>)
        @extends gtk::Box, gtk::Widget,
        @implements gtk::Accessible, gtk::Buildable, gtk::ConstraintTarget, gtk::Orientable;
}

impl Default for TorrentRow {
    fn default() -> Self {
        glib::Object::new()
    }
}

impl TorrentRow {
    /// Shows this torrent from now on; `None` when the row is put away.
    pub(crate) fn set_torrent(&self, torrent: Option<&TorrentObject>) {
        self.imp().set_source(torrent);
    }

    /// The torrent that is shown.
    pub(crate) fn torrent(&self) -> Option<TorrentObject> {
        self.imp().torrent.borrow().clone()
    }
}
