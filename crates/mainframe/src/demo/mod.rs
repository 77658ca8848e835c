//! `devnet demo`: Alice says something to Bob in a session across a local network, Bob answers, and everyone sees where it
//! went and who could read it.

mod journey;
mod letter;
mod prompt;
mod stage;

use anyhow::Context;
use serde::Serialize;

use crate::cli::{Demo, Global};
use crate::output::{Output, line};
use crate::signals::Signals;
use letter::Letter;
use prompt::{Line, Prompt};
use stage::Stage;

/// What is sent if nothing is typed.
const DEFAULT_LINE: &str = "Meet me where the two rivers join. 在两河交汇处见。";

/// Runs the command.
///
/// # Errors
/// If the network does not come up, or the message does not arrive.
pub(crate) async fn run(global: &Global, wanted: &Demo, output: &Output) -> anyhow::Result<()> {
    let mut signals = Signals::listen()?;
    let mut stage = tokio::select! {
        stage = Stage::set(global, wanted, output) => stage?,
        () = signals.stop() => return Ok(()),
    };
    let played = tokio::select! {
        played = play(&mut stage, wanted, output) => played,
        () = signals.stop() => Ok(()),
    };
    // Ctrl-C leaves the cursor after "^C".
    output.say("")?;
    let stopped = stage.clear().await;
    played.and(stopped)
}

async fn play(stage: &mut Stage, wanted: &Demo, output: &Output) -> anyhow::Result<()> {
    output.say(stage.introduce(output))?;
    let mut prompt = Prompt::new(output);
    let text = match prompt.first(output).await? {
        Line::Typed(text) => text,
        Line::Nothing => {
            output.say(output.dim("(nothing typed: a default line)"))?;
            DEFAULT_LINE.to_owned()
        }
    };
    let first = stage.send(&text).await?;
    output.say(first.tell(stage, output))?;
    announce(stage, &first)?;
    if wanted.once {
        return Ok(());
    }
    output.say(stage.hints(output))?;
    loop {
        match prompt.next(output).await? {
            Line::Typed(text) => match stage.send(&text).await {
                Ok(letter) => output.say(letter.tell(stage, output))?,
                Err(error) => crate::failure::report(&error, output.json),
            },
            // The network stays until Ctrl-C, even if nobody can type any more.
            Line::Nothing => {
                let death = stage.network.next_death().await;
                crate::failure::report(&death, output.json);
            }
        }
    }
}

/// The line other programs wait for.
fn announce(stage: &Stage, first: &Letter) -> anyhow::Result<()> {
    #[derive(Serialize)]
    struct Ready<'a> {
        nodes: usize,
        ready_s: f64,
        dir: &'a std::path::Path,
        alice_api: &'a str,
        bob_api: &'a str,
        bob_address: &'a str,
        session: &'a str,
        luminosity: u16,
        message: &'a letter::Result,
    }
    let ready = Ready {
        nodes: stage.network.nodes.len(),
        ready_s: (stage.network.ready_s * 10.0).round() / 10.0,
        dir: stage.dir(),
        alice_api: stage.alice().client.url(),
        bob_api: stage.bob().client.url(),
        bob_address: &stage.bob_person.address,
        session: &stage.session,
        luminosity: stage.luminosity,
        message: &first.result,
    };
    line(&format!("READY {}", serde_json::to_string(&ready).context("a result that is no JSON")?))
}
