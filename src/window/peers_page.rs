//! The *Peers* tab of a torrent, `ui/peers_page.ui`: a table of its connections, and one of them in words. Layer 4.

use std::cell::{OnceCell, RefCell};
use std::net::IpAddr;
use std::sync::Arc;

use adw::prelude::*;
use adw::subclass::prelude::*;
use dtorrent::engine::api::{EngineCommand, PeerDetail, TorrentDetails};
use gtk::{gio, glib};

use super::bans_dialog::BansDialog;
use super::engine_link::EngineLink;
use super::i18n::{tr, tr_n};
use super::peer_columns::COLUMNS;
use super::peer_object::PeerObject;
use super::row_object::RowObject;
use super::scrolling::Place;
use super::store::KeyedStore;
use super::template::{set_text, template_class};
use super::{add_peer, columns, peer_words, question, words};

/// What an action does to the page.
type Run = fn(&PeersPage);

mod imp {
    use super::*;

    #[derive(Debug, Default, gtk::CompositeTemplate)]
    #[template(resource = "/io/github/dtorrent/DTorrent/peers_page.ui")]
    pub(crate) struct PeersPage {
        #[template_child]
        pub(super) stack: TemplateChild<gtk::Stack>,
        #[template_child]
        pub(super) totals: TemplateChild<gtk::Label>,
        #[template_child]
        pub(super) bans: TemplateChild<gtk::Button>,
        #[template_child]
        pub(super) sort: TemplateChild<gtk::MenuButton>,
        #[template_child]
        pub(super) table: TemplateChild<gtk::ColumnView>,
        #[template_child]
        pub(super) chosen: TemplateChild<gtk::Revealer>,
        #[template_child]
        pub(super) chosen_name: TemplateChild<gtk::Label>,
        #[template_child]
        pub(super) chosen_words: TemplateChild<gtk::Label>,
        pub(super) selection: gtk::SingleSelection,
        pub(super) peers: RefCell<KeyedStore<u64, PeerObject>>,
        pub(super) place: Place,
        pub(super) country: OnceCell<gtk::ColumnViewColumn>,
        pub(super) link: OnceCell<EngineLink>,
        pub(super) details: RefCell<Option<Arc<TorrentDetails>>>,
        pub(super) banned: RefCell<Arc<[IpAddr]>>,
        pub(super) bans_dialog: glib::WeakRef<BansDialog>,
    }

    template_class!(PeersPage is "DtPeersPage", a adw::Bin, then set_up);

    impl PeersPage {
        fn set_up(&self) {
            for column in &COLUMNS {
                let view = columns::append::<PeerObject>(&self.table, column);
                if column.rare {
                    // There is one of them.
                    let _ = self.country.set(view);
                }
            }
            let store = self.peers.borrow().store().clone();
            columns::show(&self.table, &store, &self.selection);
            self.place.heed(&*self.table);
            let page = self.obj().downgrade();
            columns::connect_order_changed(&self.table, move || {
                page.upgrade().inspect(super::PeersPage::show_peers);
            });
            let page = self.obj().downgrade();
            self.selection.connect_selected_item_notify(move |_| {
                page.upgrade().inspect(super::PeersPage::show_chosen);
            });
            self.obj().set_up_actions();
            self.show_sort_menu();
            self.obj().connect_map(super::PeersPage::show_peers);
        }

        pub(super) fn show_sort_menu(&self) {
            let menu = columns::sort_menu("peers", &self.table);
            self.sort.set_menu_model(Some(&menu));
        }
    }

    impl BinImpl for PeersPage {}
}

glib::wrapper! {
    pub(crate) struct PeersPage(ObjectSubclass<imp::PeersPage>)
        @extends adw::Bin, gtk::Widget,
        @implements gtk::Accessible, gtk::Buildable, gtk::ConstraintTarget;
}

impl PeersPage {
    pub(crate) fn set_link(&self, link: EngineLink) {
        // There is one engine in the life of a window.
        let _ = self.imp().link.set(link);
    }

    /// Shows the connections of this torrent; `None`: they are not known yet.
    pub(crate) fn set_details(&self, details: Option<&Arc<TorrentDetails>>) {
        self.imp().details.replace(details.cloned());
        // What nobody sees need not be worked out: there may be hundreds of peers.
        if details.is_none() || self.is_mapped() {
            self.show_peers();
        }
    }

    fn show_peers(&self) {
        let imp = self.imp();
        let details = imp.details.borrow().clone();
        let peers = details.iter().flat_map(|details| &details.peers);
        let mut peers: Vec<&PeerDetail> = peers.collect();
        // Those of another torrent begin at the first one.
        let shows_some = imp.stack.visible_child_name().as_deref() == Some("table");
        if columns::sort(&imp.table, &mut peers) && shows_some {
            imp.place.hold(&*imp.table);
        }
        imp.peers.borrow_mut().sync(
            &peers,
            |peer| peer.key,
            |peer| PeerObject::new(peer),
            |object, peer| object.update(peer),
        );
        if let Some(country) = imp.country.get() {
            let is_known = peers.iter().any(|peer| peer.country.is_some());
            if is_known && !country.is_visible() {
                country.set_visible(true);
                imp.show_sort_menu();
            }
        }
        let totals = details.as_deref().map_or_else(String::new, totals);
        set_text(&imp.totals, &totals);
        let page = if peers.is_empty() { "empty" } else { "table" };
        imp.stack.set_visible_child_name(page);
        self.show_chosen();
    }

    /// These addresses are banned.
    pub(crate) fn set_bans(&self, bans: &Arc<[IpAddr]>) {
        let imp = self.imp();
        if *imp.banned.borrow() == *bans {
            return;
        }
        imp.banned.replace(Arc::clone(bans));
        imp.bans.set_visible(!bans.is_empty());
        imp.bans
            .set_label(&tr_n!(bans.len() as u64, "{n} Banned…", "{n} Banned…"));
        if let Some(dialog) = imp.bans_dialog.upgrade() {
            dialog.set_bans(bans);
        }
    }

    fn set_up_actions(&self) {
        let group = gio::SimpleActionGroup::new();
        let actions: [(&str, Run); 4] = [
            ("add", |page| {
                let page = page.clone();
                glib::spawn_future_local(async move { page.add().await });
            }),
            ("ban", |page| {
                let page = page.clone();
                glib::spawn_future_local(async move { page.ban().await });
            }),
            ("bans", Self::show_bans),
            ("copy", |page| {
                if let Some(addr) = page.chosen(|peer| peer.addr) {
                    page.clipboard().set_text(&addr.to_string());
                }
            }),
        ];
        for (name, run) in actions {
            let action = gio::SimpleAction::new(name, None);
            let page = self.downgrade();
            action.connect_activate(move |_, _| {
                page.upgrade().inspect(run);
            });
            group.add_action(&action);
        }
        columns::add_sort_actions(&group, &self.imp().table, &COLUMNS);
        self.insert_action_group("peers", Some(&group));
    }

    /// Reads something of the peer that is chosen.
    fn chosen<T>(&self, read: impl FnOnce(&PeerDetail) -> T) -> Option<T> {
        let peer = self
            .imp()
            .selection
            .selected_item()
            .and_downcast::<PeerObject>()?;
        Some(peer.with(read))
    }

    /// Tells all that is known of the chosen peer in words.
    fn show_chosen(&self) {
        let imp = self.imp();
        let told = self.chosen(|peer| (heading(peer), in_words(peer)));
        // What is about to go must not get the keyboard that a peer had who went.
        imp.chosen.set_can_focus(told.is_some());
        imp.chosen.set_reveal_child(told.is_some());
        let (heading, words) = told.unwrap_or_default();
        set_text(&imp.chosen_name, &heading);
        set_text(&imp.chosen_words, &words);
    }

    async fn add(&self) {
        let Some(info_hash) = self
            .imp()
            .details
            .borrow()
            .as_ref()
            .map(|details| details.info_hash)
        else {
            return;
        };
        let window = self.root().and_downcast::<gtk::Window>();
        let peer = add_peer::ask(window.as_ref()).await;
        if let (Some(peer), Some(link)) = (peer, self.imp().link.get()) {
            link.send(EngineCommand::AddPeers {
                info_hash,
                peers: vec![peer],
            });
        }
    }

    async fn ban(&self) {
        let Some(ip) = self.chosen(|peer| peer.addr.ip().to_canonical()) else {
            return;
        };
        let window = self.root().and_downcast::<gtk::Window>();
        let body = tr!(
            "Nobody at {ip} is talked to any more, in any torrent, until you lift the ban here.",
            ip = ip
        );
        let dialog = adw::MessageDialog::new(window.as_ref(), Some(&tr!("Ban This Peer?")), Some(&body));
        let is_meant = question::ask(&dialog, &tr!("_Ban"), adw::ResponseAppearance::Destructive).await;
        if let Some(link) = self.imp().link.get().filter(|_| is_meant) {
            link.send(EngineCommand::BanPeer(ip));
        }
    }

    fn show_bans(&self) {
        let Some(link) = self.imp().link.get().cloned() else {
            return;
        };
        let window = self.root().and_downcast::<gtk::Window>();
        let dialog = BansDialog::new(window.as_ref(), move |ip| link.send(EngineCommand::LiftBan(ip)));
        dialog.set_bans(&self.imp().banned.borrow());
        self.imp().bans_dialog.set(Some(&dialog));
        dialog.present();
    }
}

fn heading(peer: &PeerDetail) -> String {
    let named = [
        Some(peer.addr.to_string()),
        peer.country.clone(),
        Some(peer.client.clone()),
    ];
    let named: Vec<String> = named.into_iter().flatten().collect();
    named.join(" · ")
}

/// A peer in sentences, one a line.
fn in_words(peer: &PeerDetail) -> String {
    let mut lines = vec![
        tr!(
            "Download: {why} ({rate}, {total} so far)",
            why = peer_words::why_download(peer),
            rate = words::rate(peer.download_rate),
            total = words::size(peer.downloaded)
        ),
        tr!(
            "Upload: {why} ({rate}, {total} so far)",
            why = peer_words::why_upload(peer),
            rate = words::rate(peer.upload_rate),
            total = words::size(peer.uploaded)
        ),
    ];
    let meanings = peer_words::meanings(peer);
    lines.extend((!meanings.is_empty()).then_some(meanings));
    lines.join("\n")
}

/// What all connections came to: "12 connections · 3 incoming · 4 requests · 90 peers known".
fn totals(details: &TorrentDetails) -> String {
    let incoming = details.peers.iter().filter(|peer| peer.incoming).count();
    let requested: usize = details.peers.iter().map(|peer| peer.requests_out).sum();
    let mut parts = vec![tr_n!(
        details.peers.len() as u64,
        "{n} connection",
        "{n} connections"
    )];
    if incoming > 0 {
        parts.push(tr_n!(incoming as u64, "{n} incoming", "{n} incoming"));
    }
    parts.push(tr_n!(requested as u64, "{n} request", "{n} requests"));
    if details.known_peers > details.peers.len() {
        parts.push(tr_n!(
            details.known_peers as u64,
            "{n} peer known",
            "{n} peers known"
        ));
    }
    words::unbroken_between(&parts.join(" · "), " · ")
}
