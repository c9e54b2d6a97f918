//! Changes single values in a settings file and leaves everything else as it stands, comments included. Layer 3.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use toml_edit::{DocumentMut, Item, Key, Table, Value};

use super::file::first_document;
use super::setting::SettingChange;
use super::{Config, ConfigError, SHIPPED};

/// Makes these changes in the file at `path`, all or none, and gives the settings that it holds then. A reader sees the
/// old file or the new one, whatever happens meanwhile.
///
/// # Errors
/// The file cannot be read or written, or says now or would say afterwards what is not allowed; then it stays as it was.
pub fn change(path: &Path, changes: &[SettingChange]) -> Result<Config, ConfigError> {
    let read = |source| ConfigError::Read {
        path: path.to_owned(),
        source,
    };
    // A link is followed, so that it is still one afterwards.
    let target = fs::canonicalize(path).map_err(read)?;
    // What is wrong with the file is said as everywhere, with its line.
    Config::load(path)?;
    let text = fs::read_to_string(&target).map_err(read)?;
    let mut document: DocumentMut = text
        .parse()
        .map_err(|error: toml_edit::TomlError| read(io::Error::other(error)))?;
    for change in changes {
        apply(&mut document, change, path);
    }
    let new = document.to_string();
    let config = Config::of_text(&new, path)?;
    if new != text {
        replace(&target, &new).map_err(|source| ConfigError::Write {
            path: path.to_owned(),
            source,
        })?;
    }
    Ok(config)
}

fn apply(document: &mut DocumentMut, change: &SettingChange, path: &Path) {
    let SettingChange { section, key, value } = change;
    match value {
        Some(value) => set(document, section, key, value.into()),
        None => restore(document, section, key, path),
    }
}

fn set(document: &mut DocumentMut, section: &str, key: &str, value: Value) {
    let section_item = document
        .entry(section)
        .or_insert_with(|| Item::Table(Table::new()));
    match section_item.get_mut(key).and_then(Item::as_value_mut) {
        Some(old) => exchange(old, value),
        None => match (section_item.as_table_mut(), shipped_key(section, key)) {
            // Who reads the file later finds explained there what stands in it.
            (Some(table), Some(shipped)) => {
                table.insert_formatted(&shipped, Item::Value(value));
            }
            _ => section_item[key] = Item::Value(value),
        },
    }
}

/// A key that is not there has its default already.
fn restore(document: &mut DocumentMut, section: &str, key: &str, path: &Path) {
    let Some(table) = document.get_mut(section).and_then(Item::as_table_like_mut) else {
        return;
    };
    let defaults = first_document(path);
    let default = (defaults.get(section).and_then(|section| section.get(key))).and_then(Item::as_value);
    match (table.get_mut(key).and_then(Item::as_value_mut), default) {
        (Some(old), Some(default)) => {
            let mut default = default.clone();
            default.decor_mut().clear();
            exchange(old, default);
        }
        // The default is no text: without the key it holds all the same.
        (Some(_), None) => drop(table.remove(key)),
        (None, _) => {}
    }
}

/// What stands around the old value, as a comment behind it, stays.
fn exchange(old: &mut Value, new: Value) {
    let decor = old.decor().clone();
    *old = new;
    *old.decor_mut() = decor;
}

/// The key of the shipped file with its comment above it.
fn shipped_key(section: &str, key: &str) -> Option<Key> {
    let document: DocumentMut = SHIPPED.parse().ok()?;
    let table = document.get(section)?.as_table()?;
    Some(table.get_key_value(key)?.0.clone())
}

/// Synced before it takes the place of the old one: a power cut must not leave an empty file, which would mean all
/// defaults.
fn replace(target: &Path, text: &str) -> io::Result<()> {
    let mut new = target.to_owned().into_os_string();
    new.push(".new");
    let new = Path::new(&new);
    let write = || {
        let mut file = File::create(new)?;
        file.set_permissions(fs::metadata(target)?.permissions())?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(new, target)
    };
    write().inspect_err(|_| drop(fs::remove_file(new)))?;
    match target.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One key as most tests change it.
    fn set_node(path: &Path, on: bool) -> Result<Config, ConfigError> {
        change(path, &[SettingChange::set("tracker", "node", on)])
    }

    #[test]
    fn values_change_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        fs::write(&path, SHIPPED).unwrap();
        let told = change(
            &path,
            &[
                SettingChange::set("tracker", "node", true),
                SettingChange::set("network", "bind", "wg0"),
                SettingChange::set("network", "port", 7),
            ],
        );
        let text = fs::read_to_string(&path).unwrap();
        let expected = SHIPPED
            .replace("\nnode = false\n", "\nnode = true\n")
            .replace("\nbind = \"\"\n", "\nbind = \"wg0\"\n")
            .replace("\nport = 6881\n", "\nport = 7\n");
        assert_eq!(text, expected);
        assert_eq!(told.unwrap(), Config::load(&path).unwrap());

        fs::write(&path, "# mine\n[tracker]\nnode = true # for the party\n").unwrap();
        set_node(&path, false).unwrap();
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
            set_node(&path, true).unwrap();
            assert!(Config::load(&path).unwrap().tracker.node, "{text:?}");
        }
    }

    #[test]
    fn what_is_added_is_explained() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        fs::write(&path, "[network]\nport = 7\n").unwrap();
        change(&path, &[SettingChange::set("schedule", "to", "19:00")]).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("[network]\nport = 7\n\n[schedule]\n"), "{text}");
        assert!(text.contains("# When it ends."), "{text}");
        assert!(text.ends_with("\nto = \"19:00\"\n"), "{text}");
    }

    #[test]
    fn defaults_come_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        fs::write(&path, SHIPPED).unwrap();
        let keys = [
            ("tracker", "node"),
            ("folders", "downloads"),
            ("schedule", "days"),
        ];
        change(
            &path,
            &[
                SettingChange::set("tracker", "node", true),
                SettingChange::set("folders", "downloads", "/srv"),
                SettingChange {
                    section: "schedule".into(),
                    key: "days".into(),
                    value: Some(super::super::setting::SettingValue::List(Vec::new())),
                },
            ],
        )
        .unwrap();
        assert_ne!(fs::read_to_string(&path).unwrap(), SHIPPED);
        change(
            &path,
            &keys.map(|(section, key)| SettingChange::restore(section, key)),
        )
        .unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), SHIPPED);

        // What is not there needs no restoring.
        let text = "[network]\nport = 7 # mine\n";
        fs::write(&path, text).unwrap();
        change(
            &path,
            &keys.map(|(section, key)| SettingChange::restore(section, key)),
        )
        .unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }

    #[test]
    fn a_file_that_is_wrong_or_would_be_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        for text in ["[network]\nprot = 7\n", "tracker = 1\n", "tracker"] {
            fs::write(&path, text).unwrap();
            let error = set_node(&path, true).unwrap_err();
            assert!(matches!(error, ConfigError::Invalid { .. }), "{error}");
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        fs::write(&path, SHIPPED).unwrap();
        for (key, value) in [("port", 70_000), ("nonsense", 1)] {
            let both = [
                SettingChange::set("tracker", "node", true),
                SettingChange::set("network", key, value),
            ];
            let error = change(&path, &both).unwrap_err();
            assert!(matches!(error, ConfigError::Invalid { .. }), "{error}");
            assert_eq!(fs::read_to_string(&path).unwrap(), SHIPPED);
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left");
        let missing = folder.path().join("missing.toml");
        assert!(set_node(&missing, true).is_err());
    }

    #[test]
    fn a_link_to_the_settings_stays_one() {
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("real.toml"), folder.path().join("config.toml"));
        fs::write(&real, "").unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        set_node(&link, true).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert!(Config::load(&real).unwrap().tracker.node);
    }
}
