//! Changes of single settings: a thread writes them into the file, with its comments, and the engine takes over what the
//! file says then. Nobody else waits for a disk that syncs.

use std::io;
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};

use crossbeam_channel::{Receiver, Sender, unbounded};

use crate::config::setting::SettingChange;
use crate::config::{Config, ConfigError, edit};
use crate::engine::Engine;
use crate::sentence::told;

/// What became of a change, and how many were asked for when it was made.
pub(super) type Outcome = (u64, Result<Config, ConfigError>);

type Order = (u64, Vec<SettingChange>);

/// The thread that writes, which is started when it is needed for the first time.
#[derive(Debug)]
pub(super) struct SettingsWriter {
    outcomes: Sender<Outcome>,
    running: Option<(Sender<Order>, JoinHandle<()>)>,
    /// How many changes were asked for.
    asked: u64,
    /// Of how many of them it is known what became.
    answered: u64,
}

impl SettingsWriter {
    pub(super) const fn new(outcomes: Sender<Outcome>) -> Self {
        Self {
            outcomes,
            running: None,
            asked: 0,
            answered: 0,
        }
    }

    /// Whether the file is not yet as it was asked to be.
    pub(super) fn is_busy(&self) -> bool {
        let has_ended = |(_, thread): &(_, JoinHandle<()>)| thread.is_finished();
        self.answered < self.asked && !self.running.as_ref().is_some_and(has_ended)
    }

    fn write(&mut self, path: &Path, changes: Vec<SettingChange>) -> io::Result<()> {
        let running = match self.running.take() {
            Some(running) => running,
            None => spawn(path.to_owned(), self.outcomes.clone())?,
        };
        self.asked += 1;
        // The thread ends when we drop the sender, and not before.
        let _ = running.0.send((self.asked, changes));
        self.running = Some(running);
        Ok(())
    }

    /// Waits until everything is written.
    pub(super) fn stop(self) {
        if let Some((orders, thread)) = self.running {
            drop(orders);
            if thread.join().is_err() {
                log::error!("the thread that writes the settings panicked; the last change may be lost");
            }
        }
    }
}

fn spawn(path: PathBuf, outcomes: Sender<Outcome>) -> io::Result<(Sender<Order>, JoinHandle<()>)> {
    let (orders, orders_rx) = unbounded();
    let thread = thread::Builder::new()
        .name("settings".into())
        .spawn(move || run(&path, &orders_rx, &outcomes))?;
    Ok((orders, thread))
}

fn run(path: &Path, orders: &Receiver<Order>, outcomes: &Sender<Outcome>) {
    while let Ok((number, changes)) = orders.recv() {
        let outcome = edit::change(path, &changes);
        if let Err(error) = &outcome {
            log::error!("a setting could not be kept: {error}");
        }
        // At the end nobody wants to know any more.
        let _ = outcomes.send((number, outcome));
    }
}

impl Engine {
    /// Has the settings file say so.
    pub(super) fn change_settings(&mut self, changes: Vec<SettingChange>) {
        if self.watcher.is_none() {
            let message = told!("the settings came from no file, so they cannot be changed in it");
            return self.fail(None, message);
        }
        self.keep(changes);
    }

    /// The same where there is a file; else the change holds for this run only.
    pub(super) fn keep(&mut self, changes: Vec<SettingChange>) {
        let written = self
            .watcher
            .as_ref()
            .map(|watcher| self.settings.write(watcher.path(), changes));
        if let Some(Err(error)) = written {
            self.fail(None, told!("the settings cannot be written: {error}"));
            self.tell_configured();
        }
    }

    pub(super) fn on_settings(&mut self, (number, outcome): Outcome) {
        self.settings.answered = number;
        match outcome {
            // What comes of the changes after it would be undone for a moment.
            Ok(_) if number < self.settings.asked => {}
            Ok(config) => {
                // Who changes a key here is told by the face, beside it.
                for key in self.take_over(config) {
                    log::info!("the change of {key} takes effect at the next start");
                }
            }
            Err(error) => {
                self.fail(None, told!("this setting is not kept: {error}"));
                // Faces that show it changed already show it as it is.
                self.tell_configured();
            }
        }
    }

    /// The settings of the file are these now. Gives the keys that take effect at the next start only.
    pub(super) fn take_over(&mut self, mut config: Config) -> Vec<&'static str> {
        if let (Some(state), Some(watcher)) = (&self.state_override, &self.watcher) {
            config.keep_state_in(state, watcher.path());
        }
        if config == self.config {
            self.tell_configured();
            return Vec::new();
        }
        self.configure(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_not_read_while_changes_are_on_their_way_into_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        std::fs::write(&path, "").unwrap();
        let (outcomes, outcomes_rx) = unbounded();
        let mut writer = SettingsWriter::new(outcomes);
        assert!(!writer.is_busy());
        for on in [true, false] {
            let change = SettingChange::set("tracker", "node", on);
            writer.write(&path, vec![change]).unwrap();
        }
        for is_busy in [true, false] {
            assert!(writer.is_busy());
            let (number, outcome) = outcomes_rx.recv().unwrap();
            outcome.unwrap();
            writer.answered = number;
            assert_eq!(writer.is_busy(), is_busy);
        }
        writer.stop();
    }
}
