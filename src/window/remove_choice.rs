//! What happens to the files of torrents that are removed, `ui/remove_choice.ui`, and the question it is
//! part of. Layer 4.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use adw::prelude::*;
use adw::subclass::prelude::*;
use async_channel::Receiver;
use dtorrent::engine::api::{FileDetail, RemoveData, TorrentSummary};
use dtorrent::id::InfoHash;
use gtk::glib;

use super::file_names::{self, FileNames};
use super::i18n::{tr, tr_n};
use super::template::{set_text, template_class};
use super::{question, words};

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
        pub(super) files: TemplateChild<FileNames>,
        pub(super) torrents: RefCell<Vec<Asked>>,
    }

    template_class!(RemoveChoice is "DtRemoveChoice", a gtk::Box, with FileNames, then set_up);

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
    /// For these torrents; `first` is chosen when the question appears.
    pub(crate) fn new(torrents: &[Arc<TorrentSummary>], first: RemoveData) -> Self {
        let choice: Self = glib::Object::new();
        let imp = choice.imp();
        imp.torrents.replace(
            torrents
                .iter()
                .map(|torrent| (Arc::clone(torrent), None))
                .collect(),
        );
        choice.show_files();
        match first {
            RemoveData::Keep => imp.keep.set_active(true),
            RemoveData::Trash => imp.trash.set_active(true),
            RemoveData::Delete => imp.delete.set_active(true),
        }
        choice
    }

    /// Names the files that would go, once they are told.
    pub(crate) fn name_files(&self, told: Receiver<(InfoHash, Arc<[FileDetail]>)>) {
        let choice = self.downgrade();
        glib::spawn_future_local(async move {
            while let Ok((info_hash, files)) = told.recv().await {
                let Some(choice) = choice.upgrade() else { return };
                choice.set_files(info_hash, files);
            }
        });
    }

    fn set_files(&self, info_hash: InfoHash, files: Arc<[FileDetail]>) {
        let known = {
            let mut torrents = self.imp().torrents.borrow_mut();
            let torrent = torrents
                .iter_mut()
                .find(|(torrent, _)| torrent.info_hash == info_hash);
            torrent.map(|(_, known)| known.replace(files)).is_some()
                && torrents.iter().all(|(_, files)| files.is_some())
        };
        // Of thousands of torrents the list is made once.
        if known {
            self.show_files();
        }
    }

    fn show_files(&self) {
        let imp = self.imp();
        let torrents = imp.torrents.borrow();
        let goes = what_goes(&torrents);
        set_text(&imp.title, &goes.title);
        imp.files.set_names(&goes.list);
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

/// A torrent, and its files if they are known.
type Asked = (Arc<TorrentSummary>, Option<Arc<[FileDetail]>>);

/// What would go.
#[derive(Debug, PartialEq, Eq)]
struct Goes {
    title: String,
    /// One line for each file.
    list: String,
}

fn what_goes(torrents: &[Asked]) -> Goes {
    let folders: BTreeSet<&Path> = torrents
        .iter()
        .map(|(torrent, _)| torrent.folder.as_path())
        .collect();
    // Files of one folder are named below it, others with theirs.
    let one = (folders.len() == 1).then(|| folders.first()).flatten();
    let folder = one.map(|folder| folder.display().to_string());
    let is_known = torrents.iter().all(|(_, files)| files.is_some());
    let own: Vec<(&Path, &FileDetail)> = torrents
        .iter()
        .flat_map(|(torrent, files)| {
            files
                .iter()
                .flat_map(|files| files.iter())
                .map(|file| (&*torrent.folder, file))
        })
        .filter(|(_, file)| file.own)
        .collect();
    let title = match (is_known, own.is_empty(), &folder) {
        (false, _, Some(folder)) => tr!(
            "The files in “{folder}” that DTorrent wrote, or found complete pieces in, will go. Which these are is \
             not known yet.",
            folder = folder
        ),
        (false, _, None) => tr!(
            "The files that DTorrent wrote, or found complete pieces in, will go. Which these are is not known yet."
        ),
        (true, true, Some(folder)) => tr!(
            "No file in “{folder}” will go: DTorrent wrote none of them and found no complete piece in them.",
            folder = folder
        ),
        (true, true, None) => {
            tr!("No file will go: DTorrent wrote none of them and found no complete piece in them.")
        }
        (true, false, Some(folder)) => tr!("These files in “{folder}” will go:", folder = folder),
        (true, false, None) => tr!("These files will go:"),
    };
    let own = if is_known { &own[..] } else { &[] };
    Goes {
        title,
        list: list(own, folder.is_none()),
    }
}

fn list(files: &[(&Path, &FileDetail)], with_folder: bool) -> String {
    file_names::listed(files, |(folder, file)| {
        let path = file.path.join("/");
        let path = if with_folder {
            folder.join(path).display().to_string()
        } else {
            path
        };
        format!("{path} ({})", words::size(file.length))
    })
}

/// Asks whether torrents shall go and what of their files; `None`: they stay.
pub(crate) async fn ask(
    parent: &impl IsA<gtk::Window>,
    torrents: &[Arc<TorrentSummary>],
    choice: &RemoveChoice,
) -> Option<RemoveData> {
    let (heading, body) = match torrents {
        [torrent] => (
            tr!("Remove the Torrent?"),
            tr!("“{name}” will be taken off the list.", name = torrent.name),
        ),
        torrents => (
            tr!("Remove the Torrents?"),
            tr_n!(
                torrents.len() as u64,
                "{n} torrent will be taken off the list.",
                "{n} torrents will be taken off the list."
            ),
        ),
    };
    let dialog = adw::MessageDialog::builder()
        .transient_for(parent)
        .modal(true)
        .heading(heading)
        .body(body)
        .extra_child(choice)
        .build();
    question::ask(&dialog, &tr!("_Remove"), adw::ResponseAppearance::Destructive)
        .await
        .then(|| choice.chosen())
}

#[cfg(test)]
mod tests {
    use super::*;
    use dtorrent::engine::api::{Priority, TorrentState};

    fn asked(number: u8, folder: &str, files: Option<&[(&str, bool)]>) -> Asked {
        let mut torrent = TorrentSummary::new(InfoHash::new([number; 20]), "t", TorrentState::Seeding);
        torrent.folder = folder.into();
        let file = |(name, own): &(&str, bool)| FileDetail {
            path: vec!["t".into(), (*name).into()],
            length: 1024,
            pieces: 0..1,
            done: 0,
            priority: Priority::Normal,
            own: *own,
            in_the_way: false,
        };
        (
            Arc::new(torrent),
            files.map(|files| files.iter().map(file).collect()),
        )
    }

    #[test]
    fn exactly_what_goes_is_named() {
        let one = what_goes(&[asked(1, "/data", Some(&[("a", true), ("b", false)]))]);
        assert_eq!(one.title, "These files in “/data” will go:");
        assert_eq!(one.list, "t/a (1 KiB)");
        let two = what_goes(&[
            asked(1, "/data", Some(&[("a", true)])),
            asked(2, "/more", Some(&[("a", true)])),
        ]);
        assert_eq!(two.title, "These files will go:");
        assert_eq!(two.list, "/data/t/a (1 KiB)\n/more/t/a (1 KiB)");
        let nothing = what_goes(&[asked(1, "/data", Some(&[("b", false)]))]);
        assert!(nothing.title.starts_with("No file in “/data” will go"));
        assert_eq!(nothing.list, "");
    }

    #[test]
    fn as_long_as_one_is_not_known_nothing_is_named() {
        let goes = what_goes(&[asked(1, "/data", Some(&[("a", true)])), asked(2, "/data", None)]);
        assert!(goes.title.ends_with("is not known yet."), "{goes:?}");
        assert_eq!(goes.list, "");
    }

    #[test]
    fn of_very_many_the_rest_is_counted() {
        let names: Vec<String> = (0..file_names::NAMED_FILES + 2)
            .map(|number| number.to_string())
            .collect();
        let files: Vec<(&str, bool)> = names.iter().map(|name| (name.as_str(), true)).collect();
        let goes = what_goes(&[asked(1, "/data", Some(&files))]);
        assert!(goes.list.ends_with("\nand 2 more files"), "{goes:?}");
        assert_eq!(goes.list.lines().count(), file_names::NAMED_FILES + 1);
    }
}
