use super::*;
use crate::inventory::{Change, Inventory};
use crate::secret::Sealed;
use prb_core::id::AccountId;
use std::fs;
use tempfile::TempDir;

/// A data directory.
struct Place {
    folder: TempDir,
    inventory: Inventory,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let inventory = Inventory::open(&folder.path().join("inventory")).unwrap();
        Self { folder, inventory }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn file(&self) -> PathBuf {
        self.path("identity.key")
    }

    fn keyring(&self) -> Keyring {
        Keyring::new(self.file(), Passphrase::default())
    }

    /// A keyring whose passphrase is in a file.
    fn with_passphrase(&self, passphrase: &str) -> Keyring {
        let file = self.path("passphrase");
        let _ = fs::remove_file(&file);
        file::write(&file, passphrase.as_bytes(), false).unwrap();
        Keyring::new(self.file(), Passphrase::from_file(Some(file)))
    }

    fn operators(&self) -> Vec<Operator> {
        self.inventory.snapshot().unwrap().operators
    }

    fn add(&self, keyring: &Keyring, name: &str) {
        let (identity, _locked) = keyring.open_to_seal(&self.inventory).unwrap();
        let secret = Sealed::seal(&identity, name, format!("//{name}").as_bytes()).unwrap();
        let operator = Operator { name: name.into(), account: AccountId([1; 32]), proxied: None, secret };
        self.inventory.apply(&[Change::AddOperator(operator)]).unwrap();
    }

    /// Which secrets open.
    fn opened(&self, keyring: &Keyring) -> Vec<String> {
        let identity = keyring.open(&self.operators()).unwrap();
        let secrets = self.operators().into_iter().map(|one| one.secret.open(&identity, &one.name));
        secrets.map(|secret| secret.map_or_else(|_| "-".to_owned(), |secret| secret.to_string())).collect()
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(self.folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

#[test]
fn an_identity_is_created_once_and_private() {
    let place = Place::new();
    let first = place.keyring().open(&[]).unwrap().derive("test");
    assert_eq!(place.keyring().open(&[]).unwrap().derive("test"), first);
    assert_ne!(place.keyring().open(&[]).unwrap().derive("other"), first);
}

#[test]
fn those_who_create_an_identity_at_once_agree_on_one() {
    let place = Place::new();
    let first = place.keyring().open(&[]).unwrap().fingerprint();
    let late = file::write(&place.file(), &[b'0'; 64], false).unwrap_err();
    assert_eq!(late.kind(), io::ErrorKind::AlreadyExists);
    assert_eq!(place.keyring().open(&[]).unwrap().fingerprint(), first);
}

#[test]
fn a_malformed_identity_is_not_replaced() {
    let place = Place::new();
    for text in ["short", "argon2id:1:1:1:00:00", "argon2id:99999999:1:1:00:00", "argon2id:"] {
        let keyring = place.with_passphrase("secret");
        file::write(&place.file(), text.as_bytes(), true).unwrap();
        assert!(matches!(keyring.open(&[]), Err(IdentityError::Malformed(_))), "{text}");
        assert_eq!(fs::read(place.file()).unwrap(), text.as_bytes());
    }
    assert_eq!(place.names(), ["identity.key", "inventory", "passphrase"], "no draft is left");
}

#[cfg(unix)]
#[test]
fn x21_what_others_can_read_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    let open_to_all = |path: &Path| fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
    place.add(&place.keyring(), "a");
    place.keyring().backup(&place.inventory, &place.path("copy")).unwrap();
    assert_eq!(fs::metadata(place.path("copy")).unwrap().permissions().mode() & 0o777, 0o600);
    for path in [place.file(), place.path("copy")] {
        open_to_all(&path);
    }
    let refused = place.keyring().open(&place.operators()).err().unwrap();
    assert!(matches!(refused, IdentityError::Open { mode: 0o644, .. }), "{refused}");
    let refused = place.keyring().restore(&place.inventory, &place.path("copy")).unwrap_err().to_string();
    assert!(refused.contains("copy") && refused.contains("chmod 600"), "{refused}");
    let keyring = place.with_passphrase("secret");
    open_to_all(&place.path("passphrase"));
    fs::remove_file(place.file()).unwrap();
    let refused = keyring.open(&[]).err().unwrap().to_string();
    assert!(refused.contains("passphrase") && refused.contains("chmod 600"), "{refused}");
}

/// Also v2_f050.
#[test]
fn x21_no_identity_is_made_beside_secrets_that_need_the_old_one() {
    let place = Place::new();
    place.add(&place.keyring(), "a");
    place.keyring().backup(&place.inventory, &place.path("copy")).unwrap();
    fs::remove_file(place.file()).unwrap();
    let refused = place.keyring().open(&place.operators()).err().unwrap();
    assert!(matches!(refused, IdentityError::Missing { secrets: 1, .. }), "{refused}");
    assert!(refused.to_string().contains("prb identity restore"), "{refused}");
    assert!(place.keyring().open_to_seal(&place.inventory).is_err());
    assert!(!place.file().exists(), "nothing is made");

    // Another identity is no better.
    file::write(&place.file(), &[b'1'; 64], false).unwrap();
    let refused = place.keyring().open(&place.operators()).err().unwrap();
    assert!(matches!(refused, IdentityError::Foreign { secrets: 1, .. }), "{refused}");

    let shown = place.keyring().restore(&place.inventory, &place.path("copy")).unwrap();
    assert_eq!((shown.opens, shown.unusable.len()), (1, 0));
    assert_eq!(place.opened(&place.keyring()), ["//a"]);
}

/// Also v2_f048.
#[test]
fn v2_f050_a_copy_that_is_put_back_opens_everything_and_no_other_one_replaces_it() {
    let (place, other) = (Place::new(), Place::new());
    for name in ["a", "b"] {
        place.add(&place.keyring(), name);
    }
    other.add(&other.keyring(), "c");
    other.keyring().backup(&other.inventory, &other.path("copy")).unwrap();
    let refused = place.keyring().restore(&place.inventory, &other.path("copy")).unwrap_err().to_string();
    assert!(refused.contains("opens none of the 2"), "{refused}");
    place.keyring().backup(&place.inventory, &place.path("copy")).unwrap();
    assert!(
        place.keyring().backup(&place.inventory, &place.path("copy")).is_err(),
        "no file is written over"
    );
    fs::write(place.file(), "torn").unwrap();
    place.keyring().restore(&place.inventory, &place.path("copy")).unwrap();
    assert_eq!(place.opened(&place.keyring()), ["//a", "//b"]);
}

#[test]
fn x21_a_passphrase_is_asked_for_and_a_wrong_one_opens_nothing() {
    let place = Place::new();
    place.add(&place.keyring(), "a");
    let plain = fs::read_to_string(place.file()).unwrap();
    let new = place.path("new");
    file::write(&new, b"correct horse\n", false).unwrap();
    let shown = place.keyring().change_passphrase(&place.inventory, true, Some(&new)).unwrap();
    assert!(shown.protected);
    assert!(
        !fs::read_to_string(place.file()).unwrap().contains(plain.trim()),
        "the key is in the file no more"
    );

    let locked = place.keyring().open(&place.operators()).err().unwrap();
    assert!(matches!(locked, IdentityError::Locked(_)) && locked.to_string().contains("--passphrase-file"));
    let wrong = place.with_passphrase("wrong horse").open(&place.operators()).err().unwrap();
    assert!(matches!(wrong, IdentityError::WrongPassphrase(_)), "{wrong}");
    assert!(!wrong.to_string().contains("horse"));
    let keyring = place.with_passphrase("correct horse");
    assert_eq!(place.opened(&keyring), ["//a"]);
    assert_eq!(place.opened(&keyring), ["//a"], "the file is read once");

    // What is made from it stays protected.
    keyring.rotate(&place.inventory, false).unwrap();
    assert!(fs::read_to_string(place.file()).unwrap().starts_with("argon2id:"));
    assert_eq!(place.opened(&place.with_passphrase("correct horse")), ["//a"]);
    let keyring = place.with_passphrase("correct horse");
    assert!(!keyring.change_passphrase(&place.inventory, false, None).unwrap().protected);
    assert_eq!(place.opened(&place.keyring()), ["//a"]);
}

#[test]
fn v2_f048_a_rotation_seals_every_secret_anew_and_leaves_nothing_behind() {
    let place = Place::new();
    for name in ["a", "b"] {
        place.add(&place.keyring(), name);
    }
    place.keyring().backup(&place.inventory, &place.path("copy")).unwrap();
    let rotated = place.keyring().rotate(&place.inventory, false).unwrap();
    assert_eq!((rotated.sealed, rotated.lost.len()), (2, 0));
    assert_eq!(place.opened(&place.keyring()), ["//a", "//b"]);
    assert_eq!(place.keyring().show(&place.operators()).unwrap().fingerprint, rotated.fingerprint);
    assert_eq!(place.names(), ["copy", "identity.key", "identity.lock", "inventory"]);
    let old = place.keyring().restore(&place.inventory, &place.path("copy")).unwrap_err().to_string();
    assert!(old.contains("opens none of the 2"), "{old}");
}

#[test]
fn a_rotation_that_is_cut_off_anywhere_loses_no_secret() {
    let place = Place::new();
    place.add(&place.keyring(), "a");
    let (before, old) = (fs::read(place.file()).unwrap(), place.keyring().open(&place.operators()).unwrap());
    let next = place.path("identity.next");

    // Before the secrets are sealed: the next identity is of no use.
    file::write(&next, &[b'2'; 64], false).unwrap();
    assert_eq!(place.keyring().open(&place.operators()).unwrap().fingerprint(), old.fingerprint());
    place.add(&place.keyring(), "b");
    assert!(!next.exists(), "it is cleared away by whoever seals something");
    assert_eq!(place.opened(&place.keyring()), ["//a", "//b"]);

    // After it: as if the last step had not been done.
    place.keyring().rotate(&place.inventory, false).unwrap();
    fs::rename(place.file(), &next).unwrap();
    file::write(&place.file(), &before, false).unwrap();
    assert_eq!(place.opened(&place.keyring()), ["//a", "//b"]);
    place.add(&place.keyring(), "c");
    assert!(!next.exists(), "it is put into its place by whoever seals something");
    assert_eq!(place.opened(&place.keyring()), ["//a", "//b", "//c"]);
}

#[test]
fn x21_what_a_lost_identity_sealed_can_be_given_up_on_purpose_only() {
    let place = Place::new();
    for name in ["a", "b"] {
        place.add(&place.keyring(), name);
    }
    fs::remove_file(place.file()).unwrap();
    assert!(place.keyring().rotate(&place.inventory, false).is_err());
    let rotated = place.keyring().rotate(&place.inventory, true).unwrap();
    assert_eq!((rotated.sealed, rotated.lost), (0, vec!["a".to_owned(), "b".to_owned()]));
    assert_eq!(place.opened(&place.keyring()), ["-", "-"]);
    place.add(&place.keyring(), "c");
    assert_eq!(place.opened(&place.keyring()), ["-", "-", "//c"]);
}

#[test]
fn where_nothing_is_sealed_there_is_nothing_to_back_up() {
    let place = Place::new();
    let refused = place.keyring().backup(&place.inventory, &place.path("copy")).unwrap_err().to_string();
    assert!(refused.contains("prb operator add"), "{refused}");
    assert!(!place.file().exists());
}

#[test]
fn v2_f050_without_links_no_file_is_written_over_either() {
    let place = Place::new();
    let (draft, path) = (place.path("draft"), place.path("copy"));
    fs::write(&draft, "new").unwrap();
    file::place_without_links(&draft, &path).unwrap();
    assert_eq!((fs::read_to_string(&path).unwrap().as_str(), draft.exists()), ("new", false));
    fs::write(&draft, "another").unwrap();
    let refused = file::place_without_links(&draft, &path).unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
    assert_eq!(fs::read_to_string(&path).unwrap(), "new");
}

#[test]
fn x21_a_keyring_that_never_asks_follows_another_passphrase_in_its_file() {
    let place = Place::new();
    place.add(&place.keyring(), "a");
    let new = place.path("new");
    file::write(&new, b"first", false).unwrap();
    place.keyring().change_passphrase(&place.inventory, true, Some(&new)).unwrap();
    let (mut named, mut unnamed) = (place.with_passphrase("first"), place.keyring());
    named.never_ask();
    unnamed.never_ask();
    assert_eq!(place.opened(&named), ["//a"]);
    let locked = unnamed.open(&place.operators()).err().unwrap();
    assert!(matches!(locked, IdentityError::Locked(_)), "{locked}");

    file::write(&new, b"second", true).unwrap();
    named.change_passphrase(&place.inventory, true, Some(&new)).unwrap();
    let wrong = named.open(&place.operators()).err().unwrap();
    assert!(matches!(wrong, IdentityError::WrongPassphrase(_)), "{wrong}");
    place.with_passphrase("second").rotate(&place.inventory, false).unwrap();
    assert_eq!(place.opened(&named), ["//a"]);
}

#[test]
fn a_rotation_that_is_refused_leaves_no_other_identity_behind() {
    let place = Place::new();
    place.add(&place.keyring(), "a");
    let secret = Sealed::seal(&Identity::generate().unwrap(), "b", b"//b").unwrap();
    let operator = Operator { name: "b".into(), account: AccountId([2; 32]), proxied: None, secret };
    place.inventory.apply(&[Change::AddOperator(operator)]).unwrap();
    let refused = place.keyring().rotate(&place.inventory, false).unwrap_err();
    assert!(matches!(refused, KeyringError::Secret(_)), "{refused}");
    assert!(!place.path("identity.next").exists());
}
