//! Operators, pools and workers from the command line.

use crate::place::Place;
use serde_json::{Value, json};
use sp_core::{Pair, sr25519};

const ALICE: &str = "0xd43593c715fdd31c61141abd04a99fd6822c8558854ccde39a5684e7a56da27d";
const BOB: &str = "0x8eaf04151687736326c9fea17e25fc5287613693c912909cb226aa4794f26a48";
const BOB_SS58: &str = "5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty";

/// A phrase of the BIP-39 test vectors.
const PHRASE: &str = "legal winner thank year wave sausage worth useful legal winner thank yellow";
const SEED: &str = "7d2f3c1b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f01f";

pub fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// Without the ids of records, which differ from run to run.
pub fn without_ids(text: &str) -> Value {
    let mut value = parsed(text);
    for row in value.as_array_mut().unwrap() {
        row.as_object_mut().unwrap().remove("id").unwrap();
    }
    value
}

#[tokio::test]
async fn operators_pools_and_workers_are_added_listed_and_removed() {
    let place = Place::new();
    let added = place.prb_with(&["operator", "add", "main"], "//Alice\n").await;
    assert_eq!(added.stdout, format!("operator main signs as {ALICE}\n"));
    let proxy = ["operator", "add", "proxy", "--proxied", BOB_SS58];
    let added = place.prb_with(&proxy, "//Charlie").await;
    assert_eq!(added.code, Some(0), "{added:?}");
    assert!(added.stdout.ends_with(&format!("on behalf of {BOB}\n")), "{}", added.stdout);
    assert_eq!(place.ok(&["pool", "add", "42", "--operator", "main"]).await, "pool 42 added\n");
    place.ok(&["pool", "add", "7", "--operator", "proxy", "--sync-only"]).await;
    let worker = |name: &'static str| {
        ["worker", "add", name, "--endpoint", "http://10.0.0.17:8000", "--pool", "42", "--stake", "1500.25"]
    };
    let added = place.ok(&worker("rack1-07")).await;
    assert_eq!(added, "worker rack1-07 added with a stake of 1500.25 PHA\n");

    let operators = parsed(&place.ok(&["operator", "list", "--json"]).await);
    assert_eq!(operators[0], json!({ "name": "main", "account": ALICE, "proxied": null }));
    assert_eq!((&operators[1]["name"], &operators[1]["proxied"]), (&json!("proxy"), &json!(BOB)));
    let pools = without_ids(&place.ok(&["pool", "list", "--json"]).await);
    let expected = json!([
        { "pid": 7, "name": "", "operator": "proxy", "enabled": true, "sync_only": true },
        { "pid": 42, "name": "", "operator": "main", "enabled": true, "sync_only": false },
    ]);
    assert_eq!(pools, expected);
    let workers = without_ids(&place.ok(&["worker", "list", "--json"]).await);
    let expected = json!([{
        "name": "rack1-07",
        "endpoint": "http://10.0.0.17:8000",
        "pool": 42,
        "stake": "1500250000000000",
        "enabled": true,
        "sync_only": false,
        "gatekeeper": false,
    }]);
    assert_eq!(workers, expected);
    let text = place.ok(&["operator", "list"]).await;
    assert_eq!(text.lines().next().unwrap(), format!("main  {ALICE}"));
    assert_eq!(place.ok(&["pool", "list"]).await, "7  operator proxy  sync only\n42  operator main\n");
    assert_eq!(
        place.ok(&["worker", "list"]).await,
        "rack1-07  http://10.0.0.17:8000  pool 42  1500.25 PHA\n"
    );

    for (arguments, told) in [
        (
            ["worker", "remove", "rack1-07"],
            "worker rack1-07 at http://10.0.0.17:8000 removed; what it does on chain is not touched"
                .to_owned(),
        ),
        (["pool", "remove", "42"], "pool 42 removed".to_owned()),
        (["operator", "remove", "main"], format!("operator main removed, which signed as {ALICE}")),
    ] {
        assert_eq!(place.ok(&arguments).await, told + "\n");
    }
    assert_eq!(parsed(&place.ok(&["worker", "list", "--json"]).await), json!([]));
    assert_eq!(parsed(&place.ok(&["pool", "list", "--json"]).await).as_array().unwrap().len(), 1);
    assert_eq!(parsed(&place.ok(&["operator", "list", "--json"]).await)[0]["name"], "proxy");
}

#[tokio::test]
async fn what_was_done_is_told_to_programs_too() {
    let place = Place::new();
    let added = place.prb_with(&["operator", "add", "main", "--json"], "//Alice\n").await;
    let operator = json!({ "name": "main", "account": ALICE, "proxied": null });
    assert_eq!(parsed(&added.stdout), json!({ "added": operator }), "{added:?}");
    let add = ["pool", "add", "42", "--operator", "main", "--json"];
    let pool = parsed(&place.ok(&add).await)["added"].clone();
    let expected = json!({ "id": pool["id"], "pid": 42, "name": "", "operator": "main", "enabled": true, "sync_only": false });
    assert_eq!(pool, expected);
    let endpoint = "http://10.0.0.17:8000";
    let add = ["worker", "add", "w", "--endpoint", endpoint, "--pool", "42", "--sync-only"];
    assert_eq!(place.ok(&add).await, "worker w added to be kept in step\n");
    let shown = parsed(&place.ok(&["worker", "list", "--json"]).await)[0].clone();
    let worker = json!({
        "id": shown["id"], "name": "w", "endpoint": endpoint, "pool": 42, "stake": "0", "enabled": true,
        "sync_only": true, "gatekeeper": false,
    });
    assert_eq!(shown, worker);
    for (arguments, row) in [
        (["worker", "remove", "w", "--json"], worker),
        (["pool", "remove", "42", "--json"], pool),
        (["operator", "remove", "main", "--json"], operator),
    ] {
        assert_eq!(parsed(&place.ok(&arguments).await), json!({ "removed": row }));
    }
}

#[tokio::test]
async fn a_command_waits_for_another_one_that_writes() {
    let place = Place::new();
    place.add_alice().await;
    let names: Vec<String> = (0..8).map(|index| format!("w{index}")).collect();
    let endpoints: Vec<String> = (0..8).map(|index| format!("http://127.0.0.1:{}", 8000 + index)).collect();
    let added = names.iter().zip(&endpoints).map(|(name, endpoint)| place.add_worker(name, endpoint));
    futures::future::join_all(added).await;
    let workers = parsed(&place.ok(&["worker", "list", "--json"]).await);
    let listed: Vec<&str> =
        workers.as_array().unwrap().iter().map(|worker| worker["name"].as_str().unwrap()).collect();
    assert_eq!(listed, names);
}

#[tokio::test]
async fn secrets_are_in_no_output_no_log_and_no_file() {
    let place = Place::new();
    let with_seed = format!("0x{SEED}");
    let hard = format!("{PHRASE}//hard///pass-word-77");
    let mut said = Vec::new();
    for (name, secret) in [("phrase", PHRASE), ("seed", &with_seed), ("derived", &hard)] {
        let done = place.prb_with(&["operator", "add", name], &format!("{secret}\n")).await;
        assert_eq!(done.code, Some(0), "{done:?}");
        said.extend([done.stdout, done.stderr]);
        // Once more, to be refused.
        let again = place.prb_with(&["operator", "add", name], &format!("{secret}\n")).await;
        assert_eq!(again.code, Some(1), "{again:?}");
        said.extend([again.stdout, again.stderr]);
        let pid = (said.len() / 4).to_string();
        said.push(place.ok(&["pool", "add", &pid, "--operator", name]).await);
    }
    let bad = place.prb_with(&["operator", "add", "bad"], &format!("{PHRASE} moose\n")).await;
    assert_eq!(bad.code, Some(1), "{bad:?}");
    said.extend([bad.stdout, bad.stderr]);
    said.push(
        place
            .ok(&["worker", "add", "w", "--endpoint", "http://127.0.0.1:9", "--pool", "1", "--stake", "1"])
            .await,
    );
    for list in [["operator", "list", "--json"], ["pool", "list", "--json"], ["worker", "list", "--json"]] {
        said.push(place.ok(&list).await);
        said.push(place.ok(&list[..2]).await);
    }
    said.push(place.ok(&["check", "--offline"]).await);
    let mut running = place.run("trace");
    crate::world::until("it takes the worker on", async || running.logged(&["worker taken on"])).await;
    assert!(running.runs());
    said.extend(running.end("-TERM").await.1);

    // The seed behind the phrase is as good as the phrase.
    let (_, behind) = sr25519::Pair::from_phrase(PHRASE, None).unwrap();
    let (behind_text, raw) = (hex::encode(behind), hex::decode(SEED).unwrap());
    let texts = [PHRASE, "winner thank", "moose", SEED, &behind_text, "pass-word-77"];
    for text in texts {
        for output in &said {
            assert!(!output.contains(text), "{output}");
        }
    }
    let files = place.files();
    assert!(files.len() > 4, "{:?}", files.iter().map(|(path, _)| path).collect::<Vec<_>>());
    for (path, content) in files {
        let holds = |secret: &[u8]| content.windows(secret.len()).any(|window| window == secret);
        assert!(!texts.iter().any(|text| holds(text.as_bytes())), "{}", path.display());
        assert!(!holds(&raw) && !holds(&behind), "{}", path.display());
    }
}

#[tokio::test]
async fn workers_are_found_by_their_tags() {
    let place = Place::new();
    place.add_alice().await;
    let add = |name: &'static str, endpoint: &'static str| {
        vec!["worker", "add", name, "--endpoint", endpoint, "--pool", "1", "--stake", "5", "--tag", "rack-1"]
    };
    place.ok(&[add("w1", "http://10.0.0.1:8000"), vec!["--tag", "gpu"]].concat()).await;
    place.ok(&add("w2", "http://10.0.0.2:8000")).await;
    let listed = async |tags: &[&str]| -> Vec<String> {
        let options = tags.iter().flat_map(|&tag| ["--tag", tag]);
        let text = place.ok(&["worker", "list"].into_iter().chain(options).collect::<Vec<_>>()).await;
        text.lines().map(|line| line.split(' ').next().unwrap().to_owned()).collect()
    };
    assert_eq!(listed(&[]).await, ["w1", "w2"]);
    assert_eq!(listed(&["rack-1"]).await, ["w1", "w2"]);
    assert_eq!(listed(&["rack-1", "gpu"]).await, ["w1"]);
    assert_eq!(listed(&["none"]).await, [""; 0]);
    assert!(place.ok(&["worker", "list"]).await.contains("[gpu;rack-1]"));
    let changed = place.ok(&["worker", "set", "w1", "--tag", "spare"]).await;
    assert_eq!(changed, "worker w1 changed: tags gpu;rack-1 -> spare\n");
    let changed = place.ok(&["worker", "set", "w1", "--no-tags"]).await;
    assert_eq!(changed, "worker w1 changed: tags spare -> none\n");
    let refused = place.prb(&["worker", "set", "w1", "--tag", "a b"]).await;
    assert!(refused.code == Some(1) && refused.stderr.contains("letters, digits"), "{refused:?}");
    std::fs::write(place.path("workers.csv"), "name,endpoint,pool,tags\nw2,http://10.0.0.2:8000,1,a;b\n")
        .unwrap();
    let changed = place.ok(&["inventory", "import", "workers.csv"]).await;
    assert!(changed.contains("tags rack-1 -> a;b"), "{changed}");
}
