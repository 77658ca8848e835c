//! What groups of several sizes cost: bytes on the wire, bytes kept, and time.
//!
//! `cargo run --release -p mainframe-mls --example measure` prints a table, with `-- --json` one line of JSON for each
//! size. Times are medians of [`ROUNDS`] rounds, of one device.

use std::time::Instant;

use mainframe_base::SessionId;
use mainframe_mls::{Change, DeviceSecret, Draft, Group, KeyPackage, PAST_EPOCHS_MAX};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

const ROUNDS: usize = 21;
const SIZES: [usize; 6] = [2, 10, 20, 50, 100, 128];
/// A message that just fits a small cell.
const MESSAGE_BYTES: usize = 1024;
/// As long as a certificate of ours.
const CREDENTIAL: [u8; 180] = [7; 180];

/// A name and a figure, in the order in which they are shown.
type Figures = Vec<(&'static str, u64)>;

fn main() {
    let json = std::env::args().any(|argument| argument == "--json");
    let columns: Vec<Figures> = SIZES.iter().map(|size| measure(*size)).collect();
    if json {
        columns.iter().for_each(|figures| println!("{}", as_json(figures)));
    } else {
        print_table(&columns);
    }
}

fn as_json(figures: &Figures) -> String {
    let fields: Vec<_> = figures.iter().map(|(name, figure)| format!("\"{name}\":{figure}")).collect();
    format!("{{{}}}", fields.join(","))
}

fn print_table(columns: &[Figures]) {
    for (row, (name, _)) in columns[0].iter().enumerate() {
        let figures: Vec<_> = columns.iter().map(|figures| format!("{:>10}", figures[row].1)).collect();
        println!("{name:<32}{}", figures.concat());
    }
}

/// Two devices of a group: the one that founded it and the one that joined last.
struct Pair {
    rng: ChaCha20Rng,
    first: Group,
    last: Group,
}

fn measure(size: usize) -> Figures {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let device = DeviceSecret::generate(&mut rng);
    let mut first = Group::create(&mut rng, SessionId([7; 16]), &device, &CREDENTIAL, &[0; 64]);
    let packages: Vec<_> = (1..size).map(|_| new_package(&mut rng)).collect();
    let add = packages.iter().map(|(_, package)| package.bytes.clone()).collect();
    let change = Change { add, ..Change::default() };

    let (founding_us, draft) = timed_once(|| first.commit(&mut rng, &change).expect("a good change"));
    first.merge_pending();
    let (device, package) = packages.last().expect("two at least");
    let joining_us = median_us(|| drop(join(device, package, &draft)));
    let last = join(device, package, &draft);
    let welcome = draft.invitations.iter().map(|it| it.welcome.len()).max().expect("one at least");

    let mut figures = vec![
        ("leaves", size as u64),
        ("key package bytes", package.bytes.len() as u64),
        ("key package kept bytes", package.secrets.byte_count() as u64),
        ("founding commit bytes", draft.commit.len() as u64),
        ("welcome bytes each", welcome as u64),
        ("tree bytes", draft.tree.map_or(0, |tree| tree.len() as u64)),
        ("founding us", founding_us),
        ("joining us", joining_us),
    ];
    let mut pair = Pair { rng, first, last };
    figures.extend(measure_commits(&mut pair));
    figures.extend(measure_messages(&mut pair));
    figures.extend(measure_rows(&mut pair));
    figures
}

fn new_package(rng: &mut ChaCha20Rng) -> (DeviceSecret, KeyPackage) {
    let device = DeviceSecret::generate(rng);
    let package = KeyPackage::generate(rng, &device, &CREDENTIAL);
    (device, package)
}

fn join(device: &DeviceSecret, package: &KeyPackage, draft: &Draft) -> Group {
    let invitation = draft.invitations.iter().find(|it| it.to == package.id).expect("invited");
    Group::join(device, &package.secrets, &invitation.welcome, draft.tree.as_deref()).expect("a good Welcome").group
}

/// Commits that renew their author's keys: the first after the founding, when the tree is all blank, and later ones.
fn measure_commits(pair: &mut Pair) -> Figures {
    let change = Change { refresh: true, ..Change::default() };
    let mut committing = Vec::new();
    let mut inspecting = Vec::new();
    let mut merging = Vec::new();
    let mut bytes = Vec::new();
    for round in 0..PAST_EPOCHS_MAX {
        let Pair { rng, first, last } = pair;
        let (author, other) = if round % 2 == 0 { (first, last) } else { (last, first) };
        let (us, draft) = timed_once(|| author.commit(rng, &change).expect("a good change"));
        committing.push(us);
        author.merge_pending();
        inspecting.push(timed_once(|| other.inspect(&draft.commit).expect("a good commit")).0);
        merging.push(timed_once(|| other.merge(&draft.commit).expect("a good commit")).0);
        bytes.push(draft.commit.len() as u64);
    }
    vec![
        ("first commit bytes", bytes[0]),
        ("later commit bytes", *bytes.last().expect("some")),
        ("commit us", median(committing)),
        ("inspect us", median(inspecting)),
        ("merge us", median(merging)),
    ]
}

fn measure_messages(pair: &mut Pair) -> Figures {
    let Pair { rng, first, last } = pair;
    let plaintext = [1; MESSAGE_BYTES];
    let mut sealing = Vec::new();
    let mut opening = Vec::new();
    let mut overhead = 0;
    for _ in 0..ROUNDS {
        let (us, sealed) = timed_once(|| first.seal(rng, &plaintext).expect("a member"));
        sealing.push(us);
        overhead = sealed.len() - plaintext.len();
        opening.push(timed_once(|| last.open(&sealed).expect("a good message")).0);
    }
    vec![("message overhead bytes", overhead as u64), ("seal us", median(sealing)), ("open us", median(opening))]
}

/// What is kept with as many past epochs as may be, and what of it is written after a message.
fn measure_rows(pair: &mut Pair) -> Figures {
    let Pair { rng, first, last } = pair;
    let rows = last.snapshot();
    last.take_changes();
    let sealed = first.seal(rng, &[1; MESSAGE_BYTES]).expect("a member");
    last.open(&sealed).expect("a good message");
    let (writing_us, changes) = timed_once(|| last.take_changes());
    let written: usize = changes.iter().filter_map(|change| change.value.as_ref()).map(|value| value.len()).sum();
    last.forget_epochs_before(last.epoch());
    vec![
        ("kept rows", rows.len() as u64),
        ("kept bytes, 32 past epochs", rows.byte_count() as u64),
        ("kept bytes, no past epoch", last.snapshot().byte_count() as u64),
        ("written bytes after a message", written as u64),
        ("take_changes us", writing_us),
    ]
}

fn timed_once<T>(act: impl FnOnce() -> T) -> (u64, T) {
    let start = Instant::now();
    let result = act();
    (u64::try_from(start.elapsed().as_micros()).expect("short"), result)
}

fn median_us(mut act: impl FnMut()) -> u64 {
    median((0..ROUNDS).map(|_| timed_once(&mut act).0).collect())
}

fn median(mut figures: Vec<u64>) -> u64 {
    figures.sort_unstable();
    figures[figures.len() / 2]
}
