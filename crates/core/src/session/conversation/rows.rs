//! How a session is kept: one row of its own, one for each epoch and chain, MLS's rows, commits and decisions.

use std::collections::{BTreeMap, VecDeque};

use mainframe_base::{DeviceKey, Fault, IdentityKey, SessionId, Time};
use mainframe_mls::{DeviceSecret, EpochId, Group, KeyPackageId, RowChange, Rows};
use zeroize::Zeroizing;

use super::presence::LOOK_AFTER_START_MS;
use super::wanting::{Draft, Offered, Want, Wants};
use super::{Branch, Conversation, Scene};
use crate::codec::{Reader, put_list};
use crate::session::epoch::{Epoch, SETTLE_MS};
use crate::session::fragment::Assembly;
use crate::session::ledger::{Ledger, Member, Start};
use crate::session::ordering::{CommitId, Ordering, Pace};
use crate::session::rows_of;
use crate::session::terms::{Amendment, Terms};
use crate::session::{SessionConfig, fragment};
use crate::store::{Table, Tx};

const VERSION: u8 = 2;
const PRESENT: u8 = 0;
const SNAPSHOT: u8 = 1;
/// The longest tree or Welcome that is kept: what travels in one frame.
const BLOB_LENGTH_MAX: usize = fragment::FRAME_LENGTH_MAX;

/// What the session's own row says.
struct Head {
    person: IdentityKey,
    current: EpochId,
    branch: Option<(EpochId, CommitId)>,
    is_removed: bool,
    is_stuck: bool,
    is_outdated: bool,
    renewed: Time,
    wants: VecDeque<(Time, Want)>,
    draft: Option<Draft>,
    said_on_branch: Vec<u64>,
}

impl Conversation {
    /// Writes what changed since the last time, and MLS's rows.
    pub(in crate::session) fn flush(&mut self, scene: &mut Scene<'_>) {
        if !std::mem::take(&mut self.is_dirty) {
            return;
        }
        for RowChange { key, value } in self.group.take_changes() {
            let key = secret_key(&self.id, PRESENT, &key);
            match value {
                Some(value) => scene.tx.put(Table::Secrets, &key, &value),
                None => scene.tx.delete(Table::Secrets, &key),
            }
        }
        let row = self.head().encode();
        if scene.tx.get(Table::Sessions, &self.id.0).as_deref() != Some(&row[..]) {
            scene.tx.put(Table::Sessions, &self.id.0, &row);
        }
    }

    /// The session kept under this name, on this device; `None` if its rows are damaged.
    pub(in crate::session) fn load(
        tx: &dyn Tx,
        id: SessionId,
        device: &DeviceSecret,
        now: Time,
        config: &SessionConfig,
        seed: [u8; 32],
    ) -> Option<Conversation> {
        let head = Head::decode(&tx.get(Table::Sessions, &id.0)?).ok()?;
        let group = Group::load(mls_rows(tx, &id, PRESENT), device).ok()?;
        let epochs: BTreeMap<EpochId, Epoch> =
            Epoch::load_all(now, tx, &id).into_iter().map(|epoch| (epoch.facts.id, epoch)).collect();
        let own_seat = epochs.get(&head.current)?.facts.seat(epochs[&head.current].facts.own_leaf)?;
        let me = Member { device: own_seat.id(), person: own_seat.person };
        let spread_ms = epochs[&head.current].spread_ms(LOOK_AFTER_START_MS);
        let pace = Pace::from_delay(config.delay_ms);
        let ordering = |(key, row): (Vec<u8>, Vec<u8>)| {
            let epoch = EpochId(key.get(16..)?.try_into().ok()?);
            Some((epoch, Ordering::decode(&row, pace).ok()?))
        };
        let orderings = rows_of(tx, Table::Decisions, &id.0).into_iter().filter_map(ordering).collect();
        let deciding = head.branch.map_or(head.current, |(parent, _)| parent);
        let snapshot = || mls_rows(tx, &id, SNAPSHOT);
        let branch = head.branch.map(|(parent, commit)| Branch { parent, commit, snapshot: snapshot(), deed: None });
        Some(Conversation {
            id,
            me,
            device: device.clone(),
            terms: Terms::decode(group.context()).ok()?,
            group,
            current: head.current,
            epochs,
            branch,
            orderings,
            candidates: candidates(tx, &id, &deciding),
            asked: BTreeMap::new(),
            reminded: BTreeMap::new(),
            early: Vec::new(),
            renewed: head.renewed,
            heard: None,
            look_around_at: now + SETTLE_MS + spread_ms,
            wants: Wants { queue: head.wants },
            draft: head.draft,
            ledger: Ledger::load(tx, id, now, config.ledger.clone(), seed)?,
            said_on_branch: head.said_on_branch.into_iter().collect(),
            is_removed: head.is_removed,
            is_stuck: head.is_stuck,
            is_outdated: head.is_outdated,
            originals: VecDeque::new(),
            assembly: Assembly::new(),
            is_dirty: false,
        })
    }

    /// Whose a kept session is.
    pub(in crate::session) fn owner(tx: &dyn Tx, id: &SessionId) -> Option<IdentityKey> {
        Head::decode(&tx.get(Table::Sessions, &id.0)?).ok().map(|head| head.person)
    }

    /// Forgets every secret of a session. What was said stays.
    pub(in crate::session) fn delete(tx: &mut dyn Tx, id: &SessionId) {
        for table in [Table::Epochs, Table::Chains, Table::Secrets, Table::Commits, Table::Decisions] {
            for (key, _) in rows_of(tx, table, &id.0) {
                tx.delete(table, &key);
            }
        }
        tx.delete(Table::Sessions, &id.0);
    }

    pub(super) fn keep_snapshot(&self, tx: &mut dyn Tx, snapshot: &Rows) {
        for (key, value) in snapshot.iter() {
            tx.put(Table::Secrets, &secret_key(&self.id, SNAPSHOT, key), value);
        }
    }

    pub(super) fn drop_snapshot(&self, tx: &mut dyn Tx, snapshot: &Rows) {
        for (key, _) in snapshot.iter() {
            tx.delete(Table::Secrets, &secret_key(&self.id, SNAPSHOT, key));
        }
    }

    pub(super) fn keep_decision(&self, tx: &mut dyn Tx, epoch: &EpochId) {
        if let Some(ordering) = self.orderings.get(epoch) {
            tx.put(Table::Decisions, &decision_key(&self.id, epoch), &ordering.encode());
        }
    }

    /// Forgets what was decided on an epoch, and every commit on it.
    pub(super) fn forget_decision(&mut self, tx: &mut dyn Tx, epoch: &EpochId) {
        self.orderings.remove(epoch);
        self.reminded.remove(epoch);
        tx.delete(Table::Decisions, &decision_key(&self.id, epoch));
        for id in candidates(tx, &self.id, epoch).keys() {
            self.asked.remove(id);
            tx.delete(Table::Commits, &commit_key(&self.id, epoch, id));
        }
    }

    pub(super) fn keep_candidate(&self, tx: &mut dyn Tx, epoch: &EpochId, id: &CommitId, bytes: &[u8]) {
        tx.put(Table::Commits, &commit_key(&self.id, epoch, id), bytes);
    }

    pub(super) fn forget_candidate(&mut self, tx: &mut dyn Tx, epoch: &EpochId, id: &CommitId) {
        self.candidates.remove(id);
        tx.delete(Table::Commits, &commit_key(&self.id, epoch, id));
    }

    /// A commit on an epoch, as long as it is kept.
    pub(super) fn candidate(&self, tx: &dyn Tx, epoch: &EpochId, id: &CommitId) -> Option<Vec<u8>> {
        tx.get(Table::Commits, &commit_key(&self.id, epoch, id))
    }

    /// The decision is taken: of its commits only the one that counts is kept, for those who lag behind.
    pub(super) fn keep_only_candidate(&mut self, tx: &mut dyn Tx, epoch: &EpochId, winner: &CommitId) {
        for id in self.candidates.keys().filter(|id| *id != winner) {
            self.asked.remove(id);
            tx.delete(Table::Commits, &commit_key(&self.id, epoch, id));
        }
        self.candidates.clear();
    }

    fn head(&self) -> Head {
        Head {
            person: self.me.person,
            current: self.current,
            branch: self.branch.as_ref().map(|branch| (branch.parent, branch.commit)),
            is_removed: self.is_removed,
            is_stuck: self.is_stuck,
            is_outdated: self.is_outdated,
            renewed: self.renewed,
            wants: self.wants.queue.clone(),
            draft: self.draft.clone(),
            said_on_branch: self.said_on_branch.iter().copied().collect(),
        }
    }
}

fn mls_rows(tx: &dyn Tx, session: &SessionId, which: u8) -> Rows {
    let start = secret_key(session, which, &[]);
    let mut rows = Rows::new();
    for (key, value) in rows_of(tx, Table::Secrets, &start) {
        rows.insert(key[start.len()..].to_vec(), Zeroizing::new(value));
    }
    rows
}

fn candidates(tx: &dyn Tx, session: &SessionId, epoch: &EpochId) -> BTreeMap<CommitId, Vec<u8>> {
    let of_epoch = |(key, bytes): (Vec<u8>, Vec<u8>)| {
        let id = CommitId(key.strip_prefix(&decision_key(session, epoch)[..])?.try_into().ok()?);
        Some((id, bytes))
    };
    rows_of(tx, Table::Commits, &session.0).into_iter().filter_map(of_epoch).collect()
}

fn secret_key(session: &SessionId, which: u8, key: &[u8]) -> Vec<u8> {
    [&session.0[..], &[which], key].concat()
}

fn decision_key(session: &SessionId, epoch: &EpochId) -> Vec<u8> {
    [session.0, epoch.0].concat()
}

fn commit_key(session: &SessionId, epoch: &EpochId, commit: &CommitId) -> Vec<u8> {
    [&session.0[..], &epoch.0, &commit.0].concat()
}

fn put_blob(out: &mut Vec<u8>, blob: &[u8]) {
    out.extend_from_slice(&(blob.len() as u32).to_be_bytes());
    out.extend_from_slice(blob);
}

fn read_blob(reader: &mut Reader<'_>) -> Result<Vec<u8>, Fault> {
    let length = reader.u32()? as usize;
    if length > BLOB_LENGTH_MAX { Err(Fault::Oversized) } else { Ok(reader.bytes(length)?.to_vec()) }
}

fn put_optional<T>(out: &mut Vec<u8>, value: Option<&T>, put: impl FnOnce(&mut Vec<u8>, &T)) {
    out.push(u8::from(value.is_some()));
    if let Some(value) = value {
        put(out, value);
    }
}

fn read_optional<'a, T>(
    reader: &mut Reader<'a>,
    read: impl FnOnce(&mut Reader<'a>) -> Result<T, Fault>,
) -> Result<Option<T>, Fault> {
    if read_flag(reader)? { read(reader).map(Some) } else { Ok(None) }
}

fn read_flag(reader: &mut Reader<'_>) -> Result<bool, Fault> {
    match reader.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Fault::Impossible),
    }
}

impl Head {
    fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        out.extend_from_slice(&self.person.0);
        out.extend_from_slice(&self.current.0);
        put_optional(&mut out, self.branch.as_ref(), |out, (parent, commit)| {
            out.extend_from_slice(&parent.0);
            out.extend_from_slice(&commit.0);
        });
        out.extend_from_slice(&[self.is_removed, self.is_stuck, self.is_outdated].map(u8::from));
        out.extend_from_slice(&self.renewed.0.to_be_bytes());
        put_list(&mut out, &self.wants.iter().collect::<Vec<_>>(), |out, (since, want)| {
            out.extend_from_slice(&since.0.to_be_bytes());
            put_want(out, want);
        });
        put_optional(&mut out, self.draft.as_ref(), put_draft);
        put_list(&mut out, &self.said_on_branch, |out, number| out.extend_from_slice(&number.to_be_bytes()));
        out
    }

    fn decode(row: &[u8]) -> Result<Head, Fault> {
        let mut reader = Reader::new(row);
        if reader.u8()? != VERSION {
            return Err(Fault::UnknownVersion);
        }
        let head = Head {
            person: IdentityKey(reader.array()?),
            current: EpochId(reader.array()?),
            branch: read_optional(&mut reader, |reader| Ok((EpochId(reader.array()?), CommitId(reader.array()?))))?,
            is_removed: read_flag(&mut reader)?,
            is_stuck: read_flag(&mut reader)?,
            is_outdated: read_flag(&mut reader)?,
            renewed: Time(reader.u64()?),
            wants: reader.list(usize::MAX, |reader| Ok((Time(reader.u64()?), read_want(reader)?)))?.into(),
            draft: read_optional(&mut reader, read_draft)?,
            said_on_branch: reader.list(usize::MAX, Reader::u64)?,
        };
        reader.finish()?;
        Ok(head)
    }
}

fn put_want(out: &mut Vec<u8>, want: &Want) {
    match want {
        Want::Add(offered) => {
            out.push(0);
            put_list(out, offered, put_offered);
        }
        Want::RemovePerson(person) => {
            out.push(1);
            out.extend_from_slice(&person.0);
        }
        Want::RemoveDevice(device) => {
            out.push(2);
            out.extend_from_slice(&device.0);
        }
        Want::Agree(Amendment::Name(name)) => {
            out.push(3);
            put_blob(out, name.as_bytes());
        }
        Want::Agree(Amendment::Admin(person, is_admin)) => {
            out.extend_from_slice(&[5, u8::from(*is_admin)]);
            out.extend_from_slice(&person.0);
        }
        Want::Refresh => out.push(4),
        Want::Readmit(offered) => {
            out.push(6);
            put_offered(out, offered);
        }
    }
}

fn read_want(reader: &mut Reader<'_>) -> Result<Want, Fault> {
    Ok(match reader.u8()? {
        0 => Want::Add(reader.list(usize::MAX, read_offered)?),
        1 => Want::RemovePerson(IdentityKey(reader.array()?)),
        2 => Want::RemoveDevice(DeviceKey(reader.array()?)),
        3 => {
            let name = String::from_utf8(read_blob(reader)?).map_err(|_| Fault::Malformed)?;
            Want::Agree(Amendment::Name(name))
        }
        4 => Want::Refresh,
        5 => {
            let is_admin = read_flag(reader)?;
            Want::Agree(Amendment::Admin(IdentityKey(reader.array()?), is_admin))
        }
        6 => Want::Readmit(read_offered(reader)?),
        _ => return Err(Fault::Impossible),
    })
}

fn put_offered(out: &mut Vec<u8>, one: &Offered) {
    out.extend_from_slice(&one.person.0);
    out.extend_from_slice(&one.id.0);
    put_blob(out, &one.bytes);
}

fn read_offered(reader: &mut Reader<'_>) -> Result<Offered, Fault> {
    let (person, id) = (IdentityKey(reader.array()?), KeyPackageId(reader.array()?));
    Ok(Offered { person, id, bytes: read_blob(reader)? })
}

fn put_draft(out: &mut Vec<u8>, draft: &Draft) {
    out.extend_from_slice(&draft.commit.0);
    put_list(out, &draft.invitations, |out, (person, welcome)| {
        out.extend_from_slice(&person.0);
        put_blob(out, welcome);
    });
    put_optional(out, draft.tree.as_ref(), |out, tree| put_blob(out, tree));
    put_optional(out, draft.start.as_ref(), |out, start| put_blob(out, &start.encode()));
}

fn read_draft(reader: &mut Reader<'_>) -> Result<Draft, Fault> {
    Ok(Draft {
        commit: CommitId(reader.array()?),
        invitations: reader.list(usize::MAX, |reader| Ok((IdentityKey(reader.array()?), read_blob(reader)?)))?,
        tree: read_optional(reader, read_blob)?,
        start: read_optional(reader, |reader| Start::decode(&read_blob(reader)?))?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainframe_base::DeviceId;
    use proptest::prelude::*;

    #[test]
    fn a_session_row_comes_back_from_its_bytes() {
        let offered = Offered { person: IdentityKey([1; 32]), id: KeyPackageId([2; 32]), bytes: vec![3; 70_000] };
        let named = Amendment::Name("river".to_owned());
        let wants = [
            Want::Add(vec![offered.clone()]),
            Want::Readmit(offered),
            Want::RemovePerson(IdentityKey([4; 32])),
            Want::Agree(named),
            Want::Agree(Amendment::Admin(IdentityKey([8; 32]), true)),
            Want::Refresh,
        ];
        let draft = Draft {
            commit: CommitId([5; 32]),
            invitations: vec![(IdentityKey([6; 32]), vec![7; 9])],
            tree: Some(vec![8; 100_000]),
            start: Some(Start { lamport: 9, reached: vec![(DeviceId([1; 8]), 3)] }),
        };
        let head = Head {
            person: IdentityKey([9; 32]),
            current: EpochId([1; 16]),
            branch: Some((EpochId([2; 16]), CommitId([4; 32]))),
            is_removed: false,
            is_stuck: true,
            is_outdated: false,
            renewed: Time(7),
            wants: wants.into_iter().map(|want| (Time(3), want)).collect(),
            draft: Some(draft),
            said_on_branch: vec![1, 5],
        };
        let bytes = head.encode();
        assert_eq!(Head::decode(&bytes).unwrap().encode(), bytes);
    }

    proptest! {
        #[test]
        fn a_damaged_row_is_no_session_and_no_panic(bytes: Vec<u8>) {
            let _ = Head::decode(&bytes);
        }
    }
}
