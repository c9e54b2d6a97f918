//! Network namespaces that end with the test. They need root.

use std::env;
use std::process::{Command, id};

/// Whether there can be namespaces. Under `CI=true` a test that must be skipped is a failure.
pub(crate) fn are_possible() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    assert!(
        is_root || env::var_os("CI").is_none_or(|ci| ci != "true"),
        "this test needs root"
    );
    is_root
}

/// Runs `ip`, which must succeed.
pub(crate) fn ip(arguments: &str) {
    let status = Command::new("ip").args(arguments.split(' ')).status().unwrap();
    assert!(status.success(), "ip {arguments}");
}

/// A network namespace that ends with the value.
pub(crate) struct Namespace {
    pub(crate) name: String,
}

impl Namespace {
    /// One whose name tells this process and what it is for.
    pub(crate) fn new(side: &str) -> Self {
        let name = format!("dtorrent-{}-{side}", id());
        ip(&format!("netns add {name}"));
        Self { name }
    }

    /// Runs `ip` for it.
    pub(crate) fn ip(&self, arguments: &str) {
        ip(&format!("-n {} {arguments}", self.name));
    }

    /// A program inside of it.
    pub(crate) fn run(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name, program]);
        command
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.name]).status();
    }
}
