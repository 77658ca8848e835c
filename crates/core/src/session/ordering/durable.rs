//! What must survive a restart, as bytes: whatever was promised to others or cannot be learnt from them again.

use std::collections::{BTreeMap, BTreeSet};

use mainframe_base::{Fault, Time};

use super::commit::{Commit, CommitId, Removal, winner};
use super::roster::{LEAVES_MAX, Leaf, Roster};
use super::statement::{Certificate, Vote, put_accepted, read_optional_vote};
use super::{CERTIFICATES_MAX, REMOVALS_MAX};
use crate::codec::{Reader, put_list};

/// Version of the bytes.
const VERSION: u8 = 2;

/// Most commits kept: two of every author, and those that others named.
pub(super) const COMMITS_MAX: usize = 4 * LEAVES_MAX;

/// The durable half of an ordering.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Durable {
    pub(super) me: Leaf,
    pub(super) roster: Roster,
    pub(super) commits: BTreeMap<CommitId, Commit>,
    pub(super) removals: BTreeSet<Removal>,
    pub(super) liars: BTreeSet<Leaf>,
    pub(super) certificates: BTreeMap<CommitId, Certificate>,
    /// Who has said anything about this epoch: it knows that there is something to find out, and asks if it must.
    pub(super) heard: BTreeSet<Leaf>,
    /// We vote at no ballot below this one any more.
    pub(super) promised: u32,
    /// Our latest vote.
    pub(super) accepted: Option<Vote>,
    /// When the first commit was seen.
    pub(super) opened: Option<Time>,
    pub(super) gave_up: bool,
}

impl Durable {
    pub(super) fn new(me: Leaf, roster: Roster) -> Durable {
        Durable {
            me,
            roster,
            commits: BTreeMap::new(),
            removals: BTreeSet::new(),
            liars: BTreeSet::new(),
            certificates: BTreeMap::new(),
            heard: BTreeSet::new(),
            promised: 0,
            accepted: None,
            opened: None,
            gave_up: false,
        }
    }

    /// The commits that are certified and whose contents we know.
    pub(super) fn certified(&self) -> impl Iterator<Item = &Commit> + Clone {
        self.certificates.keys().filter_map(|id| self.commits.get(id))
    }

    /// The commit that counts.
    pub(super) fn winner(&self) -> Option<CommitId> {
        winner(self.certified(), &self.roster)
    }

    /// The commit that should be applied: the one that counts, else the one we voted for last.
    pub(super) fn favourite(&self) -> Option<CommitId> {
        self.winner().or(self.accepted.map(|vote| vote.commit))
    }

    /// Of whom nothing about this epoch was heard: neither by us nor by those who certified.
    pub(super) fn unheard(&self) -> Vec<Leaf> {
        let told: BTreeSet<Leaf> = self.certificates.values().flat_map(Certificate::leaves).collect();
        let is_heard = |leaf: &Leaf| *leaf == self.me || self.heard.contains(leaf) || told.contains(leaf);
        self.roster.leaves().filter(|leaf| !is_heard(leaf)).collect()
    }

    pub(super) fn put(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        self.me.put(out);
        self.roster.put(out);
        let commits: Vec<_> = self.commits.values().collect();
        put_list(out, &commits, |out, commit| commit.put(out));
        let removals: Vec<_> = self.removals.iter().collect();
        put_list(out, &removals, |out, removal| removal.put(out));
        let liars: Vec<_> = self.liars.iter().collect();
        put_list(out, &liars, |out, leaf| leaf.put(out));
        let certificates: Vec<_> = self.certificates.values().collect();
        put_list(out, &certificates, |out, certificate| certificate.put(out));
        let heard: Vec<_> = self.heard.iter().collect();
        put_list(out, &heard, |out, leaf| leaf.put(out));
        out.extend_from_slice(&self.promised.to_be_bytes());
        put_accepted(out, self.accepted);
        out.extend_from_slice(&[self.opened.is_some().into(), self.gave_up.into()]);
        out.extend_from_slice(&self.opened.unwrap_or_default().0.to_be_bytes());
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Durable, Fault> {
        if reader.u8()? != VERSION {
            return Err(Fault::UnknownVersion);
        }
        let (me, roster) = (Leaf::read(reader)?, Roster::read(reader)?);
        if !roster.contains(me) {
            return Err(Fault::Impossible);
        }
        let commits = ascending(reader.list(COMMITS_MAX + CERTIFICATES_MAX, Commit::read)?, |commit| commit.id)?;
        let removals = ascending(reader.list(REMOVALS_MAX, Removal::read)?, |removal| *removal)?;
        let liars = ascending(reader.list(LEAVES_MAX, Leaf::read)?, |leaf| *leaf)?;
        let certificates = reader.list(CERTIFICATES_MAX, Certificate::read)?;
        let certificates = ascending(certificates, |certificate| certificate.vote.commit)?;
        let heard = ascending(reader.list(LEAVES_MAX, Leaf::read)?, |leaf| *leaf)?;
        let (promised, accepted) = (reader.u32()?, read_optional_vote(reader)?);
        let (is_opened, gave_up, opened) = (read_flag(reader)?, read_flag(reader)?, Time(reader.u64()?));
        if accepted.is_some_and(|vote| vote.ballot > promised) || (!is_opened && opened != Time(0)) {
            return Err(Fault::Impossible);
        }
        Ok(Durable {
            me,
            roster,
            commits,
            removals: removals.into_keys().collect(),
            liars: liars.into_keys().collect(),
            certificates,
            heard: heard.into_keys().collect(),
            promised,
            accepted,
            opened: is_opened.then_some(opened),
            gave_up,
        })
    }
}

fn read_flag(reader: &mut Reader<'_>) -> Result<bool, Fault> {
    match reader.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Fault::Impossible),
    }
}

/// The items by their keys, which must ascend: so there is one encoding.
fn ascending<K: Ord, T>(items: Vec<T>, key: impl Fn(&T) -> K) -> Result<BTreeMap<K, T>, Fault> {
    if !items.is_sorted_by(|one, next| key(one) < key(next)) {
        return Err(Fault::Impossible);
    }
    Ok(items.into_iter().map(|item| (key(&item), item)).collect())
}
