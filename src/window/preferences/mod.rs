//! The preferences: each key of `config.toml` as a row, grouped as there. Layer 4.
//!
//! A row never holds a setting: it shows what the engine says that holds, and asks the engine to change the file. What the
//! file may not say is refused in the row, and asked of nobody.

mod days_row;
mod entry;
mod level;
mod setting;
mod setting_row;
mod text_row;
mod window;

use std::sync::Arc;

use dtorrent::config::Config;

pub(crate) use window::PreferencesWindow;

/// What the settings are, were, and would be.
#[derive(Debug, Clone)]
pub(crate) struct SettingsInView {
    /// As they hold.
    pub(crate) config: Arc<Config>,
    /// What they were when the program started.
    pub(crate) started_with: Arc<Config>,
    /// What an empty file would mean.
    pub(crate) defaults: Arc<Config>,
    /// The command line names the state folder.
    pub(crate) state_is_given: bool,
}
