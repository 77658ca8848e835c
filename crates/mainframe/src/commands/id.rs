//! `id`: who one is, and what is given to others so that they can write first.

use mainframe_sdk::{AddPerson, Card, Invite, Person};

use super::acquaintance::{Acquaintance, short};
use super::status::duration;
use crate::cli::{Global, Id};
use crate::output::{Output, table};
use crate::reach;
use crate::wall_time::now_ms;

/// Runs the command.
///
/// # Errors
/// If the node does not answer, or knows nobody of that name.
pub(crate) async fn run(global: &Global, command: &Id, output: &Output) -> anyhow::Result<()> {
    match command {
        Id::New { name, luminosity, device_name } => {
            let wanted = AddPerson { name: name.clone(), luminosity: *luminosity, device_name: device_name.clone() };
            new(global, &wanted, output).await
        }
        Id::List => list(global, output).await,
        Id::Show { name } => {
            let me = Acquaintance::named(global, name.as_deref()).await?;
            let card = reach::answer(global, me.client.card(me.identity())).await?;
            let shown = serde_json::json!({ "person": me.person, "card": card });
            output.result(&shown, || description(&me.person, &card))
        }
        Id::Card { name } => {
            let me = Acquaintance::named(global, name.as_deref()).await?;
            let card = reach::answer(global, me.client.card(me.identity())).await?;
            output.result(&card, || card.text.clone())
        }
        Id::Invite { name, reusable, accept, hours, picture } => {
            let me = Acquaintance::named(global, name.as_deref()).await?;
            let terms = Invite { once: !reusable, accept: *accept, hours: *hours };
            let invitation = reach::answer(global, me.client.invite(me.identity(), &terms)).await?;
            let text = if *picture { &invitation.picture } else { &invitation.link };
            output.result(&invitation, || text.clone())
        }
        Id::Invitations { name } => {
            let me = Acquaintance::named(global, name.as_deref()).await?;
            let invitations = reach::answer(global, me.client.invitations(me.identity())).await?.invitations;
            output.result(&invitations, || invitations_text(&invitations))
        }
        Id::Withdraw { invitation, me } => {
            let me = Acquaintance::of(global, me).await?;
            reach::answer(global, me.client.withdraw_invitation(me.identity(), invitation)).await
        }
    }
}

async fn new(global: &Global, wanted: &AddPerson, output: &Output) -> anyhow::Result<()> {
    let client = reach::client(global)?;
    let person = reach::answer(global, client.add_person(wanted)).await?;
    output.result(&person, || person.identity.clone())?;
    if !output.json {
        let name = &wanted.name;
        output.note(format!("  so that others can write to {name}: mainframe id card {name}"));
    }
    Ok(())
}

async fn list(global: &Global, output: &Output) -> anyhow::Result<()> {
    let client = reach::client(global)?;
    let persons = reach::answer(global, client.persons(None)).await?.persons;
    output.result(&persons, || {
        let row = |person: &Person| vec![person.name.clone(), person.identity.clone()];
        table(&persons.iter().map(row).collect::<Vec<_>>())
    })
}

fn description(person: &Person, card: &Card) -> String {
    let left_ms = card.expires_ms.saturating_sub(now_ms());
    let rows = [
        ["name", &person.name],
        ["identity", &person.identity],
        ["address", &person.address],
        ["listens at", &format!("{} (luminosity {})", card.regions.join(" "), card.luminosity_floor)],
        ["device", &format!("{} ({})", person.device_name, short(&person.device))],
        ["card", &format!("holds for {} more days", left_ms / 86_400_000)],
    ];
    table(&rows.map(|row| row.map(str::to_owned).to_vec()))
}

fn invitations_text(invitations: &[mainframe_sdk::InvitationView]) -> String {
    if invitations.is_empty() {
        return "no invitation is out".to_owned();
    }
    let mut rows = vec![["INVITATION", "FOR", "ACCEPTED", "USED", "EXPIRES"].map(str::to_owned).to_vec()];
    for view in invitations {
        let left_ms = view.expires_ms.saturating_sub(now_ms());
        rows.push(vec![
            view.id.clone(),
            (if view.once { "one" } else { "all" }).to_owned(),
            (if view.accept { "at once" } else { "when asked" }).to_owned(),
            view.used.to_string(),
            if left_ms == 0 { "expired".to_owned() } else { format!("in {}", duration(left_ms)) },
        ]);
    }
    table(&rows)
}
