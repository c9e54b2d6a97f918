//! The question for the address of a peer. Layer 4.

use std::net::SocketAddr;

use adw::prelude::*;
use gtk::glib;

use super::i18n::tr;
use super::question;
use super::template::set_text;

/// The address that a text names, or what is wrong with it; for a person.
fn address(text: &str) -> Result<SocketAddr, String> {
    let text = text.trim();
    let addr: SocketAddr = text
        .parse()
        .map_err(|_| tr!("An address and a port, such as 192.0.2.7:6881 or [2001:db8::7]:6881"))?;
    if addr.port() == 0 {
        return Err(tr!("Port 0 is no port that anybody listens on"));
    }
    if addr.ip().is_unspecified() || addr.ip().is_multicast() {
        return Err(tr!("{ip} is not the address of a computer", ip = addr.ip()));
    }
    Ok(addr)
}

/// Asks for it; `None`: none is to be added.
pub(crate) async fn ask(parent: Option<&gtk::Window>) -> Option<SocketAddr> {
    let entry = gtk::Entry::builder()
        .activates_default(true)
        .placeholder_text("192.0.2.7:6881")
        .build();
    entry.update_property(&[gtk::accessible::Property::Label(&tr!("Address of the peer"))]);
    let problem = gtk::Label::builder()
        .wrap(true)
        .max_width_chars(40)
        .xalign(0.0)
        .css_classes(["caption"])
        .build();
    let content = gtk::Box::new(gtk::Orientation::Vertical, 6);
    content.append(&entry);
    content.append(&problem);
    let body = tr!("It is asked as soon as the torrent runs, whether a tracker knows it or not.");
    let dialog = adw::MessageDialog::new(parent, Some(&tr!("Add a Peer")), Some(&body));
    dialog.set_extra_child(Some(&content));
    GtkWindowExt::set_focus(&dialog, Some(&entry));
    let check = {
        let (dialog, problem) = (dialog.downgrade(), problem.downgrade());
        move |entry: &gtk::Entry| {
            let (Some(dialog), Some(problem)) = (dialog.upgrade(), problem.upgrade()) else {
                return;
            };
            let wrong = address(&entry.text()).err();
            let is_begun = !entry.text().is_empty();
            let invalid = match wrong {
                Some(_) if is_begun => gtk::AccessibleInvalidState::True,
                _ => gtk::AccessibleInvalidState::False,
            };
            entry.update_state(&[gtk::accessible::State::Invalid(invalid)]);
            for widget in [entry.upcast_ref::<gtk::Widget>(), problem.upcast_ref()] {
                if wrong.is_some() && is_begun {
                    widget.add_css_class("error");
                } else {
                    widget.remove_css_class("error");
                }
            }
            dialog.set_response_enabled(question::YES, wrong.is_none());
            set_text(&problem, &wrong.unwrap_or_default());
        }
    };
    let checks = check.clone();
    entry.connect_changed(move |entry| checks(entry));
    // The answers are there once it is asked.
    let first = entry.clone();
    glib::idle_add_local_once(move || check(&first));
    let is_added = question::ask(&dialog, &tr!("_Add"), adw::ResponseAppearance::Suggested).await;
    address(&entry.text()).ok().filter(|_| is_added)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_port_and_is_that_of_a_computer() {
        for good in ["192.0.2.7:6881", " [2001:db8::7]:1 ", "127.0.0.1:65535"] {
            assert!(address(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "192.0.2.7",
            "2001:db8::7:6881",
            "host:6881",
            "192.0.2.7:70000",
            "1.2.3.4:0",
            "0.0.0.0:1",
        ] {
            let told = address(bad).unwrap_err();
            assert!(!told.is_empty(), "{bad}");
        }
        assert!(
            address("224.0.0.1:5")
                .unwrap_err()
                .starts_with("224.0.0.1 is not")
        );
    }
}
