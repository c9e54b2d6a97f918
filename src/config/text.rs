//! Settings files as text: TOML in, a value or the line that is wrong out. Layer 1 but for [`read`].

use std::fs;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use toml_edit::Document;

use super::ConfigError;

/// What is wrong with a text, and where.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Wrong {
    /// In bytes, at a boundary of characters.
    pub(crate) offset: usize,
    pub(crate) message: String,
}

/// Reads the file at `path` and lets `parse` make a value of its text.
///
/// # Errors
/// [`ConfigError::Read`] and [`ConfigError::Invalid`].
pub(crate) fn read<T>(path: &Path, parse: impl FnOnce(&str) -> Result<T, Wrong>) -> Result<T, ConfigError> {
    let text = fs::read_to_string(path).map_err(|source| ConfigError::Read {
        path: path.to_owned(),
        source,
    })?;
    read_text(path, &text, parse)
}

/// The same with a text that the file at `path` may hold.
///
/// # Errors
/// [`ConfigError::Invalid`].
pub(super) fn read_text<T>(
    path: &Path,
    text: &str,
    parse: impl FnOnce(&str) -> Result<T, Wrong>,
) -> Result<T, ConfigError> {
    parse(text).map_err(|wrong| ConfigError::Invalid {
        path: path.to_owned(),
        line: text[..wrong.offset.min(text.len())].matches('\n').count() + 1,
        message: wrong.message,
    })
}

/// The folder from which relative paths in the file count.
pub(crate) fn folder_of(path: &Path) -> PathBuf {
    std::path::absolute(path)
        .ok()
        .and_then(|path| path.parent().map(Path::to_owned))
        .unwrap_or_default()
}

/// The text as TOML.
///
/// # Errors
/// Where it is none.
pub(crate) fn parse_document(text: &str) -> Result<Document<&str>, Wrong> {
    Document::parse(text).map_err(|error| Wrong {
        offset: error.span().map_or(0, |span| span.start),
        message: one_line(error.message()),
    })
}

/// What the document says; `text` is what it was made of.
///
/// # Errors
/// Where a key or a value is not allowed, and what is.
pub(crate) fn deserialize<T: DeserializeOwned>(text: &str, document: Document<&str>) -> Result<T, Wrong> {
    T::deserialize(toml_edit::de::Deserializer::from(document)).map_err(|error| {
        let span = error.span().unwrap_or_default();
        let found = text.get(span.clone()).unwrap_or_default();
        Wrong {
            offset: span.start,
            message: explain(text, span.start, found, error.message()),
        }
    })
}

/// The message of serde with the key before it: `port = 70000: invalid value: …`.
fn explain(text: &str, offset: usize, found: &str, message: &str) -> String {
    let line_start = text[..offset].rfind('\n').map_or(0, |newline| newline + 1);
    let key = text[line_start..offset].trim();
    // Where the span is the key itself, the message names it already.
    if key.ends_with('=') {
        format!("`{key} {}`: {}", one_line(found), one_line(message))
    } else {
        one_line(message)
    }
}

fn one_line(text: &str) -> String {
    text.lines().map(str::trim).collect::<Vec<_>>().join(" ")
}
