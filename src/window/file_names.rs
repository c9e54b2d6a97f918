//! The files that a question is about, one a line, `ui/file_names.ui`. Layer 4.

use adw::prelude::*;
use adw::subclass::prelude::*;
use dtorrent::sentence::printable;
use gtk::{glib, pango};

use super::i18n::tr_n;
use super::template::template_class;

/// Files that are named one by one; the rest is counted.
pub(super) const NAMED_FILES: usize = 200;

mod imp {
    use super::*;

    #[derive(Debug, Default, gtk::CompositeTemplate)]
    #[template(resource = "/io/github/dtorrent/DTorrent/file_names.ui")]
    pub(crate) struct FileNames {
        #[template_child]
        pub(super) names: TemplateChild<gtk::Box>,
    }

    template_class!(FileNames is "DtFileNames", a adw::Bin);

    impl BinImpl for FileNames {}
}

glib::wrapper! {
    pub(crate) struct FileNames(ObjectSubclass<imp::FileNames>)
        @extends adw::Bin, gtk::Widget,
        @implements gtk::Accessible, gtk::Buildable, gtk::ConstraintTarget;
}

impl FileNames {
    /// Shows them, as [`listed`] has them.
    pub(crate) fn set_names(&self, names: &str) {
        let shown = &self.imp().names;
        while let Some(name) = shown.first_child() {
            shown.remove(&name);
        }
        for name in names.lines() {
            shown.append(&label(name));
        }
        self.set_visible(!names.is_empty());
    }
}

/// The name of a file: to be read whole, however long it is, and yet as one thing.
fn label(name: &str) -> gtk::Label {
    let label = gtk::Label::builder()
        .label(name)
        .xalign(0.0)
        .selectable(true)
        .wrap(true)
        .wrap_mode(pango::WrapMode::WordChar)
        .max_width_chars(40)
        .attributes(&without_hyphens())
        .css_classes(["caption"])
        .build();
    // Hundreds of stops between the question and its buttons.
    label.set_focusable(false);
    label
}

/// Where a name is broken, a hyphen would look like a part of it.
fn without_hyphens() -> pango::AttrList {
    let attributes = pango::AttrList::new();
    attributes.insert(pango::AttrInt::new_insert_hyphens(false));
    attributes
}

/// A line for each file, as far as they are not too many.
pub(super) fn listed<T>(files: &[T], line: impl Fn(&T) -> String) -> String {
    let named = files.iter().take(NAMED_FILES);
    let mut lines: Vec<String> = named.map(|file| printable(&line(file)).to_string()).collect();
    let more = files.len().saturating_sub(NAMED_FILES);
    if more > 0 {
        lines.push(tr_n!(more as u64, "and {n} more file", "and {n} more files"));
    }
    lines.join("\n")
}
