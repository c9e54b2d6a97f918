//! The *Trackers* tab of a torrent, `ui/trackers_page.ui`. Layer 4.

use std::cell::{OnceCell, RefCell};
use std::sync::Arc;

use adw::prelude::*;
use adw::subclass::prelude::*;
use dtorrent::engine::api::{EngineCommand, TorrentDetails};
use gtk::{gio, glib};

use super::engine_link::EngineLink;
use super::template::template_class;
use super::tracker_editor::TrackerEditor;
use super::tracker_row::TrackerRow;

mod imp {
    use super::*;

    #[derive(Debug, Default, gtk::CompositeTemplate)]
    #[template(resource = "/io/github/dtorrent/DTorrent/trackers_page.ui")]
    pub(crate) struct TrackersPage {
        #[template_child]
        pub(super) trackers: TemplateChild<gtk::ListBox>,
        pub(super) link: OnceCell<EngineLink>,
        pub(super) details: RefCell<Option<Arc<TorrentDetails>>>,
        pub(super) rows: RefCell<Vec<TrackerRow>>,
    }

    template_class!(TrackersPage is "DtTrackersPage", a adw::Bin, then set_up);

    impl TrackersPage {
        fn set_up(&self) {
            let group = gio::SimpleActionGroup::new();
            let edit = gio::SimpleAction::new("edit", None);
            let page = self.obj().downgrade();
            edit.connect_activate(move |_, _| {
                page.upgrade().inspect(super::TrackersPage::edit);
            });
            group.add_action(&edit);
            self.obj().insert_action_group("trackers", Some(&group));
        }
    }

    impl BinImpl for TrackersPage {}
}

glib::wrapper! {
    pub(crate) struct TrackersPage(ObjectSubclass<imp::TrackersPage>)
        @extends adw::Bin, gtk::Widget,
        @implements gtk::Accessible, gtk::Buildable, gtk::ConstraintTarget;
}

impl TrackersPage {
    pub(crate) fn set_link(&self, link: EngineLink) {
        // There is one engine in the life of a window.
        let _ = self.imp().link.set(link);
    }

    /// Shows the trackers of this torrent; `None`: they are not known yet.
    pub(crate) fn set_details(&self, details: Option<&Arc<TorrentDetails>>) {
        let imp = self.imp();
        imp.details.replace(details.cloned());
        let trackers = details.map_or(&[][..], |details| &details.trackers);
        let mut rows = imp.rows.borrow_mut();
        while rows.len() > trackers.len() {
            if let Some(row) = rows.pop() {
                imp.trackers.remove(&row);
            }
        }
        while rows.len() < trackers.len() {
            let row = TrackerRow::default();
            imp.trackers.append(&row);
            rows.push(row);
        }
        for (row, tracker) in rows.iter().zip(trackers) {
            row.update(tracker);
        }
    }

    fn edit(&self) {
        let imp = self.imp();
        let (Some(link), Some(details)) = (imp.link.get().cloned(), imp.details.borrow().clone()) else {
            return;
        };
        let mut tiers: Vec<Vec<String>> = Vec::new();
        for tracker in &details.trackers {
            tiers.resize_with(tiers.len().max(tracker.tier + 1), Vec::new);
            tiers[tracker.tier].push(tracker.url.clone());
        }
        let info_hash = details.info_hash;
        let window = self.root().and_downcast::<gtk::Window>();
        let editor = TrackerEditor::new(window.as_ref(), &tiers, move |tiers| {
            link.send(EngineCommand::SetTrackers { info_hash, tiers });
        });
        editor.present();
    }
}
