//! The question for the address of a torrent. Layer 4.

use adw::prelude::*;

use super::i18n::tr;
use super::question;

/// Asks for a link, with this one to begin with; `None`: nothing is to be fetched.
pub(crate) async fn ask(parent: &impl IsA<gtk::Window>, first: &str) -> Option<String> {
    let entry = gtk::Entry::builder()
        .text(first)
        .placeholder_text("https://example.org/file.torrent")
        .input_purpose(gtk::InputPurpose::Url)
        .activates_default(true)
        .build();
    entry.update_property(&[gtk::accessible::Property::Label(&tr!("Link"))]);
    let dialog = adw::MessageDialog::builder()
        .transient_for(parent)
        .modal(true)
        .heading(tr!("Add from a Link"))
        .body(tr!("The address of a torrent file, as it stands on a web page."))
        .extra_child(&entry)
        .build();
    GtkWindowExt::set_focus(&dialog, Some(&entry));
    let fetch = question::ask(&dialog, &tr!("_Fetch"), adw::ResponseAppearance::Suggested).await;
    let link = entry.text().trim().to_owned();
    Some(link).filter(|link| fetch && !link.is_empty())
}
