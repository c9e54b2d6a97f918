//! The addresses that are banned, `ui/bans_dialog.ui`, and a way to lift each ban. Layer 4.

use std::cell::{OnceCell, RefCell};
use std::net::IpAddr;

use adw::prelude::*;
use adw::subclass::prelude::*;
use gtk::{gio, glib};

use super::i18n::tr;
use super::template::{close_by, template_class};

/// Called with the address whose ban is to be lifted.
type OnLift = Box<dyn Fn(IpAddr)>;

mod imp {
    use super::*;

    #[derive(Default, gtk::CompositeTemplate)]
    #[template(resource = "/io/github/dtorrent/DTorrent/bans_dialog.ui")]
    pub(crate) struct BansDialog {
        #[template_child]
        pub(super) list: TemplateChild<gtk::ListBox>,
        pub(super) rows: RefCell<Vec<(IpAddr, adw::ActionRow)>>,
        pub(super) on_lift: OnceCell<OnLift>,
    }

    template_class!(BansDialog is "DtBansDialog", a adw::Window, then set_up);

    impl BansDialog {
        fn set_up(&self) {
            close_by(&*self.obj(), "Escape");
        }
    }

    impl WindowImpl for BansDialog {}
    impl AdwWindowImpl for BansDialog {}
}

glib::wrapper! {
    pub(crate) struct BansDialog(ObjectSubclass<imp::BansDialog>)
        @extends adw::Window, gtk::Window, gtk::Widget,
        @implements gio::ActionGroup, gtk::Accessible, gtk::Buildable, gtk::ConstraintTarget, gtk::Native, gtk::Root,
            gtk::ShortcutManager;
}

impl BansDialog {
    pub(crate) fn new(parent: Option<&gtk::Window>, on_lift: impl Fn(IpAddr) + 'static) -> Self {
        let dialog: Self = glib::Object::builder().property("transient-for", parent).build();
        // It was made in the line above.
        let _ = dialog.imp().on_lift.set(Box::new(on_lift));
        dialog
    }

    /// Shows these addresses.
    pub(crate) fn set_bans(&self, bans: &[IpAddr]) {
        let imp = self.imp();
        let mut rows = imp.rows.borrow_mut();
        rows.retain(|(ip, row)| {
            let is_banned = bans.contains(ip);
            if !is_banned {
                // The keyboard may be in the row that goes.
                GtkWindowExt::set_focus(self, gtk::Widget::NONE);
                imp.list.remove(row);
            }
            is_banned
        });
        for (position, ip) in bans.iter().enumerate() {
            if rows.get(position).is_none_or(|(shown, _)| shown != ip) {
                let row = self.row(*ip);
                imp.list.insert(&row, position as i32);
                rows.insert(position, (*ip, row));
            }
        }
    }

    fn row(&self, ip: IpAddr) -> adw::ActionRow {
        let row = adw::ActionRow::builder().title(ip.to_string()).build();
        let lift = gtk::Button::builder()
            .label(tr!("Lift"))
            .valign(gtk::Align::Center)
            .build();
        lift.update_property(&[gtk::accessible::Property::Label(&tr!(
            "Lift the ban of {ip}",
            ip = ip
        ))]);
        let dialog = self.downgrade();
        lift.connect_clicked(move |_| {
            let dialog = dialog.upgrade();
            if let Some(on_lift) = dialog.as_ref().and_then(|dialog| dialog.imp().on_lift.get()) {
                on_lift(ip);
            }
        });
        row.add_suffix(&lift);
        row
    }
}
