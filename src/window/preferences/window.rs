//! The window of the preferences, `ui/preferences.ui`. Layer 4.

use std::cell::{OnceCell, RefCell};

use adw::prelude::*;
use adw::subclass::prelude::*;
use dtorrent::engine::api::{EngineCommand, SettingChange};
use gtk::{gdk, glib};

use super::SettingsInView;
use super::days_row::DaysRow;
use super::setting::SettingOwner;
use super::setting_row::SettingRow;
use super::text_row::TextRow;
use crate::window::children::children;
use crate::window::engine_link::EngineLink;
use crate::window::i18n::{tr, tr_n};
use crate::window::toasts::{Toasts, toast};

/// How long defaults that came back can be undone: who does so must look through a page first.
const UNDO_SECONDS: u32 = 20;

/// A row of any kind.
#[derive(Debug, Clone)]
enum AnyRow {
    Setting(SettingRow),
    Text(TextRow),
    Days(DaysRow),
}

impl AnyRow {
    fn of(widget: &gtk::Widget) -> Option<Self> {
        let setting = widget.downcast_ref().cloned().map(Self::Setting);
        setting
            .or_else(|| widget.downcast_ref().cloned().map(Self::Text))
            .or_else(|| widget.downcast_ref().cloned().map(Self::Days))
    }

    fn begin(&self, settings: &SettingsInView, link: EngineLink) {
        let on_change = Box::new(move |change| link.send(EngineCommand::ChangeSettings(vec![change])));
        match self {
            Self::Setting(row) => row.begin(settings, on_change),
            Self::Text(row) => row.begin(settings, on_change),
            Self::Days(row) => row.begin(settings, on_change),
        }
    }

    fn show(&self, settings: &SettingsInView) {
        match self {
            Self::Setting(row) => row.show_settings(settings),
            Self::Text(row) => row.show_settings(settings),
            Self::Days(row) => row.show_settings(settings),
        }
    }

    fn finish(&self) {
        match self {
            Self::Setting(row) => row.finish(),
            Self::Text(row) => row.finish(),
            Self::Days(_) => {}
        }
    }

    fn discard(&self) {
        match self {
            Self::Setting(row) => row.discard(),
            Self::Text(row) => row.discard(),
            Self::Days(_) => {}
        }
    }

    fn widget(&self) -> &gtk::Widget {
        match self {
            Self::Setting(row) => row.upcast_ref(),
            Self::Text(row) => row.upcast_ref(),
            Self::Days(row) => row.upcast_ref(),
        }
    }

    /// The key that it shows, `section.key`.
    fn name(&self) -> String {
        let (section, key) = match self {
            Self::Setting(row) => row.setting().names(),
            Self::Text(row) => row.setting().names(),
            Self::Days(row) => row.setting().names(),
        };
        format!("{section}.{key}")
    }

    /// Gives the keyboard to what shows the setting.
    fn focus_editor(&self) {
        match self {
            Self::Setting(row) => row.focus_editor(),
            Self::Text(row) => {
                row.grab_focus();
            }
            Self::Days(row) => {
                row.child_focus(gtk::DirectionType::TabForward);
            }
        }
    }

    /// What brings its default back, and what undoes that.
    fn restoration(&self) -> Option<(SettingChange, SettingChange)> {
        match self {
            Self::Setting(row) => row.restoration(),
            Self::Text(row) => row.restoration(),
            Self::Days(row) => row.restoration(),
        }
    }
}

mod imp {
    use super::*;

    #[derive(Debug, Default, gtk::CompositeTemplate)]
    #[template(resource = "/io/github/dtorrent/DTorrent/preferences.ui")]
    pub(crate) struct PreferencesWindow {
        pub(super) rows: RefCell<Vec<AnyRow>>,
        pub(super) link: OnceCell<EngineLink>,
        toasts: OnceCell<Toasts>,
    }

    impl PreferencesWindow {
        pub(super) fn toasts(&self) -> &Toasts {
            self.toasts.get_or_init(|| {
                let window = self.obj();
                let add = window.downgrade();
                Toasts::over(&*window, move |toast| {
                    add.upgrade().inspect(|window| window.add_toast(toast));
                })
            })
        }
    }

    #[glib::object_subclass]
    impl ObjectSubclass for PreferencesWindow {
        const NAME: &'static str = "DtPreferencesWindow";
        type Type = super::PreferencesWindow;
        type ParentType = adw::PreferencesWindow;

        fn class_init(class: &mut Self::Class) {
            SettingRow::ensure_type();
            TextRow::ensure_type();
            DaysRow::ensure_type();
            class.bind_template();
            class.install_action("preferences.restore-page", None, |window, _, _| {
                window.restore_page();
            });
        }

        fn instance_init(object: &glib::subclass::InitializingObject<Self>) {
            object.init_template();
        }
    }

    impl ObjectImpl for PreferencesWindow {
        fn dispose(&self) {
            self.dispose_template();
        }
    }

    impl WidgetImpl for PreferencesWindow {}

    impl WindowImpl for PreferencesWindow {
        /// What was typed last counts, too, unless Escape has taken it back.
        fn close_request(&self) -> glib::Propagation {
            self.rows.borrow().iter().for_each(AnyRow::finish);
            self.parent_close_request()
        }
    }

    impl AdwWindowImpl for PreferencesWindow {}
    impl PreferencesWindowImpl for PreferencesWindow {}
}

glib::wrapper! {
    pub(crate) struct PreferencesWindow(ObjectSubclass<imp::PreferencesWindow>)
        @extends adw::PreferencesWindow, adw::Window, gtk::Window, gtk::Widget,
        @implements gtk::Accessible, gtk::Buildable, gtk::ConstraintTarget, gtk::Native, gtk::Root,
            gtk::ShortcutManager;
}

impl PreferencesWindow {
    /// `settings` are shown until [`Self::show_settings`] tells others.
    pub(crate) fn new(parent: &impl IsA<gtk::Window>, link: EngineLink, settings: &SettingsInView) -> Self {
        let window: Self = glib::Object::builder().property("transient-for", parent).build();
        // Not wider than what it lies on.
        let width = parent.upcast_ref::<gtk::Window>().width();
        window.set_default_width(width.clamp(window.width_request(), window.default_width()));
        let mut rows = Vec::new();
        collect(window.upcast_ref(), &mut rows);
        for row in &rows {
            row.begin(settings, link.clone());
        }
        window.imp().rows.replace(rows);
        name_search_button(window.upcast_ref());
        window.set_up_escape();
        // The window was made above.
        let _ = window.imp().link.set(link);
        window
    }

    /// Escape closes the window, or what is open in it; what was typed and not confirmed does not count then.
    fn set_up_escape(&self) {
        let keys = gtk::EventControllerKey::new();
        // Before the window closes.
        keys.set_propagation_phase(gtk::PropagationPhase::Capture);
        let window = self.downgrade();
        keys.connect_key_pressed(move |_, key, _, _| {
            if let (gdk::Key::Escape, Some(window)) = (key, window.upgrade()) {
                window.imp().rows.borrow().iter().for_each(AnyRow::discard);
            }
            glib::Propagation::Proceed
        });
        self.add_controller(keys);
    }

    /// These settings hold now.
    pub(crate) fn show_settings(&self, settings: &SettingsInView) {
        for row in &*self.imp().rows.borrow() {
            row.show(settings);
        }
    }

    /// Shows a page by its name, or leads to the row of a setting, `section.key`.
    pub(crate) fn go_to(&self, place: &str) {
        // A search would be before it.
        self.set_search_enabled(false);
        self.set_search_enabled(true);
        let row = self
            .imp()
            .rows
            .borrow()
            .iter()
            .find(|row| row.name() == place)
            .cloned();
        let Some(row) = row else {
            return self.set_visible_page_name(place);
        };
        let page = row.widget().ancestor(adw::PreferencesPage::static_type());
        if let Some(page) = page.and_downcast::<adw::PreferencesPage>() {
            self.set_visible_page(&page);
        }
        self.add_tick_callback(move |_, _| {
            // What has no place yet cannot be brought into view.
            if row.widget().height() == 0 {
                return glib::ControlFlow::Continue;
            }
            row.focus_editor();
            glib::ControlFlow::Break
        });
    }

    fn send(&self, changes: Vec<SettingChange>) {
        if let Some(link) = self.imp().link.get() {
            link.send(EngineCommand::ChangeSettings(changes));
        }
    }

    /// Gives all keys of the page that is shown their defaults.
    fn restore_page(&self) {
        let mut rows = Vec::new();
        if let Some(page) = self.visible_page() {
            collect(page.upcast_ref(), &mut rows);
        }
        let (changes, undo): (Vec<_>, Vec<_>) = rows.iter().filter_map(AnyRow::restoration).unzip();
        if changes.is_empty() {
            let told = tr!("This page has its defaults already");
            return self.imp().toasts().show(toast(&told));
        }
        let count = changes.len() as u64;
        self.send(changes);
        let toast = toast(&tr_n!(
            count,
            "{n} setting has its default",
            "{n} settings have their defaults"
        ));
        toast.set_button_label(Some(&tr!("_Undo")));
        toast.set_timeout(UNDO_SECONDS);
        let window = self.downgrade();
        toast.connect_button_clicked(move |_| {
            window.upgrade().inspect(|window| window.send(undo.clone()));
        });
        self.imp().toasts().show(toast);
    }
}

/// All rows below a widget.
fn collect(widget: &gtk::Widget, rows: &mut Vec<AnyRow>) {
    if let Some(row) = AnyRow::of(widget) {
        return rows.push(row);
    }
    children(widget).for_each(|child| collect(&child, rows));
}

/// libadwaita 1.2 gives the button that begins a search a hint, but no name.
fn name_search_button(widget: &gtk::Widget) -> bool {
    if let Some(button) = widget.downcast_ref::<gtk::ToggleButton>()
        && button.icon_name().as_deref() == Some("edit-find-symbolic")
    {
        button.update_property(&[gtk::accessible::Property::Label(&tr!("Search"))]);
        return true;
    }
    children(widget).any(|child| name_search_button(&child))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use dtorrent::config::{Config, SHIPPED, setting};
    use dtorrent::engine::api::SettingValue;

    const TEMPLATE: &str = include_str!("../../../ui/preferences.ui");

    /// The properties of each row that names a setting.
    fn rows() -> Vec<Vec<(&'static str, &'static str)>> {
        let rows = TEMPLATE.split("<object class=\"Dt").skip(1);
        rows.map(|row| {
            let own = row.split("</object>").next().unwrap_or_default();
            let properties = own.split("<property name=\"").skip(1);
            let pair = |property: &'static str| {
                let (name, rest) = property.split_once('"')?;
                Some((name, rest.split_once('>')?.1.split_once('<')?.0))
            };
            properties.filter_map(pair).collect()
        })
        .collect()
    }

    fn property<'a>(row: &[(&str, &'a str)], wanted: &str) -> Option<&'a str> {
        row.iter()
            .find(|(name, _)| *name == wanted)
            .map(|(_, value)| *value)
    }

    #[test]
    fn each_key_of_the_file_has_one_row() {
        let document: toml_edit::DocumentMut = SHIPPED.parse().unwrap();
        let keys = document.iter().flat_map(|(section, table)| {
            let table = table.as_table().unwrap();
            table.iter().map(move |(key, _)| format!("{section}.{key}"))
        });
        let keys: BTreeSet<String> = keys.collect();
        let rows = rows();
        let named = rows.iter().map(|row| {
            property(row, "setting-name")
                .unwrap_or("schedule.days")
                .to_owned()
        });
        let shown: BTreeSet<String> = named.collect();
        assert_eq!(shown, keys);
        assert_eq!(rows.len(), keys.len(), "one row each");
    }

    #[test]
    fn numbers_name_the_ranges_that_hold() {
        for row in rows() {
            let name = property(&row, "setting-name").unwrap_or("schedule.days");
            let (section, key) = name.split_once('.').unwrap();
            let is_number = matches!(
                Config::default().setting(section, key),
                Some(SettingValue::Number(_))
            );
            let edge = |edge| property(&row, edge).map(|text| text.parse::<i64>().unwrap());
            let edges = (edge("minimum"), edge("maximum"));
            if !is_number {
                assert_eq!(edges, (None, None), "{name}");
                continue;
            }
            let (minimum, maximum) = (edges.0.unwrap_or(0), edges.1.unwrap());
            for (number, expected) in [
                (minimum - 1, false),
                (minimum, true),
                (maximum, true),
                (maximum + 1, false),
            ] {
                let allowed = setting::check(section, key, &number.into()).is_ok();
                assert_eq!(allowed, expected, "{name} = {number}");
            }
        }
    }
}
