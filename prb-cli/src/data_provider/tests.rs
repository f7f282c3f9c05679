use super::*;

fn args(relay: &[&str], para: &[&str]) -> DataProviderArgs {
    let owned = |urls: &[&str]| urls.iter().map(|url| (*url).to_owned()).collect();
    DataProviderArgs {
        relay: owned(relay),
        para: owned(para),
        listen: Some("127.0.0.1:9".parse().unwrap()),
        ..DataProviderArgs::default()
    }
}

#[test]
fn two_nodes_on_the_command_line_are_enough() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("prb.toml");
    let configured = |file: &std::path::Path, args: &DataProviderArgs| configured(&Sources::file(file), args);
    let config = configured(&file, &args(&["ws://a:1"], &["ws://b:2", "ws://c:2"])).unwrap();
    assert_eq!((config.chain.relay.all(), config.chain.para.all().len()), (&["ws://a:1".to_owned()][..], 2));
    assert_eq!(config.serve.listen.port(), 9);
    assert!(configured(&file, &args(&["ws://a:1"], &[])).is_err(), "one is not");
    assert!(configured(&file, &args(&["http://a:1"], &["ws://b:2"])).is_err());

    fs::write(&file, "[chain]\nrelay = \"ws://c:3\"\npara = \"ws://d:4\"\nverify_state = false\n").unwrap();
    let config = configured(&file, &args(&[], &["ws://b:2"])).unwrap();
    assert_eq!((config.chain.relay.first(), config.chain.para.first()), ("ws://c:3", "ws://b:2"));
    assert!(!config.chain.verify_state, "the rest of the file counts");

    let mirror = DataProviderArgs { mirror: Some("http://e:5".to_owned()), ..args(&[], &[]) };
    for file in [&file, &folder.path().join("none.toml")] {
        let config = configured(file, &mirror).unwrap();
        assert_eq!(config.chain.mirror.as_deref(), Some("http://e:5"));
        assert!(config.chain.relay.is_empty() && config.chain.para.is_empty(), "no node is asked");
    }
    fs::write(&file, "[chain]\nmirror = \"http://e:5\"\n").unwrap();
    let config = configured(&file, &args(&["ws://a:1"], &["ws://b:2"])).unwrap();
    assert_eq!(config.chain.mirror, None, "nodes on the command line win too");
    let cache = DataProviderArgs { headers_cache: Some("http://f:6".to_owned()), ..args(&[], &[]) };
    let error = configured(&file, &cache).unwrap_err().to_string();
    assert!(error.contains("chain.headers_cache") && error.contains("chain.mirror"), "{error}");
}

#[test]
fn a_token_comes_out_of_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    let serve = Serve { token_file: Some(file.clone()), ..Serve::default() };
    assert!(server_options(&serve).unwrap_err().to_string().contains("serve.token_file"));
    fs::write(&file, "short\n").unwrap();
    assert!(server_options(&serve).unwrap_err().to_string().contains("16"));
    fs::write(&file, "a-token-of-some-length\n").unwrap();
    assert!(server_options(&serve).unwrap().token.is_some());
}

/// The status of a question, perhaps with a token.
async fn asked(at: SocketAddr, path: &str, token: &str) -> u16 {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(at).await.unwrap();
    let request =
        format!("GET {path} HTTP/1.1\r\nhost: {at}\r\nauthorization: {token}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    let read = stream.read_to_string(&mut answer);
    tokio::time::timeout(Duration::from_secs(60), read).await.unwrap().unwrap();
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn x18_metrics_are_for_who_may_read_and_can_be_taken_off_the_port() {
    const TOKEN: &str = "Bearer a-token-of-some-length";
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    fs::write(&token, "a-token-of-some-length\n").unwrap();
    let mut config = Config::for_nodes(folder.path().to_owned(), "ws://127.0.0.1:9", "ws://127.0.0.1:9");
    config.serve.listen = "127.0.0.1:0".parse().unwrap();
    config.serve.token_file = Some(token);
    // Nothing records metrics in a test, which is 503; a path that is not there is 404.
    for (metrics, elsewhere, with_token) in [(true, None, 503), (false, None, 404), (true, Some(503), 404)] {
        config.serve.metrics = metrics;
        config.serve.metrics_listen = elsewhere.map(|_| "127.0.0.1:0".parse().unwrap());
        let provider = DataProvider::start(&config).await.unwrap();
        let at = provider.address();
        assert_eq!(asked(at, "/metrics", "").await, 401);
        assert_eq!(asked(at, "/metrics", TOKEN).await, with_token);
        assert_eq!(asked(at, "/healthz", TOKEN).await, 200);
        assert_eq!(provider.metrics_address().is_some(), elsewhere.is_some());
        if let Some((at, status)) = provider.metrics_address().zip(elsewhere) {
            for (path, status) in
                [("/metrics", status), ("/healthz", 200), ("/readyz", 503), ("/v1/info", 404)]
            {
                assert_eq!(asked(at, path, "").await, status, "{path}");
            }
            let mut taken = config.clone();
            taken.serve.metrics_listen = Some(at);
            let refused = DataProvider::start(&taken).await.err().unwrap().to_string();
            assert!(refused.contains("serve.metrics_listen"), "{refused}");
        }
        provider.stop().await;
    }
}

#[tokio::test]
async fn a_key_of_peers_that_cannot_be_used_ends_the_start_before_anything_runs() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = Config::for_nodes(folder.path().to_owned(), "ws://127.0.0.1:9", "ws://127.0.0.1:9");
    config.serve.listen = "127.0.0.1:0".parse().unwrap();
    config.p2p.enabled = true;
    fs::create_dir(config.peer_keys_dir()).unwrap();
    fs::write(config.peer_keys_dir().join("DATA_PROVIDER"), "no key").unwrap();
    let refused = DataProvider::start(&config).await.err().unwrap().to_string();
    assert!(refused.contains("p2p.identity_dir") && refused.contains("DATA_PROVIDER"), "{refused}");
    assert!(!config.blobs_dir().exists(), "no store is opened");
}

#[tokio::test]
async fn it_serves_and_stops_while_its_nodes_are_down() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = Config::for_nodes(folder.path().to_owned(), "ws://127.0.0.1:9", "ws://127.0.0.1:9");
    config.serve.listen = "127.0.0.1:0".parse().unwrap();
    let provider = DataProvider::start(&config).await.unwrap();
    let remote = prb_store::RemoteStore::new(prb_store::RemoteOptions::default());
    remote.add_provider(&format!("http://{}", provider.address())).unwrap();
    remote.ready().await;
    assert_eq!(prb_core::port::BlobStore::coverage(&remote).await.unwrap(), None);
    let mut taken = config.clone();
    taken.serve.listen = provider.address();
    let refused = DataProvider::start(&taken).await.err().unwrap().to_string();
    assert!(refused.contains("cannot listen"), "{refused}");
    provider.stop().await;
    DataProvider::start(&config).await.unwrap().stop().await;
}
