//! Programs that are started by a test and end with it.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, geteuid, kill_process};

use super::stage::{Stage, wait_for};

/// How long a program may take to end once it was asked to.
const POLITE: Duration = Duration::from_secs(5);

/// What makes `setpriv` give up the rights of root.
const NOBODY: &[&str] = &["--reuid", "nobody", "--regid", "nogroup", "--clear-groups"];

/// A program of the system.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Program {
    /// Its name on the path, or its path.
    pub(crate) name: &'static str,
    /// Debian's package of it.
    pub(crate) package: &'static str,
    /// It refuses to run as root, so it runs as nobody then.
    pub(crate) never_root: bool,
}

impl Program {
    /// One that runs as whoever we are.
    pub(crate) const fn new(name: &'static str, package: &'static str) -> Self {
        Self {
            name,
            package,
            never_root: false,
        }
    }
}

/// A running program. It ends when this is dropped, and when the thread that started it ends: start programs
/// from the test's own thread.
#[derive(Debug)]
pub(crate) struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `program` with its output in the stage's log `name`. Its standard input is a pipe that closes
    /// with us.
    pub(crate) fn start<S: AsRef<OsStr>>(
        stage: &Stage,
        name: &str,
        program: Program,
        arguments: impl IntoIterator<Item = S>,
    ) -> Self {
        require(program.name, program.package);
        let log = stage.log(name);
        // Appended to, so that a program that is started again does not wipe what its first life said.
        let output = File::options().create(true).append(true).open(&log).unwrap();
        let home = stage.folder("home");
        let child = Command::new(require("setpriv", "util-linux"))
            .args(["--pdeathsig", "KILL"])
            .args(if program.never_root && geteuid().is_root() {
                NOBODY
            } else {
                &[]
            })
            .args(["--", program.name])
            .args(arguments)
            .current_dir(&home)
            .env("HOME", &home)
            .env_remove("XDG_CONFIG_HOME")
            .env_remove("XDG_STATE_HOME")
            .stdin(Stdio::piped())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn()
            .unwrap();
        Self {
            name: name.to_owned(),
            child,
            log,
        }
    }

    /// The number under `/proc`.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it said so far.
    pub(crate) fn output(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Its exit status if it has ended.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Panics if it has ended, which it must not do before the test lets it.
    pub(crate) fn assert_running(&mut self) {
        self.assert_not_ended_before(|_| false);
    }

    /// Whether the program has done this; panics if it has ended without. Its end is looked for first, as the last
    /// thing that a program does may be done between two looks.
    pub(crate) fn assert_not_ended_before(&mut self, done: impl FnOnce(&Self) -> bool) -> bool {
        let ended = self.ended();
        let done = done(self);
        if let (Some(status), false) = (ended, done) {
            panic!("{} ended too early: {status}", self.name);
        }
        done
    }

    /// Waits until it has ended.
    pub(crate) fn wait(&mut self, limit: Duration) -> ExitStatus {
        let what = format!("the end of {}", self.name);
        wait_for(&what, limit, || self.child.try_wait().unwrap())
    }

    /// Waits until it has ended, with success.
    pub(crate) fn finish(&mut self, limit: Duration) {
        let status = self.wait(limit);
        assert!(status.success(), "{} failed: {status}", self.name);
    }

    /// Asks it to end (SIGTERM).
    pub(crate) fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Lets it read its settings again (SIGHUP).
    pub(crate) fn hang_up(&self) {
        self.signal(Signal::HUP);
    }

    /// Ends it without a word of warning (SIGKILL), and waits until it is gone.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Sends SIGKILL and does not wait.
    pub(crate) fn shoot(&self) {
        self.signal(Signal::KILL);
    }

    /// Stops it (SIGSTOP), as a machine does that has too much to do.
    pub(crate) fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on (SIGCONT).
    pub(crate) fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        // It is our child and not waited for yet, so the number is still its own.
        let _ = kill_process(Pid::from_child(&self.child), signal);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|status| status.is_some()) {
            return;
        }
        self.terminate();
        let started = std::time::Instant::now();
        while started.elapsed() < POLITE {
            if self.child.try_wait().is_ok_and(|status| status.is_some()) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        self.kill();
    }
}

/// The path of a program, which must be installed: a test that cannot run has failed.
pub(crate) fn require(program: &str, package: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
        .unwrap_or_else(|| panic!("{program} is missing: apt-get install {package}"))
}

/// A number of `/proc/PID/status`, such as `VmHWM`, in bytes; none once the process is gone.
pub(crate) fn memory_of(pid: u32, field: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}
