//! A setting that is typed: when what stands in its entry counts, and what to do if it means nothing. Layer 4.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use adw::prelude::*;
use dtorrent::engine::api::SettingValue;
use dtorrent::ratio::RatioLimit;
use gtk::glib;

use super::setting::SettingOwner;

/// A number counts when nothing more was typed for so long: its first digits alone would be another number.
const REST: Duration = Duration::from_millis(900);

/// How a text becomes a value, and back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// A whole number.
    Number,
    /// A ratio.
    Ratio,
    /// A time of the day.
    Time,
    /// Any text.
    Text,
    /// Texts with commas or blanks between them.
    List,
}

impl Form {
    /// `None`: it has not this form.
    pub(super) fn read(self, text: &str) -> Option<SettingValue> {
        let text = text.trim();
        Some(match self {
            Self::Number => {
                let digits = text.strip_prefix('-').unwrap_or(text);
                let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
                SettingValue::Number(is_number.then(|| text.parse().ok())??)
            }
            Self::Ratio => SettingValue::Ratio(RatioLimit::parse(text)?),
            // The clock has two digits for the hour, whatever was typed.
            Self::Time => match text.split_once(':') {
                Some((hour, minute)) if hour.len() == 1 => SettingValue::Text(format!("0{hour}:{minute}")),
                _ => SettingValue::Text(text.to_owned()),
            },
            Self::Text => SettingValue::Text(text.to_owned()),
            Self::List => {
                let parts = text.split([',', ' ', '\t', '\n', ';']);
                let parts = parts.filter(|part| !part.is_empty()).map(str::to_owned);
                SettingValue::List(parts.collect())
            }
        })
    }

    pub(super) fn write(value: &SettingValue) -> String {
        match value {
            SettingValue::Switch(on) => on.to_string(),
            SettingValue::Number(number) => number.to_string(),
            SettingValue::Ratio(limit) => limit.to_string(),
            SettingValue::Text(text) => text.clone(),
            SettingValue::List(texts) => texts.join(", "),
        }
    }
}

/// What the row does for its entry.
pub(super) trait Row: SettingOwner {
    /// Shows or takes back that what was typed is not used.
    fn show_wrong(&self, is_wrong: bool);
}

/// The state of one entry.
#[derive(Debug)]
pub(super) struct TypedSetting {
    entry: gtk::Entry,
    form: Form,
    /// Until what was typed counts.
    rest: RefCell<Option<glib::SourceId>>,
    is_wrong: Cell<bool>,
    /// What was typed and is not in force.
    is_open: Cell<bool>,
    /// The program itself writes.
    is_showing: Cell<bool>,
}

impl TypedSetting {
    /// Connects the entry with its row, which `row` finds as long as it is there.
    pub(super) fn new<R: Row>(
        entry: &gtk::Entry,
        form: Form,
        row: impl Fn() -> Option<R> + 'static,
    ) -> Rc<Self> {
        let typed = Rc::new(Self {
            entry: entry.clone(),
            form,
            rest: RefCell::default(),
            is_wrong: Cell::default(),
            is_open: Cell::default(),
            is_showing: Cell::default(),
        });
        let row = Rc::new(row);
        let (this, find) = (Rc::downgrade(&typed), Rc::clone(&row));
        entry.connect_changed(move |_| {
            if let (Some(this), Some(row)) = (this.upgrade(), find()) {
                this.on_typed(&row, &find);
            }
        });
        let (this, find) = (Rc::downgrade(&typed), Rc::clone(&row));
        let count = move || {
            if let (Some(this), Some(row)) = (this.upgrade(), find()) {
                this.count(&row);
            }
        };
        let count = Rc::new(count);
        let on_return = Rc::clone(&count);
        entry.connect_activate(move |_| on_return());
        let on_icon = Rc::clone(&count);
        entry.connect_icon_release(move |_, _| on_icon());
        let focus = gtk::EventControllerFocus::new();
        let watched = entry.downgrade();
        focus.connect_leave(move |_| {
            // Who looks something up in another window has not ended to type.
            let window = watched
                .upgrade()
                .and_then(|entry| entry.root())
                .and_downcast::<gtk::Window>();
            if window.is_some_and(|window| window.is_active()) {
                count();
            }
        });
        entry.add_controller(focus);
        typed
    }

    fn on_typed<R: Row>(self: &Rc<Self>, row: &R, find: &Rc<impl Fn() -> Option<R> + 'static>) {
        if self.is_showing.get() {
            return;
        }
        self.cancel_rest();
        let value = self.form.read(&self.entry.text());
        let value = value.filter(|value| row.setting().allows(value));
        self.set_wrong(row, value.is_none());
        let is_new = value.is_some() && value != row.setting().value();
        self.set_open(is_new);
        // Half of a number that ends what seeds would end more than the whole one.
        let may_rest = matches!(self.form, Form::Number | Form::Time) && !row.setting().ends_seeding();
        if is_new && may_rest {
            let (this, find) = (Rc::downgrade(self), Rc::clone(find));
            let rest = glib::timeout_add_local_once(REST, move || {
                if let Some(this) = this.upgrade() {
                    this.rest.take();
                    if let Some(row) = find() {
                        this.count(&row);
                    }
                }
            });
            self.rest.replace(Some(rest));
        }
    }

    /// What was typed counts from now on, if it may.
    pub(super) fn count<R: Row>(&self, row: &R) {
        self.cancel_rest();
        if !self.is_open.get() {
            return;
        }
        let value = self.form.read(&self.entry.text());
        if let Some(value) = value.filter(|value| row.setting().allows(value)) {
            self.set_open(false);
            row.setting().change(value);
        }
    }

    /// Shows what holds, unless somebody types something else just now and it has not `changed` meanwhile.
    pub(super) fn show<R: Row>(&self, row: &R, value: &SettingValue, changed: bool) {
        let is_typed = self.is_open.get() || self.is_wrong.get();
        if is_typed && !changed {
            return;
        }
        let text = Form::write(value);
        self.cancel_rest();
        self.set_open(false);
        self.set_wrong(row, false);
        if self.entry.text() != text {
            self.is_showing.set(true);
            self.entry.set_text(&text);
            self.entry.set_position(-1);
            self.is_showing.set(false);
        }
    }

    /// Forgets what was typed and does not count yet.
    pub(super) fn discard<R: Row>(&self, row: &R) {
        if (self.is_open.get() || self.is_wrong.get())
            && let Some(value) = row.setting().value()
        {
            self.show(row, &value, true);
        }
    }

    fn set_wrong<R: Row>(&self, row: &R, is_wrong: bool) {
        if self.is_wrong.replace(is_wrong) == is_wrong {
            return;
        }
        let state = if is_wrong {
            self.entry.add_css_class("error");
            gtk::AccessibleInvalidState::True
        } else {
            self.entry.remove_css_class("error");
            gtk::AccessibleInvalidState::False
        };
        self.entry.update_state(&[gtk::accessible::State::Invalid(state)]);
        row.show_wrong(is_wrong);
    }

    /// A text waits to be confirmed, which is shown; a number does so by itself.
    fn set_open(&self, is_open: bool) {
        self.is_open.set(is_open);
        if matches!(self.form, Form::Text | Form::List) {
            let icon = is_open.then_some("object-select-symbolic");
            self.entry
                .set_icon_from_icon_name(gtk::EntryIconPosition::Secondary, icon);
        }
    }

    fn cancel_rest(&self) {
        if let Some(rest) = self.rest.take() {
            rest.remove();
        }
    }
}

impl Drop for TypedSetting {
    fn drop(&mut self) {
        self.cancel_rest();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_becomes_a_value() {
        use SettingValue::{List, Number, Ratio, Text};
        let ratio = |ratio| Some(Ratio(RatioLimit::new(ratio).unwrap()));
        let text = |text: &str| Text(text.to_owned());
        let list = |texts: &[&str]| List(texts.iter().map(|text| (*text).to_owned()).collect());
        for (form, typed, expected) in [
            (Form::Number, "6881", Some(Number(6881))),
            (Form::Number, " 7 ", Some(Number(7))),
            (Form::Number, "-1", Some(Number(-1))),
            (Form::Number, "", None),
            (Form::Number, "+7", None),
            (Form::Number, "7.5", None),
            (Form::Number, "99999999999999999999", None),
            (Form::Ratio, "1,5", ratio(1.5)),
            (Form::Ratio, "2", ratio(2.0)),
            (Form::Ratio, "-2", None),
            (Form::Time, "8:00", Some(text("08:00"))),
            (Form::Time, "08:00", Some(text("08:00"))),
            (Form::Time, "8", Some(text("8"))),
            (Form::Text, " wg0 ", Some(text("wg0"))),
            (Form::List, "", Some(list(&[]))),
            (
                Form::List,
                "a:1, b:2 c:3;d:4,",
                Some(list(&["a:1", "b:2", "c:3", "d:4"])),
            ),
        ] {
            assert_eq!(form.read(typed), expected, "{typed}");
            if let Some(value) = expected {
                assert_eq!(form.read(&Form::write(&value)), Some(value));
            }
        }
    }
}
