//! Nodes come and go (whitepaper: no set of nodes is needed): do tables stay complete, do packets arrive, does the
//! network recover when half of it vanishes, and can anyone still join when every bootstrap node is gone?

use super::Stage;
use super::full_address::{DEADLINE_S, Journeys};
use super::letters::{Letter, Letters};
use crate::check::check;
use crate::figures::{least, mean};
use crate::moment::Moment;
use crate::node::NodeId;
use crate::world::Stop;

/// How long nodes come and go, in seconds.
const CHURN_S: u64 = 3_600;
/// Share of the nodes that leave in that time, and are replaced.
const LEAVING: f64 = 0.2;
/// Time between two looks at the tables, in seconds.
const LOOK_S: u64 = 10;
/// When it is time to give up on recovery, in seconds.
const RECOVERY_S_MAX: u64 = 600;
/// What counts as recovered.
const RECOVERED: f64 = 0.99;
/// How long a newcomer may take to find its neighbourhood, in seconds.
const NEWCOMER_S_MAX: u64 = 60;

pub(super) fn play(stage: &mut Stage<'_>) {
    stage.prepare();
    let looks = come_and_go(stage);
    let recovery_s = lose_half(stage);
    stage.put("recovery_s", recovery_s);
    lose_bootstrap(stage);
    let joined = let_join(stage);
    stage.put("newcomer_joined", joined);
    check(&stage.population);
    let end = stage.population.completeness();
    stage.put("nn_completeness_churn", mean(&looks));
    stage.put("nn_completeness_min", least(&looks));
    stage.put("nn_completeness_end", end);
    stage.put("nn_completeness", mean(&looks).min(end));
}

/// An hour of coming and going, packets all along. Returns how complete the tables were at each look.
fn come_and_go(stage: &mut Stage<'_>) -> Vec<f64> {
    let start = stage.population.world().now();
    let end = start + CHURN_S * 1_000_000;
    let mean_us = (CHURN_S as f64 * 1e6 / (stage.options.nodes as f64 * LEAVING)) as u64;
    let packet_us = CHURN_S * 1_000_000 / stage.options.packets.max(1) as u64;
    let mut next_leave = start + stage.population.dice().exponential(mean_us);
    let (mut next_packet, mut next_look) = (start, start);
    let (mut looks, mut letters, mut departures) = (Vec::new(), Letters::default(), Vec::new());
    loop {
        let now = next_leave.min(next_packet).min(next_look);
        if now >= end {
            break;
        }
        letters.run_until(stage, now, "nodes come and go");
        if now == next_leave {
            departures.extend(replace_one(stage));
            next_leave = now + stage.population.dice().exponential(mean_us);
        } else if now == next_packet {
            let online = stage.population.honest();
            letters.send_between(stage, &online);
            next_packet = now + packet_us;
        } else {
            looks.push(stage.population.completeness());
            next_look = now + LOOK_S * 1_000_000;
        }
    }
    letters.run_until(stage, end, "nodes come and go");
    letters.settle(stage, DEADLINE_S);
    check(&stage.population);
    report_journeys(stage, &letters, &departures);
    stage.progress.say(&stage.population, &format!("churn is over; complete to {:.4}", mean(&looks)));
    looks
}

/// One node goes, in half of all cases without a word, and another comes. Session lengths are exponential if whoever
/// goes next is anyone with equal chance.
fn replace_one(stage: &mut Stage<'_>) -> Option<(Moment, NodeId)> {
    let now = stage.population.world().now();
    let bootstrap = stage.population.bootstrap().to_vec();
    let mortal: Vec<NodeId> = stage.population.online().into_iter().filter(|id| !bootstrap.contains(id)).collect();
    let leaving = *stage.population.dice().pick(&mortal)?;
    let how = if stage.population.dice().happens(500_000) { Stop::Closed } else { Stop::Vanished };
    stage.population.stop(leaving, how);
    stage.population.add();
    Some((now, leaving))
}

/// Only packets whose target stayed until the deadline count.
fn report_journeys(stage: &mut Stage<'_>, letters: &Letters, departures: &[(Moment, NodeId)]) {
    let packets = stage.population.world().packets();
    let stayed = |letter: &&Letter| {
        let deadline = letter.sent_at + DEADLINE_S * 1_000_000;
        !departures.iter().any(|(at, id)| *id == letter.receiver && *at <= deadline)
    };
    let counted: Vec<&Letter> = letters.all().iter().filter(stayed).collect();
    let journeys = Journeys::of(packets, counted.iter().copied());
    stage.put("departures", departures.len());
    stage.put("packets_counted", counted.len());
    journeys.report(stage);
}

/// Half of the network vanishes at once. Returns how many seconds its tables took to be complete again, if they did.
fn lose_half(stage: &mut Stage<'_>) -> Option<u64> {
    let bootstrap = stage.population.bootstrap().to_vec();
    let half = stage.choose(0.5);
    for id in half.into_iter().filter(|id| !bootstrap.contains(id)) {
        stage.population.stop(id, Stop::Vanished);
    }
    let at_once = stage.population.completeness();
    stage.put("nn_completeness_after_half", at_once);
    let mut course = Vec::new();
    let mut recovered = None;
    for second in 1..=RECOVERY_S_MAX {
        stage.run_seconds(1, "half of the network is gone");
        let complete = stage.population.completeness();
        if second % 5 == 0 {
            course.push((complete * 1e4).round() / 1e4);
        }
        if complete >= RECOVERED {
            recovered = Some(second);
            break;
        }
    }
    stage.put("recovery_course", course);
    stage.run_seconds(30, "recovered");
    recovered
}

fn lose_bootstrap(stage: &mut Stage<'_>) {
    for id in stage.population.bootstrap().to_vec() {
        stage.population.stop(id, Stop::Vanished);
    }
    stage.run_seconds(60, "every bootstrap node is gone");
}

/// A newcomer knows one survivor. Whether it found its neighbourhood in time, and gets a packet.
fn let_join(stage: &mut Stage<'_>) -> bool {
    let survivor = stage.random_honest();
    let newcomer = stage.population.add_through(&[survivor]);
    stage.run_seconds(NEWCOMER_S_MAX, "a newcomer joins");
    let truth = stage.population.truth();
    let address = *stage.population.address(newcomer);
    let found = stage
        .population
        .world()
        .machine(newcomer)
        .is_some_and(|actor| truth.completeness_of(&address, actor.relay().neighbours()) >= RECOVERED);
    let origin = stage.random_honest();
    let packet = stage.population.send_to(origin, newcomer);
    stage.run_seconds(DEADLINE_S, "the newcomer waits for a packet");
    let arrival = stage.population.world().packets().arrival(packet, newcomer.0);
    found && (origin == newcomer || arrival.is_some_and(|arrival| arrival.handed_at.is_some()))
}
