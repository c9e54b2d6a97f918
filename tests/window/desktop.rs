//! A desktop without a screen: an X server, a window manager and a session bus of its own, and the program on
//! them.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::PROGRAM;

/// Time for anything to show that should; far more than it takes.
pub const PATIENCE: Duration = Duration::from_mins(2);

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

    /// Waits until it has ended.
    pub fn wait(&mut self) -> ExitStatus {
        wait_until("the end of a program", || {
            self.0.try_wait().expect("it is our child")
        })
    }
}

/// Looks until there is something to see.
///
/// # Panics
/// If that takes too long.
pub fn wait_until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(start.elapsed() < PATIENCE, "waited in vain for {what}");
        // What is waited for lies with another program, which cannot tell us.
        thread::sleep(Duration::from_millis(50));
    }
}

/// The screen, the bus and the folders of a user who has never used the program.
#[derive(Debug)]
pub struct Desktop {
    home: TempDir,
    environment: Vec<(&'static str, String)>,
    // Dropped in this order: the screen goes last.
    _bus: Owned,
    _manager: Owned,
    _screen: Owned,
    _seat: Seat,
}

/// The right to have a desktop. There are as many as cores: each draws in software and is read all the time, so more of
/// them would only wait for each other.
#[derive(Debug)]
struct Seat;

static TAKEN: Mutex<usize> = Mutex::new(0);
static LEFT: Condvar = Condvar::new();

impl Seat {
    /// Waits for one that is free.
    fn take() -> Self {
        let most = thread::available_parallelism().map_or(1, NonZero::get);
        let taken = TAKEN.lock().expect("nobody panics with it");
        let taken = LEFT.wait_while(taken, |taken| *taken >= most);
        *taken.expect("nobody panics with it") += 1;
        Self
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        *TAKEN.lock().expect("nobody panics with it") -= 1;
        LEFT.notify_one();
    }
}

impl Desktop {
    pub fn start() -> Self {
        let seat = Seat::take();
        let home = TempDir::new().expect("a temporary folder can be made");
        let mut screen = Command::new("Xvfb");
        screen.args([
            "-displayfd",
            "1",
            "-screen",
            "0",
            "1200x1800x24",
            "-nolisten",
            "tcp",
            // It would begin anew, and take the window manager with it, when whoever asked for that one first leaves.
            "-noreset",
        ]);
        let (screen, display) = Owned::start(screen.stderr(Stdio::null()));
        let mut environment = vec![
            ("DISPLAY", format!(":{display}")),
            ("GDK_BACKEND", "x11".into()),
            ("GSK_RENDERER", "cairo".into()),
            ("GSETTINGS_BACKEND", "memory".into()),
            ("GTK_A11Y", "atspi".into()),
            ("LC_ALL", "C.UTF-8".into()),
            // It would go before: what is looked for is English.
            ("LANGUAGE", String::new()),
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
        // Without a window manager no window gets the keyboard.
        let mut manager = Command::new("openbox");
        manager.arg("--sm-disable").envs(environment.clone());
        let manager = manager.stdout(Stdio::null()).stderr(Stdio::null());
        let manager = Owned(manager.spawn().expect("openbox is installed"));
        let desktop = Self {
            home,
            environment,
            _bus: bus,
            _manager: manager,
            _screen: screen,
            _seat: seat,
        };
        wait_until("the window manager", || {
            desktop.hands(&["get_desktop"]).then_some(())
        });
        desktop
    }

    /// Does what hands do; whether that was possible.
    fn hands(&self, arguments: &[&str]) -> bool {
        let mut hands = self.command("xdotool");
        let hands = hands.args(arguments).stdout(Stdio::null()).stderr(Stdio::null());
        hands.status().expect("xdotool is installed").success()
    }

    /// Waits for a window of this title to have the keyboard, and then types: `type` and a text, or `key` and
    /// the names of keys.
    pub fn keyboard(&self, title: &str, how: &str, what: &str) {
        wait_until(&format!("the keyboard in {title}"), || {
            let focus = ["windowactivate", "--sync", &self.window(title)];
            self.hands(&focus).then_some(())
        });
        assert!(self.hands(&[how, "--clearmodifiers", what]), "{how} {what}");
    }

    /// Moves the pointer to this place of the window of this title.
    pub fn point_at(&self, title: &str, (x, y): (i64, i64)) {
        let window = self.window(title);
        let (x, y) = (x.to_string(), y.to_string());
        let hands = ["mousemove", "--window", &window, &x, &y];
        assert!(self.hands(&hands), "the pointer at {x}, {y}");
    }

    /// Drags what is at one place of one window to a place of another, and drops it there.
    pub fn drag(&self, from: (&str, (i64, i64)), to: (&str, (i64, i64))) {
        // What is dragged is a window too, of the same title.
        let [source, target] = [from.0, to.0].map(|title| self.window(title));
        let point_at = |window: &str, x: i64, y: i64| {
            let (x, y) = (x.to_string(), y.to_string());
            let hands = ["mousemove", "--window", window, &x, &y, "sleep", "0.6"];
            assert!(self.hands(&hands), "the pointer at {x}, {y}");
        };
        point_at(&source, from.1.0, from.1.1);
        assert!(self.hands(&["mousedown", "1", "sleep", "0.5"]));
        // A drag begins some pixels further, and goes through places in between. On a busy machine both programs need
        // time to agree on it, and nothing tells when they have.
        for _ in 0..4 {
            assert!(self.hands(&["mousemove_relative", "6", "6", "sleep", "0.3"]));
        }
        let (x, y) = to.1;
        for nearer in [20, 10, 0] {
            point_at(&target, x - nearer, y - nearer);
        }
        assert!(self.hands(&["mouseup", "1"]));
    }

    /// Waits for a window of this title, and tells its number, for hands.
    fn window(&self, title: &str) -> String {
        let name = format!("^{title}$");
        wait_until(&format!("a window called {title}"), || {
            let mut hands = self.command("xdotool");
            hands.args(["search", "--onlyvisible", "--name", &name]);
            let told = hands.output().expect("xdotool is installed").stdout;
            let told = String::from_utf8(told).expect("it tells numbers");
            // Tooltips have the title too, and came later.
            let numbers = told.lines().filter_map(|line| line.parse::<u64>().ok());
            numbers.min().map(|number| number.to_string())
        })
    }

    /// Puts the window of this title to this place of the screen, once it is there.
    pub fn put(&self, title: &str, (x, y): (i64, i64)) {
        let (x, y) = (x.to_string(), y.to_string());
        // It may be there already, so that no move could be waited for.
        let place = ["windowmove", &self.window(title), &x, &y, "sleep", "0.3"];
        assert!(self.hands(&place), "{title} at {x}, {y}");
    }

    /// Clicks at this place of the window of this title.
    pub fn click(&self, title: &str, place: (i64, i64)) {
        self.point_at(title, place);
        assert!(self.hands(&["click", "1"]), "a click at {place:?}");
    }

    /// Clicks twice at this place of the window of this title.
    pub fn double_click(&self, title: &str, place: (i64, i64)) {
        self.point_at(title, place);
        let hands = ["click", "--repeat", "2", "--delay", "60", "1"];
        assert!(self.hands(&hands), "a double click at {place:?}");
    }

    /// Waits for a window of this title, and makes it so wide, or as wide as it can be made. Says how wide it is then.
    pub fn resize(&self, title: &str, width: u32) -> u32 {
        let size = [
            "windowsize",
            "--sync",
            &self.window(title),
            &width.to_string(),
            "800",
        ];
        assert!(self.hands(&size), "{title} as wide as {width}");
        self.width(title)
    }

    /// The width of the window of this title.
    pub fn width(&self, title: &str) -> u32 {
        let mut hands = self.command("xdotool");
        hands.args(["getwindowgeometry", "--shell", &self.window(title)]);
        let told = hands.output().expect("xdotool is installed").stdout;
        let told = String::from_utf8(told).expect("it tells numbers");
        let width = told.lines().find_map(|line| line.strip_prefix("WIDTH="));
        width
            .expect("the window is there")
            .parse()
            .expect("it is a number")
    }

    /// Starts the program, with settings that keep to the desktop's folders, to open these torrents. It
    /// downloads `limit` KiB/s.
    pub fn start_program(&self, limit: u32, torrents: &[&Path]) -> Owned {
        self.run_program(&self.set_limit(limit), torrents)
    }

    /// The same with more settings, and without torrents. The last section of the others is `[window]`.
    pub fn start_program_with(&self, settings: &str) -> Owned {
        let settings = settings.strip_prefix("[window]\n").unwrap_or(settings);
        self.start_program_edited(|text| text + settings, &[])
    }

    /// The same with settings that were edited.
    pub fn start_program_edited(&self, edit: impl FnOnce(String) -> String, torrents: &[&Path]) -> Owned {
        let config = self.set_limit(0);
        let text = std::fs::read_to_string(&config).expect("it was just written");
        std::fs::write(&config, edit(text)).expect("the home can be written");
        self.run_program(&config, torrents)
    }

    /// The same where a torrent is shown before it is added.
    pub fn start_program_that_asks(&self, torrents: &[&Path]) -> Owned {
        let asks = |text: String| text.replace("ask_before_adding = false", "ask_before_adding = true");
        self.start_program_edited(asks, torrents)
    }

    /// The same with these variables in its environment.
    pub fn start_program_in(&self, environment: &[(&str, &str)], torrents: &[&Path]) -> Owned {
        let mut program = self.program(&self.set_limit(0), torrents);
        program.envs(environment.iter().copied());
        Owned(program.spawn().expect("it was built with the test"))
    }

    /// The same with what it says on standard error in a file.
    pub fn start_program_heard(&self, torrents: &[&Path]) -> (Owned, PathBuf) {
        let path = self.path("stderr");
        let file = std::fs::File::create(&path).expect("the home can be written");
        let mut program = self.program(&self.set_limit(0), torrents);
        program.stderr(file);
        let program = Owned(program.spawn().expect("it was built with the test"));
        (program, path)
    }

    /// The user wants no animations.
    pub fn keep_still(&self) {
        let settings = self.path("config/gtk-4.0/settings.ini");
        let folder = settings.parent().expect("it is in a folder");
        std::fs::create_dir_all(folder).expect("there is room");
        std::fs::write(&settings, "[Settings]\ngtk-enable-animations=0\n").expect("there is room");
    }

    fn run_program(&self, config: &Path, torrents: &[&Path]) -> Owned {
        let mut program = self.program(config, torrents);
        Owned(program.spawn().expect("it was built with the test"))
    }

    fn program(&self, config: &Path, torrents: &[&Path]) -> Command {
        let mut program = self.command(PROGRAM);
        // Memory that is freed is written over, so that whoever still reads it falls here and not at somebody's desk.
        program
            .env("MALLOC_PERTURB_", "165")
            .env("G_SLICE", "always-malloc");
        program.arg("--config").arg(config).args(torrents);
        program
    }

    /// Writes the settings file anew; a program that runs takes over the limit, in KiB/s.
    pub fn set_limit(&self, limit: u32) -> PathBuf {
        let config = self.path("config.toml");
        let text = format!(
            "[network]\nport = 0\n[folders]\ndownloads = \"downloads\"\nstate = \"session\"\n\
             [transfer]\ndownload_limit_kib = {limit}\n[log]\nfile = \"dtorrent.log\"\n\
             [window]\nask_before_adding = false\n"
        );
        std::fs::write(&config, text).expect("the home can be written");
        config
    }

    /// A file or folder of the user.
    pub fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// A program of this desktop.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .envs(self.environment.clone())
            .env_remove("WAYLAND_DISPLAY")
            .env_remove("AT_SPI_BUS_ADDRESS");
        command
    }
}
