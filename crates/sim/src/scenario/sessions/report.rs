//! What came of it.

use std::collections::{BTreeMap, BTreeSet};

use mainframe_base::SessionId;
use mainframe_core::session::SessionView;

use super::super::Stage;
use super::cast::Cast;
use super::record::Said;
use super::{Play, SECOND_US};
use crate::figures::{percentile, ratio};
use crate::moment::Moment;

/// Mishaps told one by one on standard error.
const TOLD_MAX: usize = 20;

impl Play {
    /// `before`: cells and bytes that had been sent when people began to talk.
    pub(super) fn report(&mut self, stage: &mut Stage<'_>, before: (u64, u64)) {
        let forks = self.final_forks(stage);
        let lost = self.lost(stage);
        let early = self.record.out_of_causal_order();
        for (person, number) in early.iter().take(TOLD_MAX) {
            let said = &self.record.said[*number];
            stage.progress.warn(&format!("too early: {} was shown {}", self.name(*person), self.describe(said)));
        }
        let behind = self.behind(stage);
        let posts = stage.population.world().posts();
        let (cells, bytes) = (posts.cells - before.0, posts.bytes - before.1);
        let key_reuse = posts.keys_again + posts.bodies_again;
        let (tags_again, cells_sent) = (posts.tags_again, posts.cells);
        let sent = self.record.said.len() as u64;
        let mishaps = [
            ("lost", lost),
            ("duplicated", self.record.duplicated),
            ("invented", self.record.invented),
            ("out_of_causal_order", early.len() as u64),
            ("permanent_forks", forks),
            ("failed_states", behind),
            ("key_reuse", key_reuse),
            ("tag_reuse", tags_again),
        ];
        let checks: BTreeMap<&str, bool> = mishaps.iter().map(|(name, count)| (*name, *count == 0)).collect();
        stage.put("is_sound", checks.values().all(|holds| *holds));
        stage.put("checks", checks);
        mishaps.into_iter().for_each(|(name, count)| stage.put(name, count));
        stage.put("sent", sent);
        stage.put("contradictions", self.record.contradictions);
        stage.put("persons", self.cast.len());
        stage.put("sessions", self.record.sessions());
        stage.put("epochs", self.record.commits());
        stage.put("partitions", self.partitions.len());
        let shortest = self.partitions.iter().map(|(begin, end)| end.since(*begin) / SECOND_US).min();
        stage.put("partition_s_min", shortest.unwrap_or(0));
        stage.put("cells", cells_sent);
        stage.put("cells_per_message", ratio(cells, sent));
        stage.put("bytes_per_message", ratio(bytes, sent));
        let (mut awake, mut all) = self.latencies();
        stage.put("awake_receipts", awake.len());
        stage.put("receipts", all.len());
        for (name, percent) in [("latency_s_p50", 50), ("latency_s_p99", 99)] {
            stage.put(name, percentile(&mut awake, percent));
        }
        stage.put("latency_with_outages_s_p99", percentile(&mut all, 99));
        for name in COUNTED {
            stage.put(name, self.counts.get(name).copied().unwrap_or(0));
        }
    }

    /// Tells what has not come to rest.
    pub(super) fn tell_outstanding(&mut self, stage: &mut Stage<'_>) {
        self.final_forks(stage);
        self.lost(stage);
        self.behind(stage);
    }

    fn behind(&self, stage: &Stage<'_>) -> u64 {
        let behind: Vec<&Said> = self.record.said.iter().filter(|said| self.record.is_state_behind(said)).collect();
        for said in behind.iter().take(TOLD_MAX) {
            let text = format!("not known to be delivered but {:?}: {}", said.state, self.describe(said));
            stage.progress.warn(&text);
        }
        behind.len() as u64
    }

    fn final_forks(&mut self, stage: &mut Stage<'_>) -> u64 {
        let mut all = Vec::new();
        for person in 0..self.cast.len() {
            all.extend(self.views(stage, person).into_iter().map(|view| (person, view)));
        }
        let forks = forks(&self.cast, &all);
        for session in forks.iter().take(TOLD_MAX) {
            let seen = all.iter().filter(|(_, view)| view.id == *session);
            let of = |(person, view): &(usize, SessionView)| {
                let members: Vec<usize> = view.members.iter().map(|it| self.cast.find(&it.person)).collect();
                format!("{person}: epoch {} of {members:?} unconfirmed {:?}", view.epoch, view.unconfirmed_since)
            };
            let told = seen.map(of).collect::<Vec<_>>().join("; ");
            stage.progress.warn(&format!("session {session} is not the same to all: {told}"));
        }
        forks.len() as u64
    }

    fn lost(&self, stage: &Stage<'_>) -> u64 {
        let mut lost = 0;
        for said in &self.record.said {
            for person in self.record.lacking(said) {
                lost += 1;
                if lost <= TOLD_MAX as u64 {
                    let text = format!("lost: {} was never shown {}", self.name(person), self.describe(said));
                    stage.progress.warn(&text);
                }
            }
        }
        lost
    }

    fn name(&self, person: usize) -> String {
        format!("person {person} at node {}", self.cast.persons[person].node.0)
    }

    fn describe(&self, said: &Said) -> String {
        let (author, members) = (self.name(said.author), &said.members);
        format!("number {} of {author} in {} to {members:?} at {}", said.id.number, said.session, said.at)
    }

    /// How long messages took, in seconds: where both nodes ran and the network was whole all the time, and all of them.
    fn latencies(&self) -> (Vec<f64>, Vec<f64>) {
        let (mut awake, mut all) = (Vec::new(), Vec::new());
        for said in &self.record.said {
            for (person, at) in &said.shown {
                let seconds = at.since(said.at) as f64 / 1e6;
                all.push(seconds);
                if self.was_smooth(said, *person, *at) {
                    awake.push(seconds);
                }
            }
        }
        (awake, all)
    }

    fn was_smooth(&self, said: &Said, person: usize, shown: Moment) -> bool {
        let ran = |person| self.cast.was_up(person, said.at, shown);
        let was_whole = !self.partitions.iter().any(|(begin, end)| *begin <= shown && said.at <= *end);
        was_whole && ran(said.author) && ran(person)
    }
}

/// What is counted as it happens.
const COUNTED: [&str; 16] = [
    "additions",
    "admins_made",
    "contacts_failed",
    "crashes",
    "equivocated",
    "gave_up",
    "late",
    "leavings",
    "left",
    "letters_ignored",
    "power_losses",
    "removals",
    "renamings",
    "renewals",
    "stranded",
    "unwanted",
];

/// The sessions that are not the same to all of their members: another epoch, other members, or somebody lacks it.
pub(super) fn forks(cast: &Cast, views: &[(usize, SessionView)]) -> BTreeSet<SessionId> {
    let mut seen: BTreeMap<SessionId, BTreeMap<usize, &SessionView>> = BTreeMap::new();
    for (person, view) in views {
        seen.entry(view.id).or_default().insert(*person, view);
    }
    let is_one = |views: &BTreeMap<usize, &SessionView>| {
        let mut all = views.values();
        let Some(first) = all.next() else { return true };
        let members: BTreeSet<usize> = first.members.iter().map(|member| cast.find(&member.person)).collect();
        let has_all = views.keys().copied().collect::<BTreeSet<_>>() == members;
        let is_final = views.values().all(|view| view.unconfirmed_since.is_none());
        has_all && is_final && all.all(|view| view.epoch == first.epoch && view.members == first.members)
    };
    seen.into_iter().filter(|(_, views)| !is_one(views)).map(|(session, _)| session).collect()
}
