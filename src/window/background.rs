//! The program without its window: what the desktop says of it. Layer 4.

use gtk::gio;
use gtk::gio::prelude::*;

use super::i18n::tr;

/// The notification, which a later one replaces.
const ID: &str = "background";

/// Says that everything goes on, and how it ends.
pub(super) fn tell(app: &impl IsA<gio::Application>) {
    let notification = gio::Notification::new(&tr!("DTorrent Goes On in the Background"));
    notification.set_body(Some(&tr!("Start it again to see its window.")));
    // Without an action of its own, a click on it shows the window.
    notification.add_button(&tr!("Quit"), "app.quit");
    app.send_notification(Some(ID), &notification);
}

/// The window is there again.
pub(super) fn withdraw(app: &impl IsA<gio::Application>) {
    app.withdraw_notification(ID);
}
