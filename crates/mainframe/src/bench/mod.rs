//! `bench`: what this machine can carry. Every figure comes from real processes and real sockets.
//!
//! | file | what |
//! |---|---|
//! | `forward` `overload` `soak` `burst` `hold` `held_delivery` `sessions` `crashes` `timing` | the benchmarks |
//! | `line_of_three` | A→B→C, the setting of the first two |
//! | `hold_table` | what `hold` measures beside ours |
//! | `held_letters` | the messages of `held_delivery` |
//! | `scene` | people on guests behind relays |
//! | `witness` | the relay that looks for keys used twice in `crashes` |
//! | `torrent` `sealing_cost` | what `sessions` measures |
//! | `observer` `classifier` | who looks at the times of `timing` |
//! | `voice` | a person in this process |
//! | `process` | the measuring side of a process |
//! | `part` | what is said between the two sides |
//! | `relay_part` `counter` `plain_part` | the processes themselves |
//! | `figures` | medians and percentiles |

mod burst;
mod classifier;
mod counter;
mod crashes;
mod figures;
mod forward;
mod held_delivery;
mod held_letters;
mod hold;
mod hold_table;
mod line_of_three;
mod observer;
mod overload;
mod part;
mod plain_part;
mod process;
mod relay_part;
mod scene;
mod sealing_cost;
mod sessions;
mod soak;
mod timing;
mod torrent;
mod voice;
mod witness;

use std::time::Duration;

use anyhow::Context;

pub(crate) use figures::median;

use crate::cli::{Bench, Global};
use crate::output::Output;
use part::Role;

/// Runs one of the benchmarks.
///
/// # Errors
/// As the benchmark says.
pub(crate) async fn run(global: &Global, command: &Bench, output: &Output) -> anyhow::Result<()> {
    match command {
        Bench::Forward(wanted) => forward::run(wanted, output).await,
        Bench::Overload(wanted) => overload::run(wanted, output).await,
        Bench::Soak(wanted) => soak::run(wanted, output).await,
        Bench::HeldDelivery(wanted) => held_delivery::run(global, wanted, output).await,
        Bench::Burst(wanted) => burst::run(global, wanted, output).await,
        Bench::Hold(wanted) => hold::run(wanted, output),
        Bench::Sessions(wanted) => sessions::run(global, wanted, output).await,
        Bench::Timing(wanted) => timing::run(global, wanted, output).await,
        Bench::Crashes(wanted) => crashes::run(global, wanted, output).await,
        Bench::Part(part) => {
            play(serde_json::from_str(&part.description).context("this command is for benchmarks only")?).await
        }
    }
}

/// Is one of the processes.
async fn play(role: Role) -> anyhow::Result<()> {
    match role {
        Role::Relay { listen, beside } => relay_part::run(listen, beside).await,
        Role::PlainSink { carrier } => plain_part::sink(carrier).await,
        Role::PlainRelay { carrier, next, write_bytes } => plain_part::relay(carrier, &next, write_bytes).await,
        Role::PlainSender { next, write_bytes, milliseconds } => {
            plain_part::sender(&next, write_bytes, Duration::from_millis(milliseconds)).await
        }
    }
}
