//! The messages of `bench held-delivery`: which goes to whom, and which have come.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use mainframe_base::Prefix;
use mainframe_sdk::{Body, Client, ErrorCode, Hold, Message, SendRequest};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};

use crate::cli::BenchHeldDelivery;

/// Messages are offered in small bursts, so that the clock's grain does not limit the rate.
const TICK: Duration = Duration::from_millis(50);
/// A node that is busy is asked again after so long, and so often.
const BUSY_FOR: Duration = Duration::from_millis(200);
const BUSY_MAX: usize = 150;

/// A guest that goes away.
#[derive(Debug)]
pub(super) struct Away {
    /// Its place in the network.
    pub(super) index: usize,
    /// Where it is written to.
    pub(super) region: Prefix,
    /// The address of its person.
    pub(super) person: String,
    /// The key of its topic.
    pub(super) topic: String,
}

/// What became of the messages, by number.
#[derive(Default, Debug)]
pub(super) struct Outcomes {
    /// Taken into custody.
    pub(super) sent: BTreeSet<u64>,
    /// No node would take so many.
    pub(super) refused: usize,
}

/// Messages take turns among those who are away, and of each first its person, then its topic.
fn receiver(number: u64, away: usize) -> usize {
    (number % away as u64) as usize
}

/// Whether the message with that number is sealed to a person.
pub(super) fn is_to_person(number: u64, away: usize) -> bool {
    (number / away as u64).is_multiple_of(2)
}

/// What it says: its number, and which of those who are away is to read it.
fn body(number: u64, away: usize) -> String {
    format!("{number} {}", receiver(number, away))
}

fn read(body: &Body) -> Option<(u64, usize)> {
    let Body::Text(text) = body else { return None };
    let (number, receiver) = text.split_once(' ')?;
    Some((number.parse().ok()?, receiver.parse().ok()?))
}

/// Offers every message at its time, the relays in turn.
///
/// # Errors
/// If a task fails: a mistake of ours.
pub(super) async fn send_all(wanted: &BenchHeldDelivery, relays: &[Client], away: &[Away]) -> anyhow::Result<Outcomes> {
    let (mut sends, mut outcomes) = (JoinSet::new(), Outcomes::default());
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let (began, mut next) = (Instant::now(), 0);
    while next < wanted.messages {
        ticks.tick().await;
        let due = (began.elapsed().as_secs_f64() * wanted.rate) as u64;
        for number in next..due.min(wanted.messages) {
            let from = relays[(number % relays.len() as u64) as usize].clone();
            let request = letter(number, away);
            sends.spawn(async move { (number, offer(&from, &request).await) });
        }
        next = next.max(due.min(wanted.messages));
    }
    while let Some(sent) = sends.join_next().await {
        let (number, sent) = sent?;
        if sent {
            outcomes.sent.insert(number);
        } else {
            outcomes.refused += 1;
        }
    }
    Ok(outcomes)
}

fn letter(number: u64, away: &[Away]) -> SendRequest {
    let guest = &away[receiver(number, away.len())];
    let text = Body::text(body(number, away.len()));
    if is_to_person(number, away.len()) {
        SendRequest { hold: Hold::Day, ..SendRequest::to(&guest.person, text) }
    } else {
        let prefix = Some(guest.region.to_string());
        SendRequest { hold: Hold::Day, prefix, ..SendRequest::to(&guest.topic, text) }
    }
}

/// Whether a node has taken a message into custody; one that is busy is asked again.
async fn offer(from: &Client, request: &SendRequest) -> bool {
    for _ in 0..BUSY_MAX {
        match from.send(request).await {
            Ok(_) => return true,
            Err(error) if error.code() == Some(ErrorCode::Busy) => tokio::time::sleep(BUSY_FOR).await,
            Err(_) => return false,
        }
    }
    false
}

/// What has come.
#[derive(Default, PartialEq, Eq, Debug)]
pub(super) struct Counted {
    /// Messages that are there.
    pub(super) delivered: usize,
    /// Copies beyond the first.
    pub(super) duplicated: usize,
    /// Messages that are for someone else, or that nobody sent.
    pub(super) misdelivered: usize,
}

/// Holds what each guest has read against what was sent.
pub(super) fn count(sent: &BTreeSet<u64>, inboxes: &[Vec<Message>]) -> Counted {
    let mut counted = Counted::default();
    let mut copies: BTreeMap<u64, usize> = BTreeMap::new();
    for (guest, inbox) in inboxes.iter().enumerate() {
        for message in inbox {
            match read(&message.body) {
                Some((number, receiver)) if receiver == guest && sent.contains(&number) => {
                    *copies.entry(number).or_default() += 1;
                }
                Some(_) | None => counted.misdelivered += 1,
            }
        }
    }
    counted.delivered = copies.len();
    counted.duplicated = copies.values().map(|copies| copies - 1).sum();
    counted
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainframe_sdk::Reader;

    fn inbox(numbers: &[u64]) -> Vec<Message> {
        let message = |number: &u64| Message {
            sequence: 1,
            id: String::new(),
            reader: Reader::Topic { fingerprint: String::new(), name: None },
            at_ms: 0,
            body: Body::text(body(*number, 2)),
        };
        numbers.iter().map(message).collect()
    }

    #[test]
    fn every_reader_gets_as_many_letters_to_its_person_as_to_its_topic() {
        let mut letters: BTreeMap<(usize, bool), usize> = BTreeMap::new();
        (0..60).for_each(|number| *letters.entry((receiver(number, 5), is_to_person(number, 5))).or_default() += 1);
        assert_eq!(letters.len(), 10);
        assert!(letters.values().all(|count| *count == 6), "{letters:?}");
    }

    #[test]
    fn copies_and_letters_for_others_are_counted_apart() {
        let sent = BTreeSet::from([0, 1, 2, 3]);
        let counted = count(&sent, &[inbox(&[0, 2, 2, 1]), inbox(&[1, 5])]);
        assert_eq!(counted, Counted { delivered: 3, duplicated: 1, misdelivered: 2 });
    }
}
