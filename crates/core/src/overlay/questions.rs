//! Asking for records and answering (docs/protocol/overlay.md §6).
//!
//! One question is open to a peer at a time; a lost one is asked again under the same number. What we cannot have
//! asked for is a fault: nobody can fill our address book unasked.

use std::sync::Arc;

use mainframe_base::{Address, Fault, LinkKey, Role, Time};

use super::Overlay;
use super::dialling::FALSE_HINTS_MAX;
use super::peer::{Purpose, Question};
use super::ports::{OverlayOut, OverlayWish};
use crate::crypto::NodeRecord;
use crate::wire::{Frame, GetPeers, PEERS_MAX, Peers};

/// How long an answer may take, in milliseconds (guess: far above any round trip).
const ANSWER_MS: u64 = 3_000;
/// How often a question is asked again; then the peer is silent.
const REPEATS_MAX: u8 = 3;
/// Answers a peer can owe us: more are forgotten, and would be faults.
pub(super) const OWED_MAX: u8 = 32;

impl Overlay {
    /// Asks a relay, unless it has a question of ours already or was asked much of late. Says whether it was asked.
    pub(super) fn ask(
        &mut self,
        now: Time,
        key: LinkKey,
        target: Address,
        limit: u8,
        purpose: Purpose,
        out: &mut OverlayOut,
    ) -> bool {
        let request = self.request.wrapping_add(1);
        let Some(peer) = self.peers.get_mut(&key) else { return false };
        let willing = peer.is_relay() && peer.question.is_none() && peer.false_hints < FALSE_HINTS_MAX;
        if !willing || !peer.pace.take(now, 1) {
            return false;
        }
        self.request = request;
        let asked = GetPeers { request, target, limit };
        peer.question = Some(Question { asked, purpose, due: now + ANSWER_MS, repeats: 0 });
        peer.owed = (peer.owed + 1).min(OWED_MAX);
        peer.used_at = now;
        self.try_until(key, now + ANSWER_MS);
        out.wish(OverlayWish::Send(key, Frame::GetPeers(asked)));
        true
    }

    /// Asks again what was not answered in time; gives the peer up at last.
    pub(super) fn repeat_question(&mut self, now: Time, key: LinkKey, out: &mut OverlayOut) {
        let Some(peer) = self.peers.get_mut(&key) else { return };
        let Some(question) = peer.question.as_mut().filter(|question| question.due <= now) else { return };
        if question.repeats >= REPEATS_MAX {
            return self.fault(now, key, Fault::Silent, out);
        }
        question.repeats += 1;
        question.due = now + ANSWER_MS;
        peer.owed = (peer.owed + 1).min(OWED_MAX);
        out.wish(OverlayWish::Send(key, Frame::GetPeers(question.asked)));
    }

    /// Answers with the connected relays closest to the target; guests are nobody's business.
    pub(super) fn on_question(&mut self, now: Time, from: LinkKey, question: GetPeers, out: &mut OverlayOut) {
        let Some(asker) = self.peers.get(&from).and_then(|peer| peer.address()) else { return };
        let records: Vec<NodeRecord> = self
            .closest(&question.target, usize::from(question.limit).clamp(1, PEERS_MAX), Some(&asker))
            .into_iter()
            .filter_map(|key| self.record_of(&key))
            .map(|record| (**record).clone())
            .collect();
        out.wish(OverlayWish::Send(from, Frame::Peers(Peers { request: question.request, records })));
        if question.target == *self.neighbours.me() {
            self.ask_back(now, from, out);
        }
    }

    /// The connected relays closest to `target`, at most `limit`, closest first. Relays that nobody can dial are of no
    /// use to whoever asks, and are left out.
    pub(super) fn closest(&self, target: &Address, limit: usize, except: Option<&Address>) -> Vec<LinkKey> {
        let is_dialable = |key: &LinkKey| self.record_of(key).is_some_and(|record| !record.locators.is_empty());
        let all = || self.relays.iter().filter(|(address, _)| Some(*address) != except);
        let chosen = closest_of(target, limit, all());
        // Nearly every relay can be dialled, so looking only at the chosen saves most of the look-ups.
        if chosen.iter().all(is_dialable) {
            return chosen;
        }
        closest_of(target, limit, all().filter(|(_, key)| is_dialable(key)))
    }

    pub(super) fn on_answer(&mut self, now: Time, from: LinkKey, answer: Peers, out: &mut OverlayOut) {
        let Some(peer) = self.peers.get_mut(&from) else { return };
        let Some(owed) = peer.owed.checked_sub(1) else {
            return self.fault(now, from, Fault::Unasked, out);
        };
        peer.owed = owed;
        let Some(question) = peer.question.take_if(|question| question.asked.request == answer.request) else {
            // An answer that came after its question was repeated and answered: late, not false.
            return;
        };
        peer.used_at = now;
        if answer.records.len() > usize::from(question.asked.limit) {
            return self.fault(now, from, Fault::Oversized, out);
        }
        let heard = self.hear(now, from, answer.records);
        self.forget_evicted(out);
        match heard {
            Err(fault) => self.fault(now, from, fault, out),
            Ok(heard) => self.use_answer(now, from, &question, heard, out),
        }
    }

    /// Takes hearsay into the address book. Returns whose records were told, and whether any was news.
    fn hear(&mut self, now: Time, from: LinkKey, records: Vec<NodeRecord>) -> Result<Heard, Fault> {
        let mut heard = Heard { records: Vec::with_capacity(records.len()), news: false };
        for record in records {
            if record.role != Role::Relay {
                return Err(Fault::Impossible);
            }
            let record = self.me.check_record(record)?;
            heard.news |= self.book.hear(now, record.clone(), Some(from));
            heard.records.push(record);
        }
        Ok(heard)
    }

    fn use_answer(&mut self, now: Time, from: LinkKey, question: &Question, heard: Heard, out: &mut OverlayOut) {
        if heard.news {
            self.reckon(now, out);
        }
        self.timers.tend_soon(now);
        match question.purpose {
            Purpose::Survey => self.on_survey(now, from, question, &heard.records, out),
            Purpose::Slot => {}
            Purpose::Lookup(lookup) => self.on_lookup_answer(now, lookup, from, heard.records, out),
        }
    }
}

/// Compares the first 128 bits of the distances, as numbers: no two relays of an honest network agree in them.
fn closest_of<'a>(
    target: &Address,
    limit: usize,
    relays: impl Iterator<Item = (&'a Address, &'a LinkKey)>,
) -> Vec<LinkKey> {
    let first = |address: &Address| {
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&address.0[..16]);
        u128::from_be_bytes(bytes)
    };
    let target = first(target);
    let mut relays: Vec<(u128, LinkKey)> = relays.map(|(address, key)| (first(address) ^ target, *key)).collect();
    if (1..relays.len()).contains(&limit) {
        relays.select_nth_unstable(limit - 1);
        relays.truncate(limit);
    }
    relays.sort_unstable();
    relays.into_iter().map(|(_, key)| key).collect()
}

struct Heard {
    records: Vec<Arc<NodeRecord>>,
    news: bool,
}
