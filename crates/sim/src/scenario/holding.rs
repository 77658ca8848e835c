//! Guests who come and go (whitepaper, 数据包托管): does everyone get what was sent while he was away, once, and at what price?

use std::collections::{BTreeMap, BTreeSet};

use mainframe_base::{PacketId, Prefix, Role, TopicKey};
use mainframe_core::switchboard::{
    CommandId, Endpoint, EndpointCommand, EndpointConfig, HeldCell, Letter, Outcome, Recipient, RelayReply,
};
use mainframe_core::wire::{BudgetClass, HoldClass};

use super::Stage;
use crate::figures::{mean, percentile, ratio};
use crate::moment::Moment;
use crate::node::NodeId;
use crate::world::Stop;

/// Guests for each relay if nothing else is asked for.
const GUESTS_A_RELAY: usize = 3;
/// Guests that come in a second.
const GUESTS_PER_S: usize = 50;
/// How long they are given to find their access relays, in seconds.
const SETTLING_S: u64 = 120;
/// Share of the relays that leave halfway, each at a random moment of ten minutes.
const LEAVING: f64 = 0.2;
const LEAVING_S: usize = 600;
/// Guests are awake for a quarter of an hour and asleep for as long on average (guess: a phone).
const SPELL_S: usize = 900;
/// How long after the last message everyone is awake, in seconds: twice the time between two looks at what is held.
const AFTER_S: u64 = 900;
/// One message in so many goes to one of these guests: fifty of 20,000 to each.
const LINKED_EVERY: usize = 50;
const LINKED_RECEIVERS: usize = 8;
/// Bytes of a fetched cell's frame and of its line in a pull.
const FETCHED_BYTES: f64 = 2_064.0 + 20.0;
const SECOND_US: u64 = 1_000_000;

/// A guest and its person, who reads one topic.
struct Guest {
    node: NodeId,
    key: TopicKey,
    seed: [u8; 32],
    /// When it falls asleep or wakes up next.
    turn_at: Moment,
}

struct Sent {
    guest: usize,
    /// The packet that carries it, once a relay half has taken it over.
    packet: Option<PacketId>,
    at: Moment,
    hold: HoldClass,
    opened: Vec<Moment>,
    awake: bool,
}

/// Messages to the same guest, which whoever listens knows to belong together.
#[derive(Default)]
struct Linked {
    /// Who of the region was awake when each of them was sent.
    awake: Vec<BTreeSet<usize>>,
    packets: Vec<PacketId>,
}

/// What sending, sleeping and waking left behind.
#[derive(Default)]
struct Play {
    guests: Vec<Guest>,
    by_node: BTreeMap<NodeId, usize>,
    sent: Vec<Sent>,
    by_command: BTreeMap<CommandId, usize>,
    by_packet: BTreeMap<PacketId, usize>,
    sent_again: u64,
    /// By the receiver.
    linked: BTreeMap<usize, Linked>,
    /// Bytes of questions, answers and wishes while messages were written and fetched.
    hold_control_bytes: u64,
    commands: u64,
}

pub(super) fn play(stage: &mut Stage<'_>) {
    if stage.options.guests == 0 {
        stage.options.guests = stage.options.nodes * GUESTS_A_RELAY;
    }
    stage.prepare();
    stage.population.world_mut().packets_mut().note_all_handing();
    let mut play = Play::default();
    play.let_guests_in(stage);
    let served = served(stage);
    stage.put("guests_attended", ratio(served.attended, play.guests.len() as u64));
    stage.put("guests_per_relay_max", served.per_relay_max);
    let before = stage.population.world().counts().clone();
    play.live(stage);
    let storage = storage(stage);
    stage.put("relay_held_bytes_max", storage.bytes_max);
    stage.put("relay_quota_bytes", storage.quota);
    stage.put("replicas_mean", ratio(storage.copies, play.sent.len() as u64));
    stage.put("relay_held_bytes_per_cell", ratio(storage.copies * 2_048, play.sent.len() as u64));
    play.wake_everyone(stage);
    let after = stage.population.world().counts().clone();
    let minutes = stage.options.minutes as f64;
    let control = (after.packet_control_bytes - before.packet_control_bytes) as f64;
    play.hold_control_bytes = after.hold_control_bytes - before.hold_control_bytes;
    stage.put("control_bytes_per_node_hour", control / (minutes / 60.0) / stage.population.online().len() as f64);
    play.report(stage);
}

impl Play {
    fn let_guests_in(&mut self, stage: &mut Stage<'_>) {
        let relays = stage.population.honest();
        for index in 0..stage.options.guests {
            let dice = stage.population.dice();
            let through = [relays[dice.below(relays.len())], relays[dice.below(relays.len())]];
            let (key, seed) = (TopicKey(dice.bytes()), dice.bytes());
            let node = stage.population.add_guest(&through);
            let turn_at = stage.population.world().now() + stage.population.dice().below(SPELL_S) as u64 * SECOND_US;
            self.by_node.insert(node, index);
            self.guests.push(Guest { node, key, seed, turn_at });
            self.seat(stage, index);
            if index % GUESTS_PER_S == GUESTS_PER_S - 1 {
                stage.run_seconds(1, "guests come");
            }
        }
        stage.run_seconds(SETTLING_S, "guests settle");
    }

    /// The guest's person sits down.
    fn seat(&mut self, stage: &mut Stage<'_>, index: usize) {
        let guest = &self.guests[index];
        let (node, key, seed) = (guest.node, guest.key.clone(), guest.seed);
        let command = self.next_command();
        stage.population.world_mut().seat(node, Endpoint::new(EndpointConfig::default(), seed));
        stage.population.world_mut().ask(node, command, EndpointCommand::AddTopic(key));
    }

    fn next_command(&mut self) -> CommandId {
        self.commands += 1;
        CommandId(1 << 40 | self.commands)
    }

    /// Messages go from guest to guest while some of them sleep; halfway relays leave.
    fn live(&mut self, stage: &mut Stage<'_>) {
        let start = stage.population.world().now();
        let length_us = stage.options.minutes * 60 * SECOND_US;
        let mut leaving = leaving(stage, start + length_us / 2);
        let messages = stage.options.packets as u64;
        for message in 0..messages {
            let due = start + length_us * message / messages;
            self.run_until(stage, due, &mut leaving);
            self.write(stage);
        }
        self.run_until(stage, start + length_us, &mut leaving);
    }

    /// Lets time pass until then: guests fall asleep and wake up, relays leave.
    fn run_until(&mut self, stage: &mut Stage<'_>, until: Moment, leaving: &mut Vec<(Moment, NodeId)>) {
        while stage.population.world().now() < until {
            let next = until.min(stage.population.world().now() + SECOND_US);
            stage.population.world_mut().run_until(next);
            while leaving.last().is_some_and(|(at, _)| *at <= next) {
                leaving.pop().into_iter().for_each(|(_, id)| stage.population.stop(id, Stop::Vanished));
            }
            let turning: Vec<usize> =
                (0..self.guests.len()).filter(|index| self.guests[*index].turn_at <= next).collect();
            turning.into_iter().for_each(|index| self.turn(stage, index));
            self.hear(stage);
            stage.progress.tell(&stage.population, "guests come and go");
        }
    }

    fn turn(&mut self, stage: &mut Stage<'_>, index: usize) {
        let now = stage.population.world().now();
        self.guests[index].turn_at = now + spell_us(stage);
        let node = self.guests[index].node;
        if stage.population.world().is_online(node) {
            stage.population.stop(node, Stop::Vanished);
        } else {
            stage.population.restart(node);
            self.seat(stage, index);
        }
    }

    /// One awake guest writes to another, awake or not.
    fn write(&mut self, stage: &mut Stage<'_>) {
        let at = stage.population.world().now();
        let number = self.sent.len();
        let guest = match number.is_multiple_of(LINKED_EVERY) {
            true => number / LINKED_EVERY % LINKED_RECEIVERS,
            false => stage.population.dice().below(self.guests.len()),
        };
        let holds = [HoldClass::Hour, HoldClass::Day, HoldClass::ThreeDays];
        let hold = holds[stage.population.dice().below(holds.len())];
        let awake = stage.population.world().is_online(self.guests[guest].node);
        self.sent.push(Sent { guest, packet: None, at, hold, opened: Vec::new(), awake });
        self.post(stage, self.sent.len() - 1);
    }

    /// Whoever is awake sends a message.
    fn post(&mut self, stage: &mut Stage<'_>, number: usize) {
        let mut sender = stage.population.dice().below(self.guests.len());
        while !stage.population.world().is_online(self.guests[sender].node) {
            sender = stage.population.dice().below(self.guests.len());
        }
        let (sent, node) = (&self.sent[number], self.guests[sender].node);
        let to = &self.guests[sent.guest];
        let letter = Letter {
            to: Recipient::Topic(to.key.clone()),
            destination: Prefix::of(stage.population.address(to.node), stage.options.luminosity),
            hold: sent.hold,
            budget: BudgetClass::MAX,
            instead_of: None,
            body: (number as u64).to_be_bytes().to_vec(),
        };
        let command = self.next_command();
        self.by_command.insert(command, number);
        stage.population.world_mut().ask(node, command, EndpointCommand::Send(letter));
    }

    fn hear(&mut self, stage: &mut Stage<'_>) {
        for (node, message) in stage.population.world_mut().take_heard().opened {
            let number = message.body.try_into().map_or(usize::MAX, |bytes| u64::from_be_bytes(bytes) as usize);
            let Some(sent) = self.sent.get_mut(number) else { continue };
            assert_eq!(self.by_node.get(&node), Some(&sent.guest), "only the receiver opens a message");
            sent.opened.push(Moment::of(message.at));
        }
        let mut failed = Vec::new();
        for (_, command, reply) in stage.population.world_mut().take_replies() {
            let Some(number) = self.by_command.remove(&command) else { continue };
            match reply {
                RelayReply::Accepted(packet) => {
                    self.sent[number].packet = Some(packet);
                    self.by_packet.insert(packet, number);
                    if number.is_multiple_of(LINKED_EVERY) {
                        self.link(stage, number, packet);
                    }
                }
                RelayReply::Status(_)
                | RelayReply::Topology(_)
                | RelayReply::Estimate(_)
                | RelayReply::Done
                | RelayReply::Refused(_) => failed.push(number),
            }
        }
        for (packet, outcome) in stage.population.world_mut().take_outcomes() {
            let number = self.by_packet.remove(&packet);
            failed.extend(number.filter(|_| matches!(outcome, Outcome::Failed(_))));
        }
        self.sent_again += failed.len() as u64;
        failed.into_iter().for_each(|number| self.post(stage, number));
    }

    /// Observers know that this packet is for the same receiver as others, and who of his region is awake.
    fn link(&mut self, stage: &mut Stage<'_>, number: usize, packet: PacketId) {
        let guest = self.sent[number].guest;
        let region = Prefix::of(stage.population.address(self.guests[guest].node), stage.options.luminosity);
        let of_region = |guest: &Guest| region.matches(stage.population.address(guest.node));
        let is_awake = |guest: &Guest| of_region(guest) && stage.population.world().is_online(guest.node);
        let awake = (0..self.guests.len()).filter(|index| is_awake(&self.guests[*index])).collect();
        let linked = self.linked.entry(guest).or_default();
        linked.awake.push(awake);
        linked.packets.push(packet);
    }

    /// What can be said of a message that never came, for whoever looks why.
    fn tell_of_lost(&self, stage: &Stage<'_>, sent: &Sent) -> String {
        let world = stage.population.world();
        let node = self.guests[sent.guest].node;
        let region = Prefix::of(stage.population.address(node), stage.options.luminosity);
        let holders = world.ids().filter(|id| world.held(*id).iter().any(|cell| Some(cell.id) == sent.packet));
        let relays: Vec<u16> =
            world.peers_of(node).map(|peer| region.proximity(stage.population.address(peer))).collect();
        let attending = world.machine(node).and_then(crate::actor::Actor::whole).map(|relay| relay.hold().status());
        let online = |id: &NodeId| world.is_online(*id);
        let (on, off): (Vec<NodeId>, Vec<NodeId>) = holders.partition(online);
        format!(
            "lost: sent at {} {:?} to {}, held by {} that run and {} that left; its relays share {relays:?} bits, {:?}",
            sent.at,
            sent.hold,
            node.0,
            on.len(),
            off.len(),
            attending.map(|status| (status.attending, status.missing))
        )
    }

    /// Who can still be the receiver of linked messages: those who were awake whenever he was, as someone knows who takes
    /// him to answer at once; and those who have fetched all that he has fetched, as the relays know that serve them.
    fn report_candidates(&self, stage: &mut Stage<'_>) {
        let (mut region, mut awake, mut fetched, mut messages) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (receiver, linked) in &self.linked {
            let packets = stage.population.world().packets();
            let prefix = Prefix::of(stage.population.address(self.guests[*receiver].node), stage.options.luminosity);
            let members: Vec<usize> = (0..self.guests.len())
                .filter(|index| prefix.matches(stage.population.address(self.guests[*index].node)))
                .collect();
            let with_him = || linked.awake.iter().filter(|awake| awake.contains(receiver));
            let always = |index: &&usize| with_him().all(|awake| awake.contains(index));
            let all = |index: &&usize| {
                linked.packets.iter().all(|packet| packets.was_handed(packet, self.guests[**index].node.0))
            };
            awake.push(members.iter().filter(always).count() as f64);
            fetched.push(members.iter().filter(all).count() as f64);
            region.push(members.len() as f64);
            messages.push(linked.packets.len() as f64);
        }
        stage.put("linked_messages", mean(&messages));
        stage.put("candidates_in_region", mean(&region));
        stage.put("candidates_by_presence", mean(&awake));
        stage.put("candidates_by_fetching", mean(&fetched));
    }

    fn wake_everyone(&mut self, stage: &mut Stage<'_>) {
        let now = stage.population.world().now();
        for index in 0..self.guests.len() {
            if !stage.population.world().is_online(self.guests[index].node) {
                self.turn(stage, index);
            }
            self.guests[index].turn_at = now + 2 * AFTER_S * SECOND_US;
        }
        self.run_until(stage, now + AFTER_S * SECOND_US, &mut Vec::new());
    }

    fn report(&self, stage: &mut Stage<'_>) {
        let (now, mut late, mut soon) = (stage.population.world().now(), Vec::new(), Vec::new());
        let world = stage.population.world();
        let is_held = |sent: &&Sent| sent.packet.is_some_and(|packet| world.was_held(&packet));
        let held = self.sent.iter().filter(is_held).count();
        for sent in &self.sent {
            let Some(first) = sent.opened.iter().min() else { continue };
            let times = if sent.awake { &mut soon } else { &mut late };
            times.push(first.since(sent.at) as f64 / 1e6);
        }
        let unopened = || self.sent.iter().filter(|sent| sent.opened.is_empty());
        let in_class = |sent: &&Sent| now.since(sent.at) / SECOND_US < u64::from(sent.hold.hours()) * 3_600;
        let (lost, lost_ever) =
            (unopened().filter(is_held).filter(in_class).count(), unopened().filter(is_held).count());
        let told: Vec<String> = unopened().map(|sent| self.tell_of_lost(stage, sent)).collect();
        told.iter().for_each(|line| stage.progress.warn(line));
        let never_held = unopened().filter(|sent| !is_held(sent)).count();
        stage.put("guests", self.guests.len());
        stage.put("sent", self.sent.len());
        stage.put("held", held);
        stage.put("lost", lost);
        stage.put("lost_after_class", lost_ever - lost);
        stage.put("never_held", never_held);
        stage.put("duplicated", self.sent.iter().filter(|sent| sent.opened.len() > 1).count());
        stage.put("sent_again", self.sent_again);
        stage.put(
            "receivers_asleep",
            ratio(self.sent.iter().filter(|sent| !sent.awake).count() as u64, self.sent.len() as u64),
        );
        stage.put("awake_latency_s_p50", percentile(&mut soon, 50));
        stage.put("awake_latency_s_p99", percentile(&mut soon, 99));
        stage.put("asleep_latency_s_mean", mean(&late));
        self.report_candidates(stage);
        let counters = stage.population.counters();
        let count = |name: &str| counters.get(name).copied().unwrap_or(0);
        let fetched = count("cells_fetched");
        let asking = self.hold_control_bytes as f64;
        // A message is held for half of the time on the mean while messages are written.
        let cell_hours = held as f64 * stage.options.minutes as f64 / 60.0 / 2.0;
        stage.put("cells_fetched", fetched);
        stage.put("asks_sent", count("asks_sent"));
        stage.put("asking_bytes_per_held_cell_hour", asking / cell_hours);
        stage.put("fetch_bytes_per_cell", asking / fetched as f64 + FETCHED_BYTES);
    }
}

fn spell_us(stage: &mut Stage<'_>) -> u64 {
    (SPELL_S / 2 + stage.population.dice().below(SPELL_S)) as u64 * SECOND_US
}

/// Which relays leave when, the last first.
fn leaving(stage: &mut Stage<'_>, from: Moment) -> Vec<(Moment, NodeId)> {
    let mut relays: Vec<NodeId> =
        stage.population.online().into_iter().filter(|id| stage.population.role(*id) == Role::Relay).collect();
    stage.population.dice().shuffle(&mut relays);
    relays.truncate((relays.len() as f64 * LEAVING).round() as usize);
    let mut leaving: Vec<(Moment, NodeId)> = relays
        .into_iter()
        .map(|id| (from + stage.population.dice().below(LEAVING_S * SECOND_US as usize) as u64, id))
        .collect();
    leaving.sort_by_key(|(at, id)| std::cmp::Reverse((*at, *id)));
    leaving
}

#[derive(Default)]
struct Served {
    attended: u64,
    per_relay_max: usize,
}

/// How many guests have two relays that hold what is sent to them, and how many guests a relay has.
fn served(stage: &Stage<'_>) -> Served {
    let mut served = Served::default();
    let mut guests_of: BTreeMap<NodeId, usize> = BTreeMap::new();
    let (population, luminosity) = (&stage.population, stage.options.luminosity);
    for id in population.online().into_iter().filter(|id| population.role(*id) == Role::Guest) {
        let region = Prefix::of(population.address(id), luminosity);
        let Some(relay) = population.world().machine(id).and_then(crate::actor::Actor::whole) else { continue };
        let inside = relay.neighbours().all().iter().filter(|relay| region.matches(&relay.address)).count();
        served.attended += u64::from(inside >= 2);
        population.world().peers_of(id).for_each(|peer| *guests_of.entry(peer).or_default() += 1);
    }
    served.per_relay_max = guests_of.into_values().max().unwrap_or(0);
    served
}

#[derive(Default)]
struct Storage {
    copies: u64,
    bytes_max: u64,
    quota: u64,
}

/// What the disks of the relays that run hold.
fn storage(stage: &Stage<'_>) -> Storage {
    let mut storage = Storage { quota: stage.population.relay_config().hold.bytes_max, ..Storage::default() };
    for id in stage.population.online() {
        let held: Vec<HeldCell> = stage.population.world().held(id);
        let bytes: u64 = held.iter().map(|cell| cell.size_class.cell_length() as u64).sum();
        storage.copies += held.len() as u64;
        storage.bytes_max = storage.bytes_max.max(bytes);
    }
    storage
}
