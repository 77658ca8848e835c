//! Cells held for those who are away, by real processes on real disks.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::support::{Home, wait_until};

/// Room for some thirty cells of the hour.
const SMALL_DISK_KIB: u32 = 64;
/// More than it has room for.
const MESSAGES: usize = 60;
const PATIENCE: Duration = Duration::from_secs(40);

#[test]
fn guests_who_were_away_get_every_message_once_though_a_relay_was_killed() {
    let home = Home::new();
    let size = ["-n", "12", "--guests", "4", "--away", "2", "--messages", "300", "--kill", "1"];
    let report = home.run(&[&["bench", "held-delivery", "--json"][..], &size].concat()).ok();
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    assert_eq!((&report["sent"], &report["refused"]), (&300.into(), &0.into()), "{report}");
    assert_eq!((&report["delivered"], &report["lost"]), (&300.into(), &0.into()), "{report}");
    assert_eq!((&report["duplicated"], &report["misdelivered"]), (&0.into(), &0.into()), "{report}");
}

/// A node whose held cells lie on a disk of their own, which grows when the file `more` appears beside it. Dropped, it ends.
struct NodeOnSmallDisk(Child);

impl NodeOnSmallDisk {
    fn start(home: &Home, data_dir: &str) -> NodeOnSmallDisk {
        let held = format!("{data_dir}/held");
        std::fs::create_dir_all(&held).unwrap();
        let script = format!(
            "mount -t tmpfs -o size={SMALL_DISK_KIB}k held {held}\n\
             (while [ ! -e {data_dir}/more ]; do sleep 0.1; done; mount -o remount,size=8m held {held}) &\n\
             exec \"$@\""
        );
        let node = home.command(&["--profile", "devnet", "--data-dir", data_dir, "up", "--parent-pipe"]);
        let mut command = in_a_name_space(home, &script);
        command.arg("sh").arg(node.get_program()).args(node.get_args());
        command.args(["--listen", "/ip4/127.0.0.1/tcp/0"]);
        NodeOnSmallDisk(command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap())
    }

    /// Cells in the files on its disk.
    fn cells_on_disk(&self, held: &str) -> u64 {
        let seen_by_it = format!("/proc/{}/root{held}", self.0.id());
        let files = std::fs::read_dir(seen_by_it).unwrap().map(|file| file.unwrap().metadata().unwrap().len());
        files.sum::<u64>() / 2_048
    }
}

impl Drop for NodeOnSmallDisk {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A shell that may mount: what it mounts goes with its processes.
fn in_a_name_space(home: &Home, script: &str) -> Command {
    let shell = home.command(&[]);
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-ec", script]);
    for (name, value) in shell.get_envs().filter_map(|(name, value)| Some((name, value?))) {
        command.env(name, value);
    }
    command
}

fn may_mount(home: &Home) -> bool {
    let mount = format!("mount -t tmpfs -o size={SMALL_DISK_KIB}k held {}", home.path().display());
    in_a_name_space(home, &mount).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

fn hold_of(home: &Home, data_dir: &str) -> serde_json::Value {
    let status = home.run(&["--data-dir", data_dir, "status", "--json"]).ok();
    serde_json::from_str::<serde_json::Value>(&status).unwrap()["relay"]["hold"].clone()
}

fn send_to_hold(home: &Home, data_dir: &str, to: &str, text: &str) {
    home.run(&["--data-dir", data_dir, "send", "--to", to, "--hold", "24h", text]).ok();
}

#[test]
fn a_full_disk_refuses_to_hold_in_clear_words_and_keeps_what_it_accepted() {
    let home = Home::new();
    if !may_mount(&home) {
        eprintln!("not tested: this machine allows no small disk of one's own");
        return;
    }
    let data_dir = home.file("node");
    let node = NodeOnSmallDisk::start(&home, &data_dir);
    wait_until(PATIENCE, "the node serves", || home.run(&["--data-dir", &data_dir, "status"]).code == 0);
    let bob = home.run(&["--data-dir", &data_dir, "person", "new", "bob", "--luminosity", "0"]).ok();
    let bob = bob.trim();
    for number in 0..MESSAGES {
        send_to_hold(&home, &data_dir, bob, &number.to_string());
    }
    wait_until(PATIENCE, "the disk refuses", || !hold_of(&home, &data_dir)["refusing"].is_null());
    let refusing = &hold_of(&home, &data_dir)["refusing"];
    for (part, word) in [("what", "cannot keep cells in"), ("why", "No space left"), ("next", "Make room on the disk")]
    {
        assert!(refusing[part].as_str().unwrap().contains(word), "{refusing}");
    }
    let told = home.run(&["--data-dir", &data_dir, "status"]).ok();
    assert!(told.contains("No space left") && told.contains("Make room on the disk"), "{told}");

    let cells = hold_of(&home, &data_dir)["cells"].as_u64().unwrap();
    assert!(cells > 0, "some were accepted before");
    assert_eq!(node.cells_on_disk(&format!("{data_dir}/held")), cells, "those accepted, and no others");

    std::fs::write(Path::new(&data_dir).join("more"), "").unwrap();
    wait_until(PATIENCE, "cells are held again", || {
        send_to_hold(&home, &data_dir, bob, "more");
        hold_of(&home, &data_dir)["refusing"].is_null()
    });
    let after = hold_of(&home, &data_dir)["cells"].as_u64().unwrap();
    assert!(after > cells, "{after} after {cells}");
    assert_eq!(node.cells_on_disk(&format!("{data_dir}/held")), after);
}
