//! Where the settings come from: a file that was named, or the one in the user's own configuration folder,
//! which is written at first start. Layer 3.
//!
//! The current folder is never searched: a file manager may start us in a download folder, where a planted
//! `config.toml` could lie.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;
use toml_edit::{DocumentMut, TableLike};

use super::text::{self, Wrong};
use super::{Config, FolderConfig, LogConfig};

/// The text of the shipped `config.toml`: every key with its comment and its default.
pub const SHIPPED: &str = include_str!("../../config.toml");

/// The log's name where it lies in the state folder.
const LOG_NAME: &str = "dtorrent.log";

/// Why there are no settings.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file could not be read.
    #[error("cannot read the settings in {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file of the first start, or a change, could not be written.
    #[error("cannot write the settings to {}: {source}; name another file with --config", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file says something that we do not take.
    #[error("{}, line {line}: {message}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong, and what is allowed.
        message: String,
    },
    /// There is no folder for the user's settings.
    #[error("your home folder is not known, so neither is that of the settings; set HOME, or use --config")]
    NoHome,
}

impl Config {
    /// The settings in the file at `path`, with relative folders completed from the file's own folder.
    ///
    /// # Errors
    /// [`ConfigError::Read`], or [`ConfigError::Invalid`] with the first line that is wrong.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        load_with(path, &Places::beside(path))
    }

    /// What [`Self::load`] would make of the file at `path` if it held this text.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`].
    pub(super) fn of_text(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let places = Places::beside(path);
        text::read_text(path, text, |text| parse(text, &places)).map(|config| completed(config, path))
    }

    /// What the settings in the file at `path` are by default: an empty file there means this.
    pub fn defaults_beside(path: &Path) -> Self {
        Self::of_text("", path).unwrap_or_default()
    }

    /// The settings of the user, `$XDG_CONFIG_HOME/dtorrent/config.toml`, and the path of that file. At
    /// first start the file is written, with its comments and with the user's own folders.
    ///
    /// # Errors
    /// As [`Self::load`], and when the file cannot be written or the user has no home folder.
    pub fn load_of_user() -> Result<(Self, PathBuf), ConfigError> {
        let base = etcetera::choose_base_strategy().map_err(|_| ConfigError::NoHome)?;
        let path = path_of_user(&base);
        if !path.exists() {
            write_first(&path, &Places::of_user(&base))?;
        }
        Ok((Self::load(&path)?, path))
    }

    /// Has the state kept in `folder` instead, and the log with it: whoever gives a second instance a state of its
    /// own does not want both to write and rename one log. A log that the settings, which came from the file at
    /// `path`, put elsewhere than where it is by default stays there.
    pub fn keep_state_in(&mut self, folder: &Path, path: &Path) {
        let by_default = text::folder_of(path).join(Places::beside(path).log);
        if self.log.file == by_default {
            self.log.file = folder.join(LOG_NAME);
        }
        self.folders.state = folder.to_owned();
    }
}

fn path_of_user(base: &impl BaseStrategy) -> PathBuf {
    base.config_dir().join("dtorrent").join("config.toml")
}

/// The folders that hold when the file does not name any.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Places {
    downloads: PathBuf,
    state: PathBuf,
    log: PathBuf,
}

impl Default for Places {
    fn default() -> Self {
        let folders = FolderConfig::default();
        Self {
            downloads: folders.downloads,
            state: folders.state,
            log: LogConfig::default().file,
        }
    }
}

impl Places {
    /// Those that go with the file at `path`: the user's own for the user's own file.
    fn beside(path: &Path) -> Self {
        match etcetera::choose_base_strategy() {
            Ok(base) if path == path_of_user(&base) => Self::of_user(&base),
            _ => Self::default(),
        }
    }

    fn of_user(base: &impl BaseStrategy) -> Self {
        let user_dirs = fs::read_to_string(base.config_dir().join("user-dirs.dirs")).unwrap_or_default();
        // Only where a system has no notion of a state folder does `state_dir` know none.
        let state = base
            .state_dir()
            .unwrap_or_else(|| base.data_dir())
            .join("dtorrent");
        Self {
            downloads: download_folder(&user_dirs, base.home_dir())
                .unwrap_or_else(|| base.home_dir().join("Downloads")),
            log: state.join(LOG_NAME),
            state,
        }
    }
}

/// The download folder that the desktop set in `user-dirs.dirs`: a line `XDG_DOWNLOAD_DIR="$HOME/…"`, or
/// with an absolute path. Anything else in that file is the shell's, and not for us.
fn download_folder(user_dirs: &str, home: &Path) -> Option<PathBuf> {
    let value = user_dirs
        .lines()
        .find_map(|line| line.trim().strip_prefix("XDG_DOWNLOAD_DIR="))?
        .trim()
        .strip_prefix('"')?
        .strip_suffix('"')?;
    match value.strip_prefix("$HOME/") {
        Some(below) => Some(home.join(below)),
        None => Some(PathBuf::from(value)).filter(|path| path.is_absolute()),
    }
}

fn write_first(path: &Path, places: &Places) -> Result<(), ConfigError> {
    let failed = |source| ConfigError::Write {
        path: path.to_owned(),
        source,
    };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    // `create_new`: two programs started at once must not write over each other.
    match fs::File::create_new(path) {
        Ok(mut file) => file.write_all(first_text(places).as_bytes()).map_err(failed),
        Err(exists) if exists.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(failed(error)),
    }
}

/// The file of a first start at `path`: every key with its default.
pub(super) fn first_document(path: &Path) -> DocumentMut {
    first_text(&Places::beside(path)).parse().unwrap_or_default() // a test parses it
}

/// The shipped file with other folders in it: as values, and in the comments, which name them as defaults.
fn first_text(places: &Places) -> String {
    let shipped = Places::default();
    let places = [
        ("folders", "downloads", &shipped.downloads, &places.downloads),
        ("folders", "state", &shipped.state, &places.state),
        ("log", "file", &shipped.log, &places.log),
    ];
    let mut nameless = Vec::new();
    let mut replaced = Vec::new();
    for (section, key, old, new) in places {
        let old = old.to_string_lossy();
        // In a comment there is room for one line only.
        match new.to_str().filter(|text| !text.contains(char::is_control)) {
            Some(new) => replaced.push((quoted(&old), quoted(new))),
            None => nameless.push((section, key)),
        }
    }
    let line = |line: &str| match replaced.iter().find(|(old, _)| line.contains(old)) {
        Some((old, new)) => line.replace(old, new),
        None => line.to_owned(),
    };
    let text: String = SHIPPED.split_inclusive('\n').map(line).collect();
    let Ok(mut document) = text.parse::<DocumentMut>() else {
        return SHIPPED.to_owned(); // a test parses it
    };
    // A path that is not text cannot stand in the file; without the key, the same path holds anyway.
    for (section, key) in nameless {
        if let Some(table) = document.get_mut(section).and_then(|item| item.as_table_mut()) {
            table.remove(key);
        }
    }
    document.to_string()
}

/// As TOML has it.
fn quoted(text: &str) -> String {
    toml_edit::Value::from(text).to_string()
}

fn load_with(path: &Path, places: &Places) -> Result<Config, ConfigError> {
    text::read(path, |text| parse(text, places)).map(|config| completed(config, path))
}

/// The same with complete paths: relative ones count from the folder of the file at `path`.
fn completed(mut config: Config, path: &Path) -> Config {
    let folder = text::folder_of(path);
    let optional = [
        &mut config.tracker.key,
        &mut config.network.country_database,
        &mut config.folders.watch,
    ];
    for path in [
        &mut config.folders.downloads,
        &mut config.folders.state,
        &mut config.log.file,
    ]
    .into_iter()
    .chain(optional.into_iter().flatten())
    {
        *path = folder.join(&path); // an absolute path replaces the folder
    }
    config
}

/// The settings that `text` holds; paths are as written there, or those of `places` where it names none.
fn parse(text: &str, places: &Places) -> Result<Config, Wrong> {
    let document = text::parse_document(text)?;
    let names = |section: &str, key: &str| {
        let table = document.get(section).and_then(|item| item.as_table_like());
        table.is_some_and(|table: &dyn TableLike| table.contains_key(key))
    };
    let named = (
        names("folders", "downloads"),
        names("folders", "state"),
        names("log", "file"),
    );
    let mut config: Config = text::deserialize(text, document)?;
    if !named.0 {
        config.folders.downloads.clone_from(&places.downloads);
    }
    if !named.1 {
        config.folders.state.clone_from(&places.state);
    }
    if !named.2 {
        config.log.file.clone_from(&places.log);
    }
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        fs::write(&path, text).unwrap();
        let error = Config::load(&path).unwrap_err().to_string();
        error.replace(path.to_str().unwrap(), "config.toml")
    }

    #[test]
    fn the_shipped_file_is_the_defaults() {
        assert_eq!(parse(SHIPPED, &Places::default()), Ok(Config::default()));
        assert_eq!(parse("", &Places::default()), Ok(Config::default()));
    }

    #[test]
    fn the_shipped_file_names_every_key() {
        let fields = format!("{:?}", Config::default());
        let document: DocumentMut = SHIPPED.parse().unwrap();
        let keys: usize = document
            .iter()
            .map(|(_, section)| section.as_table().unwrap().len())
            .sum();
        // Debug prints `name: ` once for each section and for each key.
        assert_eq!(
            fields.matches(": ").count(),
            document.iter().count() + keys,
            "{fields}"
        );
    }

    #[test]
    fn what_is_not_allowed_is_refused_with_its_line() {
        let cases = [
            (
                "unknown section",
                "\n[netwrk]\n",
                2,
                "unknown field `netwrk`, expected one of `network`",
            ),
            (
                "unknown key",
                "[network]\nprot = 1\n",
                2,
                "unknown field `prot`, expected one of `port`",
            ),
            (
                "too large",
                "[network]\n\nport = 70000\n",
                3,
                "`port = 70000`: invalid value: integer `70000`, expected a whole number from 0 to 65535",
            ),
            (
                "negative",
                "[transfer]\nactive_peers = -1\n",
                2,
                "expected a whole number from 0 to",
            ),
            (
                "zero",
                "[memory]\nbuffers_mib = 0\n",
                2,
                "expected a whole number from 1 to",
            ),
            (
                "wrong type",
                "[network]\nport = \"6881\"\n",
                2,
                "invalid type: string \"6881\", expected a whole number",
            ),
            (
                "not whole",
                "[network]\nport = 1.5\n",
                2,
                "expected a whole number",
            ),
            (
                "not a boolean",
                "[transfer]\npreallocate = 1\n",
                2,
                "expected a boolean",
            ),
            (
                "level",
                "[log]\nlevel = \"loud\"\n",
                2,
                "expected one of \"off\", \"error\"",
            ),
            (
                "level in capitals",
                "[log]\nlevel = \"INFO\"\n",
                2,
                "expected one of \"off\", \"error\"",
            ),
            (
                "empty folder",
                "[folders]\nstate = \"\"\n",
                2,
                "expected a path that is not empty",
            ),
            (
                "bind",
                "[network]\nbind = \"10.0.0\\t1\"\n",
                2,
                "expected an IP address, the name of",
            ),
            (
                "address of the tracker",
                "[tracker]\naddress = \"http://a/\"\n",
                2,
                "expected an IP address or a name, with or without",
            ),
            (
                "node to join",
                "[tracker]\njoin = [\"localhost:1\"]\n",
                2,
                "invalid socket address",
            ),
            ("twice", "[network]\nport = 1\nport = 2\n", 3, "duplicate key"),
            ("not TOML", "[network]\nport\n", 2, ""),
            (
                "inline",
                "network = { port = 1, prot = 2 }\n",
                1,
                "unknown field `prot`",
            ),
        ];
        for (name, text, line, expected) in cases {
            let error = refused(text);
            assert!(
                error.starts_with(&format!("config.toml, line {line}: ")),
                "{name}: {error}"
            );
            assert!(error.contains(expected), "{name}: {error}");
            assert!(!error.contains('\n'), "{name}: {error}");
        }
    }

    #[test]
    fn what_is_allowed_at_the_edges() {
        let text = "[network]\nport = 0\nbind = \"fe80::1\"\n[log]\nlevel = \"off\"\nkeep = 0\n";
        let config = parse(text, &Places::default()).unwrap();
        assert_eq!(config.network.port, 0);
        assert_eq!(config.network.bind, "fe80::1");
        assert_eq!(config.log.level, log::LevelFilter::Off);
        for bind in ["", "192.0.2.1", "wg0", "enp3s0f1"] {
            let text = format!("[network]\nbind = {bind:?}\n");
            assert_eq!(parse(&text, &Places::default()).unwrap().network.bind, bind);
        }
    }

    #[test]
    fn relative_paths_count_from_the_folder_of_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("some.toml");
        fs::write(&path, "[folders]\nstate = \"a/b\"\ndownloads = \"/srv/data\"\n").unwrap();
        let config = Config::load(&path).unwrap();
        assert_eq!(config.folders.state, folder.path().join("a/b"));
        assert_eq!(config.folders.downloads, Path::new("/srv/data"));
        assert_eq!(config.log.file, folder.path().join("logs/dtorrent.log"));
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = Config::load(Path::new("/nonexistent/config.toml")).unwrap_err();
        assert!(matches!(error, ConfigError::Read { .. }));
        assert!(error.to_string().contains("/nonexistent/config.toml"));
    }

    #[test]
    fn the_first_file_keeps_the_comments_and_holds_the_folders_of_the_user() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/config.toml");
        let places = Places {
            downloads: "/home/a \"b\"/Downloads".into(),
            state: "/home/a/.local/state/dtorrent".into(),
            log: "/home/a/.local/state/dtorrent/dtorrent.log".into(),
        };
        write_first(&path, &places).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.matches('#').count(), SHIPPED.matches('#').count());
        comments_name_the_values(&text);
        let config = load_with(&path, &places).unwrap();
        assert_eq!(config.folders.downloads, places.downloads);
        assert_eq!(config.folders.state, places.state);
        assert_eq!(config.log.file, places.log);
        assert_eq!(config.network, Config::default().network);

        fs::write(&path, "[network]\nport = 7\n").unwrap();
        write_first(&path, &places).unwrap();
        let config = load_with(&path, &places).unwrap();
        assert_eq!(config.network.port, 7, "a file that is there stays");
        assert_eq!(
            config.log.file, places.log,
            "a key that was deleted means the same folder"
        );
    }

    /// Whether the comment above each key names the value that the key has, as its default.
    #[track_caller]
    fn comments_name_the_values(text: &str) {
        let document: DocumentMut = text.parse().unwrap();
        for (section, table) in document.iter() {
            let table = table.as_table().unwrap();
            for (key, value) in table.iter() {
                let comment = table.key(key).unwrap().leaf_decor().prefix().unwrap();
                let comment = comment.as_str().unwrap();
                let named = format!("Default: {}.", value.to_string().trim());
                assert!(
                    comment.contains(&named),
                    "{section}.{key}: {named} is not in {comment}"
                );
            }
        }
    }

    #[test]
    fn the_shipped_comments_name_the_values() {
        comments_name_the_values(SHIPPED);
    }

    #[test]
    fn a_folder_that_is_no_text_is_left_to_the_default() {
        use std::os::unix::ffi::OsStrExt;
        let odd = |bytes| PathBuf::from(std::ffi::OsStr::from_bytes(bytes));
        let places = Places {
            downloads: odd(b"/home/\xff/Downloads"),
            state: odd(b"/home/\n/state"),
            log: "/var/log/dtorrent.log".into(),
        };
        let config = parse(&first_text(&places), &places).unwrap();
        assert_eq!(config.folders.downloads, places.downloads);
        assert_eq!(config.folders.state, places.state);
        assert_eq!(config.log.file, places.log);
    }

    #[test]
    fn the_log_goes_along_with_the_state_unless_it_was_put_somewhere() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        let own = Path::new("/run/one");
        for (text, log) in [
            ("", own.join("dtorrent.log")),
            (SHIPPED, own.join("dtorrent.log")),
            ("[log]\nlevel = \"warn\"\n", own.join("dtorrent.log")),
            ("[log]\nfile = \"/var/log/d.log\"\n", "/var/log/d.log".into()),
            ("[log]\nfile = \"d.log\"\n", folder.path().join("d.log")),
        ] {
            fs::write(&path, text).unwrap();
            let mut config = Config::load(&path).unwrap();
            config.keep_state_in(own, &path);
            assert_eq!((&*config.folders.state, config.log.file), (own, log), "{text}");
        }
    }

    #[test]
    fn the_desktop_says_where_downloads_go() {
        let home = Path::new("/home/a");
        let cases = [
            (
                "XDG_DOWNLOAD_DIR=\"$HOME/Téléchargements\"",
                Some("/home/a/Téléchargements"),
            ),
            (
                "# x\nXDG_MUSIC_DIR=\"$HOME/M\"\n  XDG_DOWNLOAD_DIR=\"/srv/dl\"\n",
                Some("/srv/dl"),
            ),
            ("XDG_DOWNLOAD_DIR=\"relative\"", None),
            ("XDG_DOWNLOAD_DIR=", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(download_folder(text, home), expected.map(PathBuf::from), "{text}");
        }
    }
}
