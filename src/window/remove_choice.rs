//! What happens to the files of a torrent that is removed, `ui/remove_choice.ui`, and the question it is
//! part of. Layer 4.

use std::cell::OnceCell;
use std::path::Path;

use adw::prelude::*;
use adw::subclass::prelude::*;
use dtorrent::engine::api::{FileDetail, RemoveData, TorrentDetails, TorrentSummary};
use dtorrent::size::Count;
use gtk::glib;

use super::template::{set_text, template_class};
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
        pub(super) title: TemplateChild<gtk::Label>,
        #[template_child]
        pub(super) list: TemplateChild<gtk::ScrolledWindow>,
        #[template_child]
        pub(super) files: TemplateChild<gtk::Label>,
        pub(super) summary: OnceCell<TorrentSummary>,
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
    /// For this torrent; `first` is chosen when the question appears.
    pub(crate) fn new(summary: &TorrentSummary, first: RemoveData) -> Self {
        let choice: Self = glib::Object::new();
        let imp = choice.imp();
        // The choice was made in the line above.
        let _ = imp.summary.set(summary.clone());
        choice.show_files(None);
        match first {
            RemoveData::Keep => imp.keep.set_active(true),
            RemoveData::Trash => imp.trash.set_active(true),
            RemoveData::Delete => imp.delete.set_active(true),
        }
        choice
    }

    /// Names the files that would go, if these details are of the torrent in question.
    pub(crate) fn set_details(&self, details: &TorrentDetails) {
        let summary = self.imp().summary.get();
        if summary.is_some_and(|summary| summary.info_hash == details.info_hash) {
            self.show_files(Some(&details.files));
        }
    }

    /// `None`: they are not known yet.
    fn show_files(&self, files: Option<&[FileDetail]>) {
        let imp = self.imp();
        let own: Vec<&FileDetail> = files.into_iter().flatten().filter(|file| file.own).collect();
        let folder = imp.summary.get().map(|summary| &*summary.folder);
        let title = what_goes(files.map(|_| own.len()), folder.unwrap_or(Path::new("")));
        set_text(&imp.title, &title);
        set_text(&imp.files, &list(&own));
        imp.list.set_visible(!own.is_empty());
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

/// What stands above the list of so many files; `None`: nothing is known of them yet.
fn what_goes(count: Option<usize>, folder: &Path) -> String {
    let folder = folder.display();
    match count {
        None => format!(
            "The files in “{folder}” that DTorrent wrote, or found complete pieces in, will go. Which these \
             are is not known yet."
        ),
        Some(0) => format!(
            "No file in “{folder}” will go: DTorrent wrote none of them and found no complete piece in them."
        ),
        Some(_) => format!("These files in “{folder}” will go:"),
    }
}

/// One line for each file.
fn list(files: &[&FileDetail]) -> String {
    let named = files.iter().take(NAMED_FILES);
    let mut lines: Vec<String> = named
        .map(|file| format!("{} ({})", file.path.join("/"), words::size(file.length)))
        .collect();
    if files.len() > NAMED_FILES {
        lines.push(format!(
            "and {} more",
            Count((files.len() - NAMED_FILES) as u64, "file")
        ));
    }
    lines.join("\n")
}

/// Asks whether a torrent shall go and what of its files; `None`: it stays.
pub(crate) async fn ask(
    parent: &impl IsA<gtk::Window>,
    summary: &TorrentSummary,
    choice: &RemoveChoice,
) -> Option<RemoveData> {
    let dialog = adw::MessageDialog::builder()
        .transient_for(parent)
        .modal(true)
        .heading("Remove the Torrent?")
        .body(format!("“{}” will be taken off the list.", summary.name))
        .extra_child(choice)
        .build();
    question::ask(&dialog, "_Remove", adw::ResponseAppearance::Destructive)
        .await
        .then(|| choice.chosen())
}
