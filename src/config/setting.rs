//! Single settings by their names, for faces that show and change them one by one. Layer 1.

use std::path::Path;

use serde::{Deserialize, Serialize};
use toml_edit::{DocumentMut, Item, Table, Value};

use super::text;
use super::{Config, schedule::Weekday};
use crate::ratio::RatioLimit;

/// What one key says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum SettingValue {
    /// Yes or no.
    Switch(bool),
    /// A whole number.
    Number(i64),
    /// A ratio.
    Ratio(RatioLimit),
    /// A text.
    Text(String),
    /// Several texts.
    List(Vec<String>),
}

/// A change of one key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettingChange {
    /// The section, without brackets.
    pub section: String,
    /// The key in it.
    pub key: String,
    /// What it is to say; `None`: its default.
    pub value: Option<SettingValue>,
}

impl SettingChange {
    /// Sets the key.
    pub fn set(section: &str, key: &str, value: impl Into<SettingValue>) -> Self {
        Self {
            section: section.to_owned(),
            key: key.to_owned(),
            value: Some(value.into()),
        }
    }

    /// Gives the key its default.
    pub fn restore(section: &str, key: &str) -> Self {
        Self {
            section: section.to_owned(),
            key: key.to_owned(),
            value: None,
        }
    }
}

impl From<bool> for SettingValue {
    fn from(on: bool) -> Self {
        Self::Switch(on)
    }
}

impl From<&str> for SettingValue {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<i64> for SettingValue {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<RatioLimit> for SettingValue {
    fn from(limit: RatioLimit) -> Self {
        Self::Ratio(limit)
    }
}

impl From<&SettingValue> for Value {
    fn from(value: &SettingValue) -> Self {
        match value {
            SettingValue::Switch(on) => (*on).into(),
            SettingValue::Number(number) => (*number).into(),
            SettingValue::Ratio(limit) => limit.get().into(),
            SettingValue::Text(text) => text.into(),
            SettingValue::List(texts) => texts.iter().collect(),
        }
    }
}

/// Whether a key may say this.
///
/// # Errors
/// Why not, with what is allowed.
pub fn check(section: &str, key: &str, value: &SettingValue) -> Result<(), String> {
    let mut table = Table::new();
    table.insert(key, Item::Value(value.into()));
    let mut document = DocumentMut::new();
    document.insert(section, Item::Table(table));
    let text = document.to_string();
    text::parse_document(&text)
        .and_then(|document| text::deserialize::<Config>(&text, document))
        .map(drop)
        .map_err(|wrong| wrong.message)
}

impl Config {
    /// What a key says; `None`: there is no such key. Paths are complete.
    pub fn setting(&self, section: &str, key: &str) -> Option<SettingValue> {
        use SettingValue::{Switch, Text};
        Some(match (section, key) {
            ("network", "port") => number(self.network.port),
            ("network", "bind") => Text(self.network.bind.clone()),
            ("network", "max_connections") => number(self.network.max_connections),
            ("network", "max_connections_per_torrent") => number(self.network.max_connections_per_torrent),
            ("network", "country_database") => optional(self.network.country_database.as_deref()),
            ("folders", "downloads") => path(&self.folders.downloads),
            ("folders", "state") => path(&self.folders.state),
            ("folders", "watch") => path(self.folders.watch.as_deref().unwrap_or(Path::new(""))),
            ("memory", "buffers_mib") => number(self.memory.buffers_mib),
            ("memory", "open_files") => number(self.memory.open_files),
            ("transfer", key) => return self.transfer_setting(key),
            ("schedule", "enabled") => Switch(self.schedule.enabled),
            ("schedule", "days") => list(self.schedule.days.iter().map(Weekday::name)),
            ("schedule", "from") => Text(self.schedule.from.to_string()),
            ("schedule", "to") => Text(self.schedule.to.to_string()),
            ("tracker", "node") => Switch(self.tracker.node),
            ("tracker", "port") => number(self.tracker.port),
            ("tracker", "address") => Text(self.tracker.address.clone()),
            ("tracker", "key") => optional(self.tracker.key.as_deref()),
            ("tracker", "join") => list(&self.tracker.join),
            ("tracker", "ring_port") => number(self.tracker.ring_port),
            ("window", "background") => Switch(self.window.background),
            ("window", "ask_before_adding") => Switch(self.window.ask_before_adding),
            ("log", "file") => path(&self.log.file),
            ("log", "level") => Text(self.log.level.as_str().to_ascii_lowercase()),
            ("log", "max_mib") => number(self.log.max_mib),
            ("log", "keep") => number(self.log.keep),
            _ => return None,
        })
    }

    fn transfer_setting(&self, key: &str) -> Option<SettingValue> {
        let transfer = &self.transfer;
        Some(match key {
            "active_peers" => number(transfer.active_peers),
            "download_limit_kib" => number(transfer.download_limit_kib),
            "upload_limit_kib" => number(transfer.upload_limit_kib),
            "alternative_limits" => SettingValue::Switch(transfer.alternative_limits),
            "alternative_download_limit_kib" => number(transfer.alternative_download_limit_kib),
            "alternative_upload_limit_kib" => number(transfer.alternative_upload_limit_kib),
            "upload_slots" => number(transfer.upload_slots),
            "max_active_downloads" => number(transfer.max_active_downloads),
            "stalled_after_seconds" => number(transfer.stalled_after_seconds),
            "seed_until_ratio" => SettingValue::Ratio(transfer.seed_until_ratio),
            "seed_until_idle_minutes" => number(transfer.seed_until_idle_minutes),
            "preallocate" => SettingValue::Switch(transfer.preallocate),
            _ => return None,
        })
    }
}

/// Each number of the settings was read as an `i64`.
fn number(number: impl TryInto<i64>) -> SettingValue {
    SettingValue::Number(number.try_into().unwrap_or(i64::MAX))
}

fn optional(path: Option<&Path>) -> SettingValue {
    self::path(path.unwrap_or(Path::new("")))
}

fn path(path: &Path) -> SettingValue {
    SettingValue::Text(path.to_string_lossy().into_owned())
}

fn list(texts: impl IntoIterator<Item = impl ToString>) -> SettingValue {
    SettingValue::List(texts.into_iter().map(|text| text.to_string()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SHIPPED;

    #[test]
    fn every_shipped_key_can_be_asked_for_and_set() {
        let document: DocumentMut = SHIPPED.parse().unwrap();
        for (section, table) in document.iter() {
            for (key, item) in table.as_table().unwrap() {
                let told = Config::default().setting(section, key);
                let told = told.unwrap_or_else(|| panic!("{section}.{key} cannot be asked for"));
                let shipped = item.as_value().unwrap().to_string();
                assert_eq!(Value::from(&told).to_string(), shipped.trim(), "{section}.{key}");
                assert_eq!(check(section, key, &told), Ok(()));
            }
        }
        assert_eq!(Config::default().setting("transfer", "nonsense"), None);
    }

    #[test]
    fn what_is_not_allowed_is_said() {
        for (section, key, value, expected) in [
            (
                "network",
                "port",
                65_536.into(),
                "expected a whole number from 0 to 65535",
            ),
            (
                "network",
                "port",
                "x".into(),
                "expected a whole number from 0 to 65535",
            ),
            (
                "transfer",
                "seed_until_ratio",
                10_001.into(),
                "expected 0, or a number from 0.01 to 10000",
            ),
            (
                "schedule",
                "from",
                "25:00".into(),
                "expected a time of the day such as",
            ),
            (
                "schedule",
                "days",
                SettingValue::List(vec!["monday".into()]),
                "expected a list of days out of",
            ),
            (
                "network",
                "bind",
                "a b".into(),
                "expected an IP address, the name",
            ),
            ("network", "nonsense", true.into(), "unknown field"),
            ("nonsense", "port", true.into(), "unknown field"),
        ] {
            let refused = check(section, key, &value).unwrap_err();
            assert!(refused.contains(expected), "{refused}");
        }
    }
}
