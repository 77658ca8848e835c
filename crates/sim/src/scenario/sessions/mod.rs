//! People who talk in pairs and groups while nodes crash and the network breaks in two: is everything heard, once, in order?
//!
//! - `cast`: who they are and where they sit
//! - `deeds`: what is going to be done, and when
//! - `acquaintance`: how they become contacts and found groups
//! - `life`: doing it
//! - `record`: what only somebody knows who sees everything
//! - `report`: what came of it

mod acquaintance;
mod cast;
mod deeds;
mod life;
mod record;
mod report;

use std::collections::{BTreeMap, VecDeque};

use mainframe_base::SessionId;
use mainframe_core::session::contact::Fact;
use mainframe_core::session::{Answer, Order, SessionEvent, SessionView, Unable};
use mainframe_core::switchboard::{CommandId, Endpoint, EndpointCommand, EndpointConfig, EndpointReply};

use super::Stage;
use crate::dice::Dice;
use crate::moment::Moment;
use crate::world::Told;
use cast::Cast;
use deeds::Agenda;
use record::Record;

const SECOND_US: u64 = 1_000_000;
/// How long everyone is given to find relays before anything is said, in seconds.
const SETTLING_S: u64 = 120;
/// How long everything may take to arrive once the network is whole again, in minutes.
const PATIENCE_MINUTES: u64 = 48 * 60;

/// What happened, by the name of the report.
type Counts = BTreeMap<&'static str, u64>;

/// The play, as it goes on.
struct Play {
    cast: Cast,
    record: Record,
    agenda: Agenda,
    dice: Dice,
    /// What people were told and was not looked at yet.
    told: VecDeque<Told>,
    /// The session of two that people have, the lower number first.
    pairs: BTreeMap<(usize, usize), SessionId>,
    counts: Counts,
    /// While the network is broken in two: since when.
    broken_since: Option<Moment>,
    partitions: Vec<(Moment, Moment)>,
    commands: u64,
}

pub(super) fn play(stage: &mut Stage<'_>) {
    stage.prepare();
    let mut dice = Dice::new(stage.options.seed, "sessions");
    let mut play = Play {
        cast: Cast::of(stage, &mut dice),
        record: Record::default(),
        agenda: Agenda::default(),
        dice,
        told: VecDeque::new(),
        pairs: BTreeMap::new(),
        counts: Counts::new(),
        broken_since: None,
        partitions: Vec::new(),
        commands: 0,
    };
    (0..play.cast.len()).for_each(|person| play.seat(stage, person));
    play.run_seconds(stage, SETTLING_S, "people settle");
    play.get_acquainted(stage);
    let before = (stage.population.world().posts().cells, stage.population.world().posts().bytes);
    play.live(stage);
    play.come_to_rest(stage);
    play.report(stage, before);
}

impl Play {
    /// A person sits down at a node that runs.
    fn seat(&mut self, stage: &mut Stage<'_>, person: usize) {
        let person = &self.cast.persons[person];
        let persona = person.persona(stage.population.world().now());
        let world = stage.population.world_mut();
        world.seat(person.node, Endpoint::new(EndpointConfig::default(), self.dice.bytes()));
        self.commands += 1;
        world.ask(person.node, command(self.commands), EndpointCommand::AddPersona(Box::new(persona)));
    }

    /// A person asks for something; nothing is answered if power fails meanwhile.
    fn order(&mut self, stage: &mut Stage<'_>, person: usize, order: Order) -> Option<Result<Answer, Unable>> {
        let Person { node, key, .. } = self.cast.persons[person];
        self.commands += 1;
        let command = command(self.commands);
        stage.population.world_mut().ask(node, command, EndpointCommand::Order(key, order));
        let heard = stage.population.world_mut().take_heard();
        self.told.extend(heard.told);
        let answered = heard.replies.into_iter().find(|(_, of, _)| *of == command);
        let EndpointReply::Person(answer) = answered?.2 else { unreachable!("nothing else answers an order") };
        Some(answer.map(|answer| *answer))
    }

    fn is_online(&self, stage: &Stage<'_>, person: usize) -> bool {
        stage.population.world().is_online(self.cast.persons[person].node)
    }

    /// A person's sessions as he sees them.
    fn views(&mut self, stage: &mut Stage<'_>, person: usize) -> Vec<SessionView> {
        match self.order(stage, person, Order::Sessions) {
            Some(Ok(Answer::Sessions(views))) => views,
            _ => Vec::new(),
        }
    }

    fn count(&mut self, name: &'static str) {
        *self.counts.entry(name).or_default() += 1;
    }

    fn run_seconds(&mut self, stage: &mut Stage<'_>, seconds: u64, doing: &str) {
        let until = stage.population.world().now() + seconds * SECOND_US;
        self.run_until(stage, until, doing);
    }

    /// Lets time pass, at most a second at a time, in which people hear and answer.
    fn run_until(&mut self, stage: &mut Stage<'_>, until: Moment, doing: &str) {
        while stage.population.world().now() < until {
            let next = until.min(stage.population.world().now() + SECOND_US);
            stage.population.world_mut().run_until(next);
            self.hear(stage);
            stage.progress.tell(&stage.population, doing);
        }
    }

    /// Everything that people were told is looked at.
    fn hear(&mut self, stage: &mut Stage<'_>) {
        self.told.extend(stage.population.world_mut().take_heard().told);
        let _ = stage.population.world_mut().take_replies();
        let _ = stage.population.world_mut().take_outcomes();
        while let Some(told) = self.told.pop_front() {
            self.heard(stage, told);
        }
    }

    fn heard(&mut self, stage: &mut Stage<'_>, Told { at, person, event, .. }: Told) {
        let person = self.cast.find(&person);
        match event {
            SessionEvent::Said { session, message, late, .. } => {
                if late {
                    self.count("late");
                }
                self.record.show(person, session, message.id, at);
            }
            SessionEvent::State(session, number, state) => self.record.advance(person, session, number, state),
            SessionEvent::Contact(fact) => self.contact(stage, person, fact),
            SessionEvent::Began(session, _) | SessionEvent::Changed { session, .. } => {
                let views = self.views(stage, person);
                views.iter().filter(|view| view.id == session).for_each(|view| self.record.see(&self.cast, view));
            }
            SessionEvent::GaveUp(..) => self.count("gave_up"),
            SessionEvent::Left { .. } => self.count("left"),
            SessionEvent::Stranded(_) => self.count("stranded"),
            SessionEvent::Outdated(_) => self.count("outdated"),
            SessionEvent::Equivocated(..) => self.count("equivocated"),
            SessionEvent::Unwanted(..) => self.count("unwanted"),
            SessionEvent::ReadThrough(..) | SessionEvent::ReadElsewhere(..) | SessionEvent::Device(_) => {}
        }
    }

    fn contact(&mut self, stage: &mut Stage<'_>, person: usize, fact: Fact) {
        match fact {
            Fact::Requested { peer, accepted: false, .. } => {
                self.order(stage, person, Order::AcceptContact(peer));
            }
            Fact::Together(peer, session) => {
                let peer = self.cast.find(&peer);
                self.pairs.insert((person.min(peer), person.max(peer)), session);
            }
            Fact::Ignored { .. } => self.count("letters_ignored"),
            Fact::GaveUp(_) | Fact::Failed(_) | Fact::Declined(_) => self.count("contacts_failed"),
            Fact::Requested { .. }
            | Fact::Accepted(_)
            | Fact::CardChanged(_)
            | Fact::Moved { .. }
            | Fact::RequestDropped(_) => {}
        }
    }
}

use cast::Person;

fn command(number: u64) -> CommandId {
    CommandId(1 << 40 | number)
}
