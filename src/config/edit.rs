//! Changes one value in a settings file and leaves everything else as it stands, comments included. Layer 3.

use std::fs;
use std::io;
use std::path::Path;

use toml_edit::{DocumentMut, Item, Table, Value};

use super::{Config, ConfigError};

/// Sets `key` in `section` of the file at `path`. A reader sees the old file or the new one.
///
/// # Errors
/// The file cannot be read or written, or says afterwards what is not allowed; then it stays as it was.
pub fn set(path: &Path, section: &str, key: &str, value: impl Into<Value>) -> Result<(), ConfigError> {
    let read = |source| ConfigError::Read {
        path: path.to_owned(),
        source,
    };
    let write = |source| ConfigError::Write {
        path: path.to_owned(),
        source,
    };
    // A link is followed, so that it is still one afterwards.
    let target = fs::canonicalize(path).map_err(read)?;
    let text = fs::read_to_string(&target).map_err(read)?;
    // What is wrong with the file is said as everywhere, with its line.
    Config::load(path)?;
    let mut document: DocumentMut = text
        .parse()
        .map_err(|error: toml_edit::TomlError| read(io::Error::other(error)))?;
    let section = document
        .entry(section)
        .or_insert_with(|| Item::Table(Table::new()));
    let value = value.into();
    match section.get_mut(key).and_then(Item::as_value_mut) {
        // With what stands around it: a comment behind it stays.
        Some(old) => {
            let decor = old.decor().clone();
            *old = value;
            *old.decor_mut() = decor;
        }
        None => section[key] = Item::Value(value),
    }
    let mut new = target.clone().into_os_string();
    new.push(".new");
    let new = Path::new(&new);
    let replaced = fs::write(new, document.to_string())
        .and_then(|()| fs::set_permissions(new, fs::metadata(&target)?.permissions()))
        .and_then(|()| fs::rename(new, &target));
    replaced
        .inspect_err(|_| drop(fs::remove_file(new)))
        .map_err(write)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SHIPPED;

    #[test]
    fn one_value_changes_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        fs::write(&path, SHIPPED).unwrap();
        set(&path, "tracker", "node", true).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text, SHIPPED.replace("\nnode = false\n", "\nnode = true\n"));
        assert!(Config::load(&path).unwrap().tracker.node);

        fs::write(&path, "# mine\n[tracker]\nnode = true # for the party\n").unwrap();
        set(&path, "tracker", "node", false).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text, "# mine\n[tracker]\nnode = false # for the party\n");
    }

    #[test]
    fn what_is_not_there_is_added() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        for text in [
            "",
            "[network]\nport = 7\n",
            "[tracker]\nport = 7\n",
            "tracker = { port = 7 }\n",
        ] {
            fs::write(&path, text).unwrap();
            set(&path, "tracker", "node", true).unwrap();
            assert!(Config::load(&path).unwrap().tracker.node, "{text:?}");
        }
    }

    #[test]
    fn a_file_that_is_wrong_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        for text in ["[network]\nprot = 7\n", "tracker = 1\n", "tracker"] {
            fs::write(&path, text).unwrap();
            let error = set(&path, "tracker", "node", true).unwrap_err();
            assert!(matches!(error, ConfigError::Invalid { .. }), "{error}");
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        let missing = folder.path().join("missing.toml");
        assert!(set(&missing, "tracker", "node", true).is_err());
    }

    #[test]
    fn a_link_to_the_settings_stays_one() {
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("real.toml"), folder.path().join("config.toml"));
        fs::write(&real, "").unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        set(&link, "tracker", "node", true).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert!(Config::load(&real).unwrap().tracker.node);
    }
}
