//! Our own client, as its users start it.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::process::{Process, Program};
use super::stage::{Stage, fresh_address};

const PROGRAM: &str = env!("CARGO_BIN_EXE_dtorrent-cli");

/// How the client is started; the same job can be started again after it was killed.
#[derive(Debug)]
pub(crate) struct Cli {
    /// Where peers reach it.
    pub(crate) address: SocketAddr,
    name: String,
    arguments: Vec<String>,
}

impl Cli {
    /// `dtorrent-cli download` of these torrents into `dir`.
    pub(crate) fn download(stage: &Stage, name: &str, torrents: &[PathBuf], dir: &Path) -> Self {
        Self::new(stage, "download", name, torrents, dir)
    }

    /// `dtorrent-cli seed` of these torrents from `dir`.
    pub(crate) fn seed(stage: &Stage, name: &str, torrents: &[PathBuf], dir: &Path) -> Self {
        Self::new(stage, "seed", name, torrents, dir)
    }

    fn new(stage: &Stage, command: &str, name: &str, torrents: &[PathBuf], dir: &Path) -> Self {
        let address = fresh_address();
        let mut cli = Self {
            address: address.into(),
            name: name.to_owned(),
            arguments: vec![command.to_owned()],
        };
        cli.arguments
            .extend(torrents.iter().map(|path| path.display().to_string()));
        let state = stage.path(&format!("{name}-state"));
        let (ip, port) = (address.ip(), address.port());
        cli.with("--dir", &dir.display())
            .with("--state", &state.display())
            .with("--bind", ip)
            .with("--port", &port)
            .with("--log-level", &"debug")
            .settings(stage, "")
    }

    /// Adds an option with its value.
    pub(crate) fn with(mut self, option: &str, value: &dyn std::fmt::Display) -> Self {
        self.arguments.extend([option.to_owned(), value.to_string()]);
        self
    }

    /// Adds an option that stands alone.
    pub(crate) fn flag(mut self, option: &str) -> Self {
        self.arguments.push(option.to_owned());
        self
    }

    /// Adds peers to connect to.
    pub(crate) fn peers(mut self, peers: impl IntoIterator<Item = SocketAddr>) -> Self {
        for peer in peers {
            self = self.with("--peer", &peer);
        }
        self
    }

    /// Adds `--seed`: it goes on sharing when it is complete.
    pub(crate) fn and_seed(self) -> Self {
        self.flag("--seed")
    }

    /// Uses a settings file with these lines, and with its log in the stage.
    pub(crate) fn settings(mut self, stage: &Stage, lines: &str) -> Self {
        let path = stage.path(&format!("{}.toml", self.name));
        let log = stage.path(&format!("{}.own.log", self.name));
        fs::write(&path, format!("{lines}\n[log]\nfile = \"{}\"\n", log.display())).unwrap();
        if let Some(given) = self.arguments.iter().position(|argument| argument == "--config") {
            self.arguments.drain(given..given + 2);
        }
        self.with("--config", &path.display())
    }

    /// Starts it.
    pub(crate) fn start(&self, stage: &Stage) -> Process {
        Process::start(
            stage,
            &self.name,
            Program::new(PROGRAM, "dtorrent"),
            &self.arguments,
        )
    }
}

/// Runs a command that ends by itself.
pub(crate) fn run(arguments: &[&str]) -> Output {
    Command::new(PROGRAM).args(arguments).output().unwrap()
}
