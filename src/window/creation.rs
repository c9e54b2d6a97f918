//! Making a torrent on a thread of its own, with progress and a way to stop. Layer 4, without widgets.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::{io, thread};

use async_channel::{Receiver, Sender};
use dtorrent::create::{self, CreateError, CreateOptions, Existing};
use dtorrent::metainfo::Metainfo;

use super::words;

/// What the thread tells. The last one is [`Creation::Done`].
#[derive(Debug)]
pub(crate) enum Creation {
    /// 0..=1 of the bytes are hashed.
    Progress(f64),
    /// The torrent is made and saved, or not.
    Done(Result<Arc<Metainfo>, CreateError>),
}

/// The thread at work. Dropping this stops it.
#[derive(Debug)]
pub(crate) struct Creator {
    cancelled: Arc<AtomicBool>,
}

impl Creator {
    /// Starts to make a torrent and to save it at `output`, over what is there: the file chooser has asked.
    pub(crate) fn start(options: CreateOptions, output: PathBuf) -> io::Result<(Self, Receiver<Creation>)> {
        let (tx, rx) = async_channel::bounded(1);
        let cancelled = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&cancelled);
        thread::Builder::new()
            .name("create torrent".to_owned())
            .spawn(move || {
                let result = run(&options, &output, &tx, &stop);
                // Nobody listens any more when the dialog is gone. The last value must arrive, so no `force_send`
                // that a later one could replace: this is the last.
                let _ = tx.force_send(Creation::Done(result));
            })?;
        Ok((Self { cancelled }, rx))
    }
}

impl Drop for Creator {
    fn drop(&mut self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }
}

fn run(
    options: &CreateOptions,
    output: &Path,
    tx: &Sender<Creation>,
    cancelled: &AtomicBool,
) -> Result<Arc<Metainfo>, CreateError> {
    let progress = |hashed: u64, total: u64| {
        let share = hashed as f64 / total.max(1) as f64;
        let _ = tx.force_send(Creation::Progress(share));
    };
    let metainfo = create::create(options, progress, cancelled)?;
    create::save(&metainfo, output, Existing::Replace)?;
    Ok(Arc::new(metainfo))
}

/// Trackers as a person types them: one URL a line, an empty line between tiers (BEP 12).
pub(crate) fn tiers(text: &str) -> Vec<Vec<String>> {
    let mut tiers = vec![Vec::new()];
    for line in text.lines().map(str::trim) {
        match tiers.last_mut() {
            Some(tier) if !line.is_empty() => tier.push(line.to_owned()),
            _ => tiers.push(Vec::new()),
        }
    }
    tiers.retain(|tier| !tier.is_empty());
    tiers
}

/// What is wrong with the first of these trackers that is none, in a sentence.
pub(crate) fn tracker_problem(tiers: &[Vec<String>]) -> Option<String> {
    let mut problems = (tiers.iter().flatten()).filter_map(|url| create::check_tracker_url(url).err());
    problems.next().map(|error| words::sentence(&error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_lines_separate_tiers() {
        assert_eq!(
            tiers("http://a/\nhttp://b/\n\n\n udp://c:1 \n"),
            [vec!["http://a/", "http://b/"], vec!["udp://c:1"]]
        );
        assert!(tiers(" \n\n").is_empty());
    }

    #[test]
    fn the_first_bad_tracker_is_told_of() {
        let problem = |text| tracker_problem(&tiers(text));
        let good = "http://a/\n\nudp://c:1\nwss://d/ann\nHTTPS://e";
        assert_eq!(problem(good), None);
        assert_eq!(problem(""), None);
        for (text, bad) in [
            ("http://a/\n\nhtp://b/\nc", "htp://b/"),
            ("announce", "announce"),
            ("http://a b/", "http://a b/"),
            ("http://", "http://"),
        ] {
            let told = problem(text).unwrap();
            let expected = format!("{bad:?} is not a URL of a tracker, such as ");
            assert!(told.starts_with(&expected), "{told}");
        }
        let told = problem("udp://tracker.example").unwrap();
        assert!(
            told.contains("udp://tracker.example") && told.contains("needs a port"),
            "{told}"
        );
    }

    #[test]
    fn the_torrent_is_saved_and_told_last() {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("data");
        std::fs::write(&source, vec![7; 100_000]).unwrap();
        let output = folder.path().join("data.torrent");
        let options = CreateOptions {
            path: source,
            ..CreateOptions::default()
        };
        let (_creator, rx) = Creator::start(options, output.clone()).unwrap();
        let mut last = None;
        while let Ok(told) = rx.recv_blocking() {
            last = Some(told);
        }
        let Some(Creation::Done(Ok(metainfo))) = last else {
            panic!("{last:?}")
        };
        assert_eq!(std::fs::read(output).unwrap(), *metainfo.raw);
    }
}
