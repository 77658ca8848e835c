//! Who said what: flags over environment over file over profile over default.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::keys::{CONFIG_KEYS, VARIABLE_PREFIX, nearest};
use super::{ConfigKey, Profile};
use crate::error::{ErrorKind, NodeError};

/// The file's name inside the data directory.
const CONFIG_FILE: &str = "config.toml";

/// Where the program was told its configuration. Read no further than this: tests fill it in by hand.
#[derive(Clone, Default, Debug)]
pub struct Sources {
    /// Values by name (`data_dir`), as written on the command line.
    pub flags: BTreeMap<String, String>,
    /// The environment.
    pub variables: BTreeMap<String, String>,
    /// The file to read instead of `config.toml` in the data directory.
    pub config_file: Option<PathBuf>,
}

impl Sources {
    /// These flags and the process's environment.
    pub fn of_process(flags: BTreeMap<String, String>, config_file: Option<PathBuf>) -> Sources {
        Sources { flags, variables: std::env::vars().collect(), config_file }
    }
}

/// A value as it was written, and by whom.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Told {
    pub(super) value: String,
    pub(super) origin: String,
}

/// Every layer, ready to be asked for one value after the other.
#[derive(Debug)]
pub(super) struct Layers<'a> {
    sources: &'a Sources,
    file: BTreeMap<String, Told>,
    profile: Profile,
    data_dir: Told,
}

impl<'a> Layers<'a> {
    /// Reads the file, once the layers above it have said where it is, and then the profile.
    pub(super) fn read(sources: &'a Sources) -> Result<Layers<'a>, NodeError> {
        refuse_unknown(sources.flags.keys().map(String::as_str), "the command line")?;
        let above = |name| above_file(sources, find(name));
        let data_dir = above("data_dir");
        let beside = data_dir.clone().map_or_else(|| default_data_dir(sources), |told| told.value.into());
        let file = match &sources.config_file {
            Some(path) => read_file(path, true)?,
            None => read_file(&beside.join(CONFIG_FILE), false)?,
        };
        let data_dir = data_dir.or_else(|| file.get("data_dir").cloned()).unwrap_or_else(|| Told {
            value: default_data_dir(sources).display().to_string(),
            origin: "default".to_owned(),
        });
        let profile = match above("profile").or_else(|| file.get("profile").cloned()) {
            Some(told) => {
                Profile::parse(&told.value).ok_or_else(|| super::wrong("profile", &told, "main or devnet"))?
            }
            None => Profile::Main,
        };
        Ok(Layers { sources, file, profile, data_dir })
    }

    pub(super) fn profile(&self) -> Profile {
        self.profile
    }

    /// The value that holds, and who said it.
    pub(super) fn get(&self, name: &str) -> Told {
        if name == "data_dir" {
            return self.data_dir.clone();
        }
        let key = find(name);
        above_file(self.sources, key).or_else(|| self.file.get(name).cloned()).unwrap_or_else(|| {
            match key.of_profile(self.profile) {
                Some(value) => Told { value: value.to_owned(), origin: format!("profile {}", self.profile.name()) },
                None => Told { value: key.main.to_owned(), origin: "default".to_owned() },
            }
        })
    }
}

fn find(name: &str) -> &'static ConfigKey {
    CONFIG_KEYS.iter().find(|key| key.name == name).expect("only names of the list are asked for")
}

fn above_file(sources: &Sources, key: &ConfigKey) -> Option<Told> {
    let flag = sources.flags.get(key.name).map(|value| (value, format!("flag {}", key.flag())));
    let variable = || sources.variables.get(&key.variable()).map(|value| (value, format!("env {}", key.variable())));
    flag.or_else(variable).map(|(value, origin)| Told { value: value.clone(), origin })
}

fn default_data_dir(sources: &Sources) -> PathBuf {
    let variable = |name| sources.variables.get(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let shared = variable("XDG_DATA_HOME").or_else(|| variable("HOME").map(|home| home.join(".local/share")));
    shared.unwrap_or_else(|| PathBuf::from("/var/lib")).join("mainframe")
}

fn read_file(path: &Path, required: bool) -> Result<BTreeMap<String, Told>, NodeError> {
    let what = || format!("cannot read the configuration {}", path.display());
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !required => return Ok(BTreeMap::new()),
        Err(error) => return Err(configuration(what(), error, "Check the path given with --config.".into())),
    };
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        configuration(what(), error.to_string().trim_end().replace('\n', "\n  "), "Correct the file.".into())
    })?;
    refuse_unknown(table.keys().map(String::as_str), &path.display().to_string())?;
    table
        .into_iter()
        .map(|(name, value)| {
            let value = written(&value).ok_or_else(|| {
                let why = format!("{name} is neither text, a number, true or false, nor a list of texts");
                configuration(what(), why, "Correct the file.".into())
            })?;
            Ok((name, Told { value, origin: format!("file {}", path.display()) }))
        })
        .collect()
}

/// A value of the file as it would be written in a flag.
fn written(value: &toml::Value) -> Option<String> {
    if let Some(list) = value.as_array() {
        let texts: Option<Vec<&str>> = list.iter().map(toml::Value::as_str).collect();
        return texts.map(|texts| texts.join(","));
    }
    let number = value.as_integer().map(|number| number.to_string());
    let text = || value.as_str().map(str::to_owned);
    number.or_else(text).or_else(|| value.as_bool().map(|truth| truth.to_string()))
}

fn refuse_unknown<'n>(names: impl Iterator<Item = &'n str>, place: &str) -> Result<(), NodeError> {
    for name in names {
        if !CONFIG_KEYS.iter().any(|key| key.name == name) {
            let next = match nearest(name) {
                Some(meant) => format!("Did you mean {meant}?"),
                None => "Run `mainframe config show` for every name there is.".to_owned(),
            };
            let why = format!("there is no value named {name}");
            return Err(configuration(format!("cannot use {place}"), why, next));
        }
    }
    Ok(())
}

/// Our variables that name no value: probably slips, but perhaps another program's, so no error.
pub(super) fn unknown_variables(sources: &Sources) -> Vec<String> {
    let ours = sources.variables.keys().filter(|name| name.starts_with(VARIABLE_PREFIX));
    ours.filter(|name| !CONFIG_KEYS.iter().any(|key| key.variable() == **name)).cloned().collect()
}

fn configuration(what: String, why: impl std::fmt::Display, next: String) -> NodeError {
    NodeError::new(ErrorKind::Configuration, what, why, next)
}
