//! The binary as its users meet it: real processes, real sockets, real signals.

mod holding;
mod support;
mod talking;
mod walls;
#[expect(
    dead_code,
    clippy::unwrap_used,
    reason = "the link's own tests use all of it; a test that cannot go on has failed"
)]
#[path = "../../link/tests/nat/world.rs"]
mod world;

use std::io::Write;
use std::net::TcpListener;
use std::time::Duration;

use support::{Devnet, Home, run_to_end, wait_until};

#[test]
fn wrong_usage_is_exit_code_2_and_says_what_to_do() {
    let home = Home::new();
    let unknown = home.run(&["frobnicate"]);
    assert_eq!(unknown.code, 2, "{unknown:?}");
    let unsealed = home.run(&["send", "--prefix", "01", "hi"]);
    assert_eq!(unsealed.code, 2, "{unsealed:?}");
    assert!(unsealed.err.contains("sealed") && unsealed.err.contains("--to mfp:"), "{unsealed:?}");
    let nobody = home.run(&["send", "hi"]);
    assert_eq!(nobody.code, 2, "{nobody:?}");
    let bits = home.run(&["--timeout", "-1", "status"]);
    assert_eq!(bits.code, 2, "{bits:?}");
}

#[test]
fn no_node_is_exit_code_3_and_says_how_to_start_one() {
    let home = Home::new();
    for command in [&["status"][..], &["person", "list"], &["net", "topology"], &["listen", "--count", "1"]] {
        let answer = home.run(command);
        assert_eq!(answer.code, 3, "{answer:?}");
        assert!(answer.err.contains("mainframe up"), "{answer:?}");
    }
    let json = home.run(&["status", "--json"]);
    let error: serde_json::Value = serde_json::from_str(&json.err).unwrap();
    assert_eq!(error["exit"], 3);
    let network = home.run(&["devnet", "status"]);
    assert_eq!(network.code, 3, "{network:?}");
}

#[test]
fn the_configuration_says_where_each_value_comes_from() {
    let home = Home::new();
    let file = home.path().join("node.toml");
    std::fs::write(&file, "store_max_mib = 7\n").unwrap();
    let config = file.display().to_string();
    let shown = home
        .command(&["--profile", "devnet", "--config", &config, "config", "show", "--origin"])
        .env("MAINFRAME_LOG", "debug")
        .output()
        .unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    let origin = |key: &str| shown.lines().find(|line| line.starts_with(key)).unwrap().to_owned();
    assert!(origin("profile").contains("flag --profile"), "{shown}");
    assert!(origin("log ").contains("env MAINFRAME_LOG"), "{shown}");
    assert!(origin("store_max_mib").contains("node.toml"), "{shown}");
    assert!(origin("trace").contains("profile devnet"), "{shown}");
    assert!(origin("role").contains("profile devnet"), "{shown}");
    assert!(origin("hold_max_mib").contains("default"), "{shown}");

    std::fs::write(&file, "store_max_mib = 0\n").unwrap();
    let refused = home.run(&["--config", &config, "config", "validate"]);
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(refused.err.contains("store_max_mib"), "{refused:?}");
}

#[test]
fn a_message_crosses_a_network_of_real_nodes() {
    let home = Home::new();
    let devnet = Devnet::start(&home, 5);
    let [alice, bob] = ["alice", "bob"].map(|name| devnet.data_dir(name));
    let address = home.run(&["--data-dir", &bob, "person", "new", "bob", "--luminosity", "1"]).ok();
    assert!(address.starts_with("mfp:"), "{address}");
    let listening = home.command(&["--data-dir", &bob, "listen", "--all", "--count", "1", "--json"]);
    let listening = std::thread::spawn(move || run_to_end(listening));
    let mut sending = home.command(&["--data-dir", &alice, "send", "--to", address.trim(), "--json"]);
    let mut sending = sending.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped()).spawn().unwrap();
    sending.stdin.take().unwrap().write_all("你好 Bob".as_bytes()).unwrap();
    let sent: serde_json::Value = serde_json::from_slice(&sending.wait_with_output().unwrap().stdout).unwrap();
    let heard: serde_json::Value = serde_json::from_str(&listening.join().unwrap().ok()).unwrap();
    assert_eq!(heard["body"]["text"], "你好 Bob");
    assert_eq!(heard["id"], sent["id"]);
    assert!(sent["quote"]["region_nodes"].as_u64().unwrap() >= 1, "{sent}");

    let status = home.run(&["devnet", "status", "--dir", &devnet.dir(), "--window", "0.5", "--json"]).ok();
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    assert_eq!(status["nodes_ready"], 5, "{status}");
    assert!(status["median_pss_mb"].as_f64().unwrap() > 0.0, "{status}");

    let stopped = devnet.terminate();
    assert_eq!(stopped.code, Some(0));
    assert!(stopped.survivors.is_empty(), "{:?} outlived their supervisor", stopped.survivors);
    assert!(!stopped.dir.exists(), "the network left its files");
}

#[test]
fn nodes_end_with_a_supervisor_that_is_killed() {
    let home = Home::new();
    let devnet = Devnet::start(&home, 2);
    let stopped = devnet.kill();
    assert!(stopped.survivors.is_empty(), "{:?} outlived their supervisor", stopped.survivors);
}

#[test]
fn a_taken_port_is_named() {
    let home = Home::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let refused = home.run(&["--profile", "devnet", "up", "--api-listen", &address]);
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.err.contains(&address), "{refused:?}");

    let taken = TcpListener::bind("127.77.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let refused = home.run(&["devnet", "up", "-n", "2", "--api-port", &port, "--dir", &home.file("net")]);
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.err.contains("alice") && refused.err.contains(&port), "{refused:?}");
}

#[test]
fn a_wrong_password_is_exit_code_6() {
    let home = Home::new();
    let [right, wrong] = [("right", "correct horse"), ("wrong", "battery staple")].map(|(name, password)| {
        std::fs::write(home.file(name), password).unwrap();
        support::only_mine(&home.file(name));
        home.file(name)
    });
    let data_dir = home.file("node");
    let up = |password: &str| {
        let listen = ["--listen", "/ip4/127.0.0.1/tcp/0"];
        home.command(&[&["--data-dir", &data_dir, "up", "--password-file", password][..], &listen[..]].concat())
    };
    let mut first = up(&right).spawn().unwrap();
    wait_until(Duration::from_secs(20), "the node serves", || home.run(&["--data-dir", &data_dir, "status"]).code == 0);
    support::terminate(first.id());
    assert_eq!(first.wait().unwrap().code(), Some(0), "SIGTERM is no failure");
    let refused = run_to_end(up(&wrong));
    assert_eq!(refused.code, 6, "{refused:?}");
    assert!(refused.err.contains("password"), "{refused:?}");
}

#[test]
fn the_demo_shows_that_only_bob_opened_it() {
    let home = Home::new();
    let demo = home.demo(&["devnet", "demo", "-n", "8", "--once"], "meet me at noon\n").ok();
    assert!(demo.contains("meet me at noon"), "{demo}");
    assert!(demo.contains("only Bob opened it"), "{demo}");
    let ready = demo.lines().find_map(|line| line.strip_prefix("READY ")).expect("a line READY");
    let ready: serde_json::Value = serde_json::from_str(ready).unwrap();
    assert_eq!(ready["nodes"], 8);
    assert_eq!(ready["message"]["opened_by"], serde_json::json!(["bob"]));
    assert_eq!(ready["message"]["arrived"], ready["message"]["region_nodes"], "{demo}");
    assert!(demo.lines().count() <= 40, "{demo}");
}

#[test]
fn the_commands_of_the_documents_work() {
    let played = support::play(&Home::new(), &["README.md", "docs/guide/devnet.md"]);
    assert_eq!(played.code, 0, "{played:?}");
    assert!(played.out.contains("Hello Bob") && played.out.contains("Rain tomorrow"), "{played:?}");
}

#[test]
fn the_commands_of_the_guide_about_people_work() {
    let played = support::play(&Home::new(), &["docs/guide/people.md"]);
    assert_eq!(played.code, 0, "{played:?}");
    let slept: Vec<String> = (1..=10).map(|number| format!("[alice] while you slept: {number}\n")).collect();
    assert!(played.out.contains(&slept.concat()), "{played:?}");
    for line in ["[alice] Hello Bob", "[bob] Hello Alice", "[bob] Welcome Carol", "[alice] Without Carol"] {
        assert!(played.out.contains(line), "{line}: {played:?}");
    }
    assert!(played.out.contains("Carol reads nothing more"), "{played:?}");
    for name in ["dave", "erin", "frank", "grace"] {
        assert!(played.out.contains(&format!("] I am {name}\n")), "{name}: {played:?}");
    }
    for line in [
        "[bob] To both of you",
        "[alice] From the tablet",
        "tablet is revoked",
        "The tablet reads nothing more",
        "alice is written down in",
    ] {
        assert!(played.out.contains(line), "{line}: {played:?}");
    }
    assert!(!played.out.contains("[bob] Not for the tablet"), "{played:?}");
    let words = |line: &&str| line.split(' ').count() == 12 && line.split(' ').all(|word| word.len() == 5);
    let compared: Vec<&str> = played.out.lines().filter(words).collect();
    assert!(compared.len() == 4 && compared[..2] == compared[2..], "{compared:?}");
}
