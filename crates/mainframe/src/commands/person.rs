//! `person`: the people whose messages this node opens.

use anyhow::{Context, bail};
use mainframe_sdk::AddPerson;

use crate::cli::{Global, Person};
use crate::failure::{Exit, Failure};
use crate::output::{Output, table};
use crate::reach;

/// Runs the command.
///
/// # Errors
/// If the node does not answer, or knows nobody of that name.
pub(crate) async fn run(global: &Global, command: &Person, output: &Output) -> anyhow::Result<()> {
    let client = reach::client(global)?;
    match command {
        Person::New { name, luminosity } => {
            let wanted = AddPerson { luminosity: *luminosity, ..AddPerson::named(name) };
            let person = reach::answer(global, client.add_person(&wanted)).await?;
            output.result(&person, || person.address.clone())?;
            if !output.json {
                output.note(format!("  to write to {name}: mainframe send --to {} TEXT", person.address));
            }
            Ok(())
        }
        Person::List => {
            let persons = reach::answer(global, client.persons(None)).await?.persons;
            output.result(&persons, || {
                let row = |person: &mainframe_sdk::Person| vec![person.name.clone(), person.address.clone()];
                table(&persons.iter().map(row).collect::<Vec<_>>())
            })
        }
        Person::Show { name, luminosity } => {
            let persons = reach::answer(global, client.persons(*luminosity)).await?.persons;
            let person = persons.into_iter().find(|person| person.name == *name);
            let person = person.with_context(|| unknown(name))?;
            output.result(&person, || person.address.clone())
        }
    }
}

/// The failure of naming nobody.
pub(crate) fn unknown(name: &str) -> Failure {
    Failure::new(Exit::NotFound, format!("nobody on this node is called {name:?}"))
        .next("mainframe person list, or mainframe person new NAME")
}

/// The key of the person of that name.
///
/// # Errors
/// If there is none.
pub(crate) async fn key_of(global: &Global, client: &mainframe_sdk::Client, name: &str) -> anyhow::Result<String> {
    let persons = reach::answer(global, client.persons(None)).await?.persons;
    match persons.into_iter().find(|person| person.name == name) {
        Some(person) => Ok(person.key),
        None => bail!(unknown(name)),
    }
}
