//! Processes for the tests. Every one of them ends with its test.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
const MAINFRAME: &str = env!("CARGO_BIN_EXE_mainframe");

/// A home directory of its own, so that no test meets another's nodes or the developer's.
pub(crate) struct Home(tempfile::TempDir);

/// What a command did.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Done {
    /// What it printed, if it succeeded.
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.code, 0, "{self:?}");
        self.out
    }
}

impl Home {
    pub(crate) fn new() -> Home {
        Home(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn file(&self, name: &str) -> String {
        self.path().join(name).display().to_string()
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(MAINFRAME);
        command.args(arguments).env_clear().env("HOME", self.path()).env("TMPDIR", self.path());
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Done {
        run_to_end(self.command(arguments))
    }

    /// Runs with a line on standard input.
    pub(crate) fn demo(&self, arguments: &[&str], input: &str) -> Done {
        let mut command = self.command(arguments);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        done(child.wait_with_output().unwrap())
    }

    /// A shell that finds `mainframe`.
    pub(crate) fn shell(&self, script: &str) -> Command {
        let binaries = Path::new(MAINFRAME).parent().unwrap().display().to_string();
        let path = format!("{binaries}:{}", std::env::var("PATH").unwrap_or_default());
        let mut command = Command::new("sh");
        command.args(["-c", script]).env_clear().env("HOME", self.path()).env("TMPDIR", self.path()).env("PATH", path);
        command.stdin(Stdio::null());
        command
    }
}

pub(crate) fn run_to_end(mut command: Command) -> Done {
    done(command.output().unwrap())
}

fn done(output: std::process::Output) -> Done {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    Done { code: output.status.code().unwrap_or(-1), out: text(&output.stdout), err: text(&output.stderr) }
}

/// A network in the foreground.
pub(crate) struct Devnet {
    supervisor: Child,
    _out: BufReader<ChildStdout>,
    dir: PathBuf,
    nodes: Vec<serde_json::Value>,
}

/// What was left of it.
pub(crate) struct Stopped {
    pub(crate) code: Option<i32>,
    pub(crate) survivors: Vec<u64>,
    pub(crate) dir: PathBuf,
}

impl Devnet {
    pub(crate) fn start(home: &Home, nodes: usize) -> Devnet {
        let dir = home.path().join("net");
        let (count, place) = (nodes.to_string(), dir.display().to_string());
        let mut command = home.command(&["devnet", "up", "-n", &count, "--json", "--dir", &place]);
        let mut supervisor = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut out = BufReader::new(supervisor.stdout.take().unwrap());
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            assert!(out.read_line(&mut line).unwrap() > 0, "the network did not come up");
            if line.trim() == "READY" {
                break;
            }
            lines.push(serde_json::from_str(&line).unwrap());
        }
        assert_eq!(lines.len(), nodes);
        Devnet { supervisor, _out: out, dir, nodes: lines }
    }

    pub(crate) fn dir(&self) -> String {
        self.dir.display().to_string()
    }

    pub(crate) fn data_dir(&self, name: &str) -> String {
        let node = self.nodes.iter().find(|node| node["name"] == name).unwrap();
        node["data_dir"].as_str().unwrap().to_owned()
    }

    pub(crate) fn terminate(self) -> Stopped {
        terminate(self.supervisor.id());
        self.stopped()
    }

    pub(crate) fn kill(mut self) -> Stopped {
        self.supervisor.kill().unwrap();
        self.stopped()
    }

    fn stopped(mut self) -> Stopped {
        let code = self.supervisor.wait().unwrap().code();
        let running = || -> Vec<u64> {
            let pids = self.nodes.iter().map(|node| node["pid"].as_u64().unwrap());
            pids.filter(|pid| Path::new(&format!("/proc/{pid}")).exists()).collect()
        };
        let deadline = Instant::now() + Duration::from_secs(10);
        while !running().is_empty() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(50));
        }
        Stopped { code, survivors: running(), dir: self.dir.clone() }
    }
}

/// A test that fails leaves nothing running: the nodes end with their supervisor.
impl Drop for Devnet {
    fn drop(&mut self) {
        let _ = self.supervisor.kill();
        let _ = self.supervisor.wait();
    }
}

/// SIGTERM.
pub(crate) fn terminate(pid: u32) {
    kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), Signal::TERM).unwrap();
}

pub(crate) fn wait_until(patience: Duration, what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + patience;
    while !holds() {
        assert!(Instant::now() < deadline, "not within {patience:?}: {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

pub(crate) fn only_mine(file: &str) {
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// The lines after `$` in the `console` blocks of a page.
pub(crate) fn commands(page: &str) -> Vec<String> {
    let mut inside = false;
    let mut commands = Vec::new();
    for line in page.lines() {
        if line.starts_with("```") {
            inside = line == "```console";
        } else if inside && let Some(command) = line.strip_prefix("$ ") {
            commands.push(command.to_owned());
        }
    }
    commands
}

/// The commands of these pages, one after another, in one shell.
pub(crate) fn play(home: &Home, pages: &[&str]) -> Done {
    let makefile = std::fs::read_to_string(format!("{ROOT}/Makefile")).unwrap();
    // Whatever fails in between, the network of the guide is stopped, and Bob's node if it was started anew.
    let mut script = "set -e\n\
        stop() { mainframe --data-dir $HOME/.local/share/mainframe/devnet/bob down --quiet; mainframe devnet down --quiet; }\n\
        trap 'stop 2>/dev/null || true' EXIT\n"
        .to_owned();
    for page in pages {
        for command in commands(&std::fs::read_to_string(format!("{ROOT}/{page}")).unwrap()) {
            match command.strip_prefix("make ") {
                Some(target) => assert!(makefile.contains(&format!("\n{target}:")), "{page}: no target {target}"),
                None => script.push_str(&format!("echo '== {}' >&2\n{command}\n", command.replace('\'', ""))),
            }
        }
    }
    run_to_end(home.shell(&script))
}
