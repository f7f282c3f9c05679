//! The identity from the command line, and what `prb run` does without the right one.

use crate::inventory::parsed;
use crate::mistakes::one_line;
use crate::place::Place;
use crate::world::until;
use serde_json::json;
use std::fs;

/// Also v2_f050.
#[tokio::test]
async fn x21_a_missing_or_foreign_identity_stops_everything_that_needs_it_until_it_is_restored() {
    let place = Place::new();
    place.add_alice().await;
    let backup = place.ok(&["identity", "backup", "copy.key"]).await;
    assert!(backup.contains("copied to copy.key") && backup.contains("no passphrase"), "{backup}");
    fs::remove_file(place.path("data/identity.key")).unwrap();
    let words = ["identity.key is missing", "1 operator secrets", "prb identity restore"];
    one_line(&place.prb(&["run"]).await, &words);
    one_line(&place.prb_with(&["operator", "add", "bob"], "//Bob\n").await, &words);
    one_line(&place.prb(&["identity", "show"]).await, &words);
    assert!(!place.path("data/identity.key").exists(), "nothing was made");
    // What needs no secret works.
    assert_eq!(place.ok(&["pool", "disable", "1"]).await, "pool 1 changed: enabled true -> false\n");

    let restored = place.ok(&["identity", "restore", "copy.key"]).await;
    assert!(restored.contains("it opens the secrets of 1 operators"), "{restored}");
    let shown = parsed(&place.ok(&["identity", "show", "--json"]).await);
    assert_eq!(
        (&shown["opens"], &shown["unusable"], &shown["protected"]),
        (&json!(1), &json!([]), &json!(false))
    );
}

#[tokio::test]
async fn x21_a_protected_identity_wants_its_passphrase_and_says_so() {
    let place = Place::new();
    place.add_alice().await;
    let write = |name: &str, text: &str| {
        fs::write(place.path(name), text).unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            fs::set_permissions(place.path(name), fs::Permissions::from_mode(0o600)).unwrap();
        }
    };
    write("right", "correct horse\n");
    write("wrong", "battery staple\n");
    let change = ["identity", "change-passphrase", "--new-passphrase-file", "right"];
    let changed = place.ok(&change).await;
    assert!(changed.contains("protected by a passphrase"), "{changed}");
    one_line(&place.prb(&["run"]).await, &["identity.key is protected", "--passphrase-file"]);
    let wrong = place.prb(&["run", "--passphrase-file", "wrong"]).await;
    one_line(&wrong, &["the passphrase does not open"]);
    assert!(!wrong.stderr.contains("staple"));
    one_line(&place.prb(&["run", "--passphrase-file", "none"]).await, &["passphrase file none"]);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(place.path("wrong"), fs::Permissions::from_mode(0o640)).unwrap();
        one_line(&place.prb(&["run", "--passphrase-file", "wrong"]).await, &["wrong", "chmod 600"]);
    }
    let running = place.start(&["run", "--passphrase-file", "right"], "info");
    until("it runs", async || running.logged(&["running", "pools=1"])).await;
    let (code, log) = running.end("-TERM").await;
    assert_eq!(code, Some(0));
    assert!(!log.iter().any(|line| line.contains("horse") || line.contains("cannot sign")), "{log:?}");
}

#[tokio::test]
async fn a_rotation_is_followed_while_it_runs_and_a_lost_secret_is_told_of() {
    let place = Place::new();
    place.add_alice().await;
    place.add_worker("w", "http://127.0.0.1:9").await;
    let running = place.run("info");
    until("the worker is taken on", async || running.logged(&["worker taken on"])).await;
    let rotated = place.ok(&["identity", "rotate"]).await;
    assert!(rotated.contains("now seals 1 secrets"), "{rotated}");
    // The change after it is applied with the identity that is new.
    place.ok(&["pool", "set", "1", "--name", "north"]).await;
    place
        .ok(&["worker", "add", "v", "--endpoint", "http://127.0.0.1:10", "--pool", "1", "--stake", "1"])
        .await;
    until("the change is followed", async || running.logged(&["worker taken on", "worker=v"])).await;
    assert!(!running.logged(&["cannot sign"]), "{}", running.log().join("\n"));

    fs::remove_file(place.path("data/identity.key")).unwrap();
    one_line(&place.prb(&["identity", "rotate"]).await, &["prb identity restore"]);
    let rotated = place.ok(&["identity", "rotate", "--lose-secrets"]).await;
    assert!(rotated.contains("the secret of alice is given up"), "{rotated}");
    until("that is told", async || {
        running.logged(&["operator cannot sign", "alice", "prb operator set alice --secret"])
    })
    .await;
    let set = place.prb_with(&["operator", "set", "alice", "--secret"], "//Alice\n").await;
    assert_eq!(set.code, Some(0), "{set:?}");
    until("it can sign again", async || running.logged(&["operator can sign again", "alice"])).await;
    assert_eq!(running.end("-TERM").await.0, Some(0));
}
