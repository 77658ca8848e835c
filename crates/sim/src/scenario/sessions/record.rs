//! What was said and what was shown to whom, as only somebody knows who sees everything.

use std::collections::{BTreeMap, BTreeSet};

use mainframe_base::SessionId;
use mainframe_core::session::SessionView;
use mainframe_core::session::ledger::{MessageId, MessageState};

use super::cast::Cast;
use crate::moment::Moment;

/// A message.
pub(super) struct Said {
    pub(super) session: SessionId,
    pub(super) author: usize,
    pub(super) id: MessageId,
    pub(super) at: Moment,
    /// Who was in the session, as its author saw it …
    pub(super) members: BTreeSet<usize>,
    /// … in that epoch.
    epoch: u64,
    /// The last message of everyone that its author had been shown, or had said.
    clock: BTreeMap<usize, u64>,
    pub(super) state: MessageState,
    /// When it was shown to whom.
    pub(super) shown: BTreeMap<usize, Moment>,
}

/// What one person was shown in one session, in order, with what he said himself.
#[derive(Clone, Default)]
struct Heard {
    order: Vec<usize>,
    clock: BTreeMap<usize, u64>,
}

/// All of it.
#[derive(Default)]
pub(super) struct Record {
    pub(super) said: Vec<Said>,
    by_id: BTreeMap<(SessionId, MessageId), usize>,
    by_number: BTreeMap<(SessionId, usize, u64), usize>,
    heard: BTreeMap<(SessionId, usize), Heard>,
    /// Who was in which epoch.
    epochs: BTreeMap<SessionId, BTreeMap<u64, BTreeSet<usize>>>,
    /// Messages shown to the same person twice.
    pub(super) duplicated: u64,
    /// Messages shown that nobody said, or that were shown to their author.
    pub(super) invented: u64,
    /// Epochs with one number and different members, both taken to be final.
    pub(super) contradictions: u64,
    /// Which messages may still be on their way.
    open: BTreeSet<usize>,
}

impl Record {
    /// Somebody says something, seeing this.
    pub(super) fn say(&mut self, cast: &Cast, author: usize, view: &SessionView, id: MessageId, at: Moment) {
        let number = self.said.len();
        let heard = self.heard.entry((view.id, author)).or_default();
        let clock = heard.clock.clone();
        heard.order.push(number);
        heard.clock.insert(author, id.number);
        let members = members_of(cast, view);
        let (session, epoch, state, shown) = (view.id, view.epoch, MessageState::Queued, BTreeMap::new());
        self.said.push(Said { session, author, id, at, members, epoch, clock, state, shown });
        self.by_id.insert((session, id), number);
        self.by_number.insert((session, author, id.number), number);
        self.open.insert(number);
    }

    /// Somebody is shown a message.
    pub(super) fn show(&mut self, person: usize, session: SessionId, id: MessageId, at: Moment) {
        let Some(number) = self.by_id.get(&(session, id)).copied() else {
            self.invented += 1;
            return;
        };
        let said = &mut self.said[number];
        if said.author == person {
            self.invented += 1;
        } else if said.shown.insert(person, at).is_some() {
            self.duplicated += 1;
        } else {
            let heard = self.heard.entry((session, person)).or_default();
            heard.order.push(number);
            let last = heard.clock.entry(said.author).or_default();
            *last = id.number.max(*last);
        }
    }

    /// An own message of somebody got further.
    pub(super) fn advance(&mut self, author: usize, session: SessionId, number: u64, state: MessageState) {
        let index = self.by_number.get(&(session, author, number)).copied();
        if let Some(said) = index.map(|index| &mut self.said[index]) {
            said.state = state;
        }
    }

    /// A session looks like this to one of its members.
    pub(super) fn see(&mut self, cast: &Cast, view: &SessionView) {
        if view.unconfirmed_since.is_some() {
            return;
        }
        let members = members_of(cast, view);
        let known = self.epochs.entry(view.id).or_default().entry(view.epoch).or_insert_with(|| members.clone());
        self.contradictions += u64::from(*known != members);
    }

    /// Whether a message was for somebody: he was in the session when it was said and ever since, and so was its author.
    /// Who is removed is not heard any more; what he said is owed to nobody, unless he was told that it was delivered.
    pub(super) fn is_owed(&self, said: &Said, person: usize) -> bool {
        let is_delivered = matches!(said.state, MessageState::Delivered | MessageState::Read);
        let mut since = self.epochs.get(&said.session).into_iter().flat_map(|epochs| epochs.range(said.epoch..));
        let stayed =
            |members: &BTreeSet<usize>| members.contains(&person) && (is_delivered || members.contains(&said.author));
        person != said.author && said.members.contains(&person) && since.all(|(_, members)| stayed(members))
    }

    /// To whom a message should have been shown and was not.
    pub(super) fn lacking(&self, said: &Said) -> Vec<usize> {
        let lacks = |person: &usize| !said.shown.contains_key(person) && self.is_owed(said, *person);
        said.members.iter().copied().filter(lacks).collect()
    }

    /// Whether a message should be known to have been delivered, and is not.
    pub(super) fn is_state_behind(&self, said: &Said) -> bool {
        let last = self.epochs.get(&said.session).and_then(|epochs| epochs.last_key_value());
        let is_still_in = last.is_none_or(|(_, members)| members.contains(&said.author));
        let is_for_somebody = said.members.iter().any(|person| self.is_owed(said, *person));
        is_still_in && is_for_somebody && !matches!(said.state, MessageState::Delivered | MessageState::Read)
    }

    /// How many messages are still to be shown to somebody, or not known to have been.
    pub(super) fn outstanding(&mut self) -> usize {
        let is_open = |number: &usize| {
            let said = &self.said[*number];
            !self.lacking(said).is_empty() || self.is_state_behind(said)
        };
        let open: BTreeSet<usize> = self.open.iter().copied().filter(is_open).collect();
        self.open = open;
        self.open.len()
    }

    /// How often somebody was shown a message before one that its author had been shown when he said it.
    pub(super) fn out_of_causal_order(&self) -> Vec<(usize, usize)> {
        self.heard.iter().flat_map(|((_, person), heard)| self.disorder(*person, heard)).collect()
    }

    fn disorder(&self, person: usize, heard: &Heard) -> Vec<(usize, usize)> {
        // By author and number: the latest place at which anything up to that number was shown that had to be.
        let mut places: BTreeMap<usize, BTreeMap<u64, usize>> = BTreeMap::new();
        for (place, number) in heard.order.iter().enumerate() {
            let said = &self.said[*number];
            if self.is_owed(said, person) {
                places.entry(said.author).or_default().insert(said.id.number, place);
            }
        }
        for places in places.values_mut() {
            let mut latest = 0;
            for place in places.values_mut() {
                latest = latest.max(*place);
                *place = latest;
            }
        }
        let latest_cause = |author: &usize, number: u64| {
            let (_, place) = places.get(author)?.range(..=number).next_back()?;
            Some(*place)
        };
        let is_early = |(place, number): (usize, &usize)| {
            let mut causes = self.said[*number].clock.iter();
            let is_early = causes.any(|(author, last)| latest_cause(author, *last).is_some_and(|cause| cause > place));
            is_early.then_some((person, *number))
        };
        heard.order.iter().enumerate().filter_map(is_early).collect()
    }

    /// The number of final commits: epochs after the first of each session.
    pub(super) fn commits(&self) -> u64 {
        self.epochs.values().filter_map(|epochs| epochs.last_key_value()).map(|(last, _)| *last).sum()
    }

    /// Every session anyone was ever seen in.
    pub(super) fn sessions(&self) -> usize {
        self.epochs.len()
    }
}

fn members_of(cast: &Cast, view: &SessionView) -> BTreeSet<usize> {
    view.members.iter().map(|member| cast.find(&member.person)).collect()
}
