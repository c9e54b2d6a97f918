//! The *Statistics* tab of a torrent, `ui/statistics_page.ui`: a table of its connections. Layer 4.

use std::cell::RefCell;
use std::cmp::Ordering;

use adw::prelude::*;
use adw::subclass::prelude::*;
use dtorrent::engine::api::{PeerDetail, TorrentDetails};
use dtorrent::size::Count;
use gtk::glib;

use super::peer_object::PeerObject;
use super::store::KeyedStore;
use super::template::template_class;
use super::words;

/// A column of the table.
struct Column {
    title: &'static str,
    text: fn(&PeerDetail) -> String,
    order: fn(&PeerDetail, &PeerDetail) -> Ordering,
    /// Numbers stand at the right.
    numeric: bool,
}

const COLUMNS: [Column; 8] = [
    Column {
        title: "Client",
        text: |peer| peer.client.clone(),
        order: |one, other| one.client.cmp(&other.client),
        numeric: false,
    },
    Column {
        title: "IP and Port",
        text: |peer| peer.addr.to_string(),
        order: |one, other| one.addr.cmp(&other.addr),
        numeric: false,
    },
    Column {
        title: "Progress",
        text: |peer| words::percent(peer.progress),
        order: |one, other| one.progress.total_cmp(&other.progress),
        numeric: true,
    },
    Column {
        title: "Download",
        text: |peer| words::rate(peer.download_rate),
        order: |one, other| one.download_rate.cmp(&other.download_rate),
        numeric: true,
    },
    Column {
        title: "Upload",
        text: |peer| words::rate(peer.upload_rate),
        order: |one, other| one.upload_rate.cmp(&other.upload_rate),
        numeric: true,
    },
    Column {
        title: "Peer’s State",
        text: words::peer_state,
        order: |one, other| {
            (one.peer_choking, !one.peer_interested).cmp(&(other.peer_choking, !other.peer_interested))
        },
        numeric: false,
    },
    Column {
        title: "Our State",
        text: words::own_state,
        order: |one, other| {
            (one.am_choking, !one.am_interested).cmp(&(other.am_choking, !other.am_interested))
        },
        numeric: false,
    },
    Column {
        title: "Peer ID",
        text: |peer| peer.peer_id.clone(),
        order: |one, other| one.peer_id.cmp(&other.peer_id),
        numeric: false,
    },
];

mod imp {
    use super::*;

    #[derive(Debug, Default, gtk::CompositeTemplate)]
    #[template(resource = "/io/github/dtorrent/DTorrent/statistics_page.ui")]
    pub(crate) struct StatisticsPage {
        #[template_child]
        pub(super) stack: TemplateChild<gtk::Stack>,
        #[template_child]
        pub(super) totals: TemplateChild<gtk::Label>,
        #[template_child]
        pub(super) table: TemplateChild<gtk::ColumnView>,
        pub(super) peers: RefCell<KeyedStore<u64, PeerObject>>,
    }

    template_class!(StatisticsPage is "DtStatisticsPage", a adw::Bin, then set_up);

    impl StatisticsPage {
        fn set_up(&self) {
            for column in &COLUMNS {
                self.table.append_column(&view_column(column));
            }
            let store = self.peers.borrow().store().clone();
            let sorted = gtk::SortListModel::new(Some(store), self.table.sorter());
            self.table.set_model(Some(&gtk::NoSelection::new(Some(sorted))));
        }
    }

    impl BinImpl for StatisticsPage {}
}

glib::wrapper! {
    pub(crate) struct StatisticsPage(ObjectSubclass<imp::StatisticsPage>)
        @extends adw::Bin, gtk::Widget,
        @implements gtk::Accessible, gtk::Buildable, gtk::ConstraintTarget;
}

impl StatisticsPage {
    /// Shows the connections of this torrent; `None`: they are not known yet.
    pub(crate) fn set_details(&self, details: Option<&TorrentDetails>) {
        let imp = self.imp();
        let peers = details.map_or(&[][..], |details| &details.peers);
        imp.peers
            .borrow_mut()
            .sync(peers, |peer| peer.key, PeerObject::new, PeerObject::update);
        // The store tells of peers that come and go; that their values have changed only we know.
        if let Some(sorter) = imp.table.sorter().filter(|_| !peers.is_empty()) {
            sorter.changed(gtk::SorterChange::Different);
        }
        imp.totals.set_label(&details.map_or_else(String::new, totals));
        let page = if peers.is_empty() { "empty" } else { "table" };
        imp.stack.set_visible_child_name(page);
    }
}

/// What all connections came to: "12 connections (3 incoming) · 4 requests out · wasted 16 KiB".
fn totals(details: &TorrentDetails) -> String {
    let incoming = details.peers.iter().filter(|peer| peer.incoming).count();
    let requested: usize = details.peers.iter().map(|peer| peer.requests_out).sum();
    let mut text = Count(details.peers.len() as u64, "connection").to_string();
    text += &format!(
        " ({incoming} incoming) · {} out",
        Count(requested as u64, "request")
    );
    if details.wasted > 0 {
        text += &format!(" · {} came twice", words::size(details.wasted));
    }
    text
}

fn view_column(column: &'static Column) -> gtk::ColumnViewColumn {
    let factory = gtk::SignalListItemFactory::new();
    factory.connect_setup(|_, item| {
        let Some(item) = item.downcast_ref::<gtk::ListItem>() else {
            return;
        };
        let label = gtk::Label::builder()
            .xalign(if column.numeric { 1.0 } else { 0.0 })
            .selectable(true)
            .build();
        label.add_css_class("numeric");
        text_expression(column.text).bind(&label, "label", Some(item));
        item.set_child(Some(&label));
    });
    let order = column.order;
    let sorter = gtk::CustomSorter::new(move |one, other| {
        let compare =
            |one: &PeerObject, other: &PeerObject| one.with(|one| other.with(|other| order(one, other)));
        match (one.downcast_ref(), other.downcast_ref()) {
            (Some(one), Some(other)) => compare(one, other).into(),
            _ => gtk::Ordering::Equal,
        }
    });
    let view = gtk::ColumnViewColumn::new(Some(column.title), Some(factory));
    view.set_sorter(Some(&sorter));
    view.set_resizable(true);
    view
}

/// The text of a cell: read again from the peer of the list item whenever that has a new revision.
fn text_expression(text: fn(&PeerDetail) -> String) -> gtk::Expression {
    let peer = gtk::ListItem::this_expression("item");
    let revision = peer.chain_property::<PeerObject>("revision");
    let read =
        glib::closure!(move |_: Option<glib::Object>, peer: &PeerObject, _revision: u64| peer.with(text));
    gtk::ClosureExpression::new::<String>([peer.upcast(), revision.upcast()], read).upcast()
}
