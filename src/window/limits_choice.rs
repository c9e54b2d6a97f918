//! The limits of one torrent, `ui/limits_choice.ui`, and the question it is part of. Layer 4.

use adw::prelude::*;
use adw::subclass::prelude::*;
use dtorrent::engine::api::TorrentSummary;
use gtk::glib;

use super::question;
use super::template::template_class;

/// Limits of one torrent in KiB/s; 0: none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) download_kib: u64,
    pub(crate) upload_kib: u64,
}

mod imp {
    use super::*;

    #[derive(Debug, Default, gtk::CompositeTemplate)]
    #[template(resource = "/io/github/dtorrent/DTorrent/limits_choice.ui")]
    pub(crate) struct LimitsChoice {
        #[template_child]
        pub(super) download: TemplateChild<gtk::SpinButton>,
        #[template_child]
        pub(super) upload: TemplateChild<gtk::SpinButton>,
    }

    template_class!(LimitsChoice is "DtLimitsChoice", a gtk::Box);

    impl BoxImpl for LimitsChoice {}
}

glib::wrapper! {
    pub(crate) struct LimitsChoice(ObjectSubclass<imp::LimitsChoice>)
        @extends gtk::Box, gtk::Widget,
        @implements gtk::Accessible, gtk::Buildable, gtk::ConstraintTarget, gtk::Orientable;
}

impl LimitsChoice {
    fn new(limits: Limits) -> Self {
        let choice: Self = glib::Object::new();
        choice.imp().download.set_value(limits.download_kib as f64);
        choice.imp().upload.set_value(limits.upload_kib as f64);
        for button in [&choice.imp().download, &choice.imp().upload] {
            // Return sets the limits, as in any other entry.
            if let Some(text) = button.delegate().and_downcast::<gtk::Text>() {
                text.set_activates_default(true);
            }
        }
        choice
    }

    fn chosen(&self) -> Limits {
        let kib = |button: &gtk::SpinButton| {
            // What was typed and not yet left counts as well.
            button.update();
            // A negative value is out of the button's range.
            button.value() as u64
        };
        Limits {
            download_kib: kib(&self.imp().download),
            upload_kib: kib(&self.imp().upload),
        }
    }
}

/// Asks for the limits of a torrent that has `limits` now; `None`: they stay.
pub(crate) async fn ask(
    parent: &impl IsA<gtk::Window>,
    summary: &TorrentSummary,
    limits: Limits,
) -> Option<Limits> {
    let choice = LimitsChoice::new(limits);
    let dialog = adw::MessageDialog::builder()
        .transient_for(parent)
        .modal(true)
        .heading("Limit This Torrent")
        .body(format!(
            "“{}” gets no more than this, and no more than the limits of all torrents leave. 0 means no limit.",
            summary.name
        ))
        .extra_child(&choice)
        .build();
    GtkWindowExt::set_focus(&dialog, Some(&*choice.imp().download));
    question::ask(&dialog, "_Set", adw::ResponseAppearance::Suggested)
        .await
        .then(|| choice.chosen())
}
