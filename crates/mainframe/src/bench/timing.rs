//! `bench timing`: can it be told from the timing of a node's links which cells it opened and which it only passed on?
//!
//! ```text
//! Alice at X ──cells──► N ──cells──► Y, where Carol is
//!                       └ Bob
//! ```
//!
//! Alice talks with Bob, who lives on N, and with Carol, who lives behind it, in sessions with all their acknowledgements; what
//! Carol says reaches Alice on another way than through N. N and Y lie in the region of both, so N passes every cell on to Y, and opens half of them. X and Y belong to an observer,
//! who notes to the microsecond when a cell left for N, when N took it over, and when it came out. N is a whole node in a
//! process of its own; X and Y are relay halves in this one. The observer learns from half of the cells, whose receivers
//! he is told, and is judged by the other half.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use mainframe_base::{Address, Locator, Luminosity, Prefix, SessionId, Tag, Time};
use mainframe_core::crypto::Card;
use mainframe_core::session::contact::Whom;
use mainframe_core::session::{Answer, Order};
use mainframe_core::switchboard::EndpointInput;
use mainframe_core::wire::Cell;
use mainframe_node::BareRelay;
use mainframe_sdk::{AddPerson, Client, Standing};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde::Serialize;

use super::classifier::Area;
use super::observer::{Observer, Passage, judge};
use super::scene::{Scene, Stage};
use super::voice::Voice;
use crate::cli::{BenchTiming, Global};
use crate::output::Output;
use crate::reach;
use crate::wall_time::now_ms;

/// Bytes of a message.
const BYTES: usize = 1_024;
/// How often Alice and Carol look at what came: seldom, and not in step with N, so that the observer's own machine does not
/// disturb what he measures. Above it acknowledgements would come later than from a node.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How long relays and people may take to find each other.
const MEETING_MAX: Duration = Duration::from_secs(60);
/// Cells that are sent before any counts.
const WARM_UP: u64 = 200;
const STEP: Duration = Duration::from_millis(20);

#[derive(Serialize, Debug)]
struct Report {
    /// Cells, half of them for N, and how many came out of N and were acknowledged to X.
    cells: u64,
    passed: usize,
    /// Whether N was built to open cells before it passes them on: then it should be found out.
    opens_early: bool,
    /// What is learned from all figures: the cell's own times, those of the next cells, and the slowest soon after.
    auc: f64,
    auc_upper: f64,
    /// The same from the cell's own times alone: until it came out, and until N had taken it over.
    auc_forward: f64,
    auc_forward_upper: f64,
    auc_custody: f64,
    auc_custody_upper: f64,
    /// The same with one figure more: how long until N next sends a cell that did not come in, such as an acknowledgement.
    auc_with_answers: f64,
    auc_with_answers_upper: f64,
    forward_us_p50_receiver: f64,
    forward_us_p50_bystander: f64,
}

/// Runs the benchmark.
///
/// # Errors
/// If the node does not start, or people do not find each other.
pub(crate) async fn run(global: &Global, wanted: &BenchTiming, output: &Output) -> anyhow::Result<()> {
    let scene = Scene { name: "timing", relays: 1, guests: 0 };
    let report = scene.play(global, output, async |stage| play(wanted, stage, output).await).await?;
    output.result(&report, || text(&report))
}

/// Somebody at a relay of the observer's.
struct Place {
    voice: Voice,
    relay: BareRelay,
    /// Cells the relay was offered so far.
    offered: u32,
}

async fn play(wanted: &BenchTiming, stage: &mut Stage<'_>, output: &Output) -> anyhow::Result<Report> {
    let node = stage.relay_nodes().first().context("no node")?;
    let overlay: Address = node.endpoint.overlay.parse()?;
    let locators: Vec<Locator> = node.endpoint.locators.iter().filter_map(|text| text.parse().ok()).take(1).collect();
    let observer = Observer::default();
    let mut alice = Place::new(1, &observer, &locators, |other| overlay.proximity(other) == 0).await?;
    let mut carol = Place::new(2, &observer, &locators, |other| overlay.proximity(other) > 0).await?;
    let client = node.client.clone();
    output.note("  people meet");
    let sessions = [meet_bob(&mut alice, &client).await?, meet_carol(&mut alice, &mut carol).await?];
    output.note(format!("  {} cells at {} a second", wanted.cells, wanted.rate));
    let passages = talk(wanted, &mut alice, &mut carol, sessions, &observer).await?;
    report(wanted, &passages)
}

impl Place {
    async fn new(
        seed: u8,
        observer: &Observer,
        node: &[Locator],
        suits: impl Fn(&Address) -> bool,
    ) -> anyhow::Result<Place> {
        // It does not listen: only N can be its neighbour.
        let relay = BareRelay::start_watched(Vec::new(), suits, observer.watch(seed)).await;
        let relay = relay.map_err(crate::settings::failure)?;
        relay.connect(node.to_vec()).await?;
        let deadline = Instant::now() + MEETING_MAX;
        while relay.status().await?.peers == 0 {
            if Instant::now() > deadline {
                bail!("two relays did not greet each other within {MEETING_MAX:?}");
            }
            tokio::time::sleep(STEP).await;
        }
        let region = Prefix::of(&relay.overlay(), Luminosity::at_most(1));
        Ok(Place { voice: Voice::new(now(), seed, region), relay, offered: 0 })
    }

    /// Offers cells; those that were taken.
    fn offer(&mut self, cells: Vec<Cell>) -> Vec<Offered> {
        let mut taken = Vec::new();
        for cell in cells {
            let (tag, at) = (cell.header().tag, Instant::now());
            if self.relay.offer(|| cell).is_ok() {
                taken.push(Offered { tag, at, number: self.offered });
                self.offered += 1;
            }
        }
        taken
    }

    fn order(&mut self, order: Order) -> (Vec<Offered>, Option<Answer>) {
        let (cells, answer) = self.voice.order(now(), order);
        (self.offer(cells), answer)
    }

    /// Opens what came, and says what is due: the cells that cause.
    fn open(&mut self) -> Vec<Cell> {
        let mut caused = Vec::new();
        for cell in self.relay.take_cells(Duration::ZERO) {
            caused.extend(self.voice.handle(now(), EndpointInput::Cell(cell)).0);
        }
        // At the next tick, as if it were now.
        caused.extend(self.voice.wake(Time(now().0 + super::voice::TICK_MS)));
        caused
    }

    /// The same, and sends them.
    fn look(&mut self) {
        let caused = self.open();
        self.offer(caused);
    }

    /// The same, and they reach another one on a way of their own.
    fn look_beside(&mut self, other: &mut Place) {
        let caused = self.open();
        other.hear(caused);
    }

    /// Cells come on another way than through the relay.
    fn hear(&mut self, cells: Vec<Cell>) {
        for cell in cells {
            let caused = self.voice.handle(now(), EndpointInput::Cell(cell)).0;
            self.offer(caused);
        }
    }

    fn sessions(&mut self) -> Vec<SessionId> {
        match self.order(Order::Sessions).1 {
            Some(Answer::Sessions(views)) => {
                views.into_iter().filter(|view| view.members.len() == 2).map(|view| view.id).collect()
            }
            _ => Vec::new(),
        }
    }
}

/// A cell that was offered to a relay.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Offered {
    tag: Tag,
    at: Instant,
    /// As the how manieth: so many cells the relay had sent over its only link before.
    number: u32,
}

fn now() -> Time {
    Time(now_ms())
}

/// Alice and Bob, who lives on N, become contacts.
async fn meet_bob(alice: &mut Place, client: &Client) -> anyhow::Result<SessionId> {
    let request = AddPerson { luminosity: Some(1), ..AddPerson::named("bob") };
    let bob = client.add_person(&request).await.map_err(reach::failure)?.identity;
    let card: Card = client.card(&bob).await.map_err(reach::failure)?.text.parse()?;
    alice.order(Order::AddContact(Whom::Card(card), "hello".to_owned()));
    let (deadline, asker) = (Instant::now() + MEETING_MAX, alice.voice.key().to_string());
    let mut is_accepted = false;
    loop {
        alice.look();
        let contacts = client.contacts(&bob).await.map_err(reach::failure)?;
        let standing = contacts.iter().find(|contact| contact.key == asker).map(|contact| contact.standing);
        if standing == Some(Standing::Asked) && !is_accepted {
            client.accept_contact(&bob, &asker).await.map_err(reach::failure)?;
            is_accepted = true;
        }
        if let (Some(Standing::Together), Some(session)) = (standing, alice.sessions().first()) {
            return Ok(*session);
        }
        if Instant::now() > deadline {
            bail!("Alice and Bob did not find each other within {MEETING_MAX:?}: {standing:?}");
        }
        tokio::time::sleep(STEP).await;
    }
}

/// Alice and Carol become contacts.
async fn meet_carol(alice: &mut Place, carol: &mut Place) -> anyhow::Result<SessionId> {
    let before = alice.sessions();
    let Some(Answer::Card(card)) = carol.voice.order(now(), Order::Card).1 else { bail!("Carol has no card") };
    alice.order(Order::AddContact(Whom::Card(*card), "hello".to_owned()));
    let (deadline, asker) = (Instant::now() + MEETING_MAX, alice.voice.key());
    let mut is_accepted = false;
    loop {
        alice.look();
        carol.look_beside(alice);
        if !is_accepted {
            // It cannot be done before she was asked.
            let (caused, answer) = carol.voice.order(now(), Order::AcceptContact(asker));
            is_accepted = answer.is_some();
            alice.hear(caused);
        }
        let new = alice.sessions().into_iter().find(|session| !before.contains(session));
        if let Some(session) = new {
            return Ok(session);
        }
        if Instant::now() > deadline {
            bail!("Alice and Carol did not find each other within {MEETING_MAX:?}");
        }
        tokio::time::sleep(STEP).await;
    }
}

/// Alice says things to Bob and to Carol, by the toss of a coin, at random moments.
async fn talk(
    wanted: &BenchTiming,
    alice: &mut Place,
    carol: &mut Place,
    sessions: [SessionId; 2],
    observer: &Observer,
) -> anyhow::Result<Vec<Passage>> {
    let mut rng = ChaCha20Rng::seed_from_u64(wanted.seed);
    let mut said = Vec::new();
    let (mut due, mut look) = (Instant::now(), Instant::now());
    for number in 0..WARM_UP + wanted.cells {
        let unit = ((rng.next_u64() >> 11) + 1) as f64 / (1u64 << 53) as f64;
        // As in a Poisson process: a moment tells nothing about the next.
        due += Duration::from_secs_f64(-unit.ln() / wanted.rate);
        tokio::time::sleep(due.saturating_duration_since(Instant::now())).await;
        let is_for_bob = rng.next_u64().is_multiple_of(2);
        let session = sessions[usize::from(!is_for_bob)];
        let order = Order::Say { session, stream: 0, kind: 0, body: vec![b'.'; BYTES] };
        let (offered, _) = alice.order(order);
        if number >= WARM_UP {
            said.extend(offered.into_iter().map(|offered| (offered, is_for_bob)));
        }
        if look.elapsed() > LOOK_EVERY {
            alice.look();
            carol.look_beside(alice);
            look = Instant::now();
        }
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    let passages = said
        .into_iter()
        .map(|(offered, is_receiver)| observer.passage(offered.tag, offered.number, offered.at, is_receiver));
    Ok(observer.with_answers(passages.flatten().collect()))
}

fn report(wanted: &BenchTiming, passages: &[Passage]) -> anyhow::Result<Report> {
    if passages.len() < 100 {
        bail!("only {} cells were seen to come out of the node", passages.len());
    }
    let judged = judge(passages, wanted.seed);
    let median = |is_receiver| {
        let of_kind = passages.iter().filter(|passage| passage.is_receiver == is_receiver);
        super::figures::median(&of_kind.map(|passage| passage.forward_us).collect::<Vec<_>>()).unwrap_or_default()
    };
    let [(auc, auc_upper), (auc_forward, auc_forward_upper), (auc_custody, auc_custody_upper), answers] =
        judged.map(|Area { auc, upper }| (auc, upper));
    Ok(Report {
        cells: wanted.cells,
        passed: passages.len(),
        opens_early: mainframe_node::OPENS_EARLY,
        auc,
        auc_upper,
        auc_forward,
        auc_forward_upper,
        auc_custody,
        auc_custody_upper,
        auc_with_answers: answers.0,
        auc_with_answers_upper: answers.1,
        forward_us_p50_receiver: median(true),
        forward_us_p50_bystander: median(false),
    })
}

fn text(report: &Report) -> String {
    format!(
        "{} of {} cells seen on both sides of a node{}\n\
         receiver or bystander? chance is 0.5: by all timing {:.3} (at most {:.3}), by its delay alone {:.3} ({:.3}), by custody \
         {:.3} ({:.3})\n\
         with what the node says by itself {:.3} ({:.3})\n\
         median delay {:.0} µs as receiver, {:.0} µs as bystander",
        report.passed,
        report.cells,
        if report.opens_early { " that opens before it passes on" } else { "" },
        report.auc,
        report.auc_upper,
        report.auc_forward,
        report.auc_forward_upper,
        report.auc_custody,
        report.auc_custody_upper,
        report.auc_with_answers,
        report.auc_with_answers_upper,
        report.forward_us_p50_receiver,
        report.forward_us_p50_bystander,
    )
}
