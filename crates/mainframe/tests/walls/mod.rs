//! Guests behind routers, and a network that is cut: real nodes in network namespaces, each with its own command line.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::support::{Done, Home, run_to_end, wait_until};
use crate::world::{Place, Router, World};

/// For how long a guest's network is cut, unless MAINFRAME_CUT_S says so: links miss it after 50 s at the latest.
const CUT_S: u64 = 75;
/// Messages sent meanwhile.
const MEANWHILE: usize = 20;

/// A node that runs at its place.
struct Inhabitant<'a> {
    home: &'a Home,
    place: Place,
    data_dir: String,
    child: Child,
}

impl<'a> Inhabitant<'a> {
    /// Starts a node of a development network that listens at this address and knows these others.
    fn start(home: &'a Home, place: Place, name: &str, role: &str, address: &str, known: &[String]) -> Inhabitant<'a> {
        let data_dir = home.file(name);
        let mut node = inside(&place, &home.command(&["--data-dir", &data_dir, "--profile", "devnet", "up"]));
        node.args(["--role", role, "--log", "info", "--listen", &format!("/ip4/{address}/tcp/4001")]);
        node.args(["--listen", &format!("/ip4/{address}/udp/4001/quic-v1")]);
        known.iter().for_each(|other| _ = node.args(["--bootstrap", other]));
        let log = std::fs::File::create(home.file(&format!("{name}.log"))).unwrap();
        let child = node.stdout(Stdio::null()).stderr(log).spawn().unwrap();
        let node = Inhabitant { home, place, data_dir, child };
        wait_until(Duration::from_secs(30), &format!("{name} answers"), || node.ask(&["status", "--json"]).is_some());
        node
    }

    /// What a command at this node prints, if it succeeds.
    fn ask(&self, arguments: &[&str]) -> Option<String> {
        let done = self.run(arguments);
        (done.code == 0).then_some(done.out)
    }

    fn run(&self, arguments: &[&str]) -> Done {
        let command = self.home.command(&[&["--data-dir", &self.data_dir], arguments].concat());
        run_to_end(inside(&self.place, &command))
    }

    fn status(&self) -> Value {
        let status = self.ask(&["status", "--json"]).expect("the node runs");
        serde_json::from_str(&status).unwrap()
    }

    fn is_guest_because_nobody_could_dial_it(&self) -> bool {
        let relay = &self.status()["relay"];
        relay["role"] == "guest" && relay["role_reason"] == "nobody_could_dial" && relay["joined"] == true
    }

    fn access_relays(&self) -> usize {
        self.status()["relay"]["hold"]["attending"][0]["sources"].as_array().map_or(0, Vec::len)
    }

    /// A person of this name, and the address others write to.
    fn person(&self, name: &str) -> String {
        self.ask(&["person", "new", name, "--luminosity", "1"]).unwrap().trim().to_owned()
    }

    fn write(&self, to: &str, text: &str) {
        let send = || self.ask(&["send", "--to", to, "--hold", "24h", text]).is_some();
        wait_until(Duration::from_secs(20), &format!("{text} is taken over"), send);
    }

    /// How often each message was opened here.
    fn inbox(&self) -> BTreeMap<String, usize> {
        // More than there are: it ends when its time is over, and has printed all.
        let listed = self.run(&["--timeout", "1", "listen", "--all", "--count", "1000", "--json"]);
        let mut texts = BTreeMap::new();
        for line in listed.out.lines() {
            let message: Value = serde_json::from_str(line).unwrap();
            *texts.entry(message["body"]["text"].as_str().unwrap().to_owned()).or_default() += 1;
        }
        texts
    }
}

impl Drop for Inhabitant<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The same command in a place's network.
fn inside(place: &Place, command: &Command) -> Command {
    let mut inside = Command::new("ip");
    inside.args(["netns", "exec", &place.namespace]).arg(command.get_program()).args(command.get_args()).env_clear();
    inside.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?)))).stdin(Stdio::null());
    inside
}

fn once(texts: impl IntoIterator<Item = String>) -> BTreeMap<String, usize> {
    texts.into_iter().map(|text| (text, 1)).collect()
}

#[test]
fn guests_behind_routers_write_to_each_other_and_one_that_was_cut_off_gets_everything_once() {
    let Some(mut world) = World::new() else { return };
    let home = Home::new();
    let address = |number: usize| format!("5.{number}.0.1");
    let locator = |number: usize| format!("/ip4/{}/tcp/4001", address(number));
    let relays: Vec<Inhabitant<'_>> = (1..=6)
        .map(|number| {
            let known: Vec<String> = (1..number.min(3)).map(locator).collect();
            let place = world.host(&address(number));
            Inhabitant::start(&home, place, &format!("relay{number}"), "relay", &address(number), &known)
        })
        .collect();
    let known = [locator(1), locator(2), locator(3)];
    let [alice, bob] =
        [("alice", "5.101.0.1", Router::Cone), ("bob", "5.102.0.1", Router::Symmetric)].map(|(name, outside, kind)| {
            let router = world.router(outside, kind);
            let place = world.behind(&router);
            Inhabitant::start(&home, place, name, "auto", "0.0.0.0", &known)
        });
    for guest in [&alice, &bob] {
        wait_until(Duration::from_secs(120), "it is a guest", || guest.is_guest_because_nobody_could_dial_it());
        wait_until(Duration::from_secs(60), "it has access relays", || guest.access_relays() == 2);
    }
    let [to_alice, to_bob] = [alice.person("alice"), bob.person("bob")];
    alice.write(&to_bob, "hello bob");
    bob.write(&to_alice, "hello alice");
    let patience = Duration::from_secs(60);
    wait_until(patience, "bob reads", || bob.inbox() == once(["hello bob".to_owned()]));
    wait_until(patience, "alice reads", || alice.inbox() == once(["hello alice".to_owned()]));

    bob.place.cut(true);
    let cut_s = std::env::var("MAINFRAME_CUT_S").ok().and_then(|text| text.parse().ok()).unwrap_or(CUT_S);
    let pause = Duration::from_secs(cut_s) / MEANWHILE as u32;
    for number in 0..MEANWHILE {
        alice.write(&to_bob, &format!("meanwhile {number}"));
        std::thread::sleep(pause);
    }
    assert_eq!(bob.inbox().len(), 1, "nothing comes through a cut cable");
    bob.place.cut(false);
    let sent = (0..MEANWHILE).map(|number| format!("meanwhile {number}")).chain(["hello bob".to_owned()]);
    let all = once(sent);
    wait_until(Duration::from_secs(180), "bob has everything", || bob.inbox().len() == all.len());
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(bob.inbox(), all, "and everything once");
    drop(relays);
}
