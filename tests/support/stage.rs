//! The place of one test.

use std::fs;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Time between two looks at something that cannot tell us when it happens: another program's state.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// How much of each log is shown when a test fails.
const TAIL_BYTES: usize = 6000;

/// A temporary stage needs less than this many bytes at a time.
const ROOM: u64 = 2 << 30;

/// A folder that goes away with the test, after the logs in it were shown if the test failed. Make it first:
/// what is made later is dropped earlier, so the programs have ended by then.
#[derive(Debug)]
pub(crate) struct Stage {
    dir: TempDir,
}

impl Stage {
    /// In memory where there is room, since nothing here has to outlive the test.
    pub(crate) fn new() -> Self {
        let memory = Path::new("/dev/shm");
        let in_memory = rustix::fs::statvfs(memory).is_ok_and(|fs| fs.f_bavail * fs.f_frsize > ROOM);
        let parent = if in_memory {
            memory.to_owned()
        } else {
            std::env::temp_dir()
        };
        let dir = tempfile::Builder::new()
            .prefix("dtorrent-test-")
            // Programs that run as nobody read their settings here.
            .permissions(fs::Permissions::from_mode(0o755))
            .tempdir_in(parent)
            .unwrap();
        fs::create_dir(dir.path().join("logs")).unwrap();
        Self { dir }
    }

    /// A folder of this stage, made if it is not there.
    pub(crate) fn folder(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(&path).unwrap();
        path
    }

    /// A path in this stage.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Where the log of that name goes, to be shown if the test fails.
    pub(crate) fn log(&self, name: &str) -> PathBuf {
        self.path("logs").join(format!("{name}.log"))
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if !thread::panicking() {
            return;
        }
        let logs = fs::read_dir(self.path("logs")).into_iter().flatten().flatten();
        let mut logs: Vec<PathBuf> = logs.map(|entry| entry.path()).collect();
        logs.sort();
        for log in logs {
            // The test's own output, which is shown with the failure.
            #[expect(clippy::print_stdout)]
            {
                println!("---- {}\n{}", log.display(), tail(&log));
            }
        }
    }
}

/// The end of a text file.
fn tail(path: &Path) -> String {
    let bytes = fs::read(path).unwrap_or_default();
    let start = bytes.len().saturating_sub(TAIL_BYTES);
    String::from_utf8_lossy(&bytes[start..]).into_owned()
}

/// A loopback address that nobody else uses: the process id and a counter make it.
pub(crate) fn fresh_ip() -> Ipv4Addr {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let process = u8::try_from(std::process::id() % 200).unwrap_or(0);
    // 127.0 is left to what the machine itself listens on, and .0 and .255 look like broadcasts.
    let [high, low] = [number / 250, number % 250].map(|part| u8::try_from(part).unwrap());
    Ipv4Addr::new(127, 20 + process, high, 1 + low)
}

/// A port at that address, chosen by the system. Only one client is given the address, so the port is still
/// free when it gets there.
pub(crate) fn free_port(ip: Ipv4Addr) -> u16 {
    TcpListener::bind((ip, 0)).unwrap().local_addr().unwrap().port()
}

/// [`free_port`] at a [`fresh_ip`].
pub(crate) fn fresh_address() -> SocketAddrV4 {
    let ip = fresh_ip();
    SocketAddrV4::new(ip, free_port(ip))
}

/// Looks until `probe` finds what is awaited, or panics after `limit`.
pub(crate) fn wait_for<T>(what: &str, limit: Duration, mut probe: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(started.elapsed() < limit, "waited {limit:?} in vain for: {what}");
        thread::sleep(LOOK_INTERVAL);
    }
}
