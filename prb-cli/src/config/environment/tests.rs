use super::*;
use crate::config::{Config, Origin, Purpose, Sources};
use std::{collections::BTreeSet, path::PathBuf};

/// The configuration that these variables make of a file's text.
fn made(file: &str, variables: &[(&str, &str)]) -> Result<Config, String> {
    let environment = Environment::of(variables.iter().copied());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("prb.toml");
    std::fs::write(&path, file).unwrap();
    let sources = Sources { file: path, environment };
    let config = Config::read(&sources, Purpose::Run).map_err(|error| error.to_string())?;
    config.check_for(Purpose::Inventory).map_err(|error| error.to_string())?;
    Ok(config)
}

/// The value of a key as JSON, and where it comes from.
fn value(config: &Config, key: &str) -> (String, Origin) {
    let all = serde_json::to_value(config).unwrap();
    let value = all.pointer(&format!("/{}", key.replace('.', "/"))).unwrap_or_else(|| panic!("{key}"));
    (value.to_string(), config.origins.of(key).clone())
}

/// Each variable of v2 and v3 with a value, the key that it sets and the value there.
const SET: &[(&str, &str, &str, &str)] = &[
    ("PHALA_LOGGER_LEVEL", "debug", "log.filter", r#""debug""#),
    ("PHALA_LOGGER_LEVEL", "fatal", "log.filter", r#""error""#),
    ("PHALA_CHAIN_ENDPOINT", "ws://a:9944", "chain.para", r#"["ws://a:9944"]"#),
    (
        "PHALA_PARENT_CHAIN_ENDPOINT",
        "ws://a:9945,ws://b:9945",
        "chain.relay",
        r#"["ws://a:9945","ws://b:9945"]"#,
    ),
    ("PHALA_Q_REDIS_ENDPOINT", "redis://r:63792", "redis.url", r#""redis://r:63792""#),
    ("PHALA_LOCAL_DB_PATH", "/var/data/0", "data_dir", r#""/var/data/0""#),
    ("PHALA_LOCAL_DB_PATH", "/var/data/local.db", "data_dir", r#""/var/data""#),
    ("PHALA_LOCAL_DB_PATH", "local.db", "data_dir", r#"".""#),
    ("PHALA_DATA_PROVIDER_LOCAL_SERVER", "8013", "serve.listen", r#""0.0.0.0:8013""#),
    ("PHALA_DATA_PROVIDER_LOCAL_SERVER_PORT", "8013", "serve.listen", r#""0.0.0.0:8013""#),
    ("PHALA_LIFECYCLE_BLOB_SERVER_SESSION_MAX_MEMORY", "32", "serve.session_memory_mib", "32"),
    ("PHALA_SYNC_ONLY", "true", "fleet.sync_only", "true"),
    ("DISABLE_LRU", "true", "feed.cache_mib", "0"),
    ("DISABLE_LRU", "false", "feed.cache_mib", "64"),
    ("PHALA_PRPC_REQUEST_TIMEOUT", "60000", "workers.read_seconds", "60"),
    ("PHALA_PRPC_REQUEST_TIMEOUT", "7001", "workers.read_seconds", "8"),
    ("PHALA_PRPC_REQUEST_TIMEOUT", "0", "workers.read_seconds", "30"),
    ("PHALA_BLOB_REQUEST_TIMEOUT", "150000", "workers.work_seconds", "150"),
    ("WORKER_KEEPALIVE_ENABLED", "false", "workers.idle_reuse_seconds", "0"),
    ("WORKER_KEEPALIVE_ENABLED", "true", "workers.idle_reuse_seconds", "4"),
    ("WORKER_KEEPALIVE_TIMEOUT", "3000", "workers.idle_reuse_seconds", "3"),
    ("PHALA_ENFORCE_MIN_BENCH_SCORE", "true", "fleet.min_score", "50"),
    ("PHALA_ENFORCE_MIN_BENCH_SCORE", "false", "fleet.min_score", "null"),
    ("DB_PATH", "/var/data/prb-wm", "data_dir", r#""/var/data/prb-wm""#),
    (
        "MGMT_LISTEN_ADDRESSES",
        "127.0.0.1:3001,[::1]:3001",
        "api.listen",
        r#"["127.0.0.1:3001","[::1]:3001"]"#,
    ),
    ("DISABLE_FAST_SYNC", "true", "feed.fast_sync", "false"),
    ("CACHE_SIZE", "1073741824", "feed.cache_mib", "1024"),
    ("WEBHOOK_URL", "https://h.example/x", "notify.urls", r#"["https://h.example/x"]"#),
    ("PCCS_URL", "https://p.example/v4/", "attestation.pccs_url", r#""https://p.example/v4/""#),
    ("PCCS_TIMEOUT", "10", "attestation.timeout_seconds", "10"),
    ("DOWNLOAD_HEADERS_ONLY", "false", "data_dir", r#""prb-data""#),
    (
        "PHALA_WALKIE_LISTEN_ADDRESSES",
        "/ip4/0.0.0.0/tcp/28888,/ip6/::/tcp/28889",
        "p2p.listen",
        r#"["/ip4/0.0.0.0/tcp/28888","/ip6/::/tcp/28889"]"#,
    ),
    (
        "PHALA_WALKIE_BOOT_NODES",
        "/ip4/10.0.0.3/tcp/28888,/dns4/b.example/tcp/1",
        "p2p.boot_nodes",
        r#"["/ip4/10.0.0.3/tcp/28888","/dns4/b.example/tcp/1"]"#,
    ),
    ("PHALA_WALKIE_BOOT_NODES", "/ip4/0.0.0.0/tcp/18888,/ip6/::/tcp/28889", "p2p.boot_nodes", "[]"),
    ("PTP_LISTEN_ADDRESSES", "/ip4/0.0.0.0/tcp/9", "p2p.listen", r#"["/ip4/0.0.0.0/tcp/9"]"#),
    ("PTP_BOOT_NODES", "/ip4/10.0.0.3/tcp/28888", "p2p.boot_nodes", r#"["/ip4/10.0.0.3/tcp/28888"]"#),
    (
        "PTP_BOOT_NODES",
        "/ip4/10.0.0.3/tcp/1/QmaFjU19xRS2yWApP1dEoiRKN7WgHs6sLiW9dqVKG8R7zZ",
        "p2p.boot_nodes",
        r#"["/ip4/10.0.0.3/tcp/1/p2p/QmaFjU19xRS2yWApP1dEoiRKN7WgHs6sLiW9dqVKG8R7zZ"]"#,
    ),
];

/// Likewise, where the network is joined. By themselves these join none.
const SET_IN_NETWORK: &[(&str, &str, &str, &str)] = &[
    ("PHALA_WALKIE_DISABLE_MDNS_DISCOVERY", "true", "p2p.mdns", "false"),
    ("PHALA_BRIDGE_IDENTITY", "cluster_1", "p2p.bridge_identity", r#""cluster_1""#),
    ("PHALA_PTP_IGNORE_BRIDGE_IDENTITY", "true", "p2p.ignore_bridge_identity", "true"),
    ("PHALA_PEER_ID_PREFIX", "/keys", "p2p.identity_dir", r#""/keys""#),
];

#[test]
fn v3_f47_each_variable_of_v2_and_v3_that_sets_something_sets_it() {
    for (name, text, key, expected) in SET {
        let config = made("", &[(name, text)]).unwrap();
        let (found, origin) = value(&config, key);
        assert_eq!(found, *expected, "{name}={text}");
        // No default is there for a section that is not.
        let is_default = *key != "redis.url" && value(&made("", &[]).unwrap(), key).0 == *expected;
        if !is_default {
            assert_eq!(origin, Origin::Environment((*name).to_owned()), "{name}={text}");
        }
        // Whoever sets that for another program is to know.
        let told = usize::from(*name == "DB_PATH");
        assert_eq!(config.remarks().len(), told, "{name}: {:?}", config.remarks());
    }
}

#[test]
fn v2_f085_v2_f086_v2_f131_each_variable_of_the_network_sets_something_where_it_is_joined() {
    for (name, text, key, expected) in SET_IN_NETWORK {
        let alone = made("", &[(name, text)]).unwrap();
        let [remark] = alone.remarks() else { panic!("{name}: {:?}", alone.remarks()) };
        assert!(remark.contains(name) && remark.contains("no section [p2p]"), "{remark}");
        assert!(!alone.p2p.enabled && value(&alone, key).1 == Origin::Default, "{name} opens no port");
        let joining = ("PHALA_WALKIE_LISTEN_ADDRESSES", "/ip4/0.0.0.0/tcp/1");
        for config in [
            made("[p2p]\n", &[(name, text)]).unwrap(),
            made("", &[(name, text), joining]).unwrap(),
            made("", &[(name, text), (MODULE, "data_provider")]).unwrap(),
        ] {
            assert!(config.p2p.enabled && config.remarks().is_empty(), "{name}: {:?}", config.remarks());
            let expected = (expected.to_string(), Origin::Environment((*name).to_owned()));
            assert_eq!(value(&config, key), expected, "{name}={text}");
        }
    }
}

#[test]
fn v2_f065_what_the_guides_write_for_an_id_is_left_out_and_told_and_a_broken_id_is_refused() {
    for name in ["PHALA_WALKIE_BOOT_NODES", "PTP_BOOT_NODES"] {
        let nodes = "/ip4/10.0.0.3/tcp/1/peer_id_of_data_provider,/ip4/10.0.0.4/tcp/1";
        let config = made("", &[(name, nodes)]).unwrap();
        assert_eq!(value(&config, "p2p.boot_nodes").0, r#"["/ip4/10.0.0.3/tcp/1","/ip4/10.0.0.4/tcp/1"]"#);
        let [remark] = config.remarks() else { panic!("{:?}", config.remarks()) };
        let words = [name, "\"peer_id_of_data_provider\"", "left out"];
        assert!(!remark.is_aside() && words.iter().all(|word| remark.contains(word)), "{remark}");
        for id in ["12D3KooW", "QmaFjU19xRS2yWApP1dEoiRKN7WgHs6sLiW9dqVKG8R7z", "16Uiu2HAm"] {
            let error = made("", &[(name, &format!("/ip4/10.0.0.3/tcp/1/{id}"))]).unwrap_err();
            assert!(error.contains(name) && error.contains(id) && error.contains("no peer id"), "{error}");
        }
    }
}

#[test]
fn v2_f080_x18_whoever_is_found_is_trusted_where_v2s_environment_alone_says_what_to_do() {
    let lifecycle = (MODULE, "lifecycle");
    let id = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN";
    for (file, variables, trusts) in [
        ("", &[lifecycle][..], true),
        ("", &[lifecycle, ("PHALA_BRIDGE_IDENTITY", "cluster_1")], true),
        ("", &[(MODULE, "data_provider")], false),
        ("", &[("PHALA_WALKIE_LISTEN_ADDRESSES", "/ip4/0.0.0.0/tcp/1")], false),
        ("", &[lifecycle, ("PRB_P2P_TRUST_FOUND", "false")], false),
        ("", &[lifecycle, ("PRB_P2P_MEMBERS", id)], false),
        ("[p2p]\n", &[lifecycle], false),
        ("[p2p]\ntrust_found = true\n", &[], true),
    ] {
        let config = made(file, variables).unwrap();
        assert_eq!(config.p2p.trust_found, trusts, "{file} {variables:?}");
        assert!(config.remarks().is_empty(), "{:?}", config.remarks());
    }
}

#[test]
fn v2_f084_services_of_v2_join_with_their_keys_and_prb_alone_opens_no_port() {
    for (module, joins) in [("data_provider", true), ("lifecycle", true), ("trade", false)] {
        let config = made("", &[(MODULE, module)]).unwrap();
        assert_eq!(config.p2p.enabled, joins, "{module}");
        let keys = if joins { "/var/data/keys/id" } else { "/var/data/p2p" };
        assert_eq!(config.peer_keys_dir(), PathBuf::from(keys), "{module}");
        let off = made("[p2p]\nenabled = false\n", &[(MODULE, module)]).unwrap();
        assert!(
            !off.p2p.enabled
                && !made("", &[(MODULE, module), ("PRB_P2P_ENABLED", "false")]).unwrap().p2p.enabled
        );
        let elsewhere = made("", &[(MODULE, module), ("PHALA_LOCAL_DB_PATH", "/srv/x")]).unwrap();
        assert_eq!(elsewhere.peer_keys_dir(), PathBuf::from("/srv/x/p2p"), "{module}");
    }
    let alone = made("", &[("PHALA_CHAIN_ENDPOINT", "ws://a")]).unwrap();
    assert!(!alone.p2p.enabled);
    assert!(made("[providers]\n[p2p]\n", &[]).unwrap().check_fed().is_ok(), "some are found");
}

#[test]
fn v3_f47_each_variable_without_effect_is_taken_and_told_once_with_why() {
    for variable in TABLE {
        let (text, why) = match variable.effect {
            Effect::None(why) => ("1", why),
            Effect::Flag(why) => ("true", why),
            _ => continue,
        };
        for name in variable.names {
            let config = made("", &[(name, text)]).unwrap();
            let [remark] = config.remarks() else { panic!("{name}: {:?}", config.remarks()) };
            assert_eq!(remark.is_aside(), is_generic(name), "{name}");
            assert!(
                remark.contains(name) && remark.contains("no effect") && remark.contains(why),
                "{remark}"
            );
        }
    }
}

#[test]
fn v3_f47_no_variable_is_left_without_a_line() {
    let tried: BTreeSet<&str> = SET.iter().chain(SET_IN_NETWORK).map(|(name, ..)| *name).collect();
    // These mean something only beside others, or to the program as a whole: the next tests have them.
    let together = [
        MODULE,
        CONFIG_MODE,
        BUILT_IN_TRADER,
        MIN_SCORE,
        DATA_SOURCES,
        PORT,
        QUEUE_REDIS,
        "PHALA_LRU_CACHE_MAX_AGE",
    ];
    for variable in TABLE {
        let is_told = matches!(variable.effect, Effect::None(_) | Effect::Flag(_));
        for name in variable.names {
            assert!(is_told || tried.contains(name) || together.contains(name), "{name}");
            assert!(is_known(name));
        }
    }
}

#[test]
fn v3_f47_each_key_is_a_variable_too() {
    let text = |key: &str, kind| match kind {
        keys::Kind::List if key == "api.allow_from" => "10.0.0.4",
        keys::Kind::List if key.starts_with("p2p.") => "/ip4/10.0.0.4/tcp/1",
        keys::Kind::List => "127.0.0.1:1",
        keys::Kind::Flag => "true",
        keys::Kind::Number => "32",
        keys::Kind::Text => "1",
        keys::Kind::Listen => "127.0.0.1:1",
        keys::Kind::Url | keys::Kind::Urls => "http://a:1",
    };
    for (key, kind) in keys::KEYS {
        let name = of_key(key);
        assert!(is_known(&name));
        let environment = Environment::of([(name.as_str(), text(key, *kind))]);
        // Sections that are not there are made whole by the file.
        let (section, rest) = key.rsplit_once('.').unwrap_or_default();
        let file = match section {
            "redis" => "[redis]\nurl = \"redis://a\"\n",
            "providers" => "[providers]\n",
            "p2p" => "[p2p]\n",
            "chain.start" => "[chain.start]\nnumber = 1\nhash = \"x\"\n",
            _ => "",
        };
        let config = Config::joined(&PathBuf::from("prb.toml"), file, &environment).unwrap();
        assert_eq!(value(&config, key).1, Origin::Environment(name.clone()), "{rest}");
        let shown = value(&config, key).0;
        assert!(shown.trim_matches(['"', '[', ']']).contains(text(key, *kind)), "{name}: {shown}");
    }
    assert_eq!(of_key("chain.start.number"), "PRB_CHAIN_START_NUMBER");
}

#[test]
fn v3_f47_a_value_that_cannot_be_used_is_refused_by_the_name_of_its_variable() {
    for (name, text, words) in [
        ("PHALA_LOGGER_LEVEL", "loud", "trace, debug"),
        ("PHALA_CHAIN_ENDPOINT", "http://a:9944", "chain.para: must be a WebSocket URL"),
        ("PHALA_PARENT_CHAIN_ENDPOINT", "ws://a,ws://a", "chain.relay: names the same node twice"),
        ("PHALA_Q_REDIS_ENDPOINT", "r:63792", "redis.url"),
        ("PHALA_DATA_PROVIDER_LOCAL_SERVER_PORT", "port", "must be a port"),
        ("PHALA_LIFECYCLE_BLOB_SERVER_SESSION_MAX_MEMORY", "8", "at least serve.response_mib"),
        ("PHALA_SYNC_ONLY", "yes", "true or false"),
        ("PHALA_WALKIE_DISABLE_MDNS_DISCOVERY", "yes", "true or false"),
        ("PHALA_PRPC_REQUEST_TIMEOUT", "long", "whole number"),
        ("PHALA_PRPC_REQUEST_TIMEOUT", "4000000", "workers.read_seconds: must be 1 to 3600"),
        ("WORKER_KEEPALIVE_TIMEOUT", "90000", "workers.idle_reuse_seconds"),
        ("PHALA_LIFECYCLE_CONFIG_MODE", "on", "true or false"),
        ("USE_BUILT_IN_TRADER", "1", "true or false"),
        ("PHALA_MIN_BENCH_SCORE", "much", "whole number"),
        ("PHALA_MODULE", "lifecycel", "must be data_provider, lifecycle, trade, monitor"),
        ("PHALA_MODULE", "lifecycle/runner", "a part of"),
        ("DISABLE_FAST_SYNC", "1", "true or false"),
        ("CACHE_SIZE", "1G", "number of bytes"),
        ("CACHE_SIZE", "99999999999999999", "feed.cache_mib: must be"),
        ("WEBHOOK_URL", "hooks", "notify.urls"),
        ("PCCS_URL", "pccs", "attestation.pccs_url"),
        ("PCCS_TIMEOUT", "999", "attestation.timeout_seconds"),
        ("DOWNLOAD_HEADERS_ONLY", "true", "prb data-provider"),
        ("DATA_SOURCE_CONFIG_PATH", "no such folder/ds.yml", "no such folder/ds.yml"),
        ("PRB_TRANSACTIONS_MORTALITY", "33", "power of two"),
        ("PRB_SERVE_LISTEN", "8012", "IP address with a port"),
        ("PHALA_WALKIE_LISTEN_ADDRESSES", "0.0.0.0:1", "p2p.listen: \"0.0.0.0:1\" is no TCP multiaddr"),
        ("PHALA_WALKIE_BOOT_NODES", "/ip4/10.0.0.3/udp/1", "p2p.boot_nodes: \"/ip4/10.0.0.3/udp/1\""),
        ("PTP_BOOT_NODES", "/ip4/10.0.0.3", "p2p.boot_nodes: \"/ip4/10.0.0.3\""),
    ] {
        let error = made("", &[(name, text)]).unwrap_err();
        assert!(
            error.contains(&format!("environment variable {name}: ")) && error.contains(words),
            "{name}: {error}"
        );
    }
    let error = made("", &[("PHALA_Q_REDIS_ENDPOINT", "rediss:hunter2@r")]).unwrap_err();
    assert!(!error.contains("hunter2"), "{error}");
}

#[test]
fn v3_f47_the_environment_wins_over_the_file_and_the_file_over_the_default() {
    let file = "data_dir = \"kept\"\n[feed]\nrequest_mib = 2\n[chain]\npara = \"ws://file\"\nrelay = \"ws://file\"\n";
    let config = made(file, &[("PHALA_CHAIN_ENDPOINT", "ws://environment")]).unwrap();
    assert_eq!(value(&config, "chain.para").0, r#"["ws://environment"]"#);
    assert_eq!(value(&config, "chain.relay"), (r#"["ws://file"]"#.to_owned(), Origin::File));
    assert_eq!(value(&config, "feed.request_mib"), ("2".to_owned(), Origin::File));
    assert_eq!(value(&config, "feed.load_mib"), ("1024".to_owned(), Origin::Default));
    let empty = made(file, &[("PHALA_CHAIN_ENDPOINT", " ")]).unwrap();
    assert_eq!(value(&empty, "chain.para").1, Origin::File, "an empty variable says nothing");
    let flag = config.unlocked_by(Some("pass".into()));
    assert_eq!(value(&flag, "passphrase_file").1, Origin::Flag("--passphrase-file".to_owned()));
    // What is wrong with the file is told with its line all the same.
    let error = made("[chain]\npara = 7\n", &[("PHALA_PARENT_CHAIN_ENDPOINT", "ws://a")]).unwrap_err();
    assert!(error.contains("line 2"), "{error}");
    let error = made("chain = 7\n", &[("PHALA_PARENT_CHAIN_ENDPOINT", "ws://a")]).unwrap_err();
    assert!(error.contains("line 1"), "{error}");
    let error = made("", &[("PRB_REDIS_NAMESPACE", "one")]).unwrap_err();
    assert!(error.contains("together with the environment") && error.contains("url"), "{error}");
}

#[test]
fn v3_f47_two_names_of_one_setting_may_not_contradict_each_other() {
    let (code, guide) = ("PHALA_DATA_PROVIDER_LOCAL_SERVER", "PHALA_DATA_PROVIDER_LOCAL_SERVER_PORT");
    assert!(made("", &[(code, "8013"), (guide, "8013")]).is_ok());
    let error = made("", &[(code, "8013"), (guide, "8014")]).unwrap_err();
    assert!(error.contains(code) && error.contains(guide) && error.contains("unset one of them"), "{error}");
    let error = made("", &[("PHALA_LOCAL_DB_PATH", "/a"), ("PRB_DATA_DIR", "/b")]).unwrap_err();
    assert!(error.contains("PHALA_LOCAL_DB_PATH") && error.contains("PRB_DATA_DIR"), "{error}");
}

#[test]
fn v3_f47_a_name_of_any_program_only_fills_what_nothing_else_says() {
    let redis = "[redis]\nurl = \"redis://file\"\n";
    // A file, variables, a key, its value, and who says it.
    for (file, variables, key, expected, winner) in [
        ("data_dir = \"kept\"\n", &[("DB_PATH", "/others")][..], "data_dir", r#""kept""#, "the file"),
        ("", &[("DB_PATH", "/others"), ("PRB_DATA_DIR", "/own")], "data_dir", r#""/own""#, "PRB_DATA_DIR"),
        ("[feed]\ncache_mib = 7\n", &[("CACHE_SIZE", "1G")], "feed.cache_mib", "7", "the file"),
        ("[feed]\ncache_mib = 7\n", &[("DISABLE_LRU", "yes")], "feed.cache_mib", "7", "the file"),
        ("[notify]\nurls = []\n", &[("WEBHOOK_URL", "hooks")], "notify.urls", "[]", "the file"),
        (
            "[attestation]\ntimeout_seconds = 3\n",
            &[("PCCS_TIMEOUT", "999")],
            "attestation.timeout_seconds",
            "3",
            "the file",
        ),
        (
            "[workers]\nidle_reuse_seconds = 3\n",
            &[("WORKER_KEEPALIVE_ENABLED", "no")],
            "workers.idle_reuse_seconds",
            "3",
            "the file",
        ),
        (
            "[chain]\npara = \"ws://file\"\n",
            &[(DATA_SOURCES, "no such folder/ds.yml")],
            "chain.para",
            r#"["ws://file"]"#,
            "the file",
        ),
        (redis, &[(BUILT_IN_TRADER, "true")], "redis.url", r#""redis://file""#, "redis.url"),
    ] {
        let config = made(file, variables).unwrap();
        assert_eq!(value(&config, key).0, expected, "{variables:?}");
        let [remark] = config.remarks() else { panic!("{variables:?}: {:?}", config.remarks()) };
        let words = [variables[0].0, "no effect", winner];
        assert!(remark.is_aside() && words.iter().all(|word| remark.contains(word)), "{remark}");
    }
    let config = made("", &[("DB_PATH", "/v3"), (MODULE, "lifecycle")]).unwrap();
    assert_eq!(config.data_dir, PathBuf::from("/v3"), "it wins over defaults");
    let hook = made("", &[("WEBHOOK_URL", "https://h.example/?a=1,2")]).unwrap();
    assert_eq!(hook.notify.urls, ["https://h.example/?a=1,2"], "one address");
}

#[test]
fn v3_f47_what_is_no_service_is_not_refused_for_the_name_of_any_program() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("prb.toml");
    std::fs::write(&file, "").unwrap();
    let read = |variable: (&str, &str)| {
        let environment = Environment::of([variable]).forgiving();
        let sources = Sources { file: file.clone(), environment };
        Config::load_for(&sources, Purpose::Inventory).map_err(|error| error.to_string())
    };
    for variable in [
        ("CACHE_SIZE", "1G"),
        ("WEBHOOK_URL", "hooks"),
        ("PCCS_TIMEOUT", "999"),
        ("USE_BUILT_IN_TRADER", "1"),
        ("DOWNLOAD_HEADERS_ONLY", "true"),
    ] {
        assert!(made("", &[variable]).is_err(), "a service: {variable:?}");
        let config = read(variable).unwrap();
        let [remark] = config.remarks() else { panic!("{variable:?}: {:?}", config.remarks()) };
        assert!(!remark.is_aside() && remark.contains(variable.0) && remark.contains("left out"), "{remark}");
    }
    assert!(read(("PHALA_PRPC_REQUEST_TIMEOUT", "4000000")).is_err(), "a name that is meant for prb");
}

#[test]
fn v3_f47_variables_that_belong_together_are_read_together() {
    let redis = ("PHALA_Q_REDIS_ENDPOINT", "redis://r");
    let config = made("", &[redis, (BUILT_IN_TRADER, "true")]).unwrap();
    assert!(
        config.redis.is_none() && config.remarks()[0].contains("without Redis"),
        "{:?}",
        config.remarks()
    );
    assert!(made("", &[redis, (BUILT_IN_TRADER, "false")]).unwrap().redis.is_some());
    let more = [redis, ("PRB_REDIS_NAMESPACE", "one"), (BUILT_IN_TRADER, "true")];
    assert!(made("", &more).unwrap().redis.is_none(), "all of the section goes");

    let config = made("", &[(MIN_SCORE, "60")]).unwrap();
    assert!(config.fleet.min_score.is_none() && config.remarks()[0].contains(ENFORCE_SCORE));
    for (score, expected) in [("60", 60), ("0", 50)] {
        let config = made("", &[(MIN_SCORE, score), (ENFORCE_SCORE, "true")]).unwrap();
        assert_eq!(config.fleet.min_score, Some(expected));
    }

    let age = ("PHALA_LRU_CACHE_MAX_AGE", "90000");
    let config = made("", &[age]).unwrap();
    assert!(
        config.providers.is_none() && config.remarks()[0].contains("data providers"),
        "it makes no section"
    );
    for own in [("PRB_PROVIDERS_CACHE_MIB", "7"), ("PRB_PROVIDERS_TOKEN_FILE", "token")] {
        let config = made("", &[own]).unwrap();
        assert!(config.providers.is_none() && config.remarks()[0].contains(own.0), "{:?}", config.remarks());
        assert!(made("[providers]\n", &[own]).unwrap().remarks().is_empty());
        let empty = toml::Table::new();
        let flagged = Environment::of([own]).fed().given(&empty).unwrap();
        assert!(flagged.remarks.is_empty(), "the command line names providers");
    }
    assert!(made("[providers]\n", &[]).unwrap().check_fed().unwrap_err().to_string().contains("[providers]"));
    assert!(made("", &[("PRB_PROVIDERS_URLS", "http://a:8012")]).unwrap().check_fed().is_ok());
    for config in [
        made("", &[age, ("PRB_PROVIDERS_URLS", "http://a:8012")]).unwrap(),
        made("[providers]\n", &[age]).unwrap(),
    ] {
        assert_eq!(config.providers.unwrap().cache_seconds, 90);
    }
    let off = made("", &[(KEEP_ALIVE, "false"), (KEEP_ALIVE_TIMEOUT, "3000")]).unwrap();
    assert_eq!(off.workers.idle_reuse_seconds, 0);
}

#[test]
fn v3_f47_the_services_of_v2_keep_and_serve_data_where_they_did() {
    let service = |module| Environment::of([(MODULE, module)]).service().unwrap().unwrap();
    for (module, expected, folder) in [
        ("data_provider", Service::DataProvider, "/var/data/0"),
        ("lifecycle", Service::Lifecycle, "/var/data"),
        ("trade", Service::Trade, "/var/data"),
    ] {
        assert_eq!(service(module), expected);
        let config = made("", &[(MODULE, module)]).unwrap();
        assert_eq!(config.data_dir, PathBuf::from(folder));
        assert_eq!(config.serve.listen.ip().is_unspecified(), expected == Service::DataProvider);
        let other = [(MODULE, module), ("PHALA_LOCAL_DB_PATH", "/srv/x")];
        assert_eq!(made("", &other).unwrap().data_dir, PathBuf::from("/srv/x"));
        let file = "data_dir = \"/srv/y\"\n[serve]\nlisten = \"127.0.0.1:9\"\n";
        let config = made(file, &[(MODULE, module)]).unwrap();
        assert_eq!(
            (config.data_dir, config.serve.listen.port()),
            (PathBuf::from("/srv/y"), 9),
            "the file wins over v2's defaults"
        );
    }
    assert_eq!((service("monitor"), service("utils/arena")), (Service::Monitor, Service::Queue));
    assert_eq!(Environment::default().service().unwrap(), None);
    assert!(Environment::of([(CONFIG_MODE, "true")]).is_config_mode().unwrap());
}

#[test]
fn v2_f080_the_variables_of_v2s_monitor_and_arena_are_read_by_prb_monitor_alone() {
    let port = |text| Environment::of([(PORT, text)]).monitor_port().map_err(|error| error.to_string());
    assert_eq!((port("8080"), port("0"), port(" ")), (Ok(Some(8080)), Ok(None), Ok(None)));
    assert!(port("http").unwrap_err().contains("environment variable PORT: must be a port"));
    let redis = |variables: &[(&str, &str)]| {
        let environment = Environment::of(variables.iter().copied());
        environment.queue_redis().unwrap().map(str::to_owned)
    };
    assert_eq!(redis(&[(QUEUE_REDIS, "redis://q")]).as_deref(), Some("redis://q"));
    assert_eq!(redis(&[(MODULE, "utils/arena")]).as_deref(), Some("redis://redis-q:6379/"));
    assert_eq!(redis(&[(MODULE, "monitor")]), None);
    // For others they may be meant for other programs, and say nothing.
    let config = made("", &[(PORT, "8080"), (QUEUE_REDIS, "redis://q")]).unwrap();
    assert!(config.monitor.listen.is_none() && config.redis.is_none() && config.remarks().is_empty());
}

#[test]
fn v3_f47_the_data_sources_of_v3_are_those_of_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ds.yml");
    let side = |port| {
        format!(
            "  select_policy: Failover\n  data_sources:\n    - !SubstrateWebSocketSource\n      endpoint: ws://n:{port}\n      pruned: false\n"
        )
    };
    std::fs::write(&path, format!("relaychain:\n{}parachain:\n{}", side(9945), side(9944))).unwrap();
    let config = made("", &[(DATA_SOURCES, path.to_str().unwrap())]).unwrap();
    assert_eq!((config.chain.relay.first(), config.chain.para.first()), ("ws://n:9945", "ws://n:9944"));
    assert_eq!(value(&config, "chain.relay").1, Origin::Environment(DATA_SOURCES.to_owned()));
}

#[test]
fn v3_f51_the_mdns_option_is_taken_and_told_to_do_nothing() {
    let config = made("", &[("MGMT_DISABLE_MDNS", "true")]).unwrap();
    assert!(
        config.remarks()[0].contains("MGMT_DISABLE_MDNS has no effect: nothing is ever advertised by mDNS")
    );
}

#[test]
fn a_misspelt_variable_is_told_with_the_one_that_is_meant() {
    for (name, meant) in
        [("PHALA_CHAIN_ENDPONT", "PHALA_CHAIN_ENDPOINT"), ("PRB_FEED_REQUEST_MB", "PRB_FEED_REQUEST_MIB")]
    {
        let config = made("", &[(name, "x")]).unwrap();
        assert!(config.remarks()[0].contains(&format!("{name} is not known; did you mean {meant}?")));
    }
    assert!(made("", &[("PRB_NEED_REDIS", "1"), ("PHALA_OF_OTHERS", "x")]).unwrap().remarks().is_empty());
}

#[test]
fn the_file_may_be_missing_where_the_environment_says_enough() {
    let default = |variables: &[(&str, &str)]| Sources {
        file: "prb.toml".into(),
        environment: Environment::of(variables.iter().copied()),
    };
    assert!(default(&[("PHALA_CHAIN_ENDPOINT", "ws://a")]).stand_alone());
    assert!(!default(&[]).stand_alone());
    assert!(!default(&[("NODE_ENV", "production"), ("RUST_LOG", "info")]).stand_alone());
    for (name, text, enough) in [
        ("CACHE_SIZE", "1048576", false),
        ("PRB_FEED_LOAD_MIB", "512", false),
        ("PRB_API_ENABLED", "false", false),
        ("PHALA_LOGGER_LEVEL", "debug", false),
        ("PRB_DATA_DIR", "/a", true),
        ("PHALA_LOCAL_DB_PATH", "/a", true),
        ("DB_PATH", "/a", true),
        ("PRB_CHAIN_RELAY", "ws://a", true),
        ("PRB_CHAIN_MIRROR", "http://a", true),
        ("PRB_PROVIDERS_URLS", "http://a", true),
        (DATA_SOURCES, "ds.yml", true),
        (MODULE, "trade", true),
    ] {
        assert_eq!(default(&[(name, text)]).stand_alone(), enough, "{name}");
    }
    let named = Sources { file: "other.toml".into(), ..default(&[("PHALA_CHAIN_ENDPOINT", "ws://a")]) };
    assert!(Config::read(&named, Purpose::Run).is_err(), "a file that was named must be there");
}
