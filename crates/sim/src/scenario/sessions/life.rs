//! Doing what is on the agenda, and coming to rest afterwards.

use mainframe_base::IdentityKey;
use mainframe_core::session::terms::Kind;
use mainframe_core::session::{Answer, Order, SessionView};

use super::super::Stage;
use super::deeds::{Agenda, Deed};
use super::{PATIENCE_MINUTES, Play, SECOND_US};
use crate::moment::Moment;
use crate::node::NodeId;
use crate::world::Stop;

/// Most bytes of an ordinary message; one in so many is a long one.
const BODY_MAX: usize = 600;
const LONG_EVERY: usize = 100;
const LONG_BODY_MAX: usize = 20_000;
/// When whoever looks on is told what is still outstanding, for a reason that is not to be waited for (guess).
const TELL_AFTER_MINUTES: u64 = 120;
/// Groups stay of this many members.
const MEMBERS: std::ops::Range<usize> = 3..13;

impl Play {
    pub(super) fn live(&mut self, stage: &mut Stage<'_>) {
        let start = stage.population.world().now();
        self.agenda = Agenda::of(&stage.options, start, &mut self.dice);
        let end = start + stage.options.minutes * 60 * SECOND_US;
        self.run_agenda(stage, end, "people talk");
    }

    /// Everyone is online, everything arrives, and then everyone says one more thing everywhere.
    pub(super) fn come_to_rest(&mut self, stage: &mut Stage<'_>) {
        let start = stage.population.world().now();
        while let Some(at) = self.agenda.next().or_else(|| self.next_failing(stage)) {
            self.run_agenda(stage, at.max(stage.population.world().now() + SECOND_US), "nodes start again");
        }
        let rested = self.wait_for_rest(stage, start);
        stage.put("rested_minutes", rested);
        let complete = stage.population.completeness();
        stage.put("nn_completeness_at_rest", complete);
        for person in 0..self.cast.len() {
            for view in self.views(stage, person).iter().filter(|view| view.members.len() > 1) {
                self.say_in(stage, person, view);
            }
        }
        let rested = self.wait_for_rest(stage, stage.population.world().now());
        stage.put("roll_call_minutes", rested);
    }

    /// Waits until nothing is outstanding. How long it took since then, in minutes.
    fn wait_for_rest(&mut self, stage: &mut Stage<'_>, since: Moment) -> u64 {
        loop {
            let minutes = stage.population.world().now().since(since) / SECOND_US / 60;
            let outstanding = self.record.outstanding() + self.unsettled(stage);
            if outstanding == 0 || minutes >= PATIENCE_MINUTES {
                return minutes;
            }
            if minutes == TELL_AFTER_MINUTES {
                self.tell_outstanding(stage);
            }
            self.run_seconds(stage, 60, "what is outstanding arrives");
        }
    }

    /// Sessions that are not the same to all of their members.
    pub(super) fn unsettled(&mut self, stage: &mut Stage<'_>) -> usize {
        let mut all: Vec<(usize, SessionView)> = Vec::new();
        for person in 0..self.cast.len() {
            let views = self.views(stage, person);
            views.iter().for_each(|view| self.record.see(&self.cast, view));
            all.extend(views.into_iter().map(|view| (person, view)));
        }
        super::report::forks(&self.cast, &all).len()
    }

    /// Power that is about to fail somewhere has to fail before everyone is online.
    fn next_failing(&mut self, stage: &Stage<'_>) -> Option<Moment> {
        let is_failing = self.cast.persons.iter().any(|person| person.is_failing);
        is_failing.then(|| stage.population.world().now() + SECOND_US)
    }

    fn run_agenda(&mut self, stage: &mut Stage<'_>, until: Moment, doing: &str) {
        while stage.population.world().now() < until {
            let next = until.min(self.agenda.next().unwrap_or(until));
            self.run_until(stage, next, doing);
            while let Some(deed) = self.agenda.take(next) {
                self.tend(stage);
                self.do_it(stage, deed);
                self.hear(stage);
            }
            self.tend(stage);
        }
    }

    /// Nodes whose power has failed will start again.
    fn tend(&mut self, stage: &mut Stage<'_>) {
        for person in 0..self.cast.len() {
            if self.cast.persons[person].is_failing && !self.is_online(stage, person) {
                self.cast.persons[person].is_failing = false;
                self.went_down(stage, person);
            }
        }
    }

    fn went_down(&mut self, stage: &Stage<'_>, person: usize) {
        let now = stage.population.world().now();
        self.cast.persons[person].down_since = Some(now);
        self.agenda.plan_restart(person, now, &mut self.dice);
    }

    fn do_it(&mut self, stage: &mut Stage<'_>, deed: Deed) {
        match deed {
            Deed::Say => self.say(stage),
            Deed::Renew => self.renew(stage),
            Deed::Change => self.change(stage),
            Deed::Crash => self.crash(stage),
            Deed::PowerLoss => self.lose_power(stage),
            Deed::Restart(person) => self.restart(stage, person),
            Deed::Partition => self.partition(stage),
            Deed::Heal => self.heal(stage),
        }
    }

    fn draw_online(&mut self, stage: &Stage<'_>) -> Option<usize> {
        let online: Vec<usize> = (0..self.cast.len()).filter(|person| self.is_online(stage, *person)).collect();
        self.dice.pick(&online).copied()
    }

    /// Somebody awake and one of his sessions in which there is somebody else; groups and pairs by turns, if he has both.
    fn draw_session(&mut self, stage: &mut Stage<'_>) -> Option<(usize, SessionView)> {
        let person = self.draw_online(stage)?;
        let mut views = self.views(stage, person);
        views.retain(|view| view.members.len() > 1);
        let kind = if self.dice.below(2) == 0 { Kind::Pair } else { Kind::Group };
        if views.iter().any(|view| view.terms.kind == kind) {
            views.retain(|view| view.terms.kind == kind);
        }
        self.dice.pick(&views).cloned().map(|view| (person, view))
    }

    fn say(&mut self, stage: &mut Stage<'_>) {
        match self.draw_session(stage) {
            Some((person, view)) => self.say_in(stage, person, &view),
            None => self.count("unsaid"),
        }
    }

    fn say_in(&mut self, stage: &mut Stage<'_>, person: usize, view: &SessionView) {
        let is_long = self.dice.below(LONG_EVERY) == 0;
        let length = self.dice.below(if is_long { LONG_BODY_MAX } else { BODY_MAX });
        let body = vec![b'a'; length];
        let at = stage.population.world().now();
        match self.order(stage, person, Order::Say { session: view.id, stream: 0, kind: 0, body }) {
            Some(Ok(Answer::Said(id, _))) => self.record.say(&self.cast, person, view, id, at),
            Some(_) => self.count("unsayable"),
            None => self.count("unsaid"),
        }
    }

    fn renew(&mut self, stage: &mut Stage<'_>) {
        let Some((person, view)) = self.draw_session(stage) else { return };
        if let Some(Ok(_)) = self.order(stage, person, Order::Renew(view.id)) {
            self.count("renewals");
        }
    }

    /// In a random group: an admin adds or removes somebody, makes somebody an admin or renames it; anybody else leaves.
    fn change(&mut self, stage: &mut Stage<'_>) {
        let mut groups: Vec<(usize, SessionView)> = Vec::new();
        for person in (0..self.cast.len()).filter(|person| self.is_online(stage, *person)).collect::<Vec<_>>() {
            let views = self.views(stage, person).into_iter();
            groups.extend(views.filter(|view| view.terms.kind == Kind::Group).map(|view| (person, view)));
        }
        let Some((person, view)) = self.dice.pick(&groups).cloned() else { return };
        let me = self.cast.persons[person].key;
        let is_admin = view.terms.admins.contains(&me);
        let others: Vec<IdentityKey> = view.members.iter().map(|it| it.person).filter(|it| *it != me).collect();
        let name = match (is_admin, self.dice.below(8)) {
            (true, 0..4) if view.members.len() < MEMBERS.end => self.add_somebody(stage, person, &view),
            (true, 0..6) if view.members.len() > MEMBERS.start => {
                let Some(other) = self.dice.pick(&others).copied() else { return };
                self.change_by(stage, person, Order::RemoveMember(view.id, other), "removals")
            }
            (true, 6) => {
                let Some(other) = self.dice.pick(&others).copied() else { return };
                self.change_by(stage, person, Order::SetAdmin(view.id, other, true), "admins_made")
            }
            (true, _) => {
                let name = format!("river {}", self.commands);
                self.change_by(stage, person, Order::Rename(view.id, name), "renamings")
            }
            (false, _) if view.members.len() > MEMBERS.start => {
                self.change_by(stage, person, Order::Leave(view.id), "leavings")
            }
            (false, _) => None,
        };
        name.into_iter().for_each(|name| self.count(name));
    }

    fn add_somebody(&mut self, stage: &mut Stage<'_>, person: usize, view: &SessionView) -> Option<&'static str> {
        let is_in = |other: &usize| view.members.iter().any(|it| it.person == self.cast.persons[*other].key);
        let friends = self.pairs.keys().filter_map(|(one, other)| match person {
            _ if *one == person => Some(*other),
            _ if *other == person => Some(*one),
            _ => None,
        });
        let friends: Vec<usize> = friends.filter(|friend| !is_in(friend)).collect();
        let friend = self.cast.persons[*self.dice.pick(&friends)?].key;
        self.change_by(stage, person, Order::AddMember(view.id, friend), "additions")
    }

    fn change_by(
        &mut self,
        stage: &mut Stage<'_>,
        person: usize,
        order: Order,
        name: &'static str,
    ) -> Option<&'static str> {
        self.order(stage, person, order).and_then(Result::ok).map(|_| name)
    }

    fn crash(&mut self, stage: &mut Stage<'_>) {
        let Some(person) = self.draw_online(stage) else { return };
        self.count("crashes");
        self.cast.persons[person].is_failing = false;
        stage.population.stop(self.cast.persons[person].node, Stop::Vanished);
        self.went_down(stage, person);
    }

    fn lose_power(&mut self, stage: &mut Stage<'_>) {
        let Some(person) = self.draw_online(stage) else { return };
        self.count("crashes");
        self.count("power_losses");
        self.cast.persons[person].is_failing = true;
        stage.population.world_mut().fail_power(self.cast.persons[person].node);
    }

    fn restart(&mut self, stage: &mut Stage<'_>, person: usize) {
        let now = stage.population.world().now();
        stage.population.restart(self.cast.persons[person].node);
        if let Some(since) = self.cast.persons[person].down_since.take() {
            self.cast.persons[person].outages.push((since, now));
        }
        self.seat(stage, person);
    }

    /// Half of all nodes on each side.
    fn partition(&mut self, stage: &mut Stage<'_>) {
        let mut nodes: Vec<NodeId> = stage.population.world().ids().collect();
        self.dice.shuffle(&mut nodes);
        nodes.truncate(nodes.len() / 2);
        stage.population.world_mut().partition(&nodes);
        self.broken_since = Some(stage.population.world().now());
    }

    fn heal(&mut self, stage: &mut Stage<'_>) {
        stage.population.world_mut().heal();
        let now = stage.population.world().now();
        self.partitions.extend(self.broken_since.take().map(|since| (since, now)));
    }
}
