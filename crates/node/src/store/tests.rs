//! What a store keeps, and what it says of damage.

use super::*;
use mainframe_core::store::MemoryStore;
use proptest::prelude::*;

const SIZE_MAX_MIB: u32 = 64;

/// Which half's store.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Half {
    Relay,
    Endpoint,
}

impl Half {
    fn file_name(self) -> &'static str {
        match self {
            Half::Relay => RELAY_FILE,
            Half::Endpoint => ENDPOINT_FILE,
        }
    }
}

fn key() -> Secret<32> {
    Secret::new([3; 32])
}

fn open(directory: &tempfile::TempDir, half: Half) -> Result<SqliteStore, NodeError> {
    match half {
        Half::Relay => SqliteStore::open_relay(directory.path()),
        Half::Endpoint => SqliteStore::open_endpoint(directory.path(), SIZE_MAX_MIB, &key()),
    }
}

/// A store as version 1 wrote it, with these rows in its inbox.
fn store_of_version_1(directory: &tempfile::TempDir, half: Half, inbox: &[(&[u8], &[u8])]) {
    let connection = Connection::open(directory.path().join(half.file_name())).unwrap();
    for table in ["peers", "inbox", "opened", "attended"] {
        let sql = format!("CREATE TABLE {table} (key BLOB PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID");
        connection.execute(&sql, []).unwrap();
    }
    for (key, value) in inbox {
        connection.execute("INSERT INTO inbox (key, value) VALUES (?1, ?2)", params![key, value]).unwrap();
    }
    connection.execute_batch("PRAGMA journal_mode = WAL; PRAGMA user_version = 1;").unwrap();
}

/// Everything that lies on the disk.
fn bytes_on_disk(directory: &tempfile::TempDir) -> Vec<u8> {
    let files = std::fs::read_dir(directory.path()).unwrap().map(|file| std::fs::read(file.unwrap().path()).unwrap());
    files.collect::<Vec<_>>().concat()
}

fn holds(bytes: &[u8], text: &[u8]) -> bool {
    bytes.windows(text.len()).any(|window| window == text)
}

#[test]
fn what_version_1_kept_is_found_again_and_does_not_lie_open_any_more() {
    let directory = tempfile::tempdir().unwrap();
    let letters: [(&[u8], &[u8]); 2] = [(b"1", b"meet me at noon"), (b"2", b"or not at all")];
    store_of_version_1(&directory, Half::Endpoint, &letters);
    assert!(holds(&bytes_on_disk(&directory), b"meet me at noon"));
    let mut store = open(&directory, Half::Endpoint).unwrap();
    let expected: Vec<Row> = letters.iter().map(|(key, value)| (key.to_vec(), value.to_vec())).collect();
    assert_eq!(store.scan(Table::Inbox, None, 9), expected);
    store.put(Table::Sessions, b"new", b"table");
    store.commit().unwrap();
    drop(store);
    assert!(!holds(&bytes_on_disk(&directory), b"meet me at noon"));
    assert_eq!(open(&directory, Half::Endpoint).unwrap().scan(Table::Inbox, None, 9), expected);

    let directory = tempfile::tempdir().unwrap();
    store_of_version_1(&directory, Half::Relay, &letters);
    assert_eq!(open(&directory, Half::Relay).unwrap().scan(Table::Inbox, None, 9), expected);
}

#[test]
fn nothing_that_was_put_or_deleted_is_read_on_the_disk() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = open(&directory, Half::Endpoint).unwrap();
    store.put(Table::Secrets, b"key", b"an epoch's secret");
    store.commit().unwrap();
    assert!(holds(&bytes_on_disk(&directory), b"key"), "the log was looked at");
    assert!(!holds(&bytes_on_disk(&directory), b"an epoch's secret"));
    let row = store.connection.query_row("SELECT value FROM secrets", [], |row| row.get::<_, Vec<u8>>(0)).unwrap();
    store.delete(Table::Secrets, b"key");
    store.commit().unwrap();
    drop(store);
    assert!(!holds(&bytes_on_disk(&directory), &row), "not even sealed");
}

#[test]
fn another_key_and_a_changed_row_are_said_to_be_in_the_way() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = open(&directory, Half::Endpoint).unwrap();
    store.put(Table::Inbox, b"1", b"first");
    store.put(Table::Inbox, b"2", b"second");
    store.commit().unwrap();
    drop(store);
    let other = SqliteStore::open_endpoint(directory.path(), SIZE_MAX_MIB, &Secret::new([4; 32])).err().unwrap();
    assert_eq!(other.kind(), ErrorKind::Store);
    assert!(other.why().contains("another key") && other.next().contains("same backup"), "{other}");

    let mut store = open(&directory, Half::Endpoint).unwrap();
    let swap = "UPDATE inbox SET value = (SELECT value FROM inbox WHERE key = x'31') WHERE key = x'32'";
    store.connection.execute(swap, []).unwrap();
    assert_eq!(store.get(Table::Inbox, b"2"), None);
    let error = store.commit().unwrap_err();
    assert!(error.why().contains("a row of inbox was changed") && error.next().contains("backup"), "{error}");
    drop(store);
    let error = open(&directory, Half::Endpoint).err().unwrap();
    assert!(error.why().contains("a row of inbox was changed"), "{error}");
}

#[test]
fn a_store_of_a_later_version_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    drop(open(&directory, Half::Endpoint).unwrap());
    let connection = Connection::open(directory.path().join(ENDPOINT_FILE)).unwrap();
    connection.execute_batch("PRAGMA user_version = 3").unwrap();
    drop(connection);
    let error = open(&directory, Half::Endpoint).err().unwrap();
    assert!(error.why().contains("version 3") && error.next().contains("newer program"), "{error}");
}

#[test]
fn what_was_committed_survives_and_what_was_not_does_not() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = open(&directory, Half::Endpoint).unwrap();
    store.put(Table::Inbox, b"kept", b"1");
    store.commit().unwrap();
    store.put(Table::Inbox, b"lost", b"2");
    assert!(store.is_dirty());
    drop(store);
    let store = open(&directory, Half::Endpoint).unwrap();
    assert_eq!(store.get(Table::Inbox, b"kept"), Some(b"1".to_vec()));
    assert_eq!(store.get(Table::Inbox, b"lost"), None);
}

#[test]
fn a_damaged_cache_is_moved_aside_and_a_damaged_inbox_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    for half in [Half::Relay, Half::Endpoint] {
        std::fs::write(directory.path().join(half.file_name()), vec![0x5A; 9_000]).unwrap();
    }
    assert!(open(&directory, Half::Relay).is_ok());
    assert!(directory.path().join("relay.db.corrupt").exists());
    let error = open(&directory, Half::Endpoint).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Store);
    assert!(error.to_string().contains("endpoint.db") && error.next().contains("mv "), "{error}");
}

#[test]
fn a_full_store_fails_its_commit_and_keeps_what_it_had() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = SqliteStore::open_endpoint(directory.path(), 1, &key()).unwrap();
    store.put(Table::Inbox, b"first", b"1");
    store.commit().unwrap();
    for index in 0..600u32 {
        store.put(Table::Inbox, &index.to_be_bytes(), &[0; 2_048]);
    }
    let error = store.commit().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StoreFailed);
    assert!(error.why().contains("full"), "{error}");
    assert_eq!(store.scan(Table::Inbox, None, 9).len(), 1);
    store.commit().unwrap();
}

#[derive(Clone, Debug)]
enum Step {
    Put(u8, u8),
    Delete(u8),
    Commit,
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0u8..8, any::<u8>()).prop_map(|(key, value)| Step::Put(key, value)),
        (0u8..8).prop_map(Step::Delete),
        Just(Step::Commit),
    ]
}

/// Cases of the tests that damage files: few in every run, many with `make fuzz`, whose rounds are a thousand times
/// cheaper.
fn cases() -> u32 {
    let rounds = std::env::var("MAINFRAME_FUZZ_ROUNDS").ok().and_then(|rounds| rounds.parse::<u32>().ok());
    rounds.map_or(16, |rounds| (rounds / 1_000).max(16))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]
    #[test]
    fn a_store_whose_log_was_cut_short_holds_the_first_commits_and_no_half_one(
        commits in 1u8..20,
        kept_per_mille in 0usize..=1_000,
        tail in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let (before, after) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut store = open(&before, Half::Endpoint).unwrap();
        for number in 0..commits {
            store.put(Table::Inbox, &[number, 0], &[number]);
            store.put(Table::Inbox, &[number, 1], &[0; 3_000]);
            store.commit().unwrap();
        }
        // As after a power cut: what lies on the disk while the store is open, and of its log only a part.
        let file = Half::Endpoint.file_name();
        let log = format!("{file}-wal");
        std::fs::copy(before.path().join(file), after.path().join(file)).unwrap();
        let mut bytes = std::fs::read(before.path().join(&log)).unwrap();
        bytes.truncate(bytes.len() * kept_per_mille / 1_000);
        bytes.extend(tail);
        std::fs::write(after.path().join(&log), bytes).unwrap();
        let rows = open(&after, Half::Endpoint).unwrap().scan(Table::Inbox, None, 100);
        prop_assert_eq!(rows.len() % 2, 0, "both rows of a commit, or none");
        let expected = (0..rows.len() as u8 / 2).flat_map(|number| [vec![number, 0], vec![number, 1]]);
        prop_assert!(rows.iter().map(|(key, _)| key.clone()).eq(expected));
        prop_assert!(kept_per_mille < 1_000 || rows.len() == 2 * usize::from(commits));
    }

    #[test]
    fn whatever_became_of_its_file_a_store_opens_or_says_what_is_wrong(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..40),
        kept_per_mille in 300usize..=1_000,
    ) {
        for half in [Half::Relay, Half::Endpoint] {
            let directory = tempfile::tempdir().unwrap();
            let mut store = open(&directory, half).unwrap();
            (0..40u8).for_each(|number| store.put(Table::ALL[0], &[number], &[number; 500]));
            store.commit().unwrap();
            drop(store);
            let path = directory.path().join(half.file_name());
            let mut bytes = std::fs::read(&path).unwrap();
            bytes.truncate(bytes.len() * kept_per_mille / 1_000);
            damage.iter().for_each(|(at, byte)| *at.get_mut(&mut bytes) = *byte);
            std::fs::write(&path, bytes).unwrap();
            match open(&directory, half) {
                Ok(store) => prop_assert!(store.scan(Table::ALL[0], None, 100).len() <= 40),
                Err(error) => prop_assert_eq!((half, error.kind()), (Half::Endpoint, ErrorKind::Store)),
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn both_stores_answer_alike(steps in prop::collection::vec(any_step(), 0..40), after in 0u8..8) {
        let directory = tempfile::tempdir().unwrap();
        let mut sqlite = open(&directory, Half::Endpoint).unwrap();
        let mut memory = MemoryStore::default();
        for step in steps {
            match step {
                Step::Put(key, value) => {
                    sqlite.put(Table::Inbox, &[key], &[value]);
                    memory.put(Table::Inbox, &[key], &[value]);
                }
                Step::Delete(key) => {
                    sqlite.delete(Table::Inbox, &[key]);
                    memory.delete(Table::Inbox, &[key]);
                }
                Step::Commit => {
                    sqlite.commit().unwrap();
                    memory.commit();
                }
            }
            prop_assert_eq!(sqlite.is_dirty(), memory.is_dirty());
        }
        prop_assert_eq!(sqlite.last(Table::Inbox), memory.last(Table::Inbox));
        prop_assert_eq!(sqlite.scan(Table::Inbox, None, 5), memory.scan(Table::Inbox, None, 5));
        let after = [after];
        prop_assert_eq!(sqlite.scan(Table::Inbox, Some(&after), 3), memory.scan(Table::Inbox, Some(&after), 3));
    }
}
