//! A line in the log window, `ui/log_row.ui`. Layer 4.

use gtk::glib;
use gtk::prelude::*;
use gtk::subclass::prelude::*;
use log::Level;

use super::i18n::tr;
use super::log_object::LogObject;
use super::template::template_class;

mod imp {
    use super::*;

    #[derive(Debug, Default, gtk::CompositeTemplate)]
    #[template(resource = "/io/github/dtorrent/DTorrent/log_row.ui")]
    pub(crate) struct LogRow {
        #[template_child]
        pub(super) level: TemplateChild<gtk::Label>,
        #[template_child]
        pub(super) text: TemplateChild<gtk::Label>,
        #[template_child]
        pub(super) time: TemplateChild<gtk::Label>,
    }

    template_class!(LogRow is "DtLogRow", a gtk::Box);

    impl BoxImpl for LogRow {}
}

glib::wrapper! {
    pub(crate) struct LogRow(ObjectSubclass<imp::LogRow>)
        @extends gtk::Box, gtk::Widget,
        @implements gtk::Accessible, gtk::Buildable, gtk::ConstraintTarget, gtk::Orientable;
}

impl Default for LogRow {
    fn default() -> Self {
        glib::Object::new()
    }
}

impl LogRow {
    /// Shows this line; a row that was put away keeps its text until it is used again.
    pub(crate) fn set_line(&self, line: Option<&LogObject>) {
        let Some(line) = line.map(LogObject::line) else {
            return;
        };
        let imp = self.imp();
        imp.level.set_label(&level_words(line.level));
        for (class, level) in [("error", Level::Error), ("warning", Level::Warn)] {
            if line.level == level {
                imp.level.add_css_class(class);
            } else {
                imp.level.remove_css_class(class);
            }
        }
        imp.text.set_label(&line.text);
        imp.time.set_label(&line.time);
    }
}

fn level_words(level: Level) -> String {
    match level {
        Level::Error => tr!("Error"),
        Level::Warn => tr!("Warning"),
        Level::Info => tr!("Info"),
        Level::Debug => tr!("Debug"),
        Level::Trace => tr!("Trace"),
    }
}
