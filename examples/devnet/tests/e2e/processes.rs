//! The dev network as separate processes, with the example's configuration.

use crate::port::Port;
use crate::world::{in_time, until, until_or, works};
use prb_cli::config::Config;
use prb_cli::data_provider::DataProvider;
use prb_cli::deployment::Deployment;
use prb_core::port::BlobStore;
use prb_store::{RemoteOptions, RemoteStore};
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

/// A `prb-devnet` that is killed when the test ends.
struct Process {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Process {
    fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_prb-devnet"))
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// The address in the next line.
    async fn url(&mut self) -> String {
        let line = in_time("the process says its address", self.lines.next_line()).await.unwrap().unwrap();
        line.split_whitespace().last().unwrap().to_owned()
    }

    /// The address that follows a word, in one of the next lines.
    async fn address(&mut self, word: &str) -> String {
        loop {
            let line =
                in_time("the process says its address", self.lines.next_line()).await.unwrap().unwrap();
            if line.starts_with(word) {
                return line.split_whitespace().last().unwrap().to_owned();
            }
        }
    }

    /// Ends it as a terminal or a supervisor would; whether it ended well.
    async fn end(mut self, signal: &str) -> bool {
        let id = self.child.id().unwrap().to_string();
        let sent = Command::new("kill").args([signal, &id]).status().await.unwrap();
        assert!(sent.success());
        in_time("the process ends", self.child.wait()).await.unwrap().success()
    }
}

/// The configuration that the README runs, elsewhere.
fn example(relay: &str, para: &str, worker: &str, data_dir: &std::path::Path) -> Config {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/prb.toml")).unwrap();
    let data_dir = data_dir.join("data");
    let replaced = [
        ("ws://127.0.0.1:9945", relay),
        ("ws://127.0.0.1:9944", para),
        ("http://127.0.0.1:8000", worker),
        ("prb-devnet-data", data_dir.to_str().unwrap()),
    ]
    .iter()
    .fold(text, |text, (old, new)| {
        let value = format!("\"{old}\"");
        assert!(text.contains(&value), "the example's configuration has {value}");
        text.replace(&value, &format!("\"{new}\""))
    });
    let path = data_dir.with_file_name("prb.toml");
    std::fs::write(&path, replaced).unwrap();
    Config::load(&path).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn chains_and_worker_in_processes_of_their_own_are_joined_by_the_example_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let mut chain =
        Process::start(&["chain", "--relay-port", "0", "--para-port", "0", "--block-time-ms", "120"]);
    let (relay, para) = (chain.url().await, chain.url().await);
    let mut worker = Process::start(&["worker", "--listen", "127.0.0.1:0"]);
    let worker_url = worker.url().await;

    let deployment = Deployment::start(&example(&relay, &para, &worker_url, folder.path())).await.unwrap();
    let working = async || {
        let status = deployment.bridge().workers_status();
        status.len() == 1 && status.iter().all(works)
    };
    let stand = || format!("{:#?}", deployment.bridge().workers_status());
    until_or("the worker works", working, stand).await;
    assert_eq!(deployment.transactions().failed, 0);
    in_time("the bridge stops", deployment.stop()).await;
    assert!(worker.end("-TERM").await);
    assert!(chain.end("-INT").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn chains_that_were_restarted_are_recognised_as_others() {
    let folder = tempfile::tempdir().unwrap();
    let (relay, para) = (Port::keep(), Port::keep());
    let ports = [&relay, &para].map(|port| port.addr.port().to_string());
    let start = || {
        let ports = ["--relay-port", ports[0].as_str(), "--para-port", ports[1].as_str()];
        Process::start(&[&["chain", "--block-time-ms", "50"][..], &ports].concat())
    };
    let mut chain = start();
    let (relay_url, para_url) = (chain.url().await, chain.url().await);
    let mut config = Config::for_nodes(folder.path().join("data"), relay_url.as_str(), para_url.as_str());
    config.serve.listen = crate::world::ANY;
    let provider = DataProvider::start(&config).await.unwrap();
    let remote = RemoteStore::new(RemoteOptions::default());
    remote.add_provider(&format!("http://{}", provider.address())).unwrap();
    let height = async || {
        let coverage = remote.coverage().await.ok().flatten();
        coverage.and_then(|coverage| coverage.relay).map_or(0, |relay| relay.last().0)
    };
    until("something is stored", async || height().await > 20).await;
    let before = height().await;
    assert!(chain.end("-INT").await);

    let mut other = start();
    assert_eq!((other.url().await, other.url().await), (relay_url, para_url));
    let ended = in_time("the provider ends", provider.ended()).await.to_string();
    assert!(ended.contains("choose another data_dir or the right nodes"), "{ended}");
    assert!(height().await >= before);
    provider.stop().await;
    assert!(other.end("-INT").await);
}

/// Gives an order by a control port; returns status line and answer.
async fn order(control: &str, path: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let host = control.strip_prefix("http://").unwrap();
    let mut stream = tokio::net::TcpStream::connect(host).await.unwrap();
    let request =
        format!("POST {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    in_time("the control port answers", stream.read_to_string(&mut answer)).await.unwrap();
    answer
}

/// X7 across processes: what a person does to a worker by its control port.
#[tokio::test(flavor = "multi_thread")]
async fn x07_a_worker_process_that_is_told_to_change_its_key_works_again_before_and_after_an_upgrade() {
    let folder = tempfile::tempdir().unwrap();
    let chain_line = [
        "chain",
        "--relay-port",
        "0",
        "--para-port",
        "0",
        "--block-time-ms",
        "120",
        "--control",
        "127.0.0.1:0",
    ];
    let mut chain = Process::start(&chain_line);
    let (relay, para) = (chain.url().await, chain.url().await);
    let chain_control = chain.address("control").await;
    let mut worker = Process::start(&["worker", "--listen", "127.0.0.1:0", "--control", "127.0.0.1:0"]);
    let worker_url = worker.url().await;
    let control = worker.address("control").await;

    let deployment = Deployment::start(&example(&relay, &para, &worker_url, folder.path())).await.unwrap();
    let stand = || format!("{:#?}", deployment.bridge().workers_status());
    let working = async || deployment.bridge().workers_status().iter().all(works);
    until_or("the worker works", working, stand).await;
    let key = || deployment.bridge().workers_status()[0].info.as_ref().and_then(|info| info.public_key);
    let first = key();

    assert!(order(&control, "/nothing").await.starts_with("HTTP/1.1 404"));
    assert!(order(&control, "/slow").await.starts_with("HTTP/1.1 400"));
    assert!(order(&control, "/change-key").await.starts_with("HTTP/1.1 200"));
    let another = async || key().is_some() && key() != first && working().await;
    until_or("the worker works with another key", another, stand).await;

    // An upgrade by the chain's port: what is done from then on is done with the new indices.
    assert!(order(&chain_control, "/upgrade").await.starts_with("HTTP/1.1 200"));
    let second = key();
    assert!(order(&control, "/change-key").await.starts_with("HTTP/1.1 200"));
    let third = async || key().is_some() && key() != second && working().await;
    until_or("the worker works with a third key", third, stand).await;
    in_time("the bridge stops", deployment.stop()).await;
    assert!(worker.end("-TERM").await);
    assert!(chain.end("-INT").await);
}
