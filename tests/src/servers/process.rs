//! A server's process.

use std::fs::OpenOptions;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, geteuid, kill_process};

/// How long a server may take to start and to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running server; dropping it ends it.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    log: PathBuf,
    /// The signal that makes it end at once and take its children along.
    end: Signal,
}

/// Who runs a server that refuses to be run by root.
pub(super) fn ordinary_user() -> Option<&'static str> {
    if !geteuid().is_root() {
        return None;
    }
    let known = |name: &str| super::run(Command::new("id").args(["-u", name])).is_ok();
    Some(["postgres", "nobody"].into_iter().find(|name| known(name)).expect("an ordinary user"))
}

/// A program that is run by an ordinary user, and ends with the process that started it,
/// however that ends.
pub(super) fn command(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    if let Some(user) = ordinary_user() {
        command.args([&format!("--reuid={user}"), &format!("--regid={user}"), "--clear-groups"]);
    }
    command.args(["--pdeathsig", "TERM"]).arg(program);
    // The tests may be started in a folder that an ordinary user cannot enter.
    command.current_dir("/");
    command
}

impl Process {
    /// Starts a program whose output goes to `log`, and waits until it is ready.
    ///
    /// # Errors
    /// The output, when it ends before it is ready.
    ///
    /// # Panics
    /// When it does neither.
    pub(super) fn start(
        command: &mut Command,
        log: PathBuf,
        end: Signal,
        ready: impl Fn(u32) -> bool,
    ) -> Result<Self, String> {
        let output = |log: &Path| OpenOptions::new().create(true).append(true).open(log);
        let [stdout, stderr] = [&log, &log].map(|log| output(log).expect("a file can be made"));
        // In a process group of its own, Ctrl-C does not reach it before those who use it.
        command.stdin(Stdio::null()).stdout(stdout).stderr(stderr).process_group(0);
        let child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let mut process = Self { child, log, end };
        let deadline = Instant::now() + PATIENCE;
        while !ready(process.child.id()) {
            if process.child.try_wait().expect("a child can be waited for").is_some() {
                return Err(process.last_words());
            }
            assert!(Instant::now() < deadline, "{command:?} is not ready:\n{}", process.last_words());
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(process)
    }

    /// Sends it a signal.
    pub(super) fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("a process id");
        kill_process(id, signal).expect("a signal can be sent");
    }

    /// Sends it a signal and waits for its end.
    pub(super) fn end_with(mut self, signal: Signal) {
        self.signal(signal);
        self.child.wait().expect("a child can be waited for");
    }

    fn last_words(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|status| status.is_some()) {
            return;
        }
        // A paused process takes no other signal.
        for signal in [self.end, Signal::CONT] {
            self.signal(signal);
        }
        let deadline = Instant::now() + PATIENCE;
        while self.child.try_wait().is_ok_and(|status| status.is_none()) {
            if Instant::now() > deadline {
                self.signal(Signal::KILL);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// A folder that the user who runs the servers owns.
pub(super) fn folder(name: &str) -> tempfile::TempDir {
    let folder = tempfile::Builder::new().prefix(&format!("analytics-{name}-")).tempdir();
    let folder = folder.expect("a folder can be made");
    if let Some(user) = ordinary_user() {
        let owned = super::run(Command::new("chown").arg(user).arg(folder.path()));
        owned.expect("a folder can be given away");
    }
    folder
}

/// Writes a file that only the user who runs the servers may read, as servers require of keys.
pub(super) fn file(path: &Path, contents: &str) {
    std::fs::write(path, contents).expect("a file can be written");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).expect("a file can be closed to others");
    if let Some(user) = ordinary_user() {
        super::run(Command::new("chown").arg(user).arg(path)).expect("a file can be given away");
    }
}
