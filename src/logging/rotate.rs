//! The log file: appended to, and set aside when it grows too large (`x.log` → `x.log.1` → `x.log.2` …).

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::config::LogConfig;

/// A file that is opened when it is first written to, with its folder.
#[derive(Debug)]
pub(super) struct RotatingFile {
    path: PathBuf,
    max_bytes: u64,
    keep: usize,
    /// With its length. `None` before the first line and after an error, so that the next write tries anew.
    open: Option<(File, u64)>,
}

impl RotatingFile {
    pub(super) fn new(config: &LogConfig) -> Self {
        Self {
            path: config.file.clone(),
            max_bytes: config.max_mib.saturating_mul(1024 * 1024),
            keep: config.keep,
            open: None,
        }
    }

    /// Takes over new settings; a file with another name is begun with the next line.
    pub(super) fn configure(&mut self, config: &LogConfig) {
        let same_file = self.path == config.file;
        let open = self.open.take().filter(|_| same_file);
        *self = Self {
            open,
            ..Self::new(config)
        };
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Appends whole lines, after setting the file aside if they would make it larger than allowed. Lines
    /// that are larger than that by themselves get a file of their own.
    pub(super) fn write_lines(&mut self, lines: &[u8]) -> io::Result<()> {
        let added = lines.len() as u64;
        let (mut file, mut length) = match self.open.take() {
            Some(open) => open,
            None => self.open_file()?,
        };
        if length > 0 && length + added > self.max_bytes {
            drop(file);
            self.set_aside()?;
            (file, length) = self.open_file()?;
        }
        file.write_all(lines)?;
        self.open = Some((file, length + added));
        Ok(())
    }

    fn open_file(&self) -> io::Result<(File, u64)> {
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder)?;
        }
        let file = OpenOptions::new().append(true).create(true).open(&self.path)?;
        let length = file.metadata()?.len();
        Ok((file, length))
    }

    /// Moves each file one number up; the last one goes.
    fn set_aside(&self) -> io::Result<()> {
        if self.keep == 0 {
            return fs::remove_file(&self.path);
        }
        for number in (1..self.keep).rev() {
            match fs::rename(self.numbered(number), self.numbered(number + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        fs::rename(&self.path, self.numbered(1))
    }

    fn numbered(&self, number: usize) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{number}"));
        name.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rotating(path: &Path, max_bytes: u64, keep: usize) -> RotatingFile {
        RotatingFile {
            path: path.to_owned(),
            max_bytes,
            keep,
            open: None,
        }
    }

    /// Names and contents of all files in the folder, sorted.
    fn contents(folder: &Path) -> Vec<(String, String)> {
        let mut files: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap())
            .map(|entry| {
                (
                    entry.file_name().into_string().unwrap(),
                    fs::read_to_string(entry.path()).unwrap(),
                )
            })
            .collect();
        files.sort();
        files
    }

    #[test]
    fn a_full_file_is_set_aside_and_the_oldest_goes() {
        let cases: [(usize, &[(&str, &str)]); 3] = [
            (0, &[("x.log", "7\n8\n")]),
            (1, &[("x.log", "7\n8\n"), ("x.log.1", "5\n6\n")]),
            (
                2,
                &[("x.log", "7\n8\n"), ("x.log.1", "5\n6\n"), ("x.log.2", "3\n4\n")],
            ),
        ];
        for (keep, expected) in cases {
            let folder = tempfile::tempdir().unwrap();
            let mut file = rotating(&folder.path().join("x.log"), 5, keep);
            for number in 1..=8 {
                file.write_lines(format!("{number}\n").as_bytes()).unwrap();
            }
            let found = contents(folder.path());
            let found: Vec<_> = found
                .iter()
                .map(|(name, text)| (name.as_str(), text.as_str()))
                .collect();
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn a_file_of_an_earlier_run_is_gone_on_with() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.log");
        fs::write(&path, "old\n").unwrap();
        rotating(&path, 8, 1).write_lines(b"new\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "old\nnew\n");
        rotating(&path, 8, 1).write_lines(b"next\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "next\n");
        assert_eq!(
            fs::read_to_string(folder.path().join("x.log.1")).unwrap(),
            "old\nnew\n"
        );
    }

    #[test]
    fn a_line_larger_than_the_file_may_be_gets_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = rotating(&folder.path().join("x.log"), 4, 2);
        for line in ["a\n", "much too long\n", "b\n"] {
            file.write_lines(line.as_bytes()).unwrap();
        }
        let texts: Vec<_> = contents(folder.path())
            .into_iter()
            .map(|(_, text)| text)
            .collect();
        assert_eq!(texts, ["b\n", "much too long\n", "a\n"]);
    }
}
