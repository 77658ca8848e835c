//! The guides say what the program does.

use mainframe_node::CONFIG_KEYS;
use mainframe_sdk::{
    AddContact, AddDevice, AddPerson, AddTopic, ApiError, AttendRequest, Attended, Contact, CreateGroup, CreateToken,
    Event, Invite, Link, OwnDevice, Person, Said, Say, SendRequest, Sent,
};
use serde::de::DeserializeOwned;

const API: &str = include_str!("../../../../docs/guide/api.md");
const OPERATORS: &str = include_str!("../../../../docs/guide/operators.md");

fn reads<T: DeserializeOwned>(text: &str) {
    serde_json::from_str::<T>(text).unwrap_or_else(|error| panic!("{error} in {text}"));
}

#[test]
fn every_example_of_the_api_is_what_the_types_say() {
    let blocks: Vec<(&str, &str)> =
        API.split("```json ").skip(1).map(|rest| rest.split_once("```").unwrap().0.split_once('\n').unwrap()).collect();
    assert!(blocks.len() >= 15);
    for (name, text) in blocks {
        match name {
            "AttendRequest" => reads::<AttendRequest>(text),
            "Attended" => reads::<Attended>(text),
            "AddContact" => reads::<AddContact>(text),
            "Contact" => reads::<Contact>(text),
            "CreateGroup" => reads::<CreateGroup>(text),
            "Invite" => reads::<Invite>(text),
            "Said" => reads::<Said>(text),
            "Say" => reads::<Say>(text),
            "AddDevice" => reads::<AddDevice>(text),
            "OwnDevice" => reads::<OwnDevice>(text),
            "Link" => reads::<Link>(text),
            "AddPerson" => reads::<AddPerson>(text),
            "Person" => reads::<Person>(text),
            "AddTopic" => reads::<AddTopic>(text),
            "SendRequest" => reads::<SendRequest>(text),
            "Sent" => reads::<Sent>(text),
            "Event" => reads::<Event>(text),
            "CreateToken" => reads::<CreateToken>(text),
            "ApiError" => reads::<ApiError>(text),
            other => panic!("{other} is not among the types the test knows"),
        }
    }
}

#[test]
fn the_operators_table_lists_every_value() {
    for key in CONFIG_KEYS {
        let text = |value: &str| if value.is_empty() { String::new() } else { format!("`{value}`") };
        let devnet = text(key.devnet.unwrap_or_default());
        let row = format!("| `{}` | {} | {} | {} |", key.name, text(key.main), devnet, key.help);
        assert!(OPERATORS.contains(&row), "the table lacks\n{row}");
    }
}
