//! What all commands share: settings and the log.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::{Args, ValueEnum};
use dtorrent::config::Config;
use dtorrent::logging::Logger;
use log::LevelFilter;

#[derive(Debug, Args)]
#[command(next_help_heading = "Options of all commands")]
pub(crate) struct Common {
    /// Settings file [default: $XDG_CONFIG_HOME/dtorrent/config.toml]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Folder of the list of torrents and their progress, instead of the configured one. The log goes along, unless
    /// the settings put it in a place of its own
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) state: Option<PathBuf>,
    /// Log this level to the log file, instead of the configured one, and to stderr
    #[arg(long, global = true, value_name = "LEVEL")]
    pub(crate) log_level: Option<Level>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Level {
    Off,
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl From<Level> for LevelFilter {
    fn from(level: Level) -> Self {
        match level {
            Level::Off => Self::Off,
            Level::Error => Self::Error,
            Level::Warn => Self::Warn,
            Level::Info => Self::Info,
            Level::Debug => Self::Debug,
            Level::Trace => Self::Trace,
        }
    }
}

impl Common {
    /// The settings with what the command line says instead, and the file that they came from.
    pub(crate) fn load(&self) -> Result<(Config, PathBuf)> {
        let (mut config, path) = match &self.config {
            Some(path) => (Config::load(path)?, path.clone()),
            None => Config::load_of_user()?,
        };
        self.override_in(&mut config, &path)?;
        Ok((config, path))
    }

    /// Puts what the command line says over the settings, which came from the file at `path`.
    pub(crate) fn override_in(&self, config: &mut Config, path: &Path) -> Result<()> {
        if let Some(state) = &self.state {
            config.keep_state_in(&absolute(state)?, path);
        }
        if let Some(level) = self.log_level {
            config.log.level = level.into();
        }
        Ok(())
    }

    /// Starts the log of a command that does no transfers. Only when the command line asks for it: such a command
    /// needs nothing of the settings else, creates no files at home, and works when the settings are wrong.
    pub(crate) fn start_log_if_asked(&self) -> Result<Option<Logger>> {
        if self.log_level.is_none() {
            return Ok(None);
        }
        let (config, _) = self.load()?;
        self.start_log(&config).map(Some)
    }

    /// Starts the log. No other thread may have been started before.
    pub(crate) fn start_log(&self, config: &Config) -> Result<Logger> {
        Ok(Logger::start(&config.log, self.log_level.is_some())?)
    }
}

/// The engine's threads know nothing of a current folder.
pub(crate) fn absolute(path: &Path) -> Result<PathBuf> {
    Ok(std::path::absolute(path)?)
}
