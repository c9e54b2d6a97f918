//! What happens to the files of a torrent that is removed, `ui/remove_choice.ui`, and the question it is
//! part of. Layer 4.

use adw::prelude::*;
use adw::subclass::prelude::*;
use dtorrent::engine::api::{FileDetail, RemoveData, TorrentSummary};
use gtk::glib;

use super::template::template_class;
use super::{question, words};

/// Files that are named one by one; the rest is counted.
const NAMED_FILES: usize = 200;

mod imp {
    use super::*;

    #[derive(Debug, Default, gtk::CompositeTemplate)]
    #[template(resource = "/io/github/dtorrent/DTorrent/remove_choice.ui")]
    pub(crate) struct RemoveChoice {
        #[template_child]
        pub(super) keep: TemplateChild<gtk::CheckButton>,
        #[template_child]
        pub(super) trash: TemplateChild<gtk::CheckButton>,
        #[template_child]
        pub(super) delete: TemplateChild<gtk::CheckButton>,
        #[template_child]
        pub(super) revealer: TemplateChild<gtk::Revealer>,
        #[template_child]
        pub(super) folder: TemplateChild<gtk::Label>,
        #[template_child]
        pub(super) files: TemplateChild<gtk::Label>,
    }

    template_class!(RemoveChoice is "DtRemoveChoice", a gtk::Box, then set_up);

    impl RemoveChoice {
        fn set_up(&self) {
            self.keep
                .bind_property("active", &*self.revealer, "reveal-child")
                .invert_boolean()
                .sync_create()
                .build();
        }
    }

    impl BoxImpl for RemoveChoice {}
}

glib::wrapper! {
    pub(crate) struct RemoveChoice(ObjectSubclass<imp::RemoveChoice>)
        @extends gtk::Box, gtk::Widget,
        @implements gtk::Accessible, gtk::Buildable, gtk::ConstraintTarget, gtk::Orientable;
}

impl RemoveChoice {
    fn new(summary: &TorrentSummary, files: &[FileDetail], first: RemoveData) -> Self {
        let choice: Self = glib::Object::new();
        let imp = choice.imp();
        imp.folder
            .set_label(&format!("These files in “{}” will go:", summary.folder.display()));
        imp.files.set_label(&list(files));
        match first {
            RemoveData::Keep => imp.keep.set_active(true),
            RemoveData::Trash => imp.trash.set_active(true),
            RemoveData::Delete => imp.delete.set_active(true),
        }
        choice
    }

    fn chosen(&self) -> RemoveData {
        let imp = self.imp();
        if imp.delete.is_active() {
            RemoveData::Delete
        } else if imp.trash.is_active() {
            RemoveData::Trash
        } else {
            RemoveData::Keep
        }
    }
}

/// One line for each file.
fn list(files: &[FileDetail]) -> String {
    let named = files.iter().take(NAMED_FILES);
    let mut lines: Vec<String> = named
        .map(|file| format!("{} ({})", file.path.join("/"), words::size(file.length)))
        .collect();
    if files.len() > NAMED_FILES {
        lines.push(format!(
            "and {} more",
            words::count(files.len() - NAMED_FILES, "file")
        ));
    }
    lines.join("\n")
}

/// Asks whether a torrent shall go and what of its files; `None`: it stays. `first` is chosen when the
/// question appears.
pub(crate) async fn ask(
    parent: &impl IsA<gtk::Window>,
    summary: &TorrentSummary,
    files: &[FileDetail],
    first: RemoveData,
) -> Option<RemoveData> {
    let choice = RemoveChoice::new(summary, files, first);
    let dialog = adw::MessageDialog::builder()
        .transient_for(parent)
        .modal(true)
        .heading("Remove the Torrent?")
        .body(format!("“{}” will be taken off the list.", summary.name))
        .extra_child(&choice)
        .build();
    question::ask(&dialog, "_Remove", adw::ResponseAppearance::Destructive)
        .await
        .then(|| choice.chosen())
}
