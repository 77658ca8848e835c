//! The world, driven with puppets in place of relays.

use mainframe_base::Time;
use mainframe_core::store::{Table, Tx};
use mainframe_core::switchboard::RelayCommand;
use mainframe_core::wire::Frame;

use super::*;

/// Does what it is told at the next command, and remembers what it hears.
#[derive(Default)]
struct Puppet {
    heard: Vec<(Time, String)>,
    orders: Vec<RelayEffect>,
    writes: bool,
    wake: Option<Time>,
}

impl Machine for Puppet {
    fn handle(&mut self, now: Time, input: RelayInput, tx: &mut dyn Tx, out: &mut Vec<RelayEffect>) {
        let told = match input {
            RelayInput::Command(..) => {
                out.append(&mut self.orders);
                if self.writes {
                    tx.put(Table::Peers, b"key", b"value");
                }
                return;
            }
            RelayInput::Wake => {
                self.wake = None;
                "wake".to_owned()
            }
            RelayInput::Link(LinkEvent::Up { outbound, .. }) => format!("up {outbound}"),
            RelayInput::Link(LinkEvent::Down { reason, .. }) => format!("down {reason:?}"),
            RelayInput::Link(LinkEvent::DialFailed { why, .. }) => why,
            RelayInput::Link(LinkEvent::Frames { frames, .. }) => format!("{} frame", frames.len()),
            RelayInput::Link(
                LinkEvent::Listening(_)
                | LinkEvent::Expired(_)
                | LinkEvent::Reachable(_)
                | LinkEvent::Unreachable
                | LinkEvent::Found(_)
                | LinkEvent::Fault { .. },
            )
            | RelayInput::Cell(..)
            | RelayInput::Store(_) => return,
        };
        self.heard.push((now, told));
    }

    fn next_wake(&self) -> Option<Time> {
        self.wake
    }
}

struct Stage {
    world: World<Puppet>,
    nodes: Vec<NodeId>,
}

impl Stage {
    fn new(nodes: u8, config: NetConfig, seed: u64) -> Stage {
        let mut world = World::new(config, seed, None);
        let nodes = (0..nodes).map(|index| world.add(LinkKey([index; 32]))).collect();
        let mut stage = Stage { world, nodes };
        stage.nodes.clone().into_iter().for_each(|id| stage.world.start(id, |_, _| Puppet::default()));
        stage
    }

    fn order(&mut self, node: usize, effects: Vec<RelayEffect>) {
        self.puppet(node).orders = effects;
        self.world.give(self.nodes[node], RelayInput::Command(CommandId(0), RelayCommand::Leave));
    }

    fn puppet(&mut self, node: usize) -> &mut Puppet {
        self.world.nodes[node].machine.as_mut().unwrap()
    }

    fn dial(&mut self, from: usize, to: usize) {
        let target = &self.world.nodes[to];
        let dial = RelayEffect::Dial { peer: Some(target.key), locators: vec![target.locator] };
        self.order(from, vec![dial]);
    }

    fn connect(&mut self, from: usize, to: usize) {
        self.dial(from, to);
        self.run_seconds(3);
        assert!(self.world.are_connected(self.nodes[from], self.nodes[to]));
    }

    fn send(&mut self, from: usize, to: usize) {
        let key = self.world.nodes[to].key;
        self.order(from, vec![RelayEffect::Send(key, Frame::Custody(Vec::new()).encode())]);
    }

    fn run_seconds(&mut self, seconds: u64) {
        self.world.run_until(self.world.now() + seconds * 1_000_000);
    }

    fn heard(&mut self, node: usize) -> Vec<String> {
        self.puppet(node).heard.iter().map(|(_, told)| told.clone()).collect()
    }
}

fn stage(nodes: u8) -> Stage {
    Stage::new(nodes, NetConfig::default(), 1)
}

#[test]
fn two_who_dial_each_other_get_one_connection() {
    let mut stage = stage(2);
    stage.dial(0, 1);
    stage.dial(1, 0);
    stage.run_seconds(30);
    let mut heard = [stage.heard(0), stage.heard(1)].concat();
    heard.sort();
    assert_eq!(heard, ["up false", "up true"]);
    assert_eq!(stage.world.counts().connections, 1);
}

#[test]
fn a_dial_to_a_peer_that_is_up_does_nothing() {
    let mut stage = stage(2);
    stage.connect(0, 1);
    stage.dial(0, 1);
    stage.run_seconds(30);
    assert_eq!(stage.heard(0), ["up true"]);
}

#[test]
fn a_dial_to_nobody_fails_after_the_patience_of_the_link() {
    let mut stage = stage(2);
    stage.world.stop(stage.nodes[1], Stop::Vanished);
    stage.dial(0, 1);
    stage.run_seconds(30);
    assert_eq!(stage.puppet(0).heard, [(Time(10_000), "nobody answers".to_owned())]);
}

#[test]
fn a_clean_stop_is_heard_at_once_and_a_silent_one_by_ping() {
    let mut stage = stage(3);
    stage.connect(0, 1);
    stage.connect(0, 2);
    stage.world.stop(stage.nodes[1], Stop::Closed);
    stage.run_seconds(1);
    assert_eq!(stage.heard(0).last().unwrap(), "down Closed");
    stage.world.stop(stage.nodes[2], Stop::Vanished);
    stage.send(0, 2);
    stage.run_seconds(19);
    assert_eq!(stage.heard(0).len(), 3, "not before the patience is over");
    stage.run_seconds(31);
    assert_eq!(stage.heard(0).last().unwrap(), "down TimedOut");
}

#[test]
fn the_first_frame_of_a_connection_is_neither_lost_nor_overtaken() {
    let mut stage = Stage::new(2, NetConfig { loss_per_million: 1_000_000, ..NetConfig::default() }, 1);
    stage.connect(0, 1);
    for _ in 0..10 {
        stage.send(0, 1);
    }
    stage.run_seconds(3);
    assert_eq!(stage.heard(1), ["up false", "1 frame"]);
    assert_eq!(stage.world.counts().lost, 9);
}

#[test]
fn a_hang_up_is_heard_on_both_sides_and_nothing_more_arrives() {
    let mut stage = stage(2);
    stage.connect(0, 1);
    let reason = mainframe_core::switchboard::HangupReason::Pruned;
    let key = stage.world.nodes[1].key;
    stage.send(1, 0);
    stage.order(0, vec![RelayEffect::Hangup(key, reason)]);
    stage.run_seconds(3);
    assert_eq!(stage.heard(0), ["up true", "down HungUp"]);
    assert_eq!(stage.heard(1), ["up false", "down Closed"]);
}

#[test]
fn a_wake_up_comes_once_when_it_is_due() {
    let mut stage = stage(1);
    for due in [9_000, 7_000, 8_000] {
        stage.puppet(0).wake = Some(Time(due));
        stage.order(0, Vec::new());
    }
    stage.run_seconds(20);
    assert_eq!(stage.puppet(0).heard, [(Time(8_000), "wake".to_owned())]);
}

#[test]
fn when_power_fails_neither_the_change_nor_its_effects_happened() {
    let mut stage = stage(2);
    stage.connect(0, 1);
    stage.puppet(0).writes = true;
    stage.world.fail_power(stage.nodes[0]);
    stage.send(0, 1);
    stage.run_seconds(60);
    assert!(!stage.world.is_online(stage.nodes[0]));
    assert_eq!(stage.heard(1), ["up false", "down TimedOut"]);
    assert_eq!(stage.world.store(stage.nodes[0]).get(Table::Peers, b"key"), None);
}

#[test]
fn a_node_that_starts_again_finds_what_it_had_committed() {
    let mut stage = stage(1);
    stage.puppet(0).writes = true;
    stage.order(0, Vec::new());
    stage.world.stop(stage.nodes[0], Stop::Vanished);
    let mut kept = None;
    stage.world.start(stage.nodes[0], |_, store| {
        kept = store.get(Table::Peers, b"key");
        Puppet::default()
    });
    assert_eq!(kept, Some(b"value".to_vec()));
}

#[test]
fn a_partition_cuts_connections_and_dials_until_it_heals() {
    let mut stage = stage(2);
    stage.connect(0, 1);
    stage.world.partition(&[stage.nodes[1]]);
    stage.run_seconds(55);
    assert_eq!(stage.heard(0), ["up true", "down TimedOut"]);
    assert_eq!(stage.heard(1), ["up false", "down TimedOut"]);
    stage.dial(0, 1);
    stage.run_seconds(15);
    assert_eq!(stage.heard(0).last().unwrap(), "nobody answers");
    stage.world.heal();
    stage.connect(0, 1);
}

#[test]
fn a_machine_that_never_rests_does_not_stop_the_clock() {
    struct Restless;
    impl Machine for Restless {
        fn handle(&mut self, _: Time, _: RelayInput, _: &mut dyn Tx, _: &mut Vec<RelayEffect>) {}
        fn next_wake(&self) -> Option<Time> {
            Some(Time(0))
        }
    }
    let mut world = World::new(NetConfig::default(), 1, None);
    let id = world.add(LinkKey([1; 32]));
    world.start(id, |_, _| Restless);
    world.run_until(Moment(10_000));
    assert!((9..=11).contains(&world.counts().restless), "{}", world.counts().restless);
}

#[test]
fn one_seed_one_hash() {
    let hash_of = |seed| {
        let mut stage = Stage::new(2, NetConfig::default(), seed);
        stage.connect(0, 1);
        stage.send(0, 1);
        stage.run_seconds(3);
        stage.world.trace_hash()
    };
    assert_eq!(hash_of(1), hash_of(1));
    assert_ne!(hash_of(1), hash_of(2));
}
