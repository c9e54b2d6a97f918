//! A desktop without a screen: an X server and a session bus of its own, the program on them, and eyes to
//! read it with.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

/// Time for anything to show that should; far more than it takes.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A process that ends with the test.
#[derive(Debug)]
pub struct Owned(pub Child);

impl Drop for Owned {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Owned {
    /// Starts a program and reads the first line that it says.
    pub fn start(command: &mut Command) -> (Self, String) {
        let mut child = command
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program is installed");
        let mut line = String::new();
        let stdout = child.stdout.as_mut().expect("it is piped");
        BufReader::new(stdout)
            .read_line(&mut line)
            .expect("a pipe can be read");
        (Self(child), line.trim().to_owned())
    }
}

/// The screen, the bus and the folders of a user who has never used the program.
#[derive(Debug)]
pub struct Desktop {
    home: TempDir,
    environment: Vec<(&'static str, String)>,
    // Dropped in this order: the bus goes before the screen.
    _bus: Owned,
    _screen: Owned,
}

impl Desktop {
    pub fn start() -> Self {
        let home = TempDir::new().expect("a temporary folder can be made");
        let mut screen = Command::new("Xvfb");
        screen.args([
            "-displayfd",
            "1",
            "-screen",
            "0",
            "1200x900x24",
            "-nolisten",
            "tcp",
        ]);
        let (screen, display) = Owned::start(screen.stderr(Stdio::null()));
        let mut environment = vec![
            ("DISPLAY", format!(":{display}")),
            ("GDK_BACKEND", "x11".into()),
            ("GSK_RENDERER", "cairo".into()),
            ("GSETTINGS_BACKEND", "memory".into()),
            ("GTK_A11Y", "atspi".into()),
            ("LC_ALL", "C.UTF-8".into()),
        ];
        for (name, folder) in [
            ("HOME", "home"),
            ("XDG_CONFIG_HOME", "config"),
            ("XDG_DATA_HOME", "data"),
            ("XDG_STATE_HOME", "state"),
            ("XDG_CACHE_HOME", "cache"),
            ("XDG_RUNTIME_DIR", "run"),
        ] {
            let path = home.path().join(folder);
            std::fs::create_dir(&path).expect("the home is new");
            environment.push((name, path.display().to_string()));
        }
        let mut bus = Command::new("dbus-daemon");
        bus.args(["--session", "--nofork", "--print-address=1"])
            .env_remove("AT_SPI_BUS_ADDRESS");
        let (bus, address) = Owned::start(bus.envs(environment.clone()).stderr(Stdio::null()));
        environment.push(("DBUS_SESSION_BUS_ADDRESS", address));
        Self {
            home,
            environment,
            _bus: bus,
            _screen: screen,
        }
    }

    /// A file or folder of the user.
    pub fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// A program of this desktop.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .envs(self.environment.clone())
            .env_remove("WAYLAND_DISPLAY")
            .env_remove("AT_SPI_BUS_ADDRESS");
        command
    }
}

/// Reads and presses what one program shows.
#[derive(Debug)]
pub struct Eyes {
    _process: Owned,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Eyes {
    pub fn of(desktop: &Desktop, program: &Child) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/window/eyes.py");
        // Debian's own python is the one that has pyatspi.
        let mut process = desktop
            .command("/usr/bin/python3")
            .arg(script)
            .arg(program.id().to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("python3 is installed");
        let questions = process.stdin.take().expect("it is piped");
        let answers = BufReader::new(process.stdout.take().expect("it is piped"));
        Self {
            _process: Owned(process),
            questions,
            answers,
        }
    }

    fn ask(&mut self, command: &[&str]) -> Result<Value, String> {
        writeln!(self.questions, "{}", json!(command)).expect("the script waits for commands");
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("the script answers");
        let mut answer: Value = serde_json::from_str(&line).expect("the script is there and answers in JSON");
        match answer["error"].as_str() {
            Some(error) => Err(error.to_owned()),
            None => Ok(answer["ok"].take()),
        }
    }

    fn strings(&mut self, command: &str) -> Vec<String> {
        match self.ask(&[command]) {
            Ok(answer) => {
                let items = answer.as_array().into_iter().flatten();
                items.filter_map(Value::as_str).map(str::to_owned).collect()
            }
            // What is told if it is waited for in vain: the program may not be there yet, or no more.
            Err(error) => vec![error],
        }
    }

    /// All texts that are drawn now.
    pub fn labels(&mut self) -> Vec<String> {
        self.strings("labels")
    }

    /// What can be pressed and does not say what it is.
    pub fn nameless(&mut self) -> Vec<String> {
        self.strings("nameless")
    }

    /// The text beside a title, such as that of "Info-hash".
    pub fn value(&mut self, title: &str) -> Option<String> {
        let labels = self.labels();
        let at = labels.iter().position(|label| label == title)?;
        labels.get(at + 1).cloned()
    }

    /// Waits for `seen` to find what it looks for.
    ///
    /// # Panics
    /// If that takes too long, with what is drawn instead.
    pub fn wait<T>(&mut self, what: &str, mut seen: impl FnMut(&mut Self) -> Option<T>) -> T {
        let start = Instant::now();
        loop {
            if let Some(found) = seen(self) {
                return found;
            }
            assert!(
                start.elapsed() < PATIENCE,
                "waited in vain for {what}; there is {:#?}",
                self.labels()
            );
            // The bus tells of no change that could be waited for instead.
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// Waits for a text.
    pub fn wait_for(&mut self, text: &str) {
        self.wait(text, |eyes| {
            eyes.labels()
                .iter()
                .any(|label| label.contains(text))
                .then_some(())
        });
    }

    /// Presses a button or a tab, when it is there.
    pub fn press(&mut self, name: &str) {
        self.wait(name, |eyes| eyes.ask(&["press", name]).ok());
    }

    /// Runs an action of the window.
    pub fn action(&mut self, name: &str) {
        self.wait(name, |eyes| eyes.ask(&["action", name]).ok());
    }
}
