//! Identity and sealed key of the fixture were made with OpenSSL from the public key of `//Alice`.

use super::*;
use crate::identity::{Keyring, Passphrase};
use crate::inventory::{Affected, Inventory};
use crate::migrate::{Taken, from_v2};
use rusqlite::params;
use std::path::PathBuf;
use tempfile::TempDir;

const ALICE: &str = "0xd43593c715fdd31c61141abd04a99fd6822c8558854ccde39a5684e7a56da27d";
const BOB: &str = "5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty";

/// A v2 with two pools of one key, one of them as a proxy, and three workers; and a data directory.
struct Place {
    folder: TempDir,
    inventory: Inventory,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(
            folder.path().join("LIFECYCLE"),
            hex::decode(include_str!("fixture/identity.hex").trim()).unwrap(),
        )
        .unwrap();
        let inventory = Inventory::open(&folder.path().join("inventory")).unwrap();
        let place = Self { folder, inventory };
        let database = place.database();
        database
            .execute_batch(
                "CREATE TABLE pools (id UUID PRIMARY KEY, pid INTEGER NOT NULL UNIQUE, name VARCHAR(255) NOT NULL UNIQUE,
                     proxiedAccountSs58 VARCHAR(255), encryptedOperator BLOB NOT NULL, enabled TINYINT(1) DEFAULT 1,
                     syncOnly TINYINT(1) DEFAULT 0, createdAt DATETIME NOT NULL, updatedAt DATETIME NOT NULL);
                 CREATE TABLE workers (id UUID PRIMARY KEY, name VARCHAR(255) NOT NULL UNIQUE, endpoint VARCHAR(255) NOT NULL,
                     stake VARCHAR(255) NOT NULL, enabled TINYINT(1) DEFAULT 1, syncOnly TINYINT(1) DEFAULT 0,
                     createdAt DATETIME NOT NULL, updatedAt DATETIME NOT NULL,
                     poolId UUID REFERENCES pools (id) ON DELETE SET NULL ON UPDATE CASCADE);",
            )
            .unwrap();
        let sealed = hex::decode(include_str!("fixture/operator.hex").trim()).unwrap();
        for (id, pid, name, proxied, enabled) in
            [("a", 1, "north", None, true), ("b", 2, "south", Some(BOB), false)]
        {
            let values = params![id, pid, name, proxied, sealed, enabled];
            database.execute("INSERT INTO pools VALUES (?, ?, ?, ?, ?, ?, 0, 'x', 'x')", values).unwrap();
        }
        for (name, stake, sync_only, pool) in
            [("w1", "1500000000000000", false, "a"), ("w2", "1", true, "a"), ("w3", "2", false, "b")]
        {
            let values =
                params![format!("id-{name}"), name, format!("http://{name}:8000"), stake, sync_only, pool];
            database.execute("INSERT INTO workers VALUES (?, ?, ?, ?, 1, ?, 'x', 'x', ?)", values).unwrap();
        }
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn database(&self) -> Connection {
        Connection::open(self.path("local.db")).unwrap()
    }

    fn keyring(&self) -> Keyring {
        Keyring::new(self.path("identity.key"), Passphrase::default())
    }

    fn migrate(&self, dry_run: bool) -> Result<Taken, String> {
        let files = (self.path("LIFECYCLE"), self.path("local.db"));
        let taken = from_v2(&self.inventory, &self.keyring(), &files.0, &files.1, dry_run);
        taken.map_err(|error| error.to_string())
    }
}

/// Also v2_f045, v2_f046, v2_f047, v2_f048, v3_f45.
#[test]
fn v3_f54_pools_workers_and_keys_of_v2_are_taken_over_as_they_are() {
    let place = Place::new();
    let texts = |taken: &Taken| taken.affected.iter().map(Affected::text).collect::<Vec<_>>();
    let shown = place.migrate(true).unwrap();
    assert_eq!(place.inventory.revision().unwrap(), 0);
    assert!(!place.path("identity.key").exists(), "a dry run makes nothing");
    let taken = place.migrate(false).unwrap();
    assert_eq!(texts(&taken), texts(&shown));
    assert_eq!(taken.affected.len(), 9, "{:?}", texts(&taken));

    let snapshot = place.inventory.snapshot().unwrap();
    let identity = place.keyring().open(&snapshot.operators).unwrap();
    let (north, south) = (snapshot.pool(1).unwrap(), snapshot.pool(2).unwrap());
    assert_eq!(
        (north.name.as_str(), north.enabled, south.name.as_str(), south.enabled),
        ("north", true, "south", false)
    );
    for (pool, proxied) in [(north, None), (south, Some(BOB))] {
        let operator = snapshot.operator(pool.operator.as_ref().unwrap()).unwrap();
        let signer = operator.secret.signer(&identity, &operator.name).unwrap();
        assert_eq!((signer.account().to_string(), operator.account), (ALICE.to_owned(), signer.account()));
        assert_eq!(operator.proxied, proxied.map(|address| crate::account::parse(address).unwrap()));
    }
    let workers: Vec<_> =
        snapshot.workers.iter().map(|w| (w.name.as_str(), w.pool, w.stake, w.sync_only)).collect();
    assert_eq!(workers, [("w1", 1, 1_500_000_000_000_000, false), ("w2", 1, 1, true), ("w3", 2, 2, false)]);

    let again = place.migrate(false).unwrap_err();
    assert!(again.contains("there is pool 1 already"), "{again}");
}

#[test]
fn what_cannot_be_taken_over_is_named_and_nothing_is_done() {
    let sql = |place: &Place, change: &str| assert_eq!(place.database().execute(change, []).unwrap(), 1);
    let orphan = |place: &Place| sql(place, "UPDATE workers SET poolId = NULL WHERE name = 'w2'");
    let twins =
        |place: &Place| sql(place, "UPDATE workers SET endpoint = 'http://w1:8000/' WHERE name = 'w2'");
    let damaged = |place: &Place| sql(place, "UPDATE pools SET encryptedOperator = x'0a00' WHERE pid = 2");
    let no_identity = |place: &Place| fs::write(place.path("LIFECYCLE"), "0x00").unwrap();
    let no_database = |place: &Place| fs::write(place.path("local.db"), "no database").unwrap();
    let gone = |place: &Place| fs::remove_file(place.path("local.db")).unwrap();
    type Case<'a> = (&'a dyn Fn(&Place), &'a [&'a str]);
    let cases: [Case<'_>; 6] = [
        (&orphan, &["worker w2 is in no pool"]),
        (&twins, &["endpoint of worker w1 already"]),
        (&damaged, &["pool 2 (south)", "does not open with this identity"]),
        (&no_identity, &["no identity of PRB v2", "LIFECYCLE"]),
        (&no_database, &["no database", "PHALA_LOCAL_DB_PATH"]),
        (&gone, &["local.db"]),
    ];
    for (spoil, words) in cases {
        let place = Place::new();
        spoil(&place);
        let refused = place.migrate(false).unwrap_err();
        assert!(words.iter().all(|word| refused.contains(word)), "{refused}");
        assert_eq!(place.inventory.revision().unwrap(), 0);
    }
}

#[test]
fn a_database_of_an_early_v2_has_fewer_columns() {
    let place = Place::new();
    let drop_columns = "ALTER TABLE pools DROP COLUMN syncOnly; ALTER TABLE pools DROP COLUMN proxiedAccountSs58; ALTER TABLE workers DROP COLUMN syncOnly;";
    place.database().execute_batch(drop_columns).unwrap();
    place.migrate(false).unwrap();
    let snapshot = place.inventory.snapshot().unwrap();
    assert!(snapshot.workers.iter().all(|worker| !worker.sync_only));
    assert_eq!(snapshot.operators.len(), 1, "both pools have one key");
}
