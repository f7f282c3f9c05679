//! What stands under `deploy/`, in the Containerfile and in docs/deploy.md: every command line is one, and every variable is
//! known.
#![allow(clippy::unwrap_used, missing_docs)]

use clap::{CommandFactory, Parser};
use prb_cli::{
    args::{Cli, Command, MonitorArgs},
    config::{Config, Environment, Purpose, Service, Sources, environment::is_known},
    manual, monitor,
};
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn text(path: &str) -> String {
    fs::read_to_string(workspace().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Files of a folder, by their names' end.
fn files(folder: &str, end: &str) -> Vec<String> {
    let names = fs::read_dir(workspace().join(folder)).unwrap().map(|entry| entry.unwrap().file_name());
    let paths = names.map(|name| format!("{folder}/{}", name.to_string_lossy()));
    let found: Vec<_> = paths.filter(|path| path.ends_with(end)).collect();
    assert!(!found.is_empty(), "{folder} has no {end}");
    found
}

/// Variables of the system, of Redis and of systemd that stand there too.
fn known(place: &str, name: &str) {
    assert!(is_known(name), "{place}: {name} is no variable of prb");
}

fn parsed(place: &str, arguments: &[&str]) -> Cli {
    let line = std::iter::once("prb").chain(arguments.iter().copied());
    Cli::try_parse_from(line).unwrap_or_else(|error| panic!("{place}: {arguments:?}\n{error}"))
}

#[derive(Deserialize)]
struct Compose {
    services: BTreeMap<String, Container>,
}

#[derive(Deserialize)]
struct Container {
    image: String,
    #[serde(default)]
    command: Vec<String>,
    #[serde(default)]
    environment: BTreeMap<String, String>,
    #[serde(default)]
    volumes: Vec<String>,
    #[serde(default)]
    restart: String,
    #[serde(default)]
    network_mode: String,
    #[serde(default)]
    ports: Vec<String>,
    logging: Option<Logging>,
}

#[derive(Deserialize)]
struct Logging {
    options: BTreeMap<String, String>,
}

/// Started again whatever ends it, with a bounded log, as the guides promise.
#[test]
fn v2_f008_v2_f006_containers_are_started_again_and_their_logs_are_bounded() {
    for file in files("deploy/compose", ".yml") {
        let compose: Compose =
            serde_saphyr::from_str(&text(&file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        for (name, service) in compose.services {
            let place = format!("{file}, {name}");
            assert_eq!(service.restart, "always", "{place}");
            let size = service.logging.as_ref().and_then(|logging| logging.options.get("max-size"));
            assert_eq!(size.map(String::as_str), Some("1g"), "{place}");
            let is_node = service.image.contains("khala-node");
            assert!(
                is_node || service.network_mode == "host",
                "{place}: peers are discovered in the host's network"
            );
        }
    }
}

/// A port that is published without an address is open to everybody, whatever the firewall says; whoever reaches a node's RPC may ask
/// it for anything.
#[test]
fn v2_f007_the_rpc_of_nodes_is_published_on_this_machine_only() {
    let compose: Compose = serde_saphyr::from_str(&text("deploy/compose/node.yml")).unwrap();
    let ports: Vec<_> = compose.services.into_values().flat_map(|service| service.ports).collect();
    for rpc in ["9944", "9945"] {
        let published: Vec<_> = ports.iter().filter(|port| port.split(':').any(|part| part == rpc)).collect();
        assert_eq!(published, [&format!("127.0.0.1:{rpc}:{rpc}")]);
    }
}

/// What the guides of PRB v2 write for each service, in their words.
const GUIDES: [&[(&str, &str)]; 5] = [
    &[
        ("PHALA_MODULE", "data_provider"),
        ("NODE_ENV", "development"),
        ("PHALA_LOGGER_LEVEL", "debug"),
        ("PHALA_PARENT_CHAIN_ENDPOINT", "ws://path.to.kusama.node:9945"),
        ("PHALA_CHAIN_ENDPOINT", "ws://path.to.khala.node:9944"),
        ("PHALA_WALKIE_LISTEN_ADDRESSES", "/ip4/0.0.0.0/tcp/28888"),
        ("PHALA_BRIDGE_IDENTITY", "production"),
        ("PHALA_LIFECYCLE_BLOB_SERVER_SESSION_MAX_MEMORY", "64"),
    ],
    &[
        ("PHALA_MODULE", "trade"),
        ("PHALA_PARENT_CHAIN_ENDPOINT", "ws://path.to.kusama.node:9945"),
        ("PHALA_CHAIN_ENDPOINT", "ws://path.to.khala.node:9944"),
        ("PHALA_Q_REDIS_ENDPOINT", "redis://127.0.0.1:63792/"),
    ],
    &[
        ("PHALA_MODULE", "lifecycle"),
        ("PHALA_PARENT_CHAIN_ENDPOINT", "ws://path.to.kusama.node:9945"),
        ("PHALA_CHAIN_ENDPOINT", "ws://path.to.khala.node:9944"),
        ("PHALA_Q_REDIS_ENDPOINT", "redis://127.0.0.1:63792/"),
        ("PHALA_LRU_CACHE_SIZE", "50"),
        ("PHALA_LRU_CACHE_MAX_AGE", "90000"),
        ("PHALA_RUNNER_MAX_WORKER_NUMBER", "100"),
        ("PHALA_PRPC_REQUEST_TIMEOUT", "60000"),
        ("PHALA_BRIDGE_IDENTITY", "production"),
        ("PHALA_WALKIE_LISTEN_ADDRESSES", "/ip4/0.0.0.0/tcp/29888"),
    ],
    &[("PHALA_MODULE", "utils/arena"), ("PHALA_Q_REDIS_ENDPOINT", "redis://127.0.0.1:63792/")],
    // The monitor's image had no variable that says what it is.
    &[("PHALA_MODULE", "monitor"), ("PTP_BOOT_NODES", "/ip4/127.0.0.1/tcp/28888/peer_id_of_data_provider")],
];

#[test]
fn v2_f005_v2_f007_the_services_of_the_guides_are_understood_as_they_stand_there() {
    let compose: String = files("deploy/compose", ".yml").iter().map(|file| text(file)).collect();
    for variables in GUIDES {
        variables.iter().for_each(|(name, _)| known("a guide", name));
        let sources = Sources { file: "prb.toml".into(), environment: Environment::of(variables.to_vec()) };
        let service = sources.environment.service().unwrap().unwrap();
        let purpose = match service {
            Service::DataProvider => Purpose::DataProvider,
            Service::Trade => Purpose::Trade,
            Service::Lifecycle => Purpose::Run,
            Service::Monitor | Service::Queue => Purpose::Monitor,
        };
        let config = match purpose {
            Purpose::Monitor => {
                let args = MonitorArgs { queue: service == Service::Queue, ..MonitorArgs::default() };
                monitor::configured(&sources, &args)
            }
            _ => Config::load_for(&sources, purpose),
        };
        let config = config.unwrap_or_else(|error| panic!("{service:?}: {error}"));
        let has_queue = matches!(service, Service::Trade | Service::Lifecycle | Service::Queue);
        assert_eq!(config.space().unwrap().is_some(), has_queue, "{service:?}");
        if purpose == Purpose::Monitor {
            let boot_nodes = usize::from(service == Service::Monitor);
            assert_eq!(config.p2p.boot_nodes.len(), boot_nodes, "{service:?}");
        } else {
            let (relay, para) = (config.chain.relay.first(), config.chain.para.first());
            assert_eq!((relay, para), ("ws://path.to.kusama.node:9945", "ws://path.to.khala.node:9944"));
            assert!(config.data_dir.starts_with("/var/data"), "{service:?}");
        }
        for (name, _) in variables {
            assert!(compose.contains(&format!("{name}: ")), "the compose files say nothing of {name}");
        }
    }
}

#[test]
fn v3_f53_compose_files_name_commands_and_variables_that_there_are() {
    let mut modules = Vec::new();
    for file in files("deploy/compose", ".yml") {
        let compose: Compose =
            serde_saphyr::from_str(&text(&file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        for (name, service) in compose.services {
            let place = format!("{file}, {name}");
            if service.image != "prb" {
                let others = ["redis", "khala-node"];
                assert!(others.iter().any(|name| service.image.contains(name)), "{place}: {}", service.image);
                continue;
            }
            service.environment.keys().for_each(|name| known(&place, name));
            assert!(
                service.volumes.iter().all(|volume| volume.ends_with(":/var/data")),
                "{place}: one volume"
            );
            // What it names of files is not on this machine.
            let variables = service.environment.iter().filter(|(name, _)| *name != "DATA_SOURCE_CONFIG_PATH");
            let environment = Environment::of(variables.map(|(name, value)| (name.as_str(), value.as_str())));
            let sources = Sources { file: "prb.toml".into(), environment };
            let arguments: Vec<&str> = service.command.iter().map(String::as_str).collect();
            let purpose = match parsed(&place, &arguments).command {
                Some(Command::Run(_)) => Purpose::Run,
                Some(other) => panic!("{place}: {other:?}"),
                None => {
                    let service = sources.environment.service().unwrap();
                    modules.push(format!(
                        "{:?}",
                        service.unwrap_or_else(|| panic!("{place}: no command and no module"))
                    ));
                    Purpose::Inventory
                }
            };
            let config = Config::read(&sources, purpose).unwrap_or_else(|error| panic!("{place}: {error}"));
            config.check_for(Purpose::Inventory).unwrap_or_else(|error| panic!("{place}: {error}"));
            assert!(config.data_dir.starts_with("/var/data") || config.data_dir.is_relative(), "{place}");
            let misspelt: Vec<_> =
                config.remarks().iter().filter(|remark| remark.contains("not known")).collect();
            assert!(misspelt.is_empty(), "{place}: {misspelt:?}");
        }
    }
    modules.sort();
    modules.dedup();
    assert_eq!(
        modules,
        ["DataProvider", "Lifecycle", "Monitor", "Queue", "Trade"],
        "each service of v2 has one"
    );
}

#[test]
fn v3_f53_systemd_units_run_commands_that_there_are_and_wait_for_their_word() {
    let mut commands = Vec::new();
    for file in files("deploy/systemd", ".service") {
        let unit = text(&file);
        let values = |key: &str| {
            let key = format!("{key}=");
            unit.lines()
                .filter_map(|line| line.trim_start_matches('#').strip_prefix(&key).map(str::to_owned))
                .collect::<Vec<_>>()
        };
        let [line] = &values("ExecStart")[..] else { panic!("{file}: one ExecStart") };
        let mut words = line.split_whitespace();
        assert_eq!(words.next(), Some("/usr/local/bin/prb"), "{file}");
        let command = parsed(&file, &words.collect::<Vec<_>>()).command.unwrap();
        let reloads = matches!(command, Command::Lifecycle(_) | Command::Run(_));
        assert_eq!(
            values("ExecReload").len(),
            usize::from(reloads),
            "{file}: SIGHUP ends what reads nothing again"
        );
        let joins_peers = !matches!(command, Command::Trade);
        let [families] = &values("RestrictAddressFamilies")[..] else {
            panic!("{file}: one list of families")
        };
        let families: Vec<_> = families.split_whitespace().collect();
        for family in ["AF_INET", "AF_INET6", "AF_UNIX"] {
            assert!(families.contains(&family), "{file}: {family}");
        }
        // Listeners of libp2p and mDNS follow the machine's addresses.
        assert_eq!(families.contains(&"AF_NETLINK"), joins_peers, "{file}: netlink is for peers");
        commands.push(format!("{command:?}").split([' ', '(']).next().unwrap().to_owned());
        assert_eq!(
            (values("Type"), values("Restart")),
            (vec!["notify".to_owned()], vec!["always".to_owned()]),
            "{file}"
        );
        assert!(values("WatchdogSec")[0].parse::<u32>().unwrap() >= 30, "{file}");
        let config = if file.contains("data-provider") { "data-provider.toml" } else { "prb.toml" };
        assert!(line.contains(&format!("--config /etc/prb/{config} ")), "{file}: {line}");
        let folder = if file.contains("data-provider") { "prb-data-provider" } else { "prb" };
        assert_eq!(values("StateDirectory"), [folder], "{file}: one inventory for all that have one");
        assert_eq!(values("WorkingDirectory"), [format!("/var/lib/{folder}")], "{file}");
        for variable in values("Environment") {
            known(&file, variable.split_once('=').unwrap().0);
        }
    }
    commands.sort();
    assert_eq!(commands, ["DataProvider", "Lifecycle", "Monitor", "Run", "Trade"]);
}

#[test]
fn v3_f53_the_container_runs_the_program_as_nobody_in_particular_with_one_volume() {
    let file = text("Containerfile");
    let lines = |word: &str| {
        file.lines().filter_map(|line| line.strip_prefix(word)).map(str::trim).collect::<Vec<_>>()
    };
    assert_eq!(lines("ENTRYPOINT"), ["[\"/usr/local/bin/prb\"]"]);
    assert_eq!(
        (lines("VOLUME"), lines("WORKDIR").last().copied()),
        (vec!["[\"/var/data\"]"], Some("/var/data"))
    );
    let user = lines("USER");
    assert!(user[0].split(':').all(|id| id.parse::<u32>().unwrap() > 1000), "{user:?}");
    for variable in lines("ENV") {
        known("Containerfile", variable.split('=').next().unwrap());
    }
    let build = lines("RUN").into_iter().find(|line| line.contains("cargo build")).unwrap();
    assert!(build.contains("--locked") && build.contains("-p prb-cli --bin prb"), "{build}");
}

/// Lines of the document's shell blocks that begin with the program, perhaps behind another one.
#[test]
fn v3_f53_the_command_lines_of_the_document_are_such() {
    let document = text("docs/deploy.md");
    let mut tried = 0;
    for block in document.split("```sh\n").skip(1) {
        for line in block.split("```").next().unwrap().lines() {
            let line = line.split('#').next().unwrap();
            let words: Vec<&str> =
                line.split_whitespace().take_while(|word| !matches!(*word, ">" | "|")).collect();
            if let Some(at) = words.iter().rposition(|word| *word == "prb" || word.ends_with("/prb"))
                && !line.contains("build")
                && !line.contains("useradd")
                && !line.contains("install ")
                && !line.contains("systemctl")
            {
                parsed("docs/deploy.md", &words[at + 1..]);
                tried += 1;
            }
        }
    }
    assert!(tried >= 5, "{tried}");
    // Variables in its tables.
    for name in
        document.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` |").map(|(name, _)| name))
    {
        for name in name.split("`, `") {
            known("docs/deploy.md", name);
        }
    }
}

#[test]
fn v3_f53_completions_and_manual_pages_know_every_command() {
    Cli::command().debug_assert();
    for shell in [clap_complete::Shell::Bash, clap_complete::Shell::Zsh, clap_complete::Shell::Fish] {
        let mut script = Vec::new();
        manual::completions(shell, &mut script).unwrap();
        let script = String::from_utf8(script).unwrap();
        for command in ["data-provider", "lifecycle", "passphrase-file"] {
            assert!(script.contains(command), "{shell}: {command}");
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("man1");
    manual::pages(&folder).unwrap();
    for page in ["prb.1", "prb-run.1", "prb-data-provider.1", "prb-store-prune.1", "prb-worker-add.1"] {
        let page = fs::read_to_string(folder.join(page)).unwrap_or_else(|error| panic!("{page}: {error}"));
        assert!(page.contains(".SH NAME"));
    }
}
