//! One connection as the *Statistics* tab sees it. Layer 4.

use std::cell::{Cell, RefCell};

use dtorrent::engine::api::PeerDetail;
use gtk::glib;
use gtk::glib::prelude::*;
use gtk::glib::subclass::prelude::*;

#[expect(unreachable_pub, reason = "the getters that the derive makes are `pub`")]
mod imp {
    use super::*;

    #[derive(Debug, Default, glib::Properties)]
    #[properties(wrapper_type = super::PeerObject)]
    pub(crate) struct PeerObject {
        /// Goes up when anything about the peer changes; cells then read their text anew.
        #[property(get)]
        pub(super) revision: Cell<u64>,
        pub(super) detail: RefCell<Option<PeerDetail>>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for PeerObject {
        const NAME: &'static str = "DtPeerObject";
        type Type = super::PeerObject;
    }

    #[glib::derived_properties]
    impl ObjectImpl for PeerObject {}
}

glib::wrapper! {
    pub(crate) struct PeerObject(ObjectSubclass<imp::PeerObject>);
}

impl PeerObject {
    pub(crate) fn new(detail: &PeerDetail) -> Self {
        let peer: Self = glib::Object::new();
        peer.update(detail);
        peer
    }

    pub(crate) fn update(&self, detail: &PeerDetail) {
        let imp = self.imp();
        if imp.detail.borrow().as_ref() == Some(detail) {
            return;
        }
        imp.detail.replace(Some(detail.clone()));
        imp.revision.set(imp.revision.get() + 1);
        self.notify_revision();
    }

    /// Reads something of the peer.
    pub(crate) fn with<T>(&self, read: impl FnOnce(&PeerDetail) -> T) -> T {
        read(
            self.imp()
                .detail
                .borrow()
                .as_ref()
                .expect("`new` sets the detail"),
        )
    }
}
