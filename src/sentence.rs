//! An error and its causes as the one sentence that a program ends with. Layer 1.

use std::error::Error;

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
