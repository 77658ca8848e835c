//! Bytes from outside: every decoder, and the relay half itself, take anything without a panic.
//!
//! Each run replays the corpus in `testdata/fuzz` and short, stable mutations of it: the same seed, the same bytes.
//! `MAINFRAME_FUZZ_ROUNDS` makes it longer. An input that once failed stands in the corpus for ever.

use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use mainframe_base::{Address, DeviceKey, LinkKey, Locator, Luminosity, NetworkId, PacketId, Prefix, Role, Tag, Time};
use mainframe_core::codec::Reader;
use mainframe_core::crypto::{
    Binding, Card, CardBody, Identity, Invitation, InvitationSecret, Inviter, LetterKind, LinkCode, Name, NodeKeys,
    NodeRecord, PersonAddress, Presence, Recipient, RecordBody, Region, Verifier, open_letter, overlay_address,
    parse_topic_key, seal_letter,
};
use mainframe_core::overlay::Myself;
use mainframe_core::packet::PacketConfig;
use mainframe_core::store::MemoryStore;
use mainframe_core::switchboard::{LinkEvent, Relay, RelayConfig, RelayEffect, RelayInput};
use mainframe_core::wire::{
    Ask, BudgetClass, Cell, CellFrame, CellHeader, DigestEntry, ExpiryBucket, FRAME_HEADER_LENGTH, Frame, GetPeers,
    Hearing, Held, Hello, HoldClass, Hour, LIST_LENGTH_MAX, ListFrame, Neighbourhood, Parcel, Peers, PullEntry,
    RESERVE_LENGTH, Receipt, Recent, SizeClass, Subscribe, TagBucket, Verdict, payload_length,
};
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

const ROUNDS: usize = 3_000;
const NOW: Time = Time(1_000_000_000);

fn rounds() -> usize {
    std::env::var("MAINFRAME_FUZZ_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(ROUNDS)
}

fn corpus_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/fuzz")
}

/// Committed inputs: bytes as hexadecimal text, one a file.
fn committed() -> Vec<Vec<u8>> {
    let Ok(entries) = fs::read_dir(corpus_folder()) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "hex"));
    paths.sort();
    paths.iter().map(|path| hex::decode(fs::read_to_string(path).unwrap().trim()).unwrap()).collect()
}

fn keys(seed: u8) -> NodeKeys {
    NodeKeys::generate(&mut ChaCha8Rng::from_seed([seed; 32]))
}

fn record(seed: u8) -> NodeRecord {
    keys(seed).sign_record(RecordBody {
        network: NetworkId::DEV,
        role: Role::Relay,
        seed: [0; 32],
        sequence: NOW.0,
        locators: vec!["/ip4/127.0.0.1/tcp/4001".parse().unwrap(), "/ip6/::1/udp/4001/quic-v1".parse().unwrap()],
    })
}

fn hello(seed: u8) -> Hello {
    Hello { network: NetworkId::DEV, record: record(seed), binding: keys(seed).binding(NetworkId::DEV, &[0; 32]) }
}

fn cell(destination: Prefix, size_class: SizeClass) -> Cell {
    let header = CellHeader {
        size_class,
        hold_class: HoldClass::Hour,
        acknowledge: true,
        destination,
        expiry: ExpiryBucket::after(NOW, 400_000),
        tag: Tag([7; 16]),
        ephemeral: [9; 32],
    };
    Cell::build(header, [5; 80], &vec![3; size_class.body_length()])
}

/// A cell to `count` regions of so many bits.
fn list_frame(size_class: SizeClass, bits: u16, count: u16) -> Frame {
    let region = |number: u16| {
        let mut address = [0; 32];
        address[..2].copy_from_slice(&(number << (16 - bits)).to_be_bytes());
        Prefix::of(&Address(address), Luminosity::at_most(bits))
    };
    let envelope = cell(Prefix::EVERYONE, size_class).header().envelope();
    let body = vec![3; size_class.body_length()];
    match Parcel::build(envelope, (0..count).map(region), [5; 80], &body).unwrap() {
        Parcel::List(list) => {
            let (budget, deadline_ms) = (BudgetClass::MAX, 4_000);
            Frame::List(ListFrame { budget, deadline_ms, accounting_sequence: 1, custody_nonce: 2, list })
        }
        Parcel::Cell(cell) => panic!("{cell:?} has one region"),
    }
}

/// One valid frame of every kind.
fn valid_frames() -> Vec<Bytes> {
    let id = PacketId([4; 16]);
    let responsibility = Luminosity::at_most(3);
    let region = Prefix::of(&Address([0xB7; 32]), responsibility);
    let cell_frame = |destination, size_class, responsibility: Option<Luminosity>| {
        Frame::Cell(CellFrame {
            budget: BudgetClass::MAX,
            standby: responsibility.is_none(),
            responsibility,
            deadline_ms: 4_000,
            accounting_sequence: 1,
            custody_nonce: 2,
            cell: cell(destination, size_class),
        })
    };
    let frames = [
        cell_frame(Prefix::EVERYONE, SizeClass::T, None),
        cell_frame(Prefix::EVERYONE, SizeClass::T, Some(responsibility)),
        cell_frame(Prefix::of(&Address([1; 32]), Luminosity::FULL), SizeClass::B, None),
        list_frame(SizeClass::T, 12, 60),
        list_frame(SizeClass::T, 3, 8),
        list_frame(SizeClass::B, 8, 91),
        Frame::Custody(vec![Receipt { nonce: 1, verdict: Verdict::Busy }]),
        Frame::Digest(vec![DigestEntry { id, responsibility, size_class: SizeClass::B }]),
        Frame::Pull(vec![PullEntry { id, responsibility }]),
        Frame::Recent(Recent { salt: 1, bits: vec![0xA5; 64] }),
        Frame::Hello(Box::new(hello(2))),
        Frame::GetPeers(GetPeers { request: 1, target: Address([8; 32]), limit: 20 }),
        Frame::Peers(Peers { request: 1, records: vec![record(3), record(4)] }),
        Frame::Neighbourhood(Neighbourhood { depth: 3, count: 9, digest: [6; 16] }),
        Frame::Ask(Ask { request: 2, region, hour: Hour(9), bucket: TagBucket::of(&Tag([7; 16]), 3), after: id }),
        Frame::Held(Held {
            request: 2,
            hearing: Hearing::Digests,
            next: Some(id),
            digests: vec![DigestEntry { id, responsibility, size_class: SizeClass::T }],
        }),
        Frame::Subscribe(Subscribe { region, bucket: TagBucket::ALL, hearing: Hearing::Cells }),
    ];
    frames.iter().map(|frame| frame.encode().to_bytes()).collect()
}

/// What people hand each other, as bytes and as text: a card, an invitation whole and as a picture, a new device's code, and
/// a letter.
fn valid_handovers() -> Vec<Vec<u8>> {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let (ada, bob) = (Identity::generate(&mut rng), victim());
    let region: Prefix = "0110".parse().unwrap();
    let body = CardBody {
        luminosity_floor: Luminosity::at_most(4),
        regions: vec![Region { prefix: region, presence: Presence::Resident, until_hours: 600_000 }],
        issued_hours: 500_000,
        expires_hours: 600_000,
        name: Name::new("Bob").unwrap(),
    };
    let card = Card::sign(&bob, body).unwrap();
    let secret = InvitationSecret::generate(&mut rng);
    let link = LinkCode {
        scan_key: bob.scan_key(),
        region,
        device: DeviceKey([3; 32]),
        secret: secret.clone(),
        expires_hours: 600_000,
        name: Name::new("phone").unwrap(),
    };
    let invitation = Invitation { inviter: Inviter::Card(card.clone()), secret, expires_hours: 600_000 };
    let to = Recipient::of_card(&card, None);
    let letter = seal_letter(&mut rng, &ada, &to, LetterKind::Hello, NOW, b"good morning").unwrap();
    let texts = [card.to_string(), invitation.shortened().reveal().to_string(), link.reveal().to_string()];
    let bytes = [card.to_bytes(), invitation.to_bytes().to_vec(), invitation.shortened().to_bytes().to_vec(), letter];
    texts.into_iter().map(String::into_bytes).chain(bytes).collect()
}

/// Whom the letter is to.
fn victim() -> Identity {
    Identity::generate(&mut ChaCha8Rng::from_seed([4; 32]))
}

fn mutate(rng: &mut ChaCha8Rng, bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..=rng.next_u32() % 4 {
        let at = rng.next_u32() as usize % bytes.len().max(1);
        match rng.next_u32() % 5 {
            0 if !bytes.is_empty() => bytes[at] ^= 1 << (rng.next_u32() % 8),
            1 if !bytes.is_empty() => bytes[at] = rng.next_u32() as u8,
            2 => bytes.truncate(at),
            3 => bytes.insert(at.min(bytes.len()), rng.next_u32() as u8),
            _ => bytes.extend((0..rng.next_u32() % 16).map(|index| index as u8)),
        }
    }
    bytes
}

/// A list frame whose list was damaged by someone who can name it anew, as a liar can: it gets past the reserve's check.
fn relisted(rng: &mut ChaCha8Rng, frame: &[u8]) -> Vec<u8> {
    let (rest, reserve) = frame.split_at(frame.len() - RESERVE_LENGTH);
    let length = 1 + rng.next_u32() as usize % LIST_LENGTH_MAX;
    let mut list = reserve[..length].to_vec();
    list[0] = (rng.next_u32() % 12) as u8;
    let at = rng.next_u32() as usize % list.len();
    list[at] ^= 1 << (rng.next_u32() % 8);
    let mut whole = rest[FRAME_HEADER_LENGTH..].to_vec();
    whole.resize(whole.len() + RESERVE_LENGTH, 0);
    let stem = blake3::hash(&whole);
    let name = blake3::Hasher::new().update(&stem.as_bytes()[..16]).update(&list).finalize();
    let name = &name.as_bytes()[..16];
    let mut tail = [0; RESERVE_LENGTH];
    blake3::Hasher::new_keyed(&[name, name].concat().try_into().unwrap()).finalize_xof().fill(&mut tail);
    [rest, &list, &tail[length..]].concat()
}

fn inputs() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = valid_frames().iter().map(|frame| frame.to_vec()).collect();
    seeds.extend(valid_handovers());
    seeds.extend(committed());
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut all = seeds.clone();
    for _ in 0..rounds() {
        let at = rng.next_u32() as usize % seeds.len();
        all.push(mutate(&mut rng, &seeds[at]));
    }
    let lists: Vec<&Vec<u8>> =
        seeds.iter().filter(|seed| matches!(Frame::decode(&(*seed).clone().into()), Ok(Frame::List(_)))).collect();
    for round in 0..rounds() / 10 {
        all.push(relisted(&mut rng, lists[round % lists.len()]));
    }
    all
}

#[test]
fn every_decoder_takes_any_bytes() {
    let victim = victim();
    for input in inputs() {
        if let Some(header) = input.first_chunk() {
            let _ = payload_length(header);
        }
        if let Ok(frame) = Frame::decode(&input.clone().into()) {
            assert_eq!(frame.encode().to_bytes(), input, "what is decoded has one encoding");
        }
        for start in [0, 16, 20] {
            let rest = input.get(start..).unwrap_or_default();
            let _ = Parcel::parse(Bytes::copy_from_slice(rest));
            let _ = NodeRecord::decode(&mut Reader::new(rest));
            let _ = Binding::decode(&mut Reader::new(rest));
            let _ = Card::decode(&mut Reader::new(rest));
            let _ = Invitation::decode(&mut Reader::new(rest));
            let _ = open_letter(&victim, |_| None, rest);
        }
        let text = String::from_utf8_lossy(&input);
        let _ = text.parse::<Prefix>();
        let _ = text.parse::<Locator>();
        let _ = text.parse::<PersonAddress>();
        let _ = parse_topic_key(&text);
        let _ = text.parse::<Card>();
        let _ = Invitation::parse(&text);
        let _ = LinkCode::parse(&text);
    }
}

#[test]
fn every_kind_of_frame_round_trips() {
    for bytes in valid_frames() {
        assert_eq!(Frame::decode(&bytes).unwrap().encode().to_bytes(), bytes);
    }
}

/// A relay with one greeted peer and one that never greets.
struct Host {
    relay: Relay,
    store: MemoryStore,
    now: Time,
    peers: [LinkKey; 2],
}

impl Host {
    fn new() -> Host {
        let myself = Myself {
            network: NetworkId::DEV,
            role: Role::Relay,
            keys: keys(1),
            seed: [0; 32],
            verifier: Verifier::new(64),
        };
        let config = RelayConfig { trace: true, ..RelayConfig::default() };
        let store = MemoryStore::default();
        let relay = Relay::new(NOW, config, myself, Vec::new(), [3; 32], Vec::new(), &store);
        let peers = [keys(2).link_key(), keys(9).link_key()];
        let mut host = Host { relay, store, now: NOW, peers };
        host.connect();
        host
    }

    fn connect(&mut self) {
        for peer in self.peers {
            let remote = "/ip4/127.0.0.1/tcp/4001".parse().unwrap();
            self.handle(RelayInput::Link(LinkEvent::Up { peer, outbound: false, remote }));
        }
        let frames = vec![Frame::Hello(Box::new(hello(2))).encode().to_bytes()];
        self.handle(RelayInput::Link(LinkEvent::Frames { peer: self.peers[0], frames }));
    }

    fn handle(&mut self, input: RelayInput) {
        let mut out = Vec::new();
        self.relay.handle(self.now, input, &mut self.store, &mut out);
        for effect in out {
            if let RelayEffect::Hangup(peer, _) = effect {
                let reason = mainframe_core::switchboard::DownReason::HungUp;
                self.relay.handle(
                    self.now,
                    RelayInput::Link(LinkEvent::Down { peer, reason }),
                    &mut self.store,
                    &mut Vec::new(),
                );
            }
        }
    }

    fn frame(&mut self, peer: usize, bytes: Vec<u8>) {
        self.handle(RelayInput::Link(LinkEvent::Frames { peer: self.peers[peer], frames: vec![bytes.into()] }));
    }
}

#[test]
fn a_relay_takes_any_frame_from_any_peer() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let mut host = Host::new();
    assert_eq!(host.relay.status().peers, 1);
    for (number, input) in inputs().into_iter().enumerate() {
        // A faulty peer is shunned for a while: start afresh often enough that frames get past the greeting.
        if number % 8 == 0 {
            host = Host::new();
        }
        host.frame(usize::from(rng.next_u32() % 4 == 0), input);
        if rng.next_u32() % 2 == 0 {
            host.now = host.now + u64::from(rng.next_u32() % 3_000);
            host.handle(RelayInput::Wake);
        }
        assert!(host.relay.status().pending_bytes <= PacketConfig::default().pool_bytes_max);
    }
}

#[test]
fn a_bad_frame_is_a_counted_fault_and_ends_that_connection_only() {
    let mut host = Host::new();
    host.frame(0, vec![0xEE; 40]);
    let status = host.relay.status();
    assert_eq!(status.faults.values().sum::<u64>(), 1);
    assert_eq!(status.peers, 0);
    let address = overlay_address(NetworkId::DEV, &keys(1).account(), &[0; 32]);
    assert_eq!(status.overlay, address);
}
