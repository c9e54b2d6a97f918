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
    /// Folder of the list of torrents and their progress, instead of the configured one
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
        self.override_in(&mut config)?;
        Ok((config, path))
    }

    /// Puts what the command line says over the settings.
    pub(crate) fn override_in(&self, config: &mut Config) -> Result<()> {
        if let Some(state) = &self.state {
            config.folders.state = absolute(state)?;
        }
        if let Some(level) = self.log_level {
            config.log.level = level.into();
        }
        Ok(())
    }

    /// Starts the log of a command that does no transfers. Only when the command line says something about
    /// it: looking into a torrent must not create files at home.
    pub(crate) fn start_log_if_asked(&self) -> Result<Option<Logger>> {
        if self.config.is_none() && self.log_level.is_none() {
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
