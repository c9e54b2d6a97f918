//! What is said to people, as text: an error and its causes as the one sentence that a program ends with, and the marks
//! by which the window knows the texts that it may have to show in another language. Layer 1.
//!
//! The library says everything in English, and so does the log. `tools/strings.py` collects what stands in `told!`,
//! `phrase!` and `#[error]`, and the window finds the text again from which a sentence was made.

use std::borrow::Cow;
use std::error::Error;
use std::fmt::Write as _;

/// The error and its causes, those left out that are part of what was said already: most errors of this library name
/// their cause themselves, and a chain that is only strung together would say it twice.
///
/// ```
/// let cause = std::io::Error::other("no luck");
/// let error = dtorrent::create::CreateError::Read { path: "a.mkv".into(), source: cause };
/// assert_eq!(dtorrent::sentence::with_causes(&error), "cannot read a.mkv: no luck");
/// ```
pub fn with_causes(error: &(dyn Error + 'static)) -> String {
    let mut sentence = error.to_string();
    for cause in std::iter::successors(error.source(), |&error| error.source()) {
        let cause = cause.to_string();
        if !sentence.contains(&cause) {
            sentence.push_str(": ");
            sentence.push_str(&cause);
        }
    }
    sentence
}

/// `text` with every character escaped that could end the line, steer a terminal, or turn the direction of
/// writing around.
pub fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(hides) {
        return Cow::Borrowed(text);
    }
    let mut visible = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if hides(c) {
            // Writing to a string does not fail.
            let _ = write!(visible, "{}", c.escape_default());
        } else {
            visible.push(c);
        }
    }
    Cow::Owned(visible)
}

/// Controls, the line and paragraph separators, and the marks and overrides of bidirectional text.
fn hides(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// What the system says, without the number that it has for that.
///
/// ```
/// let error = std::io::Error::from_raw_os_error(2);
/// assert_eq!(dtorrent::sentence::of_system(&error), "No such file or directory");
/// ```
pub fn of_system(error: &std::io::Error) -> String {
    let mut text = error.to_string();
    if let Some(number) = text.rfind(" (os error ") {
        text.truncate(number);
    }
    text
}

/// [`format!`] for a sentence that people see, not only in the log.
macro_rules! told {
    ($($text:tt)*) => {
        format!($($text)*)
    };
}
pub(crate) use told;

/// Words that become part of such a sentence.
macro_rules! phrase {
    ($text:literal) => {
        $text
    };
}
pub(crate) use phrase;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hides_is_made_visible() {
        let cases = [
            ("plain: Ünïcödé 日本", "plain: Ünïcödé 日本"),
            ("\n", "\\n"),
            ("a\r\n12:00 [ERROR] forged", "a\\r\\n12:00 [ERROR] forged"),
            ("\x1b[2Jx\x07\0", "\\u{1b}[2Jx\\u{7}\\u{0}"),
            ("\u{85}\u{9b}", "\\u{85}\\u{9b}"),
            (
                "\u{2028}\u{202e}gpj.exe\u{2066}",
                "\\u{2028}\\u{202e}gpj.exe\\u{2066}",
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(printable(text), expected);
        }
    }
}
