//! A row of the list of torrents, `ui/torrent_row.ui`. Layer 4.

use std::cell::RefCell;

use gtk::glib;
use gtk::prelude::*;
use gtk::subclass::prelude::*;

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
        bindings: glib::BindingGroup,
        pub(super) torrent: RefCell<Option<TorrentObject>>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for TorrentRow {
        const NAME: &'static str = "DtTorrentRow";
        type Type = super::TorrentRow;
        type ParentType = gtk::Box;

        fn class_init(class: &mut Self::Class) {
            class.bind_template();
        }

        fn instance_init(object: &glib::subclass::InitializingObject<Self>) {
            object.init_template();
        }
    }

    impl ObjectImpl for TorrentRow {
        fn constructed(&self) {
            self.parent_constructed();
            let bind = |property, target: &gtk::Widget, to| {
                self.bindings.bind(property, target, to).sync_create().build();
            };
            bind("icon", self.icon.upcast_ref(), "icon-name");
            bind("name", self.name.upcast_ref(), "label");
            bind("name", self.name.upcast_ref(), "tooltip-text");
            bind("status", self.status.upcast_ref(), "label");
            bind("fraction", self.progress.upcast_ref(), "fraction");
            bind("rates", self.rates.upcast_ref(), "label");
            bind("swarm", self.swarm.upcast_ref(), "label");
            bind("problem", self.problem.upcast_ref(), "label");
            for (property, widget) in [
                ("problem", self.problem.upcast_ref::<gtk::Widget>()),
                ("swarm", self.transfer.upcast_ref()),
            ] {
                self.bindings
                    .bind(property, widget, "visible")
                    .transform_to(|_, text: String| Some(!text.is_empty()))
                    .sync_create()
                    .build();
            }
        }

        fn dispose(&self) {
            self.dispose_template();
        }
    }

    impl WidgetImpl for TorrentRow {}
    impl BoxImpl for TorrentRow {}

    impl TorrentRow {
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
