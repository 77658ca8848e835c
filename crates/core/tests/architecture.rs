//! The map in ARCHITECTURE.md holds: who may import whom, and what the core may depend on.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Rooms of the core from left to right; a room imports only from groups before its own.
const ROOMS: [&[&str]; 6] = [
    &["bucket", "codec", "jitter"],
    &["crypto"],
    &["wire", "store", "neighbours"],
    &["cost"],
    &["overlay", "packet", "hold", "session"],
    &["switchboard"],
];

/// Crates and the crates of ours each may depend on.
const CRATES: [(&str, &[&str]); 8] = [
    ("base", &[]),
    ("mls", &["base"]),
    ("core", &["base", "mls"]),
    ("link", &["base", "core"]),
    ("sdk", &["base"]),
    ("node", &["base", "core", "link", "sdk"]),
    ("mainframe", &["base", "core", "link", "mls", "node", "sdk"]),
    ("sim", &["base", "core", "mls"]),
];

/// Where whole families of crates must not be found in the core's own dependencies: input and output.
const IMPURE: [&str; 12] = [
    "tokio",
    "futures",
    "libp2p",
    "rusqlite",
    "axum",
    "reqwest",
    "serde",
    "getrandom",
    "mio",
    "async",
    "hyper",
    "libc",
];

fn crates_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// The room a file of the core belongs to, and its text without tests.
fn room_and_code(path: &Path, source: &Path) -> (String, String) {
    let inside = path.strip_prefix(source).unwrap();
    let room = inside.components().next().unwrap().as_os_str().to_string_lossy().replace(".rs", "");
    let text = fs::read_to_string(path).unwrap();
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default().to_owned();
    (room, code)
}

/// Every `crate::room` that the code names.
fn rooms_named(code: &str) -> Vec<String> {
    code.split("crate::")
        .skip(1)
        .map(|rest| rest.chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect())
        .collect()
}

#[test]
fn rooms_import_only_from_rooms_to_their_left() {
    let group: BTreeMap<&str, usize> =
        ROOMS.iter().enumerate().flat_map(|(number, rooms)| rooms.iter().map(move |room| (*room, number))).collect();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for path in rust_files(&source) {
        let (room, code) = room_and_code(&path, &source);
        if room == "lib" {
            continue;
        }
        let mine = group.get(room.as_str()).unwrap_or_else(|| panic!("{} stands in no room", path.display()));
        for named in rooms_named(&code).iter().filter(|named| **named != room) {
            let theirs = group.get(named.as_str()).unwrap_or_else(|| panic!("{}: no room {named}", path.display()));
            assert!(theirs < mine, "{} imports {named}: the arrow points the wrong way", path.display());
        }
    }
}

#[test]
fn crates_depend_only_on_crates_they_may() {
    for (name, allowed) in CRATES {
        let manifest = fs::read_to_string(crates_folder().join(name).join("Cargo.toml")).unwrap();
        let ours = manifest
            .lines()
            .filter_map(|line| line.strip_prefix("mainframe-"))
            .filter_map(|rest| rest.split('.').next());
        for dependency in ours {
            assert!(allowed.contains(&dependency), "{name} must not depend on mainframe-{dependency}");
        }
    }
}

#[test]
fn the_core_depends_on_nothing_that_does_input_or_output() {
    for name in ["base", "core"] {
        let manifest = fs::read_to_string(crates_folder().join(name).join("Cargo.toml")).unwrap();
        let dependencies = manifest.split("[dependencies]").nth(1).unwrap().split("[dev-dependencies]").next().unwrap();
        for line in dependencies.lines() {
            assert!(!IMPURE.iter().any(|impure| line.starts_with(impure)), "{name} depends on {line}");
        }
    }
}

#[test]
fn only_the_wire_and_the_sdk_know_how_to_serialise() {
    for name in ["base", "core", "link"] {
        for path in rust_files(&crates_folder().join(name).join("src")) {
            let text = fs::read_to_string(&path).unwrap();
            assert!(!text.contains("Serialize"), "{} derives a serialisation", path.display());
        }
    }
}

#[test]
fn a_packet_never_learns_who_could_open_it() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for path in ["packet", "hold"].iter().flat_map(|room| rust_files(&source.join(room))) {
        let text = fs::read_to_string(&path).unwrap();
        for word in ["PersonKeys", "TopicKey", "recognise", "BodyKey"] {
            assert!(!text.contains(word), "{} speaks of {word}", path.display());
        }
    }
}

#[test]
fn no_file_grew_beyond_what_one_reads_at_a_sitting() {
    for (name, _) in CRATES {
        for path in rust_files(&crates_folder().join(name).join("src")) {
            let lines = fs::read_to_string(&path).unwrap().lines().count();
            assert!(lines <= 600, "{}: {lines} lines; what second thing moved in?", path.display());
        }
    }
}
