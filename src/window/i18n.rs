//! Texts in the language of the user, by gettext. Layer 4.
//!
//! Templates name their texts with `translatable="yes"`; code says [`tr!`] or [`tr_n!`] with the English text, in which
//! `{name}` stands for a value. `tools/strings.py` collects both into `po/dtorrent.pot`.

use std::path::PathBuf;
use std::sync::OnceLock;

/// The name of our translations, in `po/`, in the templates and in the file system.
const DOMAIN: &str = "dtorrent";

/// Finds the translations, before the first text is shown. They are where an installation with any prefix has them, as
/// seen from the program: `../share/locale`. Without them everything is English.
pub(crate) fn set_up() {
    keep_system_errors_english();
    let bound = folder().map(|folder| {
        gettextrs::bindtextdomain(DOMAIN, folder)?;
        gettextrs::bind_textdomain_codeset(DOMAIN, "UTF-8")?;
        gettextrs::textdomain(DOMAIN)
    });
    if let Some(Err(error)) = bound {
        log::warn!("the window stays in English, translations cannot be used: {error}");
    }
}

/// What the system says of an error goes into the log, which is to be read by whoever gets it. Where its translations
/// cannot be found, everybody hears the same; the window translates those that are common (`library`).
fn keep_system_errors_english() {
    if let Err(error) = gettextrs::bindtextdomain("libc", "/dev/null") {
        log::warn!("errors of the system are in the language of the session: {error}");
    }
}

fn folder() -> Option<PathBuf> {
    let program = std::env::current_exe().ok()?;
    Some(program.parent()?.parent()?.join("share/locale"))
}

/// Whether there are texts in the user's language. To be asked when the window is there, which tells the system what
/// that language is.
pub(crate) fn is_translated() -> bool {
    static IS_TRANSLATED: OnceLock<bool> = OnceLock::new();
    // The head of the translations stands for the empty text.
    *IS_TRANSLATED.get_or_init(|| !gettextrs::gettext("").is_empty())
}

/// Where translations come from.
#[derive(Debug)]
pub(crate) struct Language {
    /// What stands for an English text.
    pub(crate) text: fn(&str) -> String,
    /// The same for a number, and the texts for one and for many.
    pub(crate) number: fn(u64, &str, &str) -> String,
}

/// The language of the user.
pub(crate) const GETTEXT: Language = Language {
    text: translate,
    number: translate_number,
};

/// What stands for an English text in the user's language. Called by [`tr!`].
pub(crate) fn translate(text: &str) -> String {
    // An empty text is the head of the translations.
    if text.is_empty() {
        return String::new();
    }
    gettextrs::gettext(text)
}

/// The same for a text that depends on a number. Called by [`tr_n!`].
pub(crate) fn translate_number(number: u64, one: &str, many: &str) -> String {
    // Languages look at the last digits at most, so a number that does not fit may be any large one that ends alike.
    let digits = u32::try_from(number).unwrap_or((number % 1_000_000) as u32 + 1_000_000);
    fill(&gettextrs::ngettext(one, many, digits), &[("n", &number)])
}

/// Puts values where a text has their names in braces.
pub(crate) fn fill(text: &str, values: &[(&str, &dyn std::fmt::Display)]) -> String {
    let mut filled = String::with_capacity(text.len() + 16 * values.len());
    let mut rest = text;
    while let Some(start) = rest.find('{') {
        let (before, tail) = rest.split_at(start);
        filled.push_str(before);
        let named = tail.find('}').and_then(|end| {
            let value = values.iter().find(|(name, _)| *name == &tail[1..end])?;
            Some((end, value.1))
        });
        match named {
            Some((end, value)) => {
                filled.push_str(&value.to_string());
                rest = &tail[end + 1..];
            }
            // A name that nobody knows, as by a slip of a translator, is better seen than a panic.
            None => {
                filled.push('{');
                rest = &tail[1..];
            }
        }
    }
    filled.push_str(rest);
    filled
}

/// A text in the user's language: `tr!("Pause")`, `tr!("{done} of {total}", done = size(done), total = size(total))`.
macro_rules! tr {
    ($text:literal) => {
        $crate::window::i18n::translate($text)
    };
    ($text:literal, $($name:ident = $value:expr),+ $(,)?) => {
        $crate::window::i18n::fill(
            &$crate::window::i18n::translate($text),
            &[$((stringify!($name), &$value as &dyn std::fmt::Display)),+],
        )
    };
}
pub(crate) use tr;

/// A text that is translated where it is shown.
macro_rules! phrase {
    ($text:literal) => {
        $text
    };
}
pub(crate) use phrase;

/// A text that depends on a number, which stands in it as `{n}`: `tr_n!(count, "{n} peer", "{n} peers")`. Other values
/// follow as in [`tr!`].
macro_rules! tr_n {
    ($number:expr, $one:literal, $many:literal) => {
        $crate::window::i18n::translate_number($number, $one, $many)
    };
    ($number:expr, $one:literal, $many:literal, $($name:ident = $value:expr),+ $(,)?) => {
        $crate::window::i18n::fill(
            &$crate::window::i18n::translate_number($number, $one, $many),
            &[$((stringify!($name), &$value as &dyn std::fmt::Display)),+],
        )
    };
}
pub(crate) use tr_n;

#[cfg(test)]
mod tests {
    use super::fill;

    #[test]
    fn values_stand_where_they_are_named() {
        assert_eq!(fill("{b} of {a}", &[("a", &7), ("b", &"x")]), "x of 7");
        assert_eq!(fill("100 %", &[]), "100 %");
    }

    #[test]
    fn a_value_is_not_read_as_a_text() {
        assert_eq!(fill("{name}", &[("name", &"{name}")]), "{name}");
    }

    #[test]
    fn an_unknown_name_stays() {
        assert_eq!(fill("{nmae} {", &[("name", &1)]), "{nmae} {");
    }

    #[test]
    fn numbers_choose_their_text() {
        assert_eq!(tr_n!(1, "{n} peer", "{n} peers"), "1 peer");
        assert_eq!(
            tr_n!(0, "{n} peer of {name}", "{n} peers of {name}", name = "x"),
            "0 peers of x"
        );
        assert_eq!(tr!("{done} of {total}", done = 1, total = 2), "1 of 2");
    }
}
