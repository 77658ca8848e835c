//! `device`: a person's devices.

use std::io::Read;
use std::time::Duration;

use anyhow::{Context, bail};
use mainframe_sdk::{AddDevice, Client, DeviceStanding, Link, OwnDevice, Person, Session, StartLink};
use tokio::time::Instant;

use super::acquaintance::{Acquaintance, ambiguous, matching, short};
use crate::cli::{self, DeviceCommand, Global};
use crate::failure::{Exit, Failure};
use crate::output::{Output, table};
use crate::reach;
use crate::signals::Signals;
use crate::wall_time::now_ms;

const HOUR_MS: u64 = 3_600_000;
/// How often a link is looked at.
const LOOK: Duration = Duration::from_millis(300);
/// Letters of a code, with room for what is around it.
const CODE_LENGTH_MAX: u64 = 4 * 1_024;

/// Runs the command.
///
/// # Errors
/// If the node does not answer, refuses, or knows no such device.
pub(crate) async fn run(global: &Global, wanted: &cli::Device, output: &Output) -> anyhow::Result<()> {
    match &wanted.command {
        DeviceCommand::Link { name, luminosity, no_wait } => {
            let request = StartLink { device_name: name.clone(), luminosity: *luminosity };
            link(global, &request, !no_wait, output).await
        }
        DeviceCommand::Add { code, name, wait } => {
            let me = Acquaintance::of(global, &wanted.me).await?;
            let code = if code == "-" { from_input()? } else { code.clone() };
            let request = AddDevice { code, name: name.clone() };
            let device = reach::answer(global, me.client.add_device(me.identity(), &request)).await?;
            let device = if *wait { added(&me, &device.key).await? } else { device };
            output.result(&device, || format!("{} ({}): {}", device.name, short(&device.key), standing(&device)))
        }
        DeviceCommand::List => {
            let devices = devices(&Acquaintance::of(global, &wanted.me).await?).await?;
            output.result(&devices, || devices_text(&devices))
        }
        DeviceCommand::Revoke { device, wait } => {
            let me = Acquaintance::of(global, &wanted.me).await?;
            let key = named(&devices(&me).await?, device)?.key.clone();
            reach::answer(global, me.client.revoke_device(me.identity(), &key)).await?;
            if *wait {
                gone(&me, &key).await?;
            }
            output.result(&serde_json::json!({ "device": key }), || format!("{device} is revoked"))
        }
    }
}

async fn link(global: &Global, request: &StartLink, wait: bool, output: &Output) -> anyhow::Result<()> {
    let client = reach::client(global)?;
    let mut signals = Signals::listen()?;
    let link = reach::answer(global, client.start_link(request)).await?;
    // The code is to be read at once, by a person or by a program.
    output.result(&link, || link.code.clone().unwrap_or_default())?;
    if !wait {
        return Ok(());
    }
    output.note("  on a device you use already: mainframe device add CODE");
    let linked = tokio::select! {
        linked = linked(global, &client, &link, output) => linked,
        () = signals.stop() => Err(Failure::new(Exit::Failed, "the code was taken back").into()),
    };
    if linked.is_err() {
        // Whoever goes away does not wait any more. If it was answered in the same moment, that counts.
        let _ = client.stop_link(&link.id).await;
    }
    let person = linked?;
    output.result(&person, || format!("this node is {} of {} now", person.device_name, person.name))?;
    output.note(format!("  identity {}; see that it is yours", person.identity));
    Ok(())
}

/// Waits until the link has become a person.
async fn linked(global: &Global, client: &Client, link: &Link, output: &Output) -> anyhow::Result<Person> {
    let deadline = Instant::now() + Duration::from_secs_f64(global.timeout);
    let mut told = None;
    loop {
        let open = reach::answer(global, client.links()).await?.links.into_iter().find(|open| open.id == link.id);
        let persons = reach::answer(global, client.persons(None)).await?.persons;
        match (open, persons.into_iter().find(|person| person.device == link.device)) {
            (None, Some(person)) => return Ok(person),
            (None, None) if now_ms() >= link.expires_ms => {
                bail!(Failure::new(Exit::TimedOut, "the code has expired").next("mainframe device link"))
            }
            (None, None) => {
                let why = "the code was taken back, or answered for a person who lives on this node already";
                bail!(Failure::new(Exit::Failed, why).next("mainframe id list"))
            }
            (Some(open), _) if open.refused.is_some() && open.refused != told => {
                told = open.refused;
                let why = told.as_deref().unwrap_or_default();
                output.note(format!("  a letter came that does not answer the code: {why}"));
            }
            (Some(_), _) => {}
        }
        if Instant::now() >= deadline {
            let why = format!("the code was not answered within {} s, and was taken back", global.timeout);
            bail!(Failure::new(Exit::TimedOut, why).next("a longer --timeout"));
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn from_input() -> anyhow::Result<String> {
    let mut text = String::new();
    let mut input = std::io::stdin().lock().take(CODE_LENGTH_MAX);
    input.read_to_string(&mut text).context("cannot read the code from standard input")?;
    Ok(text.trim().to_owned())
}

async fn devices(me: &Acquaintance<'_>) -> anyhow::Result<Vec<OwnDevice>> {
    Ok(reach::answer(me.global, me.client.devices(me.identity())).await?.devices)
}

/// Waits until a new device was heard, and is in every session.
async fn added(me: &Acquaintance<'_>, key: &str) -> anyhow::Result<OwnDevice> {
    let check = async || {
        let found = devices(me).await?.into_iter().find(|device| device.key == key);
        match found {
            Some(device) if device.standing == DeviceStanding::Adding => Ok(None),
            Some(device) => Ok(me.sessions().await?.iter().all(|session| is_in(session, key)).then_some(device)),
            None => bail!(Failure::new(Exit::Failed, "the code ended before the device was heard")),
        }
    };
    me.wait("the device was not heard, or others have to agree first", check).await
}

/// Whether all agree that a device is in a session.
fn is_in(session: &Session, key: &str) -> bool {
    let mut members = session.members.iter();
    session.unconfirmed_since_ms.is_none()
        && members.any(|member| member.devices.iter().any(|device| device.key == key))
}

/// Waits until a device is in no session any more.
async fn gone(me: &Acquaintance<'_>, key: &str) -> anyhow::Result<()> {
    let check = async || {
        let sessions = me.sessions().await?;
        let mut members = sessions.iter().flat_map(|session| &session.members);
        let is_in = members.any(|member| member.devices.iter().any(|device| device.key == key));
        let is_open = sessions.iter().any(|session| session.unconfirmed_since_ms.is_some());
        Ok((!is_in && !is_open).then_some(()))
    };
    me.wait("the others did not agree", check).await
}

fn named<'a>(devices: &'a [OwnDevice], text: &str) -> anyhow::Result<&'a OwnDevice> {
    match matching(devices, text, |device| &device.key, |device| Some(&device.name))[..] {
        [device] => Ok(device),
        [] => bail!(
            Failure::new(Exit::NotFound, format!("no device of yours is called {text:?}, and no key begins so"))
                .next("mainframe device list")
        ),
        ref several => bail!(ambiguous(text, several.iter().map(|device| short(&device.key)))),
    }
}

fn standing(device: &OwnDevice) -> &'static str {
    match device.standing {
        DeviceStanding::Adding => "was sent the account, and was not heard yet",
        DeviceStanding::Added if device.is_this => "this one",
        DeviceStanding::Added => "added",
        DeviceStanding::Revoked => "revoked",
    }
}

fn devices_text(devices: &[OwnDevice]) -> String {
    let row = |device: &OwnDevice| {
        let age = age(now_ms().saturating_sub(device.since_ms));
        vec![device.name.clone(), short(&device.key), age, standing(device).to_owned()]
    };
    table(&devices.iter().map(row).collect::<Vec<_>>())
}

/// Certificates tell the hour, and no more.
fn age(ms: u64) -> String {
    match ms / HOUR_MS {
        0 => "new".to_owned(),
        hours @ 1..48 => format!("for {hours} h"),
        hours => format!("for {} days", hours / 24),
    }
}
