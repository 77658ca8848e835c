//! What everybody holds to be true at the end of a trial, and whether that is one thing.

use mainframe_base::{DeviceKey, IdentityKey, Time};
use mainframe_core::session::{Answer, Order, SessionEvent, SessionView, Unable};

use super::device::Device;
use super::trial::{Played, SECOND_MS, Trial, Vigil};

/// How long what is said at the end may take to reach everybody: longer than the hour for which a member waits for something
/// that somebody said before he was removed, and that nobody can pass on, because the commit that it was said on lost
/// (docs/protocol/session.md §6).
const HEARING_MS: u64 = 2 * 3_600 * SECOND_MS;

impl Trial<'_> {
    pub(super) fn judge(mut self, is_quiet: bool) -> Played {
        // Whoever had nothing to do since its power was to fail, fails now, and not while it says its last.
        for who in 0..self.people.len() {
            if self.world.devices[who].fails {
                self.world.restart(who);
            }
        }
        let mut played = Played { undecided: !is_quiet, ..Played::default() };
        (played.statements, played.cells) = (self.world.insight.statements, self.world.insight.cells);
        let Some(view) = self.latest_view() else {
            return Played { forked: true, complaint: Some("nobody is in it".into()), ..played };
        };
        let fighter = self.fighter();
        let fighters_person = fighter.map(|who| self.people[who]);
        played.is_back = view.members.iter().any(|member| Some(member.person) == fighters_person);
        let keys: Vec<DeviceKey> = view.members.iter().flat_map(|it| &it.devices).map(|it| it.key).collect();
        let is_in = |who: &usize| keys.contains(&self.world.devices[*who].owner.device_key);
        let honest: Vec<usize> = self.honest().filter(is_in).collect();
        played.lagged = self.disagreement(&honest).is_some();
        // Who lags behind and hears nothing finds out when somebody speaks.
        let said = self.world.now;
        played.complaint = self.deafness(&honest);
        played.heard_after_ms = self.world.now.since_ms(said);
        played.forked = played.complaint.is_some();
        if played.is_back {
            played.complaint.get_or_insert("who was removed is in it".into());
        }
        played.blows = self.blows;
        played.rollbacks = self.world.insight.rollbacks;
        played.winner = self.winner();
        played.vigil = self.vigil.take().map(|vigil| Vigil { after_waking_ms: self.times_after_waking(), ..vigil });
        played.decided = view.epoch.saturating_sub(self.first_epoch);
        played.to_final_ms = self.times_to_final();
        played
    }

    /// The session as whoever has come furthest sees it.
    fn latest_view(&mut self) -> Option<SessionView> {
        let honest = self.honest();
        honest.filter_map(|who| self.world.view(who, self.session)).max_by_key(|view| view.epoch)
    }

    /// Who is in another epoch than the founder, or in none that counts.
    fn disagreement(&mut self, members: &[usize]) -> Option<String> {
        let Some(founder) = self.world.view(0, self.session) else {
            return Some("the founder is not in it any more".into());
        };
        for who in members {
            let Some(view) = self.world.view(*who, self.session) else {
                return Some(format!("{who} is a member and does not know it"));
            };
            if (view.epoch, &view.terms) != (founder.epoch, &founder.terms) || view.unconfirmed_since.is_some() {
                let (epoch, open) = (view.epoch, view.unconfirmed_since.is_some());
                return Some(format!("{who} is in epoch {epoch}, and 0 in {}; open: {open}", founder.epoch));
            }
        }
        None
    }

    /// Everyone says something; who does not hear whom.
    fn deafness(&mut self, members: &[usize]) -> Option<String> {
        for who in members {
            if let Err(unable) = self.say(*who, "here") {
                return Some(format!("{who} cannot say anything: {unable}"));
            }
        }
        let end = self.world.now + HEARING_MS;
        loop {
            self.pass(self.world.now + 5 * SECOND_MS);
            let missing = self.unheard(members, "here").or_else(|| self.disagreement(members))?;
            if self.world.now >= end {
                return Some(format!("{missing}; {}", self.told(members)));
            }
        }
    }

    pub(super) fn say(&mut self, who: usize, word: &str) -> Result<Answer, Unable> {
        self.world.order(who, Order::Say { session: self.session, stream: 0, kind: 0, body: said_by(who, word) })
    }

    /// Who of some does not hear whom of them, if everyone said this word.
    pub(super) fn unheard(&mut self, members: &[usize], word: &str) -> Option<String> {
        let (now, session) = (self.world.now, self.session);
        members.iter().find_map(|who| {
            let said = self.world.devices[*who].said(now, session);
            let unheard = members.iter().find(|other| !said.contains(&said_by(**other, word)))?;
            Some(format!("{who} does not hear {unheard}"))
        })
    }

    /// How many messages some wait for and have open, for whoever looks for a mistake.
    fn told(&mut self, members: &[usize]) -> String {
        let session = self.session;
        let counts = |who: &usize| format!("{who}: {:?}", self.world.view(*who, session).map(|view| view.counts));
        members.iter().map(counts).collect::<Vec<_>>().join(", ")
    }

    /// Whose commit ended the first epoch, as the first device says that was told.
    pub(super) fn winner(&self) -> Option<usize> {
        let by = self.world.devices.iter().find_map(|device| self.changes(device).next().map(|(_, by)| by))?;
        self.people.iter().position(|person| *person == by)
    }

    pub(super) fn changes<'a>(&self, device: &'a Device) -> impl Iterator<Item = (Time, IdentityKey)> + use<'a> {
        let (session, began) = (self.session, self.began);
        device.events.iter().filter_map(move |(at, event)| {
            let (SessionEvent::Changed { session: of, by, .. } | SessionEvent::Left { session: of, by }) = event else {
                return None;
            };
            (*of == session && *at >= began).then_some((*at, *by))
        })
    }

    fn times_to_final(&self) -> Vec<f64> {
        let commits = &self.world.insight.first_commit;
        let of_device = |who: usize| {
            let changes = self.changes(&self.world.devices[who]).zip(self.first_epoch..);
            changes.filter_map(|((at, _), epoch)| Some(at.since_ms(*commits.get(&epoch)?) as f64))
        };
        self.honest().filter(|who| *who != self.plan.company.persons).flat_map(of_device).collect()
    }

    fn times_after_waking(&self) -> Vec<f64> {
        let Some((until, _)) = self.plan.asleep else { return Vec::new() };
        let woke = self.began + until;
        let first_change = |who: usize| self.changes(&self.world.devices[who]).next().map(|(at, _)| at);
        let late = self.plan.company.devices().filter_map(first_change).filter(|at| *at >= woke);
        late.map(|at| at.since_ms(woke) as f64).collect()
    }
}

fn said_by(who: usize, word: &str) -> Vec<u8> {
    format!("{word}: {who}").into_bytes()
}
