//! Who said what.

use mainframe_node::{CONFIG_KEYS, Config, ErrorKind, Sources};

use crate::world::sources;

fn value(sources: &Sources, name: &str) -> (String, String) {
    let config = Config::load(sources).unwrap();
    let found = config.values().iter().find(|value| value.key == name).unwrap();
    (found.value.clone(), found.origin.clone())
}

#[test]
fn flags_hold_over_variables_over_the_file_over_the_profile_over_defaults() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config.toml");
    let mut all = sources(&[("data_dir", directory.path().to_str().unwrap())]);
    let said = |all: &Sources| value(all, "log");

    assert_eq!(said(&all), ("info".into(), "default".into()));
    std::fs::write(&file, "profile = \"devnet\"\n").unwrap();
    assert_eq!(said(&all), ("warn".into(), "profile devnet".into()));
    std::fs::write(&file, "profile = \"devnet\"\nlog = \"debug\"\n").unwrap();
    assert_eq!(said(&all), ("debug".into(), format!("file {}", file.display())));
    all.variables.insert("MAINFRAME_LOG".into(), "trace".into());
    assert_eq!(said(&all), ("trace".into(), "env MAINFRAME_LOG".into()));
    all.flags.insert("log".into(), "error".into());
    assert_eq!(said(&all), ("error".into(), "flag --log".into()));
}

#[test]
fn every_value_is_shown_with_its_origin() {
    let config = Config::load(&Sources::default()).unwrap();
    let shown: Vec<&str> = config.values().iter().map(|value| value.key.as_str()).collect();
    let names: Vec<&str> = CONFIG_KEYS.iter().map(|key| key.name).collect();
    assert_eq!(shown, names);
}

#[test]
fn a_list_in_the_file_is_a_list_of_texts() {
    let directory = tempfile::tempdir().unwrap();
    let text =
        "bootstrap = [\"/ip4/192.0.2.7/tcp/1\", \"/ip4/192.0.2.8/tcp/1\"]\nconnections_max = 9\nrole = \"guest\"";
    std::fs::write(directory.path().join("config.toml"), text).unwrap();
    let all = sources(&[("data_dir", directory.path().to_str().unwrap())]);
    assert_eq!(value(&all, "bootstrap").0, "/ip4/192.0.2.7/tcp/1,/ip4/192.0.2.8/tcp/1");
    assert_eq!(value(&all, "connections_max").0, "9");
}

#[test]
fn a_mistyped_name_is_told_what_was_meant() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("config.toml"), "bootstap = []\n").unwrap();
    let error = Config::load(&sources(&[("data_dir", directory.path().to_str().unwrap())])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert_eq!(error.next(), "Did you mean bootstrap?");
    let mut all = Sources::default();
    all.variables.insert("MAINFRAME_BOOTSTAP".into(), "x".into());
    assert_eq!(Config::load(&all).unwrap().warnings().len(), 1);
}

#[test]
fn a_value_that_cannot_be_used_says_who_said_it_and_what_would_do() {
    for (pairs, why, next) in [
        (&[("profile", "moon")][..], "flag --profile", "main or devnet"),
        (&[("listen", "127.0.0.1:1")], "flag --listen", "/ip4/"),
        (&[("connections_max", "7")], "\"7\"", "8 to 10000"),
        (&[("api_listen", "0.0.0.0:0")], "0.0.0.0:0", "loopback"),
        (&[("trace", "true")], "flag --trace", "network 53456"),
        (&[("small_network", "true")], "flag --small-network", "false"),
        (&[("key_derivation", "cheap")], "cheap", "strong"),
        (&[("role", "king")], "king", "relay or guest"),
    ] {
        let error = Config::load(&sources(pairs)).unwrap_err();
        assert!(error.why().contains(why) && error.next().contains(next), "{error}");
    }
}
