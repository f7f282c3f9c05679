//! `prb store` as people run it: the binary, beside a process that writes.
#![allow(clippy::unwrap_used, missing_docs)]

use prb_core::{
    id::Height,
    port::{BlobStore, Stream},
    span::Span,
    testkit::conform::store::Synthetic,
};
use prb_store::{LmdbOptions, LmdbStore};
use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

#[tokio::test]
async fn store_is_looked_into_while_another_process_writes() {
    let folder = tempfile::tempdir().unwrap();
    // A map so small that it grows between two commands.
    let options = LmdbOptions { map_bytes: 256 << 10, ..LmdbOptions::default() };
    let store = LmdbStore::open(folder.path().join("blobs"), options).unwrap();
    let mut chain = Synthetic::new(1);
    store.append(chain.begin()).await.unwrap();
    for round in 1..=3u64 {
        store.append(chain.relay(40, 60, true)).await.unwrap();
        store.append(chain.changes(60, 40_000)).await.unwrap();

        let stat: serde_json::Value = json(&prb(folder.path(), &["stat", "--json"]));
        assert_eq!(stat["coverage"]["streams"]["changes"]["last"], 60 * round);
        let changes = stat["tables"].as_array().unwrap().iter().find(|table| table["part"] == "changes");
        assert_eq!(changes.unwrap()["items"], 60 * round);
        let found = json(&prb(folder.path(), &["verify", "--json"]));
        assert_eq!(found["damages"], 0);
        let item = json(&prb(folder.path(), &["inspect", "changes", "7", "--json"]));
        assert_eq!(item["content"]["changes"], 1);
    }

    let text = said(&prb(folder.path(), &["stat"]));
    assert!(text.contains("changes         1..=180"), "{text}");
    let text = said(&prb(folder.path(), &["verify"]));
    assert!(text.ends_with("everything is whole\n"), "{text}");
    let text = said(&prb(folder.path(), &["inspect", "para-heads", "140", "--hex"]));
    assert!(text.starts_with("para-heads at 140: ") && text.contains("\n0x"), "{text}");
    assert!(store.read(Stream::Changes, Span::one(Height(7)), 0).await.is_ok(), "the writer goes on");
}

#[tokio::test]
async fn verify_names_what_is_damaged_and_fails() {
    let folder = tempfile::tempdir().unwrap();
    let blobs = folder.path().join("blobs");
    let options = LmdbOptions { compress: false, ..LmdbOptions::default() };
    let store = LmdbStore::open(&blobs, options).unwrap();
    let mut chain = Synthetic::new(1);
    store.append(chain.begin()).await.unwrap();
    let append = chain.changes(5, 20_000);
    let item = append.changes[2].bytes.clone();
    store.append(append).await.unwrap();
    drop(store);
    let file = blobs.join("data.mdb");
    let mut data = fs::read(&file).unwrap();
    let end = &item[item.len() - 30..];
    for at in (0..data.len() - end.len()).filter(|at| data[*at..].starts_with(end)).collect::<Vec<_>>() {
        data[at] ^= 1;
    }
    fs::write(&file, data).unwrap();

    let output = prb(folder.path(), &["verify", "--json"]);
    assert!(!output.status.success());
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(found["damages"], 1);
    assert_eq!(found["damaged"][0], serde_json::json!({"part": "changes", "item": "3", "missing": false}));
    let why = one_line(&output);
    assert!(why.contains("changes at 3 is damaged"), "{why}");
    let why = one_line(&prb(folder.path(), &["inspect", "changes", "3"]));
    assert!(why.contains("changes at 3 is damaged on disk"), "{why}");
}

#[test]
fn what_cannot_be_shown_is_said_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let why = one_line(&prb(folder.path(), &["stat"]));
    assert!(why.contains("holds no store yet"), "{why}");

    drop(LmdbStore::open(folder.path().join("blobs"), LmdbOptions::default()).unwrap());
    assert!(said(&prb(folder.path(), &["stat"])).starts_with("the store is empty\n"));
    let why = one_line(&prb(folder.path(), &["inspect", "changes", "9"]));
    assert!(why.contains("no changes at 9"), "{why}");
    let unknown = prb(folder.path(), &["inspect", "blocks", "9"]);
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("relay-headers, justifications"));
}

/// Runs `prb store` with `args` on the data directory `folder`.
fn prb(folder: &Path, args: &[&str]) -> Output {
    let config = folder.join("prb.toml");
    let text = format!(
        "data_dir = {folder:?}\n[chain]\nrelay = \"ws://127.0.0.1:1\"\npara = \"ws://127.0.0.1:1\"\n"
    );
    fs::write(&config, text).unwrap();
    let binary = env!("CARGO_BIN_EXE_prb");
    let mut command = Command::new(binary);
    // Variables of whoever tests must not count.
    command.env_clear().envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
    command.arg("--config").arg(config).arg("store").args(args).output().unwrap()
}

fn said(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn json(output: &Output) -> serde_json::Value {
    serde_json::from_str(&said(output)).unwrap()
}

fn one_line(output: &Output) -> String {
    assert!(!output.status.success());
    let why = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(why.lines().count(), 1, "{why}");
    why
}
