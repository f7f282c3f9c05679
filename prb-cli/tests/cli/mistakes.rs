//! What operators get wrong: one line that says why, and an exit code.

use crate::place::{Done, Place};
use crate::world::until;
use std::fs;

/// One line from `prb` on standard error that holds all of `words`, nothing on standard output, exit code 1.
pub fn one_line(done: &Done, words: &[&str]) {
    assert_eq!(done.code, Some(1), "{done:?}");
    assert_eq!(done.stdout, "", "{done:?}");
    assert_eq!(done.stderr.lines().count(), 1, "{done:?}");
    assert!(done.stderr.starts_with("prb: "), "{done:?}");
    for word in words {
        assert!(done.stderr.contains(word), "{word} in {done:?}");
    }
}

const NODES: &str = "[chain]\nrelay = \"ws://127.0.0.1:9\"\npara = \"ws://127.0.0.1:9\"\n";

#[tokio::test]
async fn a_configuration_that_cannot_be_used_is_refused_by_every_command() {
    let place = Place::new();
    let cases: &[(String, &[&str])] = &[
        (format!("data_dri = \"x\"\n{NODES}"), &["prb.toml", "line 1", "unknown field `data_dri`"]),
        (format!("{NODES}[feed]\nrequest_mib = \"4\"\n"), &["prb.toml", "line 5", "invalid type"]),
        ("[chain]\nrelay = \"ws://x\"\n".into(), &["chain.para", "1 to 16", "chain.mirror"]),
        ("[chain\n".into(), &["prb.toml", "line 1"]),
        (NODES.replacen("ws:", "http:", 1), &["chain.relay", "WebSocket", "chain.mirror", "providers.urls"]),
        ("[chain]\npara = \"ws://x\"\n".into(), &["chain.relay", "1 to 16", "chain.mirror", "[providers]"]),
        ("[chain]\nrelay = \"ws://x\"\n[providers]\n".into(), &["chain.para", "chain state", "transactions"]),
        (declared("http://h:8000", "5"), &["inventory.workers.endpoint", "worker one already"]),
        (declared("http://other:8000", "0"), &["inventory.workers.stake", "stake of 0", "PHA"]),
        (format!("{NODES}[transactions]\nmortality = 33\n"), &["transactions.mortality", "power of two"]),
        (format!("{NODES}[transactions]\ntip = \"much\"\n"), &["transactions.tip", "much"]),
        (format!("{NODES}start = {{ number = 1, hash = \"0x12\" }}\n"), &["chain.start.hash"]),
    ];
    for (text, words) in cases {
        place.configure(text);
        for command in [&["check"][..], &["run"], &["worker", "list"]] {
            one_line(&place.prb(command).await, words);
        }
    }
    assert!(!place.path("data").exists(), "nothing was made");
}

/// Two workers that are declared, the second one like this.
fn declared(endpoint: &str, stake: &str) -> String {
    let worker = |name, endpoint, stake| {
        format!(
            "[[inventory.workers]]\nname = \"{name}\"\nendpoint = \"{endpoint}\"\npool = 1\nstake = \"{stake}\"\n"
        )
    };
    format!("{NODES}{}{}", worker("one", "http://h:8000", "5"), worker("two", endpoint, stake))
}

#[tokio::test]
async fn a_configuration_that_is_not_there_is_named_with_what_the_command_takes_instead() {
    let place = Place::new();
    one_line(&place.prb(&["--config", "other.toml", "check"]).await, &["other.toml", "No such file"]);
    one_line(&place.prb(&["-c", ".", "run"]).await, &["configuration ."]);
    fs::remove_file(place.path("prb.toml")).unwrap();
    let takes = ["--relay", "--para", "--mirror", "--data-dir", "[providers]"];
    let cases: &[(&[&str], &[&str])] = &[
        (&["run"], &[]),
        (&["worker", "list"], &[]),
        (&["check"], &[]),
        (&["lifecycle"], &["[providers]"]),
        (&["data-provider"], &["--relay", "--para", "--mirror"]),
        (&["data-provider", "--relay", "ws://127.0.0.1:9"], &["--relay", "--para", "--mirror"]),
        (&["store", "stat"], &["--data-dir"]),
    ];
    for (command, hints) in cases {
        let done = place.prb(command).await;
        one_line(&done, &["prb.toml", "No such file", "--config"]);
        for hint in takes {
            assert_eq!(done.stderr.contains(hint), hints.contains(&hint), "{hint} in {done:?}");
        }
    }
    // The file is there, and lacks what only this command can be told otherwise.
    place.configure("[chain]\npara = \"ws://127.0.0.1:9\"\n");
    one_line(&place.prb(&["data-provider"]).await, &["chain.relay", "--relay", "--mirror"]);
    one_line(&place.prb(&["store", "stat"]).await, &["holds no store yet"]);
}

#[tokio::test]
async fn with_providers_no_relay_chain_node_is_needed() {
    let place = Place::new();
    let para = "data_dir = \"data\"\n[chain]\npara = \"ws://127.0.0.1:9\"\n";
    place.configure(&format!("{para}[providers]\nurls = [\"http://127.0.0.1:9\"]\n"));
    let running = place.run("info");
    until("it runs", async || running.logged(&["running"])).await;
    assert_eq!(running.end("-TERM").await.0, Some(0));
    place.configure(para);
    let running = place.start(&["lifecycle", "--provider", "http://127.0.0.1:9"], "info");
    until("it runs", async || running.logged(&["running"])).await;
    assert_eq!(running.end("-TERM").await.0, Some(0));
}

#[tokio::test]
async fn a_secret_in_the_configuration_is_refused_and_not_repeated() {
    let place = Place::new();
    let phrase = "legal winner thank year wave sausage worth useful legal winner thank yellow";
    let cases = [
        format!("{NODES}[[inventory.operators]]\nname = \"a\"\ndevelopment_uri = \"{phrase}\"\n"),
        format!("{NODES}[[inventory.operators]]\nname = \"a\"\nmnemonic = \"{phrase}\"\n"),
        format!("secret = \"{phrase}\"\n{NODES}"),
    ];
    for text in cases {
        place.configure(&text);
        let done = place.prb(&["run"]).await;
        one_line(&done, &[]);
        assert!(!done.stderr.contains("winner"), "{done:?}");
    }
}

#[tokio::test]
async fn what_does_not_fit_the_inventory_is_refused_with_the_reason() {
    let place = Place::new();
    place.add_alice().await;
    place.add_worker("w1", "http://127.0.0.1:8000").await;
    let add = |name, endpoint, pool, stake| {
        ["worker", "add", name, "--endpoint", endpoint, "--pool", pool, "--stake", stake]
    };
    let cases: &[(&[&str], &str, &[&str])] = &[
        (&add("w2", "ftp://10.0.0.1", "1", "5"), "", &["scheme \"ftp\"", "http://host:port"]),
        (&add("w2", "10.0.0.1:8000", "1", "5"), "", &["10.0.0.1:8000"]),
        (&add("w2", "http://", "1", "5"), "", &["http://"]),
        (&add("w2", "http://h:8000", "9", "5"), "", &["there is no pool 9", "prb pool list"]),
        (&add("w2", "http://h:8000", "1", "five"), "", &["\"five\" is not an amount", "planck"]),
        (&add("w1", "http://h:8000", "1", "5"), "", &["there is worker w1 already"]),
        (&add("w2", "http://127.0.0.1:8000/", "1", "5"), "", &["endpoint of worker w1 already", "its own"]),
        (&add("w2", "http://h:8000", "1", "0"), "", &["stake of 0", "PHA", "planck", "--sync-only"]),
        (
            &["worker", "add", "w2", "--endpoint", "http://h:8000", "--pool", "1"],
            "",
            &["stake of 0", "PHA", "planck", "--sync-only"],
        ),
        (
            &add("w2", "http://h:8000", "1", "1500000000000000"),
            "",
            &["looks like planck", "`1500000000000000planck`", "in PHA"],
        ),
        (
            &[
                "worker",
                "add",
                "w2",
                "--endpoint",
                "http://h:8000",
                "--pool",
                "1",
                "--sync-only",
                "--gatekeeper",
            ],
            "",
            &["sync-only and a gatekeeper at once", "choose"],
        ),
        (
            &["worker", "set", "w1", "--sync-only", "--gatekeeper"],
            "",
            &["sync-only and a gatekeeper at once"],
        ),
        (&add("", "http://h:8000", "1", "5"), "", &["name"]),
        (&["pool", "add", "2", "--operator", "bob"], "", &["there is no operator bob"]),
        (&["pool", "add", "1", "--operator", "alice"], "", &["there is pool 1 already"]),
        (&["pool", "remove", "1"], "", &["pool 1 is used by worker w1"]),
        (&["pool", "remove", "5"], "", &["there is no pool 5"]),
        (&["operator", "remove", "alice"], "", &["operator alice is used by pool 1"]),
        (&["operator", "remove", "bob"], "", &["there is no operator bob", "prb operator list"]),
        (&["operator", "add", "alice"], "//Alice\n", &["there is operator alice already"]),
        (&["operator", "add", "bob"], "", &["key is neither a mnemonic"]),
        (&["operator", "add", "bob"], "no such phrase\n", &["key is neither a mnemonic"]),
        (&["operator", "add", "bob", "--proxied", "5Grw"], "//Bob\n", &["\"5Grw\" is no account"]),
        (&["worker", "remove", "w9"], "", &["there is no worker w9", "prb worker list"]),
    ];
    for (arguments, stdin, words) in cases {
        one_line(&place.prb_with(arguments, stdin).await, words);
    }
    assert_eq!(place.ok(&["worker", "list"]).await.lines().count(), 1);
    assert_eq!(place.ok(&["operator", "list"]).await.lines().count(), 1);
}

#[tokio::test]
async fn words_that_are_no_command_are_answered_with_the_usage() {
    let place = Place::new();
    for arguments in
        [&["rum"][..], &["worker"], &["worker", "add", "w1"], &["pool", "add", "x", "--operator", "a"]]
    {
        let done = place.prb(arguments).await;
        assert_eq!(done.code, Some(2), "{done:?}");
        assert!(done.stderr.contains("--help") && done.stdout.is_empty(), "{done:?}");
    }
}

#[tokio::test]
async fn the_help_of_each_group_teaches_by_example() {
    let place = Place::new();
    for (group, words) in [
        ("operator", "prb operator add main"),
        ("pool", "prb pool add 42 --operator main"),
        ("worker", "10^-12 PHA (`1500000000000000planck`)"),
        ("inventory", "name,endpoint,pool,stake"),
        ("identity", "prb identity backup"),
        ("tx", "prb tx list"),
        ("migrate", "prb migrate v3 http://"),
        ("config", "1500 PHA are 1500000000000000"),
        // Operators look for it.
        ("key", "prb identity backup"),
    ] {
        let help = place.ok(&[group, "--help"]).await;
        assert!(help.contains("Examples:") && help.contains(words), "{group}: {help}");
    }
    assert!(place.ok(&["--help"]).await.contains("[alias: key]"));
}

#[cfg(unix)]
#[tokio::test]
async fn a_data_directory_that_cannot_be_used_is_named() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    fs::write(place.path("data"), "in the way").unwrap();
    one_line(&place.prb(&["run"]).await, &["data"]);
    one_line(&place.prb(&["worker", "list"]).await, &["data"]);
    fs::remove_file(place.path("data")).unwrap();

    place.add_alice().await;
    let identity = place.path("data/identity.key");
    assert_eq!(fs::metadata(&identity).unwrap().permissions().mode() & 0o777, 0o600);
    fs::set_permissions(&identity, fs::Permissions::from_mode(0o644)).unwrap();
    one_line(&place.prb(&["run"]).await, &["identity.key", "chmod 600"]);
    fs::set_permissions(&identity, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&identity, "short").unwrap();
    one_line(&place.prb(&["run"]).await, &["identity.key", "64 hex digits"]);
}

/// Every command that needs the data directory, in all the ways in which it may be no such thing.
#[cfg(unix)]
#[tokio::test]
async fn a_data_directory_that_is_none_is_told_by_every_command_with_the_remedy() {
    let place = Place::new();
    fs::write(place.path("file"), "in the way").unwrap();
    fs::write(place.path("workers.csv"), "name,endpoint,pool,stake\n").unwrap();
    std::os::unix::fs::symlink("nowhere", place.path("dangling")).unwrap();
    std::os::unix::fs::symlink("circle", place.path("circle")).unwrap();
    let reading: [&[&str]; 2] = [&["store", "stat"], &["store", "verify"]];
    let making: [&[&str]; 9] = [
        &["run"],
        &["lifecycle", "--provider", "http://127.0.0.1:9"],
        &["data-provider", "--listen", "127.0.0.1:0"],
        &["worker", "list"],
        &["pool", "list"],
        &["operator", "list"],
        &["identity", "backup", "copy.key"],
        &["inventory", "import", "workers.csv"],
        &["inventory", "export"],
    ];
    for (data_dir, cause, remedy) in [
        ("file", "", "move it away"),
        ("file/below", "Not a directory", "a file is where a folder should be"),
        ("dangling", "", ""),
        ("circle/below", "symbolic links", "where its links lead"),
    ] {
        place.configure(&format!("data_dir = \"{data_dir}\"\n{NODES}"));
        for command in making {
            one_line(&place.prb(command).await, &["cannot make data_dir", data_dir, cause, remedy, "; "]);
        }
        for command in [&["tx", "list"][..], &["tx", "pause"]] {
            let done = place.prb(command).await;
            one_line(&done, &[data_dir, cause, "; "]);
        }
        for command in reading {
            let done = place.prb(command).await;
            let words =
                if data_dir == "dangling" { "holds no store yet; check data_dir" } else { "cannot use" };
            one_line(&done, &[words, data_dir, cause]);
        }
        let checked = place.prb(&["check", "--offline"]).await;
        let wrong = checked.stdout.lines().find(|line| line.starts_with("WRONG  data_dir")).unwrap();
        assert!(wrong.contains(cause) && wrong.contains("; "), "{wrong}");
    }
    // Parts of it that are not what they should be.
    place.configure(&format!("data_dir = \"data\"\n{NODES}"));
    fs::create_dir(place.path("data")).unwrap();
    fs::write(place.path("data/inventory"), "in the way").unwrap();
    one_line(
        &place.prb(&["worker", "list"]).await,
        &["cannot use the inventory in data/inventory", "move it away"],
    );
    fs::write(place.path("data/blobs"), "in the way").unwrap();
    one_line(
        &place.prb(&["store", "stat"]).await,
        &["cannot use data/blobs", "Not a directory", "move it away"],
    );
    fs::create_dir(place.path("data/transactions.journal")).unwrap();
    one_line(&place.prb(&["tx", "list"]).await, &["transactions.journal", "Is a directory", "name a file"]);
}

#[cfg(unix)]
#[tokio::test]
async fn a_file_that_cannot_be_read_or_written_is_told_with_the_remedy() {
    let place = Place::new();
    place.add_alice().await;
    fs::write(place.path("there"), "").unwrap();
    fs::create_dir(place.path("folder.csv")).unwrap();
    let cases: &[(&[&str], &[&str])] = &[
        (&["identity", "backup", "none/copy.key"], &["none/copy.key", "No such file", "check the path"]),
        (&["identity", "backup", "there"], &["there", "File exists", "move it away"]),
        (&["identity", "restore", "none"], &["none", "check the path"]),
        (&["inventory", "import", "none.csv"], &["cannot read none.csv", "No such file", "check the path"]),
        (
            &["inventory", "import", "folder.csv"],
            &["cannot read folder.csv", "Is a directory", "name a file"],
        ),
        (
            &["inventory", "export", "there/below.csv"],
            &["cannot write there/below.csv", "a file is where a folder"],
        ),
        (&["inventory", "export", "folder.csv"], &["cannot write folder.csv", "Is a directory"]),
        (&["--config", "there/prb.toml", "run"], &["there/prb.toml", "Not a directory", "move it away"]),
    ];
    for (command, words) in cases {
        one_line(&place.prb(command).await, words);
    }
}

#[tokio::test]
async fn a_second_bridge_in_the_same_data_directory_is_kept_out() {
    let place = Place::new();
    let mut first = place.run("info");
    until("the first bridge runs", async || first.logged(&["running"])).await;
    let second = place.prb(&["run"]).await;
    assert_eq!(second.code, Some(1), "{second:?}");
    let last = second.stderr.lines().last().unwrap();
    assert!(last.starts_with("prb: ") && last.contains("in use by another process"), "{second:?}");
    assert!(first.runs());
    assert_eq!(first.end("-INT").await.0, Some(0));
}

#[tokio::test]
async fn a_log_filter_that_is_none_is_named() {
    let place = Place::new();
    place.configure(&format!("{NODES}[log]\nfilter = \"prb=louder\"\n"));
    one_line(&place.prb(&["run"]).await, &["log.filter", "prb=louder"]);
}
