//! `group`: founding groups, and who is in them.

use anyhow::bail;
use mainframe_sdk::{ChangeSession, CreateGroup, Session, SessionKind};

use super::acquaintance::{Acquaintance, Names, short};
use super::send;
use crate::cli::{self, Global, GroupCommand};
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::reach;

/// Relays a group's region should have: any of them could be a member's, and enough of them are there at any time (guess).
const REGION_RELAYS: u64 = 50;

/// Runs the command.
///
/// # Errors
/// If the node does not answer, refuses, or knows no such group or contact.
pub(crate) async fn run(global: &Global, wanted: &cli::Group, output: &Output) -> anyhow::Result<()> {
    let me = Acquaintance::of(global, &wanted.me).await?;
    match &wanted.command {
        GroupCommand::Create { name, members, luminosity, hold, shared_topic, wait } => {
            let mut keys = Vec::new();
            for member in members {
                keys.push(me.contact(member).await?);
            }
            let luminosity = match luminosity {
                Some(bits) => *bits,
                None => darkness(reach::answer(global, me.client.quote(0)).await?.nodes),
            };
            let (name, hold, shared_topic) = (name.clone(), send::hold(*hold), *shared_topic);
            create(&me, CreateGroup { name, members: keys, luminosity, hold, shared_topic }, *wait, output).await
        }
        GroupCommand::Add { group, contact, wait } => {
            let (group, contact) = (self::group(&me, group).await?, me.contact(contact).await?);
            reach::answer(global, me.client.add_member(me.identity(), &group.id, &contact)).await?;
            if *wait { are_members(&me, &group.id, &[contact], true).await } else { Ok(()) }
        }
        GroupCommand::Remove { group, member, wait } => {
            let group = self::group(&me, group).await?;
            let member = member_of(&me, &group, member).await?;
            reach::answer(global, me.client.remove_member(me.identity(), &group.id, &member)).await?;
            if *wait { are_members(&me, &group.id, &[member], false).await } else { Ok(()) }
        }
        GroupCommand::Rename { group, name } => change(&me, group, ChangeSession::Name(name.clone())).await,
        GroupCommand::Admin { group, member, revoke } => {
            let found = self::group(&me, group).await?;
            let member = member_of(&me, &found, member).await?;
            let wanted = if *revoke { ChangeSession::NoAdmin(member) } else { ChangeSession::Admin(member) };
            reach::answer(global, me.client.change_session(me.identity(), &found.id, &wanted)).await
        }
        GroupCommand::Leave { group } => {
            let group = self::group(&me, group).await?;
            reach::answer(global, me.client.leave_session(me.identity(), &group.id)).await
        }
    }
}

async fn create(me: &Acquaintance<'_>, request: CreateGroup, wait: bool, output: &Output) -> anyhow::Result<()> {
    let created = reach::answer(me.global, me.client.create_group(me.identity(), &request)).await?;
    if wait {
        are_members(me, &created.id, &request.members, true).await?;
    }
    output.result(&created, || created.id.clone())
}

/// As many bits as leave a region of a network so many relays.
fn darkness(nodes: u64) -> u16 {
    let regions = nodes / REGION_RELAYS;
    u16::try_from(regions.checked_ilog2().unwrap_or(0)).expect("at most 63")
}

async fn change(me: &Acquaintance<'_>, name: &str, wanted: ChangeSession) -> anyhow::Result<()> {
    let group = group(me, name).await?;
    reach::answer(me.global, me.client.change_session(me.identity(), &group.id, &wanted)).await
}

/// The session that is named so, if it is a group.
async fn group(me: &Acquaintance<'_>, name: &str) -> anyhow::Result<Session> {
    let session = me.session(name).await?;
    if session.kind == SessionKind::Pair {
        bail!(
            Failure::new(Exit::Usage, format!("{name:?} is a session of two, and stays one"))
                .next("mainframe group create NAME CONTACT…")
        );
    }
    Ok(session)
}

/// The member that is named so: by name, key, or its beginning.
async fn member_of(me: &Acquaintance<'_>, group: &Session, name: &str) -> anyhow::Result<String> {
    let names = me.names().await?;
    let called = found(group, &names, name);
    match called[..] {
        [member] => Ok(member.to_owned()),
        [] => bail!(
            Failure::new(Exit::NotFound, format!("no member of {} is called {name:?}", group.name))
                .next(format!("mainframe session members {}", short(&group.id)))
        ),
        ref several => {
            let keys: Vec<String> = several.iter().map(|key| short(key)).collect();
            bail!(
                Failure::new(Exit::Usage, format!("{name:?} may be any of {}", keys.join(", ")))
                    .next("name them by the key")
            )
        }
    }
}

fn found<'a>(group: &'a Session, names: &Names, name: &str) -> Vec<&'a str> {
    let keys = || group.members.iter().map(|member| member.key.as_str());
    let named: Vec<&str> = keys().filter(|key| names.of(key) == name || *key == name).collect();
    if named.is_empty() { keys().filter(|key| name.len() >= 4 && key.starts_with(name)).collect() } else { named }
}

/// Waits until all of them are in a group, or out of it.
async fn are_members(me: &Acquaintance<'_>, group: &str, keys: &[String], wanted: bool) -> anyhow::Result<()> {
    let check = async || {
        let session = reach::answer(me.global, me.client.session(me.identity(), group)).await?;
        let is_in = |key: &String| session.members.iter().any(|member| member.key == *key);
        Ok(keys.iter().all(|key| is_in(key) == wanted).then_some(()))
    };
    me.wait(if wanted { "not all of them are in" } else { "not all of them are out" }, check).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_groups_region_is_as_narrow_as_leaves_it_fifty_relays() {
        assert_eq!([1, 12, 99, 100, 400, 100_000].map(darkness), [0, 0, 0, 1, 3, 10]);
    }
}
