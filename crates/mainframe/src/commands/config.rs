//! `config`: every setting, and who made it.

use anyhow::Context;
use mainframe_sdk::ConfigValue;

use crate::cli::{Config, Global, Up};
use crate::failure::{Exit, Failure};
use crate::output::{Output, line, table};
use crate::settings;

/// Runs the command. Asks no node: it says what a node started here and now would be told.
///
/// # Errors
/// If a value cannot be used, or there is none of that name.
pub(crate) fn run(global: &Global, command: &Config, output: &Output) -> anyhow::Result<()> {
    let config = settings::load(global, &Up::default())?;
    for warning in config.warnings() {
        output.note(format!("warning: {warning}"));
    }
    match command {
        Config::Show { origin } => output.result(&config.values(), || text(config.values(), *origin)),
        Config::Get { key } => {
            let value = config.values().iter().find(|value| value.key == *key).with_context(|| {
                Failure::new(Exit::NotFound, format!("there is no value named {key}")).next("mainframe config show")
            })?;
            if output.json { output.result(value, String::new) } else { line(&value.value) }
        }
        Config::Validate => {
            output.result(&serde_json::json!({ "valid": true }), || "the configuration is valid".into())
        }
    }
}

fn text(values: &[ConfigValue], origin: bool) -> String {
    let row = |value: &ConfigValue| {
        let mut row = vec![value.key.clone(), value.value.clone()];
        row.extend(origin.then(|| value.origin.clone()));
        row
    };
    table(&values.iter().map(row).collect::<Vec<_>>())
}
