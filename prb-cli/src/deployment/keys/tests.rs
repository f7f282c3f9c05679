use super::*;
use crate::commands;
use crate::inventory::{Change, OperatorSet};
use crate::secret::Sealed;
use prb_core::testkit::observed::Observed;
use std::path::Path;

fn config(folder: &Path) -> Config {
    Config::for_nodes(folder.to_owned(), "ws://127.0.0.1:9".to_owned(), "ws://127.0.0.1:9".to_owned())
}

/// Adds these operators, each with its development key and a pool.
fn filled(folder: &Path, names: &[&str]) -> Inventory {
    let inventory = Inventory::open(&folder.join("inventory")).unwrap();
    for (pid, name) in (1..).zip(names) {
        let (identity, _locked) = config(folder).keyring().open_to_seal(&inventory).unwrap();
        let (account, secret) = commands::seal(&identity, name, &format!("//{name}")).unwrap();
        let operator = Operator { name: (*name).into(), account, proxied: None, secret };
        let pool = crate::inventory::Pool::new(pid, Some((*name).into()));
        inventory.apply(&[Change::AddOperator(operator), Change::AddPool(pool)]).unwrap();
    }
    inventory
}

fn give(inventory: &Inventory, name: &str, secret: Sealed) {
    let account = inventory.snapshot().unwrap().operator(name).unwrap().account;
    let set = OperatorSet { key: Some((account, secret)), proxied: None };
    inventory.apply(&[Change::SetOperator(name.into(), set)]).unwrap();
}

#[test]
fn x21_an_operator_that_cannot_sign_is_counted_told_once_and_the_others_sign() {
    let observed = Observed::begin();
    let folder = tempfile::tempdir().unwrap();
    let inventory = filled(folder.path(), &["alice", "bob"]);
    let kept = inventory.snapshot().unwrap().operator("bob").unwrap().secret.clone();
    let operators = Operators::default();
    let mut keys = Keys::new(&config(folder.path()), &inventory, operators.clone()).unwrap();
    let mut follow = || {
        keys.follow(&inventory.snapshot().unwrap());
        (operators.pools(), observed.gauge("prb_operators_unusable"))
    };
    assert_eq!(follow(), (vec![PoolId(1), PoolId(2)], Some(0.0)));

    give(&inventory, "bob", Sealed::seal(&Identity::generate().unwrap(), "bob", b"//bob").unwrap());
    for _ in 0..2 {
        assert_eq!(follow(), (vec![PoolId(1)], Some(1.0)));
    }
    let told = observed.lines(&["operator cannot sign", "bob", "prb operator set bob --secret"]);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(observed.lines(&["operator cannot sign", "alice"]).is_empty());

    give(&inventory, "bob", kept);
    assert_eq!(follow(), (vec![PoolId(1), PoolId(2)], Some(0.0)));
    assert_eq!(observed.lines(&["operator can sign again", "bob"]).len(), 1);
}

#[test]
fn x21_without_its_identity_nobody_can_sign_and_the_one_read_before_is_used_on() {
    let observed = Observed::begin();
    let folder = tempfile::tempdir().unwrap();
    let inventory = filled(folder.path(), &["alice", "bob"]);
    let mut keys = Keys::new(&config(folder.path()), &inventory, Operators::default()).unwrap();
    std::fs::remove_file(folder.path().join("identity.key")).unwrap();
    assert_eq!(keys.follow(&inventory.snapshot().unwrap()), 2);
    assert_eq!(observed.lines(&["the identity cannot be read again", "prb identity restore"]).len(), 1);

    let again = Keys::new(&config(folder.path()), &inventory, Operators::default());
    let refused = again.err().unwrap().to_string();
    assert!(refused.contains("prb identity restore"), "{refused}");
    assert_eq!(observed.gauge("prb_operators_unusable"), Some(2.0));
}

#[test]
fn x21_an_identity_that_is_there_again_is_found_without_a_change() {
    let observed = Observed::begin();
    let folder = tempfile::tempdir().unwrap();
    let inventory = filled(folder.path(), &["alice"]);
    let mut keys = Keys::new(&config(folder.path()), &inventory, Operators::default()).unwrap();
    let (file, away) = (folder.path().join("identity.key"), folder.path().join("away"));
    std::fs::rename(&file, &away).unwrap();
    for _ in 0..2 {
        assert_eq!(keys.follow(&inventory.snapshot().unwrap()), 1);
    }
    assert_eq!(observed.lines(&["the identity cannot be read again"]).len(), 1, "told once");
    assert!(keys.stale.is_some());
    std::fs::rename(&away, &file).unwrap();
    keys.follow(&inventory.snapshot().unwrap());
    assert!(keys.stale.is_none() && !keys.want_another_look());
    assert_eq!(observed.lines(&["the identity is read again"]).len(), 1);
}

/// Makes a file that only its owner can read.
#[cfg(unix)]
fn private(path: &Path, content: &[u8]) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(path, content).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// Protects the identity in `folder` with this passphrase.
#[cfg(unix)]
fn protect(folder: &Path, inventory: &Inventory, passphrase: &str) {
    let new = folder.join("new");
    private(&new, passphrase.as_bytes());
    config(folder).keyring().change_passphrase(inventory, true, Some(&new)).unwrap();
}

/// What somebody does in a data directory, how that is counted, and what the words say.
#[cfg(unix)]
type Spoilt = (fn(&Path, &Inventory), &'static str, &'static str);

/// While it runs, and at the next start.
#[cfg(unix)]
#[test]
fn x21_each_way_to_spoil_an_identity_is_counted_told_once_and_got_over() {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    let key = |folder: &Path| folder.join("identity.key");
    let cases: [Spoilt; 6] = [
        (|folder, _| fs::remove_file(folder.join("identity.key")).unwrap(), "missing", "identity restore"),
        (
            |folder, _| {
                let all = fs::Permissions::from_mode(0o644);
                fs::set_permissions(folder.join("identity.key"), all).unwrap();
            },
            "open_to_others",
            "chmod 600",
        ),
        (|folder, _| private(&folder.join("identity.key"), b"torn"), "malformed", "from a backup"),
        (|folder, _| private(&folder.join("identity.key"), &[b'1'; 64]), "foreign", "identity restore"),
        (|folder, inventory| protect(folder, inventory, "second"), "wrong_passphrase", "does not open"),
        (
            |folder, inventory| {
                protect(folder, inventory, "first");
                fs::remove_file(folder.join("passphrase")).unwrap();
            },
            "passphrase_file",
            "passphrase file",
        ),
    ];
    for (spoil, cause, words) in cases {
        let observed = Observed::begin();
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let inventory = filled(folder, &["alice"]);
        let snapshot = inventory.snapshot().unwrap();
        private(&folder.join("passphrase"), b"first");
        let mut config = config(folder);
        config.passphrase_file = Some(folder.join("passphrase"));
        let sound = fs::read(key(folder)).unwrap();
        let mut keys = Keys::new(&config, &inventory, Operators::default()).unwrap();
        let counter = format!("prb_identity_failures_total{{cause={cause}}}");

        spoil(folder, &inventory);
        for times in 1..=2 {
            assert_eq!(keys.follow(&snapshot), 1, "{cause}: the one read before is used on");
            assert_eq!(observed.counter(&counter), times, "{cause}");
        }
        let told = observed.lines(&["WARN", "the identity cannot be read again", words]);
        assert_eq!(told.len(), 1, "{cause}: {told:?}");
        let refused = Keys::new(&config, &inventory, Operators::default()).err().unwrap().to_string();
        assert!(refused.contains(words), "{cause}: {refused}");
        assert_eq!(observed.counter(&counter), 3, "{cause}");
        assert_eq!(observed.gauge("prb_operators_unusable"), Some(1.0), "{cause}");

        private(&key(folder), &sound);
        assert_eq!(keys.follow(&snapshot), 1);
        assert_eq!(observed.lines(&["INFO", "the identity is read again"]).len(), 1, "{cause}");
        assert!(Keys::new(&config, &inventory, Operators::default()).is_ok());
        assert_eq!(observed.counter(&counter), 3, "{cause}");
    }
}
