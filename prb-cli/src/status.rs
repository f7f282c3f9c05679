//! `prb status`: how far a running data provider is.

use crate::{
    args::StatusArgs,
    config::{Config, ConfigError, Purpose, Sources},
    token::{TokenError, token_in},
};
use prb_core::{
    id::Height,
    progress::{Leg, Roughly},
};
use prb_store::{
    RemoteOptions,
    remote::{InfoError, info},
    tls::{ClientTls, TlsError},
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::{
    io::{self, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

/// Who is asked unless somebody else is named.
const DEFAULT: &str = "http://127.0.0.1:8012";

/// How long it may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why there is no status.
#[derive(Debug, thiserror::Error)]
pub enum StatusError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// There is no token in the file.
    #[error("token file {path}: {cause}")]
    TokenFile {
        /// The file.
        path: PathBuf,
        /// Why not.
        cause: TokenError,
    },
    /// The certificates cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// It does not answer.
    #[error(transparent)]
    Info(#[from] InfoError),
    /// Its answer is not understood.
    #[error("{url}: its answer is not understood: {cause}; use a `prb` of its version")]
    Unknown {
        /// Who was asked.
        url: String,
        /// Why not.
        cause: serde_json::Error,
    },
    /// Writing failed.
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// What is read of `/v1/info`; providers of other versions may say less or more.
#[derive(Deserialize)]
struct Info {
    version: String,
    chain: Option<Chain>,
    heights: Streams<Option<[u32; 2]>>,
    targets: Option<Targets>,
    blocks_per_second: Streams<Option<f64>>,
    source: Option<String>,
    #[serde(default)]
    sources: Option<Vec<Source>>,
    stalled: Option<String>,
}

#[derive(Deserialize)]
struct Chain {
    tag: String,
    para_id: u32,
    parachain: bool,
    state_verified: bool,
}

#[derive(Deserialize)]
struct Streams<T> {
    relay: T,
    para: T,
    changes: T,
}

#[derive(Clone, Copy, Deserialize)]
struct Targets {
    relay: u32,
    para: u32,
}

#[derive(Deserialize)]
struct Source {
    name: String,
    chain: String,
    height: Option<u32>,
    in_use: bool,
    trouble: Option<String>,
}

/// How far one stream is.
struct Row {
    name: &'static str,
    key: &'static str,
    span: Option<[u32; 2]>,
    target: Option<u32>,
    rate: Option<f64>,
}

/// Asks a provider and writes what it says. The configuration, if there is one, says where.
pub async fn status(sources: &Sources, args: &StatusArgs, out: &mut dyn Write) -> Result<(), StatusError> {
    let (url, options) = target(sources, args)?;
    let answer = info(&url, &options).await?;
    let parsed = Info::deserialize(&answer);
    let said = parsed.map_err(|cause| StatusError::Unknown { url: url.clone(), cause })?;
    if args.json {
        writeln!(out, "{}", said.json(&url, &answer))?;
    } else {
        said.write(&url, out)?;
    }
    Ok(())
}

/// Whom to ask, and how.
fn target(sources: &Sources, args: &StatusArgs) -> Result<(String, RemoteOptions), StatusError> {
    let mut token_file = args.token_file.clone();
    let mut ca_file = args.ca_file.clone();
    let url = match &args.url {
        Some(url) => url.clone(),
        None if sources.file.exists() || sources.stand_alone() => {
            // Whom a provider asks does not matter here.
            let serve = Config::read(sources, Purpose::DataProvider)?.serve;
            token_file = token_file.or(serve.token_file);
            let scheme = if serve.tls_certificate.is_some() { "https" } else { "http" };
            ca_file = ca_file.or(serve.tls_certificate);
            format!("{scheme}://{}", reachable(serve.listen))
        }
        None => DEFAULT.to_owned(),
    };
    let token =
        token_file.map(|path| token_in(&path).map_err(|cause| StatusError::TokenFile { path, cause }));
    let options = RemoteOptions {
        token: token.transpose()?,
        tls: ca_file.as_deref().map(ClientTls::from_file).transpose()?,
        answer_deadline: PATIENCE,
        ..RemoteOptions::default()
    };
    Ok((url, options))
}

/// Who listens on all addresses is reached at this machine's own.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

impl Info {
    fn rows(&self) -> Vec<Row> {
        let parachain = self.chain.as_ref().is_none_or(|chain| chain.parachain);
        let (relay, para) = (self.targets.map(|to| to.relay), self.targets.map(|to| to.para));
        let (span, rate) = (&self.heights, &self.blocks_per_second);
        let row = |name, key, span, target, rate| Row { name, key, span, target, rate };
        let mut rows = vec![row("relay headers", "relay", span.relay, relay, rate.relay)];
        if parachain {
            rows.push(row("para headers", "para", span.para, para, rate.para));
        }
        rows.push(row("changes", "changes", span.changes, para, rate.changes));
        rows
    }

    fn json(&self, url: &str, answer: &Value) -> Value {
        let stream = |row: &Row| {
            let stands = json!({
                "first": row.span.map(|[first, _]| first),
                "last": row.span.map(|[_, last]| last),
                "target": row.target,
                "blocks_per_second": row.rate,
                "eta_seconds": row.eta().map(|eta| eta.as_secs_f64().ceil()),
            });
            (row.key.to_owned(), stands)
        };
        json!({
            "url": url,
            "version": self.version,
            "chain": answer["chain"],
            "streams": self.rows().iter().map(stream).collect::<serde_json::Map<_, _>>(),
            "source": self.source,
            "sources": answer["sources"],
            "stalled": self.stalled,
        })
    }

    fn write(&self, url: &str, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "{url}, prb {}", self.version)?;
        match &self.chain {
            None => writeln!(out, "nothing is stored yet")?,
            Some(chain) => {
                let what = if chain.parachain {
                    format!("parachain {}", chain.para_id)
                } else {
                    "solo chain".into()
                };
                let verified = if chain.state_verified { "verified" } else { "not verified" };
                writeln!(out, "{:18}{what}, {}, states {verified}", "chain", chain.tag)?;
            }
        }
        for row in self.rows() {
            writeln!(out, "{:18}{}", row.name, row.text(self.stalled.is_some()))?;
        }
        if let Some(stalled) = &self.stalled {
            writeln!(out, "{:18}{stalled}", "stands still")?;
        }
        match self.sources.as_deref().unwrap_or_default() {
            [] => self.source.iter().try_for_each(|source| writeln!(out, "{:18}{source}", "source")),
            sources => sources.iter().try_for_each(|source| {
                let height = source.height.map_or_else(|| "unknown".to_owned(), |height| height.to_string());
                let used = if source.in_use { ", in use" } else { "" };
                let trouble = source.trouble.iter().fold(String::new(), |_, trouble| format!(", {trouble}"));
                let Source { name, chain, .. } = source;
                writeln!(out, "{:18}{name} at {height}{used}{trouble}", format!("{chain} node"))
            }),
        }
    }
}

impl Row {
    fn leg(&self) -> Option<Leg> {
        let here = self.span.map_or(0, |[_, last]| last);
        Some(Leg { here: Height(here), there: Height(self.target?) })
    }

    fn eta(&self) -> Option<Duration> {
        self.leg()?.eta(self.rate.unwrap_or_default())
    }

    /// What people read. While it stands still nobody knows whether there is more.
    fn text(&self, stands_still: bool) -> String {
        let stored = self.span.map_or_else(|| "none".to_owned(), |[first, last]| format!("{first}..={last}"));
        let Some(leg) = self.leg() else { return format!("{stored}, how many there are is not known yet") };
        if leg.left() == 0 {
            let all =
                if stands_still { "all that was known when it came to stand still" } else { "all there are" };
            return format!("{stored}, {all}");
        }
        let rate =
            self.rate.map_or_else(|| "speed unknown".to_owned(), |rate| format!("{rate:.1} per second"));
        let eta = self.eta().map_or_else(|| "unknown".to_owned(), |eta| Roughly(eta).to_string());
        format!("{stored} of {}, {rate}, ETA {eta}", leg.there)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Environment;

    fn answer() -> Value {
        json!({
            "version": "0.1.0",
            "chain": {"tag": "ab12", "para_id": 2035, "parachain": true, "state_verified": true, "more": 1},
            "heights": {"relay": [101, 1100], "para": [0, 500], "changes": [1, 100]},
            "targets": {"relay": 1100, "para": 500},
            "blocks_per_second": {"relay": 0.2, "para": null, "changes": 2.0},
            "source": "ws://a and ws://b",
            "sources": [
                {"name": "ws://a", "chain": "relay chain", "height": 1100, "in_use": true, "trouble": null},
                {"name": "ws://b", "chain": "parachain", "height": null, "in_use": false, "trouble": "not reachable"},
            ],
            "stalled": null,
            "bytes_served": 7,
        })
    }

    fn text(answer: &Value) -> String {
        let mut out = Vec::new();
        Info::deserialize(answer).unwrap().write("http://x:1", &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn people_read_how_far_each_stream_is_and_how_nodes_stand() {
        let expected = "http://x:1, prb 0.1.0\n\
                        chain          parachain 2035, ab12, states verified\n\
                        relay headers  101..=1100, all there are\n\
                        para headers   0..=500, all there are\n\
                        changes        1..=100 of 500, 2.0 per second, ETA 4 min\n\
                        relay chain node ws://a at 1100, in use\n\
                        parachain node ws://b at unknown, not reachable\n";
        let said = text(&answer());
        let squeezed =
            |text: &str| text.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
        assert_eq!(squeezed(&said), squeezed(expected));
        let mut still = answer();
        still["stalled"] = json!("ws://a: waiting for relay headers");
        let said = text(&still);
        assert!(said.contains("101..=1100, all that was known") && !said.contains("all there are"), "{said}");
        let mut young = answer();
        young["chain"] = Value::Null;
        young["heights"] = json!({"relay": null, "para": null, "changes": null});
        young["targets"] = Value::Null;
        young["stalled"] = json!("ws://a: waiting for an answer");
        young.as_object_mut().unwrap().remove("sources");
        let said = text(&young);
        for part in ["nothing is stored yet", "none, how many", "waiting for an answer", "ws://a and ws://b"]
        {
            assert!(said.contains(part), "{said}");
        }
    }

    #[test]
    fn programs_read_the_same() {
        let said = Info::deserialize(&answer()).unwrap().json("http://x:1", &answer());
        let changes =
            json!({"first": 1, "last": 100, "target": 500, "blocks_per_second": 2.0, "eta_seconds": 200.0});
        assert_eq!(said["streams"]["changes"], changes);
        assert_eq!(said["streams"]["relay"]["eta_seconds"], 0.0);
        assert_eq!(said["sources"][1]["trouble"], "not reachable");
    }

    #[test]
    fn the_configuration_says_whom_to_ask_where_nobody_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("prb.toml");
        let ask = |args: &StatusArgs| target(&Sources::file(&file), args).unwrap().0;
        assert_eq!(ask(&StatusArgs::default()), DEFAULT);
        let nodes = "[chain]\nrelay = \"ws://a:1\"\npara = \"ws://b:2\"\n";
        std::fs::write(&file, format!("{nodes}[serve]\nlisten = \"0.0.0.0:9000\"\n")).unwrap();
        assert_eq!(ask(&StatusArgs::default()), "http://127.0.0.1:9000");
        let named = StatusArgs { url: Some("http://c:3".to_owned()), ..StatusArgs::default() };
        assert_eq!(ask(&named), "http://c:3");
        std::fs::write(&file, format!("{nodes}[serve]\nlisten = \"[::]:9000\"\n")).unwrap();
        assert_eq!(ask(&StatusArgs::default()), "http://[::1]:9000");
        let environment =
            Environment::of([("PHALA_MODULE", "data_provider"), ("PRB_SERVE_LISTEN", "127.0.0.1:9001")]);
        let alone = Sources { file: "prb.toml".into(), environment };
        let (url, _) = target(&alone, &StatusArgs::default()).unwrap();
        assert_eq!(url, "http://127.0.0.1:9001", "variables alone say it too");
        std::fs::write(&file, "nonsense").unwrap();
        assert!(target(&Sources::file(&file), &StatusArgs::default()).is_err());
        assert!(target(&Sources::file(&file), &named).is_ok(), "it is not needed");
    }
}
