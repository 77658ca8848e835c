//! People who talk while their nodes are killed.

use crate::support::Home;

/// `mainframe bench crashes` is the long form: 200 kills, 10,000 messages.
#[test]
fn killed_nodes_lose_and_double_nothing_and_use_no_key_twice() {
    let home = Home::new();
    let words = ["bench", "crashes", "--kills", "8", "--messages", "600", "--json", "--quiet"];
    let report: serde_json::Value = serde_json::from_str(&home.run(&words).ok()).unwrap();
    let count = |name: &str| report[name].as_u64().unwrap_or_else(|| panic!("no {name}: {report}"));
    assert_eq!((count("kills"), count("messages")), (8, 600));
    for name in ["lost", "doubled", "out_of_order", "forgotten", "tags_used_twice", "keys_used_twice"] {
        assert_eq!(count(name), 0, "{name}: {report}");
    }
    assert!(count("cells") >= 600, "the witness saw what was said: {report}");
}
