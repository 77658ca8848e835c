//! `up`: a node in the foreground.

use std::path::Path;
use std::time::Duration;

use mainframe_node::{Node, Password, RunningNode};
use tokio::sync::oneshot;

use crate::cli::{Global, Up};
use crate::output::Output;
use crate::settings;
use crate::signals::Signals;

/// How long an orderly stop may take after the parent is gone; nobody would be left to end a node that hangs.
const ORPHAN_MAX: Duration = Duration::from_secs(10);

/// Runs a node until it is told to stop.
///
/// # Errors
/// If it cannot start, or cannot go on.
pub(crate) async fn run(global: &Global, flags: &Up, output: &Output) -> anyhow::Result<()> {
    let mut signals = Signals::listen()?;
    let parent = parent(flags.parent_pipe);
    let config = settings::load(global, flags)?;
    crate::log::start(&config)?;
    let data_dir = config.data_dir().to_owned();
    let password = Password::find(&config, Password::is_new(&config)).map_err(settings::failure)?;
    let node = Node::start(config, password).await.map_err(settings::failure)?;
    announce(&node, &data_dir, output)?;
    let stop = async {
        tokio::select! {
            () = signals.stop() => {}
            () = parent => {}
        }
    };
    Ok(node.run_until(stop).await.map_err(settings::failure)?)
}

fn announce(node: &RunningNode, data_dir: &Path, output: &Output) -> anyhow::Result<()> {
    let (api, overlay) = (format!("http://{}", node.api_address()), node.overlay().to_string());
    let locators: Vec<String> = node.locators().iter().map(ToString::to_string).collect();
    let told = serde_json::json!({
        "pid": std::process::id(), "api": api, "overlay": overlay, "locators": locators, "data_dir": data_dir,
    });
    output.result(&told, || {
        format!(
            "node {}…\n  listens at {}\n  API at {api}, token in {}\n  Ctrl-C stops it",
            &overlay[..16],
            locators.join(" "),
            data_dir.join(mainframe_sdk::ENDPOINT_FILE).display()
        )
    })
}

/// Ends when standard input does, if that is what the parent holds. Watched from now on, not only when waited for.
fn parent(watched: bool) -> impl Future<Output = ()> {
    let gone = watched.then(input_ends);
    async move {
        match gone {
            Some(gone) => drop(gone.await),
            None => std::future::pending().await,
        }
    }
}

/// Nothing is ever written there: the end is the message.
fn input_ends() -> oneshot::Receiver<()> {
    let (end, ended) = oneshot::channel();
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        drop(end);
        std::thread::sleep(ORPHAN_MAX);
        std::process::exit(1);
    });
    ended
}
