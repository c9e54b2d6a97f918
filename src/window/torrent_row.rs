//! The rows of the list of torrents: the full one, `ui/torrent_row.ui`, and the one of a single line,
//! `ui/compact_row.ui`. Layer 4.

use std::cell::RefCell;

use gtk::glib;
use gtk::prelude::*;
use gtk::subclass::prelude::*;

use super::one_line::OneLine;
use super::template::{bind, bind_visible, template_class};
use super::tips;
use super::torrent_object::TorrentObject;

/// What shows one torrent.
pub(super) trait Row: IsA<gtk::Widget> + Default {
    /// Shows this torrent from now on; `None` when the row is put away.
    fn set_torrent(&self, torrent: Option<&TorrentObject>);

    /// The torrent that is shown.
    fn torrent(&self) -> Option<TorrentObject>;
}

/// The torrent that this widget shows, if it is a row.
pub(super) fn torrent_in(widget: &gtk::Widget) -> Option<TorrentObject> {
    let full = widget.downcast_ref::<TorrentRow>();
    let compact = widget.downcast_ref::<CompactRow>();
    full.and_then(Row::torrent).or_else(|| compact?.torrent())
}

/// What a screen reader says of a row, which is the list's own widget around ours.
fn name_row(row: &impl IsA<gtk::Widget>, name: &str) {
    if let Some(around) = row.parent() {
        around.update_property(&[gtk::accessible::Property::Label(name)]);
    }
}

/// What a row holds of its torrent.
#[derive(Debug, Default)]
struct Shown {
    bindings: glib::BindingGroup,
    torrent: RefCell<Option<TorrentObject>>,
}

impl Shown {
    fn set(&self, torrent: Option<&TorrentObject>) {
        if let Some(before) = self.torrent.replace(torrent.cloned()) {
            before.leave_row();
        }
        torrent.inspect(|torrent| torrent.enter_row());
        self.bindings.set_source(torrent);
    }
}

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
        ratio: TemplateChild<gtk::Label>,
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
        pub(super) shown: Shown,
    }

    template_class!(TorrentRow is "DtTorrentRow", a gtk::Box, then set_up);

    impl BoxImpl for TorrentRow {}

    impl TorrentRow {
        fn set_up(&self) {
            let (name, problem) = (self.name.upcast_ref(), self.problem.upcast_ref());
            let (notice, ratio) = (self.notice.upcast_ref(), self.ratio.upcast_ref());
            let shown = [
                ("icon", self.icon.upcast_ref(), "icon-name"),
                ("name", name, "label"),
                ("status", self.status.upcast_ref(), "label"),
                ("ratio", ratio, "label"),
                ("fraction", self.progress.upcast_ref(), "fraction"),
                ("rates", self.rates.upcast_ref(), "label"),
                ("swarm", self.swarm.upcast_ref(), "label"),
                ("problem", problem, "label"),
                ("notice", notice, "label"),
            ];
            bind(&self.shown.bindings, &shown);
            for label in [&self.name, &self.problem, &self.notice] {
                tips::show_whole(label);
            }
            bind_visible(
                &self.shown.bindings,
                &[
                    ("problem", problem),
                    ("notice", notice),
                    ("ratio", ratio),
                    ("swarm", self.transfer.upcast_ref()),
                ],
            );
        }
    }

    #[derive(Debug, Default, gtk::CompositeTemplate)]
    #[template(resource = "/io/github/dtorrent/DTorrent/compact_row.ui")]
    pub(crate) struct CompactRow {
        #[template_child]
        icon: TemplateChild<gtk::Image>,
        #[template_child]
        name: TemplateChild<gtk::Label>,
        #[template_child]
        line: TemplateChild<gtk::Box>,
        #[template_child]
        brief: TemplateChild<gtk::Label>,
        #[template_child]
        briefer: TemplateChild<gtk::Label>,
        #[template_child]
        flow: TemplateChild<gtk::Label>,
        #[template_child]
        progress: TemplateChild<gtk::ProgressBar>,
        pub(super) shown: Shown,
    }

    template_class!(CompactRow is "DtCompactRow", a gtk::Box, then set_up);

    impl BoxImpl for CompactRow {}

    impl CompactRow {
        fn set_up(&self) {
            let (name, brief) = (self.name.upcast_ref(), self.brief.upcast_ref());
            self.line.set_layout_manager(Some(glib::Object::new::<OneLine>()));
            let (briefer, flow) = (self.briefer.upcast_ref(), self.flow.upcast_ref());
            let shown = [
                ("icon", self.icon.upcast_ref(), "icon-name"),
                ("name", name, "label"),
                ("brief", brief, "label"),
                ("briefer", briefer, "label"),
                ("flow", flow, "label"),
                ("fraction", self.progress.upcast_ref(), "fraction"),
            ];
            bind(&self.shown.bindings, &shown);
            tips::show_whole(&self.name);
            let row = self.obj().downgrade();
            tips::show(&*self.line, move |_| Some(row.upgrade()?.torrent()?.problem()));
            tips::bind_description(&self.shown.bindings, "problem", self.line.upcast_ref());
        }
    }
}

glib::wrapper! {
    pub(crate) struct TorrentRow(ObjectSubclass<imp::TorrentRow>)
        @extends gtk::Box, gtk::Widget,
        @implements gtk::Accessible, gtk::Buildable, gtk::ConstraintTarget, gtk::Orientable;
}

glib::wrapper! {
    pub(crate) struct CompactRow(ObjectSubclass<imp::CompactRow>)
        @extends gtk::Box, gtk::Widget,
        @implements gtk::Accessible, gtk::Buildable, gtk::ConstraintTarget, gtk::Orientable;
}

macro_rules! row {
    ($row:ident) => {
        impl Default for $row {
            fn default() -> Self {
                glib::Object::new()
            }
        }

        impl Row for $row {
            fn set_torrent(&self, torrent: Option<&TorrentObject>) {
                self.imp().shown.set(torrent);
                torrent.inspect(|torrent| name_row(self, &torrent.name()));
            }

            fn torrent(&self) -> Option<TorrentObject> {
                self.imp().shown.torrent.borrow().clone()
            }
        }
    };
}

row!(TorrentRow);
row!(CompactRow);
