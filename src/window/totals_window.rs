//! What was transferred in this session and in all, `ui/totals_window.ui`. Layer 4.

use std::cell::Cell;
use std::time::Instant;

use adw::prelude::*;
use adw::subclass::prelude::*;
use dtorrent::engine::api::{Figures, Statistics};
use gtk::glib;

use super::i18n::{tr, tr_n};
use super::property_row::PropertyRow;
use super::template::close_by;
use super::words;

mod imp {
    use super::*;

    #[derive(Debug, Default, gtk::CompositeTemplate)]
    #[template(resource = "/io/github/dtorrent/DTorrent/totals_window.ui")]
    pub(crate) struct TotalsWindow {
        #[template_child]
        pub(super) session_downloaded: TemplateChild<PropertyRow>,
        #[template_child]
        pub(super) session_uploaded: TemplateChild<PropertyRow>,
        #[template_child]
        pub(super) session_ratio: TemplateChild<PropertyRow>,
        #[template_child]
        pub(super) session_wasted: TemplateChild<PropertyRow>,
        #[template_child]
        pub(super) session_running: TemplateChild<PropertyRow>,
        #[template_child]
        pub(super) all_time: TemplateChild<adw::PreferencesGroup>,
        #[template_child]
        pub(super) all_downloaded: TemplateChild<PropertyRow>,
        #[template_child]
        pub(super) all_uploaded: TemplateChild<PropertyRow>,
        #[template_child]
        pub(super) all_ratio: TemplateChild<PropertyRow>,
        #[template_child]
        pub(super) all_wasted: TemplateChild<PropertyRow>,
        #[template_child]
        pub(super) all_running: TemplateChild<PropertyRow>,
        #[template_child]
        pub(super) all_starts: TemplateChild<PropertyRow>,
        /// What was told last, and when.
        pub(super) told: Cell<Option<(Statistics, Instant)>>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for TotalsWindow {
        const NAME: &'static str = "DtTotalsWindow";
        type Type = super::TotalsWindow;
        type ParentType = adw::Window;

        fn class_init(class: &mut Self::Class) {
            PropertyRow::ensure_type();
            class.bind_template();
        }

        fn instance_init(object: &glib::subclass::InitializingObject<Self>) {
            object.init_template();
        }
    }

    impl ObjectImpl for TotalsWindow {
        fn dispose(&self) {
            self.dispose_template();
        }
    }

    impl WidgetImpl for TotalsWindow {}
    impl WindowImpl for TotalsWindow {}
    impl AdwWindowImpl for TotalsWindow {}
}

glib::wrapper! {
    pub(crate) struct TotalsWindow(ObjectSubclass<imp::TotalsWindow>)
        @extends adw::Window, gtk::Window, gtk::Widget,
        @implements gtk::Accessible, gtk::Buildable, gtk::ConstraintTarget, gtk::Native, gtk::Root,
            gtk::ShortcutManager;
}

impl TotalsWindow {
    /// It is filled by [`Self::show_statistics`].
    pub(crate) fn new(parent: &impl IsA<gtk::Window>) -> Self {
        let window: Self = glib::Object::builder().property("transient-for", parent).build();
        close_by(&window, "Escape");
        // A value that has the keyboard is selected, which would look as if somebody had chosen it.
        window.connect_show(|window| {
            GtkWindowExt::set_focus(window, gtk::Widget::NONE);
            window.imp().session_downloaded.deselect();
        });
        let this = window.downgrade();
        // Time goes by without anything being told.
        glib::timeout_add_seconds_local(1, move || match this.upgrade() {
            Some(window) => {
                window.show_running();
                glib::ControlFlow::Continue
            }
            None => glib::ControlFlow::Break,
        });
        window
    }

    pub(crate) fn show_statistics(&self, statistics: &Statistics) {
        let imp = self.imp();
        imp.told.set(Some((*statistics, Instant::now())));
        let (session, all) = (&statistics.session, &statistics.all_time);
        imp.session_downloaded.set_value(&words::size(session.downloaded));
        imp.session_uploaded.set_value(&words::size(session.uploaded));
        imp.session_ratio.set_value(&ratio(session));
        imp.session_wasted.set_value(&wasted(session));
        imp.all_downloaded.set_value(&words::size(all.downloaded));
        imp.all_uploaded.set_value(&words::size(all.uploaded));
        imp.all_ratio.set_value(&ratio(all));
        imp.all_wasted.set_value(&wasted(all));
        imp.all_starts
            .set_value(&tr_n!(all.starts, "{n} time", "{n} times"));
        imp.all_time.set_description(since(statistics.since).as_deref());
        self.show_running();
    }

    fn show_running(&self) {
        if let Some((statistics, when)) = self.imp().told.get() {
            let passed = |figures: &Figures| words::time(figures.running + when.elapsed());
            self.imp().session_running.set_value(&passed(&statistics.session));
            self.imp().all_running.set_value(&passed(&statistics.all_time));
        }
    }
}

fn ratio(figures: &Figures) -> String {
    match figures.downloaded {
        0 => words::NONE.to_owned(),
        // Not of the torrents' sizes, as that of each of them is: those of all time are not on the list any more.
        downloaded => words::ratio(figures.uploaded as f64 / downloaded as f64),
    }
}

/// Bytes, and their share of all that came.
fn wasted(figures: &Figures) -> String {
    let size = words::size(figures.wasted);
    match figures.downloaded {
        0 => size,
        downloaded => tr!(
            "{size} ({share})",
            size = size,
            share = words::percent(figures.wasted as f64 / downloaded as f64),
        ),
    }
}

/// The day of the first start, as the user's language has it.
fn since(unix_seconds: u64) -> Option<String> {
    let date = glib::DateTime::from_unix_local(i64::try_from(unix_seconds).ok()?).ok()?;
    Some(tr!("Since {date}", date = date.format("%x").ok()?))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn shares_are_of_what_came() {
        let figures = |downloaded, uploaded, wasted| Figures {
            downloaded,
            uploaded,
            wasted,
            running: Duration::ZERO,
            starts: 1,
        };
        assert_eq!(ratio(&figures(0, 5, 0)), "–");
        assert_eq!(ratio(&figures(4, 6, 0)), "1.50");
        assert_eq!(wasted(&figures(0, 0, 0)), "0 B");
        assert_eq!(wasted(&figures(2048, 0, 1024)), "1 KiB (50 %)");
    }
}
