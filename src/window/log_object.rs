//! A line of the log as an object that a list can hold. Layer 4.

use std::cell::OnceCell;

use gtk::glib;
use gtk::subclass::prelude::*;

use super::log_line::LogLine;

mod imp {
    use super::*;

    #[derive(Debug, Default)]
    pub(crate) struct LogObject {
        pub(super) line: OnceCell<LogLine>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for LogObject {
        const NAME: &'static str = "DtLogObject";
        type Type = super::LogObject;
    }

    impl ObjectImpl for LogObject {}
}

glib::wrapper! {
    pub(crate) struct LogObject(ObjectSubclass<imp::LogObject>);
}

impl LogObject {
    pub(crate) fn new(line: LogLine) -> Self {
        let object: Self = glib::Object::new();
        // It was made in the line above.
        let _ = object.imp().line.set(line);
        object
    }

    pub(crate) fn line(&self) -> &LogLine {
        self.imp()
            .line
            .get()
            .expect("`new` is the only way to make one, and it sets the line")
    }
}
