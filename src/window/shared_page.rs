//! A torrent that was just made and is shared: what to do with its file, `ui/shared_page.ui`. Layer 4.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use adw::prelude::*;
use adw::subclass::prelude::*;
use dtorrent::metainfo::Metainfo;
use dtorrent::sentence::printable;
use gtk::{gio, glib};

use super::i18n::tr;
use super::template::{file_type, launch, set_text, template_class};
use super::torrent_out::{ask_where, copy_of, put_on, save};

mod imp {
    use super::*;

    #[derive(Debug, Default, gtk::CompositeTemplate)]
    #[template(resource = "/io/github/dtorrent/DTorrent/shared_page.ui")]
    pub(crate) struct SharedPage {
        #[template_child]
        pub(super) page: TemplateChild<adw::StatusPage>,
        #[template_child]
        pub(super) reach: TemplateChild<gtk::Label>,
        #[template_child]
        pub(super) save: TemplateChild<gtk::Button>,
        #[template_child]
        copy: TemplateChild<gtk::Button>,
        #[template_child]
        show: TemplateChild<gtk::Button>,
        #[template_child]
        pub(super) outcome: TemplateChild<gtk::Label>,
        pub(super) torrent: RefCell<Option<Arc<Metainfo>>>,
        /// Where the data is.
        pub(super) folder: RefCell<PathBuf>,
        /// Where the torrent was saved.
        pub(super) saved: RefCell<Option<PathBuf>>,
    }

    template_class!(SharedPage is "DtSharedPage", a gtk::Box, then set_up);

    impl SharedPage {
        fn set_up(&self) {
            let page = self.obj().downgrade();
            self.save.connect_clicked(move |_| {
                let Some(page) = page.upgrade() else { return };
                glib::spawn_future_local(async move { page.save_as().await });
            });
            let page = self.obj().downgrade();
            self.copy.connect_clicked(move |_| {
                let Some(page) = page.upgrade() else { return };
                glib::spawn_future_local(async move { page.copy().await });
            });
            let page = self.obj().downgrade();
            self.show.connect_clicked(move |_| {
                let Some(page) = page.upgrade() else { return };
                glib::spawn_future_local(async move { page.show_in_folder().await });
            });
        }
    }

    impl BoxImpl for SharedPage {}
}

glib::wrapper! {
    pub(crate) struct SharedPage(ObjectSubclass<imp::SharedPage>)
        @extends gtk::Box, gtk::Widget,
        @implements gtk::Accessible, gtk::Buildable, gtk::ConstraintTarget, gtk::Orientable;
}

impl SharedPage {
    /// Shows a torrent whose data is in `folder`; `held` is what should be known if it was in the list already.
    pub(crate) fn set_torrent(&self, torrent: &Arc<Metainfo>, folder: &Path, held: Option<&str>) {
        let imp = self.imp();
        let name = printable(&torrent.info.name);
        let title = match held {
            Some(_) => tr!("“{name}” Is in the List", name = name),
            None => tr!("“{name}” Is Shared", name = name),
        };
        if let Some(held) = held {
            // So does a description, and names of folders come from the disk.
            imp.page.set_description(Some(&glib::markup_escape_text(held)));
        }
        // A title reads markup, and names come from files.
        imp.page.set_title(&glib::markup_escape_text(&title));
        imp.torrent.replace(Some(Arc::clone(torrent)));
        imp.folder.replace(folder.to_owned());
        imp.saved.take();
        self.show_reach(None);
        self.tell("");
    }

    /// Says what others need to find it.
    pub(crate) fn show_reach(&self, reach: Option<&str>) {
        let imp = self.imp();
        set_text(&imp.reach, reach.unwrap_or_default());
        imp.reach.set_visible(reach.is_some());
    }

    /// Gives the keyboard to what is done first.
    pub(crate) fn begin(&self) {
        self.imp().save.grab_focus();
    }

    fn tell(&self, text: &str) {
        let outcome = &self.imp().outcome;
        set_text(outcome, text);
        outcome.set_visible(!text.is_empty());
    }

    async fn save_as(&self) {
        let imp = self.imp();
        let Some(torrent) = imp.torrent.borrow().clone() else {
            return;
        };
        let window = self.root().and_downcast::<gtk::Window>();
        let folder = imp.folder.borrow().clone();
        let Some(path) = ask_where(window.as_ref(), &torrent, Some(&folder)).await else {
            return;
        };
        match save(torrent, path.clone()).await {
            Ok(()) => {
                self.tell(&tr!("Saved as “{path}”", path = path.display()));
                imp.saved.replace(Some(path));
            }
            Err(problem) => self.tell(&problem),
        }
    }

    /// The file of the torrent: where it was saved, else one that is made for those who want it.
    async fn file(&self) -> Option<PathBuf> {
        let imp = self.imp();
        let saved = imp.saved.borrow().clone();
        // It may have been moved on.
        if let Some(saved) = saved
            && file_type(&saved).await.is_some()
        {
            return Some(saved);
        }
        let torrent = imp.torrent.borrow().clone()?;
        match copy_of(torrent).await {
            Ok(path) => Some(path),
            Err(problem) => {
                self.tell(&problem);
                None
            }
        }
    }

    /// Puts the file on the clipboard, as a file manager does.
    async fn copy(&self) {
        let Some(path) = self.file().await else { return };
        let (Ok(told) | Err(told)) = put_on(&self.clipboard(), &path);
        self.tell(&told);
    }

    /// Has the file manager show the file, or the folder that it is in.
    async fn show_in_folder(&self) {
        let Some(path) = self.file().await else { return };
        let file = gio::File::for_path(&path);
        if show_item(&file).await.is_ok() {
            return;
        }
        let folder = file.parent().unwrap_or(file);
        if let Err(error) = launch(self, &folder).await {
            self.tell(&tr!(
                "“{path}” cannot be shown: {error}",
                path = path.display(),
                error = error
            ));
        }
    }
}

/// Asks the file manager by the interface that all of them have.
async fn show_item(file: &gio::File) -> Result<(), glib::Error> {
    let bus = gio::bus_get_future(gio::BusType::Session).await?;
    let uris = vec![file.uri().to_string()];
    bus.call_future(
        Some("org.freedesktop.FileManager1"),
        "/org/freedesktop/FileManager1",
        "org.freedesktop.FileManager1",
        "ShowItems",
        Some(&(uris, "").to_variant()),
        None,
        gio::DBusCallFlags::NONE,
        -1,
    )
    .await
    .map(drop)
}
