//! A small ext4 in a file, for what memory file systems do not do: it has a journal, caches what is written, can be
//! frozen, and what has reached it can be looked at. Needs root.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A file system that is mounted for as long as the value lives.
#[derive(Debug)]
pub(crate) struct LoopDisk {
    image: PathBuf,
    at: PathBuf,
}

impl LoopDisk {
    /// Makes the image and mounts it. `None` where nothing may be mounted; under `CI=true` that is a failure.
    pub(crate) fn new(image: &Path, at: &Path, mib: u64) -> Option<Self> {
        fs::File::create(image).unwrap().set_len(mib << 20).unwrap();
        let mut make = Command::new("mkfs.ext4");
        // Nothing is kept for root, as which these tests run.
        make.args(["-q", "-F", "-m", "0"]).arg(image);
        let made = make.status().is_ok_and(|status| status.success());
        let disk = made.then(|| Self::mount(image, at)).flatten();
        if disk.is_none() {
            assert_ne!(
                std::env::var("CI").as_deref(),
                Ok("true"),
                "a small file system could not be made and mounted"
            );
        }
        disk
    }

    /// Mounts an image.
    pub(crate) fn mount(image: &Path, at: &Path) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        let mut mount = Command::new("mount");
        // Its own commits come late: what is on the disk is what somebody synced.
        mount
            .args(["-t", "ext4", "-o", "loop,noatime,commit=600"])
            .arg(image)
            .arg(at);
        let mounted = mount.stderr(Stdio::null()).status();
        mounted.is_ok_and(|status| status.success()).then(|| Self {
            image: image.to_owned(),
            at: at.to_owned(),
        })
    }

    /// What has reached the disk by now, as it would be found after a power cut.
    pub(crate) fn copy_to(&self, image: &Path) {
        fs::copy(&self.image, image).unwrap();
    }

    /// Takes and syncs nothing from here on, until the value that it gives is dropped.
    pub(crate) fn freeze(&self) -> Frozen {
        let frozen = Frozen(self.at.clone());
        assert!(fsfreeze("-f", &self.at), "the file system could not be frozen");
        frozen
    }
}

impl Drop for LoopDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.at).status();
    }
}

/// A disk that stands still.
#[derive(Debug)]
pub(crate) struct Frozen(PathBuf);

impl Drop for Frozen {
    fn drop(&mut self) {
        // Whatever happened: nobody who waits for it could be ended, the test included.
        fsfreeze("-u", &self.0);
    }
}

fn fsfreeze(option: &str, at: &Path) -> bool {
    Command::new("fsfreeze")
        .arg(option)
        .arg(at)
        .status()
        .is_ok_and(|status| status.success())
}
