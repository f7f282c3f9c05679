//! A browser of a test's own, driven over WebDriver.

use fantoccini::{Client, ClientBuilder};
use http_body_util::BodyExt;
use hyper::Request;
use hyper_util::{client::legacy::connect::HttpConnector, rt::TokioIo};
use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader},
    net::{Ipv4Addr, SocketAddr},
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::mpsc,
    time::Duration,
};
use tokio::net::TcpStream;

/// Chromium with an empty profile and a chromedriver for it alone.
pub struct Browser {
    pub client: Client,
    driver: Driver,
    session: String,
}

/// Size of what is looked at, and whether it is a phone.
#[derive(Clone, Copy, Debug)]
pub struct Screen {
    pub name: &'static str,
    width: u32,
    height: u32,
    phone: bool,
}

pub const DESKTOP: Screen = Screen { name: "desktop", width: 1280, height: 800, phone: false };
pub const PHONE: Screen = Screen { name: "phone", width: 390, height: 844, phone: true };

/// Longest time until chromedriver listens. Generous: machines that test are busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// Pages go on without these where there are none, as on a machine without a peer-to-peer network.
const OPTIONAL: [&str; 1] = ["/ptp/"];

/// What is answered then.
const ABSENT: [&str; 1] = ["a status of 503 "];

impl Browser {
    /// None, with a word about it, where there is no `chromedriver`; CI must have one.
    #[allow(clippy::print_stderr)]
    pub async fn start() -> Option<Self> {
        if Command::new("chromedriver").arg("--version").stdout(Stdio::null()).status().is_err() {
            assert!(std::env::var_os("PRB_NEED_BROWSER").is_none(), "chromedriver is not installed");
            eprintln!(
                "SKIPPED: chromedriver is not installed (Debian: apt-get install chromium chromium-driver)"
            );
            return None;
        }
        let driver = Driver::start();
        let profile = driver.folder.path().join("profile");
        let arguments = [
            "--headless=new".to_owned(),
            // Neither may be had by root in a container.
            "--no-sandbox".to_owned(),
            "--disable-dev-shm-usage".to_owned(),
            "--disable-gpu".to_owned(),
            format!("--user-data-dir={}", profile.display()),
        ];
        let wanted = json!({
            "goog:chromeOptions": { "args": arguments },
            "goog:loggingPrefs": { "browser": "ALL" },
        });
        let wanted = wanted.as_object().unwrap().clone();
        let url = format!("http://{}", driver.address);
        let mut builder = ClientBuilder::new(HttpConnector::new());
        let client = builder.capabilities(wanted).connect(&url).await.unwrap();
        let session = client.session_id().await.unwrap().unwrap();
        let browser = Self { client, driver, session };
        browser.look_at(DESKTOP).await;
        browser.scheme("light").await;
        Some(browser)
    }

    /// Looks at pages in this size from now on.
    pub async fn look_at(&self, screen: Screen) {
        let Screen { width, height, phone, .. } = screen;
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone });
        self.order("Emulation.setDeviceMetricsOverride", &size).await;
    }

    /// The colours that the user of the machine prefers: `light` or `dark`.
    pub async fn scheme(&self, scheme: &str) {
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.order("Emulation.setEmulatedMedia", &json!({ "features": features })).await;
    }

    /// Whatever is asked from now on says that a proxy asks it for somebody on another machine.
    pub async fn come_from_elsewhere(&self) {
        self.order("Network.enable", &json!({})).await;
        let headers = json!({ "headers": { "X-Forwarded-For": "203.0.113.9" } });
        self.order("Network.setExtraHTTPHeaders", &headers).await;
    }

    /// An order of the DevTools protocol.
    async fn order(&self, order: &str, parameters: &Value) {
        self.ask("goog/cdp/execute", &json!({ "cmd": order, "params": parameters })).await;
    }

    /// What went wrong in the pages since this was asked last: what they threw, complained of, or could not load.
    pub async fn complaints(&self) -> Vec<String> {
        let entries = self.ask("se/log", &json!({ "type": "browser" })).await;
        let has = |said: &str, one: &[&str]| one.iter().any(|part| said.contains(part));
        let is_optional = |said: &str| has(said, &OPTIONAL) && has(said, &ABSENT);
        let bad = |entry: &&Value| {
            (entry["level"] == "SEVERE" || entry["level"] == "WARNING")
                && !is_optional(entry["message"].as_str().unwrap_or_default())
        };
        entries.as_array().unwrap().iter().filter(bad).map(Value::to_string).collect()
    }

    /// What is looked at, as a picture in the folder for that.
    pub async fn picture(&self, name: &str) {
        let folder = std::env::var_os("PRB_SCREENSHOTS")
            .map_or_else(|| PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("screenshots"), PathBuf::from);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(format!("{name}.png")), self.client.screenshot().await.unwrap()).unwrap();
    }

    /// Asks what WebDriver itself does not have.
    async fn ask(&self, what: &str, body: &Value) -> Value {
        let address = self.driver.address;
        let stream = TokioIo::new(TcpStream::connect(address).await.unwrap());
        let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await.unwrap();
        let connection = tokio::spawn(connection);
        let request = Request::post(format!("/session/{}/{what}", self.session))
            .header("host", address.to_string())
            .header("content-type", "application/json")
            .body(body.to_string())
            .unwrap();
        let answer = sender.send_request(request).await.unwrap();
        let (head, body) = answer.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        connection.abort();
        assert!(head.status.is_success(), "{what}: {}", String::from_utf8_lossy(&body));
        serde_json::from_slice::<Value>(&body).unwrap()["value"].take()
    }
}

/// A chromedriver. It leads a group of processes, and whatever it started ends with it.
struct Driver {
    child: Child,
    address: SocketAddr,
    folder: tempfile::TempDir,
}

impl Driver {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut child = Command::new("chromedriver")
            .arg("--port=0")
            .env("TMPDIR", folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stdout.take().unwrap());
        let mut driver = Self { child, address: (Ipv4Addr::LOCALHOST, 0).into(), folder };
        let (tell, told) = mpsc::channel();
        // To its end: a pipe that nobody reads would hold it up once it is full.
        std::thread::spawn(move || {
            for line in said.lines().map_while(Result::ok) {
                if let Some((_, port)) = line.split_once("started successfully on port ") {
                    let _ = tell.send(port.trim_end_matches('.').parse().unwrap());
                }
            }
        });
        driver.address.set_port(told.recv_timeout(PATIENCE).expect("chromedriver says its port in time"));
        driver
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let group = format!("-{}", self.child.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
        let _ = self.child.wait();
    }
}
