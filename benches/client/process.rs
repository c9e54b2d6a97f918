//! Clients as processes of their own: started, looked at while they run, ended by their id.

use std::collections::HashMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::common::proc;

/// What takes longer has failed.
const GIVE_UP: Duration = Duration::from_secs(300);
/// How often it is looked whether something has happened.
const PAUSE: Duration = Duration::from_millis(2);
/// How often memory and switches are read at most, and how much rarer than it takes to read them.
const LOOK: Duration = Duration::from_millis(100);
const RARER: u32 = 20;
/// Of what a client has written, so much is shown when it fails.
const TOLD: usize = 1500;

/// What a client has cost so far.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    /// Seconds of processor.
    pub(crate) cpu: f64,
    /// How often its threads have given up a core, or lost it.
    pub(crate) switches: f64,
    /// The most bytes of anonymous memory that it was seen with.
    pub(crate) peak: u64,
}

impl Usage {
    /// What came on top of `before`; the peak is that of the whole time.
    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            cpu: self.cpu - before.cpu,
            switches: self.switches - before.switches,
            peak: self.peak,
        }
    }

    /// Of several: the sums, and the largest peak.
    pub(crate) fn of_all(all: impl Iterator<Item = Self>) -> Self {
        all.fold(Self::default(), |sum, one| Self {
            cpu: sum.cpu + one.cpu,
            switches: sum.switches + one.switches,
            peak: sum.peak.max(one.peak),
        })
    }
}

/// A running client. It is killed when this is dropped, and when the thread that started it ends.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
    pub(crate) started: Instant,
    ended: Option<ExitStatus>,
    usage: Usage,
    /// By thread, since those that have ended are not listed any more. What a thread does between the last look and
    /// its end is not counted.
    switches: HashMap<u32, u64>,
    next_look: Instant,
}

impl Process {
    pub(crate) fn start(mut command: Command, log: &Path) -> Result<Self> {
        let output = File::create(log)?;
        command.stdin(Stdio::null());
        command.stdout(output.try_clone()?).stderr(output);
        let started = Instant::now();
        let child = command
            .spawn()
            .with_context(|| format!("cannot start {command:?}"))?;
        Ok(Self {
            child,
            log: log.to_owned(),
            started,
            ended: None,
            usage: Usage::default(),
            switches: HashMap::new(),
            next_look: started,
        })
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        if self.ended.is_none() {
            let pid = Pid::from_child(&self.child);
            // It stays to be waited for: until then the system knows what it has cost.
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
            if waitid(WaitId::Pid(pid), options)?.is_some() {
                self.usage.cpu = proc::cpu(self.child.id());
                self.ended = Some(self.child.wait()?);
            }
        }
        Ok(self.ended)
    }

    /// Whether it has ended; an error if it did so badly.
    pub(crate) fn is_finished(&mut self) -> Result<bool> {
        match self.ended()? {
            Some(status) if !status.success() => bail!("{status}: {}", self.told()),
            status => Ok(status.is_some()),
        }
    }

    /// Fails if it has ended.
    pub(crate) fn must_run(&mut self) -> Result<()> {
        match self.ended()? {
            Some(status) => bail!("it has ended, {status}: {}", self.told()),
            None => Ok(()),
        }
    }

    /// What it has cost until now.
    pub(crate) fn usage(&mut self) -> Result<Usage> {
        if self.ended()?.is_none() {
            self.look();
        }
        Ok(self.usage)
    }

    /// Bytes of anonymous memory, now.
    pub(crate) fn memory(&self) -> u64 {
        proc::memory(self.child.id(), "RssAnon")
    }

    /// Seconds of processor until now.
    pub(crate) fn cpu(&self) -> f64 {
        proc::cpu(self.child.id())
    }

    /// The end of what it has written.
    fn told(&self) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&text[text.len().saturating_sub(TOLD)..]).into_owned()
    }

    fn look_if_due(&mut self) -> Result<()> {
        let now = Instant::now();
        if now >= self.next_look && self.ended()?.is_none() {
            self.look();
            self.next_look = now + LOOK.max(now.elapsed() * RARER);
        }
        Ok(())
    }

    fn look(&mut self) {
        let pid = self.child.id();
        self.switches.extend(proc::switches(pid));
        self.usage.switches = self.switches.values().sum::<u64>() as f64;
        self.usage.peak = self.usage.peak.max(self.memory());
        self.usage.cpu = self.cpu();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It fails only when the process has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Looks at all these until `until` has an answer.
pub(crate) fn watch<T>(
    processes: &mut [Process],
    mut until: impl FnMut(&mut [Process]) -> Result<Option<T>>,
) -> Result<T> {
    let end = Instant::now() + GIVE_UP;
    loop {
        if let Some(value) = until(processes)? {
            return Ok(value);
        }
        processes.iter_mut().try_for_each(Process::look_if_due)?;
        ensure!(!is_interrupted(), "interrupted");
        let told = || processes.iter().map(Process::told).collect::<Vec<_>>().join("\n");
        ensure!(
            Instant::now() < end,
            "nothing after {} s: {}",
            GIVE_UP.as_secs(),
            told()
        );
        thread::sleep(PAUSE);
    }
}

/// Looks at all these for so long.
pub(crate) fn rest(processes: &mut [Process], time: Duration) -> Result<()> {
    let end = Instant::now() + time;
    watch(processes, |processes| {
        processes.iter_mut().try_for_each(Process::must_run)?;
        Ok((Instant::now() >= end).then_some(()))
    })
}

/// The share of a core that a process takes which has nothing to do, in percent.
pub(crate) fn idle_percent(process: &mut Process, time: Duration) -> Result<f64> {
    let (start, before) = (Instant::now(), process.cpu());
    // It is not looked at meanwhile, and so not woken either.
    thread::sleep(time);
    process.must_run()?;
    Ok((process.cpu() - before) / start.elapsed().as_secs_f64() * 100.0)
}

fn interrupt() -> &'static Arc<AtomicBool> {
    static FLAG: OnceLock<Arc<AtomicBool>> = OnceLock::new();
    FLAG.get_or_init(Arc::default)
}

/// From now on Ctrl-C and SIGTERM end the measurement in order: clients are ended, and what is large is deleted.
pub(crate) fn heed_signals() -> Result<()> {
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(interrupt()))?;
    }
    Ok(())
}

/// Whether one of them has come.
pub(crate) fn is_interrupted() -> bool {
    interrupt().load(Ordering::Relaxed)
}
