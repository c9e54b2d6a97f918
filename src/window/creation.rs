//! Making a torrent on a thread of its own, with progress and a way to stop. Layer 4, without widgets.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::{io, thread};

use async_channel::{Receiver, Sender};
use dtorrent::create::{self, CreateError, CreateOptions, Survey};
use dtorrent::metainfo::Metainfo;

use super::words;

/// What the thread tells. The last one is [`Creation::Done`].
#[derive(Debug)]
pub(crate) enum Creation {
    /// So many bytes of so many are hashed.
    Progress(u64, u64),
    /// The torrent is made, or not.
    Done(Result<Arc<Metainfo>, CreateError>),
}

/// The thread at work. Dropping this stops it.
#[derive(Debug)]
pub(crate) struct Creator {
    cancelled: Arc<AtomicBool>,
}

impl Creator {
    /// Starts to make a torrent.
    pub(crate) fn start(options: CreateOptions) -> io::Result<(Self, Receiver<Creation>)> {
        let (tx, rx) = async_channel::bounded(1);
        let cancelled = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&cancelled);
        thread::Builder::new()
            .name("create torrent".to_owned())
            .spawn(move || {
                let result = run(&options, &tx, &stop);
                // Nobody listens any more when the dialog is gone. It may take the place of a number that was not read
                // yet, and nothing takes its own: it is the last.
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
    tx: &Sender<Creation>,
    cancelled: &AtomicBool,
) -> Result<Arc<Metainfo>, CreateError> {
    let progress = |hashed: u64, total: u64| {
        let _ = tx.force_send(Creation::Progress(hashed, total));
    };
    create::create(options, progress, cancelled).map(Arc::new)
}

/// A look at what is to be shared, on a thread of its own. Dropping it ends the look.
#[derive(Debug)]
pub(crate) struct Surveyor {
    cancelled: Arc<AtomicBool>,
}

impl Surveyor {
    /// Starts to look below `path`. The answer comes once, if nobody has ended the look.
    pub(crate) fn start(path: PathBuf) -> io::Result<(Self, Receiver<Result<Survey, CreateError>>)> {
        let (tx, rx) = async_channel::bounded(1);
        let cancelled = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&cancelled);
        thread::Builder::new().name("survey".to_owned()).spawn(move || {
            let survey = create::survey(&path, &stop);
            let _ = tx.force_send(survey);
        })?;
        Ok((Self { cancelled }, rx))
    }
}

impl Drop for Surveyor {
    fn drop(&mut self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }
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
    problems.next().map(|error| words::told(&error.to_string()))
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
    fn the_torrent_is_told_last() {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("data");
        std::fs::write(&source, vec![7; 100_000]).unwrap();
        let (_surveyor, survey) = Surveyor::start(source.clone()).unwrap();
        let survey = survey.recv_blocking().unwrap().unwrap();
        assert_eq!((survey.files, survey.total), (1, 100_000));
        let options = CreateOptions {
            path: source,
            ..CreateOptions::default()
        };
        let (_creator, rx) = Creator::start(options).unwrap();
        let mut last = None;
        while let Ok(told) = rx.recv_blocking() {
            last = Some(told);
        }
        let Some(Creation::Done(Ok(metainfo))) = last else {
            panic!("{last:?}")
        };
        assert_eq!(metainfo.info.geometry.total_length(), 100_000);
    }
}
