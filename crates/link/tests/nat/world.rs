//! Networks of namespaces: a bridge for the internet, hosts on it, and routers with networks of their own behind them.

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{PoisonError, RwLock};

/// Held while a program is started, and by whoever must not be copied into one meanwhile.
pub(crate) static FORKS: RwLock<()> = RwLock::new(());
/// Worlds of this process.
static WORLDS: AtomicU32 = AtomicU32::new(0);

/// What a router does with ports.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Router {
    /// One port outside for each port inside, whoever is spoken to; lets in only who was spoken to, port for port.
    Cone,
    /// Another port outside for everybody who is spoken to.
    Symmetric,
}

impl Router {
    fn rules(self) -> String {
        let ports = if self == Router::Symmetric { "masquerade fully-random" } else { "masquerade" };
        format!(
            "table ip world {{
               chain out {{ type nat hook postrouting priority 100; oifname \"wan\" {ports}; }}
               chain input {{ type filter hook input priority 0; policy drop;
                              iifname != \"wan\" accept; ct state established,related accept; }}
               chain forward {{ type filter hook forward priority 0; policy drop;
                                iifname \"lan\" accept; ct state established,related accept; }}
             }}"
        )
    }
}

/// A host or a router, by its namespace.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) namespace: String,
    /// For routers: the number of the network behind.
    network: u32,
}

/// The namespaces of one test. They end with it, whether it passes or not, and what runs in them loses its network.
#[derive(Debug)]
pub(crate) struct World {
    prefix: String,
    namespaces: Vec<String>,
    networks: u32,
    hosts: u32,
}

impl World {
    /// An internet without anybody. None, and a line that says why, where there can be none.
    pub(crate) fn new() -> Option<World> {
        let number = WORLDS.fetch_add(1, Ordering::Relaxed);
        let prefix = format!("mf{}-{number}", std::process::id());
        let mut world = World { prefix, namespaces: Vec::new(), networks: 0, hosts: 1 };
        if let Err(why) = world.begin() {
            eprintln!("skipped: no network namespaces with routers here: {why}");
            return None;
        }
        ip(&["-n", &world.net(), "link", "add", "wire", "type", "bridge"]);
        ip(&["-n", &world.net(), "link", "set", "wire", "up"]);
        Some(world)
    }

    /// What this machine may not allow: namespaces, and routers in them.
    fn begin(&mut self) -> Result<(), String> {
        sweep();
        let internet = self.namespace("net")?;
        let nft = ["netns", "exec", &internet, "nft", "-f", "-"];
        run("ip", &nft, &Router::Symmetric.rules())?;
        run("ip", &nft, "delete table ip world")
    }

    /// A host on the internet with this address.
    pub(crate) fn host(&mut self, address: &str) -> Place {
        let namespace = self.new_namespace();
        self.plug(&self.net(), "wire", &namespace, "eth0");
        self.address(&namespace, "eth0", &format!("{address}/8"));
        Place { namespace, network: 0 }
    }

    /// A router on the internet with this address outside, and a network behind it.
    pub(crate) fn router(&mut self, address: &str, kind: Router) -> Place {
        let namespace = self.new_namespace();
        self.networks += 1;
        self.plug(&self.net(), "wire", &namespace, "wan");
        self.address(&namespace, "wan", &format!("{address}/8"));
        ip(&["-n", &namespace, "link", "add", "lan", "type", "bridge"]);
        ip(&["-n", &namespace, "link", "set", "lan", "up"]);
        self.address(&namespace, "lan", &format!("192.168.{}.1/24", self.networks));
        must("ip", &["netns", "exec", &namespace, "tee", "/proc/sys/net/ipv4/ip_forward"], "1");
        must("ip", &["netns", "exec", &namespace, "nft", "-f", "-"], &kind.rules());
        Place { namespace, network: self.networks }
    }

    /// A host in the network behind a router.
    pub(crate) fn behind(&mut self, router: &Place) -> Place {
        let namespace = self.new_namespace();
        self.hosts += 1;
        self.plug(&router.namespace, "lan", &namespace, "eth0");
        self.address(&namespace, "eth0", &format!("192.168.{}.{}/24", router.network, self.hosts));
        let gateway = format!("192.168.{}.1", router.network);
        ip(&["-n", &namespace, "route", "add", "default", "via", &gateway]);
        Place { namespace, network: 0 }
    }

    fn net(&self) -> String {
        self.namespaces[0].clone()
    }

    fn new_namespace(&mut self) -> String {
        self.namespace(&self.namespaces.len().to_string()).unwrap()
    }

    fn namespace(&mut self, name: &str) -> Result<String, String> {
        let name = format!("{}-{name}", self.prefix);
        run("ip", &["netns", "add", &name], "")?;
        self.namespaces.push(name.clone());
        run("ip", &["-n", &name, "link", "set", "lo", "up"], "")?;
        Ok(name)
    }

    /// A cable from a bridge to a new interface.
    fn plug(&self, to: &str, bridge: &str, from: &str, interface: &str) {
        let port = format!("v{}", self.namespaces.len());
        ip(&["-n", from, "link", "add", interface, "type", "veth", "peer", "name", &port, "netns", to]);
        ip(&["-n", to, "link", "set", &port, "master", bridge, "up"]);
        ip(&["-n", from, "link", "set", interface, "up"]);
    }

    fn address(&self, namespace: &str, interface: &str, address: &str) {
        ip(&["-n", namespace, "address", "add", address, "dev", interface]);
    }
}

impl Place {
    /// Takes an address from the host and gives it another.
    pub(crate) fn readdress(&self, from: &str, to: &str) {
        ip(&["-n", &self.namespace, "address", "del", &format!("{from}/8"), "dev", "eth0"]);
        ip(&["-n", &self.namespace, "address", "add", &format!("{to}/8"), "dev", "eth0"]);
    }

    /// Makes the host's cable a narrow one: what it sends in bursts waits.
    pub(crate) fn narrow(&self, mbit: u32) {
        let rate = format!("{mbit}mbit");
        let queue = ["tbf", "rate", &rate, "burst", "5kb", "latency", "2s"];
        let device = ["netns", "exec", &self.namespace, "tc", "qdisc", "add", "dev", "eth0", "root"];
        ip(&[&device[..], &queue[..]].concat());
    }

    /// Pulls the cable, or plugs it in again. The host does not notice: packets are lost on the way.
    pub(crate) fn cut(&self, cut: bool) {
        let rules = if cut {
            "table netdev cut {
               chain in { type filter hook ingress device eth0 priority 0; policy drop; }
               chain out { type filter hook egress device eth0 priority 0; policy drop; }
             }"
        } else {
            "delete table netdev cut"
        };
        must("ip", &["netns", "exec", &self.namespace, "nft", "-f", "-"], rules);
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for name in &self.namespaces {
            let _ = run("ip", &["netns", "del", name], "");
        }
    }
}

/// Ends the namespaces of tests that were killed, and so could not do it themselves.
fn sweep() {
    let names = std::fs::read_dir("/var/run/netns").into_iter().flatten().flatten();
    for name in names.filter_map(|entry| entry.file_name().into_string().ok()) {
        let owner = name.strip_prefix("mf").and_then(|rest| rest.split('-').next()).map(str::parse::<u32>);
        if owner.is_some_and(|pid| pid.is_ok_and(|pid| !std::path::Path::new(&format!("/proc/{pid}")).exists())) {
            let _ = run("ip", &["netns", "del", &name], "");
        }
    }
}

fn ip(arguments: &[&str]) {
    must("ip", arguments, "");
}

fn must(program: &str, arguments: &[&str], input: &str) {
    if let Err(why) = run(program, arguments, input) {
        panic!("{why}");
    }
}

/// Runs a program to its end. What it said, if it failed.
fn run(program: &str, arguments: &[&str], input: &str) -> Result<(), String> {
    let failed = |why: String| format!("{program} {}: {why}", arguments.join(" "));
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let forking = FORKS.write().unwrap_or_else(PoisonError::into_inner);
    let child = command.spawn();
    drop(forking);
    let mut child = child.map_err(|error| failed(error.to_string()))?;
    let written = child.stdin.take().map(|mut pipe| pipe.write_all(input.as_bytes()));
    let output = child.wait_with_output().map_err(|error| failed(error.to_string()))?;
    drop(written);
    if output.status.success() {
        Ok(())
    } else {
        Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
    }
}
