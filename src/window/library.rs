//! What the library says, in the language of the user. Layer 4, but without widgets.
//!
//! The library knows no languages: its errors and notices come as English sentences, as they stand in the log. They were
//! made of the texts in `po/library.txt`, which `tools/strings.py` collects. The text from which a sentence was made is
//! found again, what fills it is told in the same way, and its translation is filled with that. What matches no text,
//! as the words of a tracker, stays as it is.

use std::sync::LazyLock;

use super::i18n::{self, phrase};

/// Bytes of the longest sentence that is looked at: a tracker may send a book.
const MOST_BYTES: usize = 4096;
/// How deep causes lie within each other: "cannot read x: y: z".
const MOST_DEPTH: usize = 8;

/// Values that are names, which are no words of ours whatever they are.
const NAMES: [&str; 12] = [
    "path",
    "name",
    "folder",
    "url",
    "link",
    "from",
    "to",
    "interface",
    "address",
    "addr",
    "origin",
    "key",
];

/// What the system, Rust and those who read the settings say within our sentences.
const OF_OTHERS: [&str; 47] = [
    phrase!("{problem} (os error {code})"),
    phrase!("No such file or directory"),
    phrase!("Permission denied"),
    phrase!("Operation not permitted"),
    phrase!("File exists"),
    phrase!("Not a directory"),
    phrase!("Is a directory"),
    phrase!("Directory not empty"),
    phrase!("File name too long"),
    phrase!("File too large"),
    phrase!("Too many levels of symbolic links"),
    phrase!("Too many open files"),
    phrase!("Too many open files in system"),
    phrase!("No space left on device"),
    phrase!("Disk quota exceeded"),
    phrase!("Read-only file system"),
    phrase!("Input/output error"),
    phrase!("Device or resource busy"),
    phrase!("No such device"),
    phrase!("Stale file handle"),
    phrase!("Invalid argument"),
    phrase!("Cannot allocate memory"),
    phrase!("Resource temporarily unavailable"),
    phrase!("Address already in use"),
    phrase!("Cannot assign requested address"),
    phrase!("Address family not supported by protocol"),
    phrase!("Network is down"),
    phrase!("Network is unreachable"),
    phrase!("No route to host"),
    phrase!("Connection refused"),
    phrase!("Connection reset by peer"),
    phrase!("Connection timed out"),
    phrase!("Broken pipe"),
    phrase!("failed to lookup address information: {problem}"),
    phrase!("Name or service not known"),
    phrase!("Temporary failure in name resolution"),
    phrase!("No address associated with hostname"),
    phrase!("failed to fill whole buffer"),
    phrase!("stream did not contain valid UTF-8"),
    phrase!("invalid value: {found}, expected {expected}"),
    phrase!("invalid type: {found}, expected {expected}"),
    phrase!("unknown field {key}, expected one of {keys}"),
    phrase!("unknown field {key}, expected {keys}"),
    phrase!("unknown variant {name}, expected one of {names}"),
    phrase!("integer `{number}`"),
    phrase!("floating point `{number}`"),
    phrase!("string \"{key}\""),
];

static LIBRARY: LazyLock<Library> = LazyLock::new(|| Library::new(include_str!("../../po/library.txt")));

/// A sentence of the library, or an error within it, in the language of the user.
pub(crate) fn in_own_words(sentence: &str) -> String {
    if !i18n::is_translated() {
        return sentence.to_owned();
    }
    LIBRARY.translated(sentence, &i18n::GETTEXT)
}

/// The texts that the library makes its sentences of.
#[derive(Debug)]
struct Library {
    /// Those with the most words first: of two that match, the one that says more is meant.
    texts: Vec<Text>,
    /// Those of them that are filled with nothing, the longest first.
    phrases: Vec<&'static str>,
    /// Texts that depend on a number, of one and of many.
    counts: Vec<(&'static str, &'static str)>,
}

/// `words[0] {names[0]} words[1] {names[1]} … words[n]`.
#[derive(Debug)]
struct Text {
    whole: &'static str,
    words: Vec<&'static str>,
    names: Vec<&'static str>,
}

impl Library {
    /// `list`: a text a line, or two with a tab between them that depend on a number.
    fn new(list: &'static str) -> Self {
        let lines = || list.lines().filter(|line| !line.starts_with('#'));
        let mut texts: Vec<Text> = lines()
            .filter(|line| !line.contains('\t'))
            .chain(OF_OTHERS)
            .map(Text::new)
            .collect();
        texts
            .sort_by_key(|text| std::cmp::Reverse(text.words.iter().map(|words| words.len()).sum::<usize>()));
        let phrases = texts.iter().filter(|text| text.names.is_empty());
        Self {
            phrases: phrases.map(|text| text.whole).collect(),
            counts: lines().filter_map(|line| line.split_once('\t')).collect(),
            texts,
        }
    }

    fn translated(&self, sentence: &str, language: &i18n::Language) -> String {
        match sentence.len() {
            0..=MOST_BYTES => self.told(sentence, language, 0),
            _ => sentence.to_owned(),
        }
    }

    /// Each level divides what the one above left over, so all of it costs as much as reading the sentence once for each
    /// text and level.
    fn told(&self, sentence: &str, language: &i18n::Language, depth: usize) -> String {
        if depth > MOST_DEPTH {
            return sentence.to_owned();
        }
        let deeper = |part: &str| self.told(part, language, depth + 1);
        let found = (self.texts.iter()).find_map(|text| Some((text, text.values(sentence, &self.phrases)?)));
        if let Some((text, values)) = found {
            let told = |(name, value): (&&'static str, &str)| match NAMES.contains(name) {
                true => (*name, value.to_owned()),
                false => (*name, deeper(value)),
            };
            let values: Vec<(&str, String)> = text.names.iter().zip(values).map(told).collect();
            let values: Vec<(&str, &dyn std::fmt::Display)> =
                values.iter().map(|(name, value)| (*name, value as _)).collect();
            return i18n::fill(&(language.text)(text.whole), &values);
        }
        if let Some(counted) = self.counted(sentence, language) {
            return counted;
        }
        // Two sentences, or somebody else's words before a cause of ours.
        match (sentence.strip_suffix('.'), sentence.split_once(": ")) {
            (Some(sentence), _) => deeper(sentence) + ".",
            (None, Some((before, cause))) => format!("{before}: {}", deeper(cause)),
            (None, None) => sentence.to_owned(),
        }
    }

    /// "3 files".
    fn counted(&self, sentence: &str, language: &i18n::Language) -> Option<String> {
        let (number, _) = sentence.split_once(' ')?;
        let digits = number.parse().ok()?;
        let is_of = |text: &str| text.strip_prefix("{n}") == sentence.strip_prefix(number);
        let (one, many) = (self.counts.iter()).find(|(one, many)| is_of(one) || is_of(many))?;
        Some((language.number)(digits, one, many))
    }
}

impl Text {
    fn new(whole: &'static str) -> Self {
        let (mut words, mut names, mut rest) = (Vec::new(), Vec::new(), whole);
        while let Some((before, behind)) = rest.split_once('{')
            && let Some((name, after)) = behind.split_once('}')
        {
            words.push(before);
            names.push(name);
            rest = after;
        }
        words.push(rest);
        Self { whole, words, names }
    }

    /// What fills the text where it reads as this sentence does; nothing is filled with nothing. The words between the
    /// values are looked for from the left, which finds them if they are there at all.
    fn values<'a>(&self, sentence: &'a str, phrases: &[&str]) -> Option<Vec<&'a str>> {
        let (first, others) = self.words.split_first()?;
        let rest = sentence.strip_prefix(first)?;
        let Some((last, between)) = others.split_last() else {
            return rest.is_empty().then(Vec::new);
        };
        let mut rest = rest.strip_suffix(last)?;
        let mut values = Vec::with_capacity(self.names.len());
        for words in between {
            let from = rest.chars().next()?.len_utf8();
            // "look at x" and "find the free space of x": a space says nothing of where the value ends.
            let phrase = phrases.iter().find(|phrase| {
                *words == " " && (rest.strip_prefix(**phrase)).is_some_and(|rest| rest.starts_with(' '))
            });
            let at = match phrase {
                Some(phrase) => phrase.len(),
                None => from + rest.get(from..)?.find(words)?,
            };
            values.push(&rest[..at]);
            rest = &rest[at + words.len()..];
        }
        values.push(rest);
        (!rest.is_empty()).then_some(values)
    }
}

#[cfg(test)]
#[path = "library_tests.rs"]
mod tests;
