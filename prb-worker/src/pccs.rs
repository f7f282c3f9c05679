//! Collateral for DCAP quotes from a PCCS (Intel's caching service, API versions 3 and 4).

mod answer;
mod http;

use crate::{
    connect::{Connect, Tcp},
    endpoint::{BadEndpoint, Endpoint},
    tls::Tls,
};
use async_trait::async_trait;
use prb_core::{
    attestation::PlatformKind,
    fault::described,
    port::{CollateralError, CollateralSource},
    types::attestation::SgxV30QuoteCollateral,
};
use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    sync::Mutex as AsyncMutex,
    time::{Instant, timeout},
};
use tracing::info;

/// How a PCCS is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PccsOptions {
    /// Longest time of one fetch, all four questions together. Typical: 20 s.
    pub timeout: Duration,
    /// How long an answer is kept. Collateral is valid for weeks; longer saves little. Typical: one hour.
    pub keep: Duration,
}

impl Default for PccsOptions {
    fn default() -> Self {
        Self { timeout: Duration::from_secs(20), keep: Duration::from_secs(3600) }
    }
}

/// [`CollateralSource`] over HTTP or HTTPS. One fetch serves all who ask for the same kind of platform at once.
pub struct Pccs {
    endpoint: Endpoint,
    connector: Tcp,
    options: PccsOptions,
    slots: Mutex<BTreeMap<PlatformKind, Arc<AsyncMutex<Slot>>>>,
}

/// The last answer about one kind of platform.
type Slot = Option<(Instant, Result<Arc<SgxV30QuoteCollateral>, CollateralError>)>;

/// A failure is the answer for so long, so that a thousand workers do not wait for one PCCS one after the other.
const KEEP_FAILURE: Duration = Duration::from_secs(10);

/// Kinds of platforms remembered; which ones there are is up to the workers.
const MAX_KINDS: usize = 256;

impl Pccs {
    /// The PCCS whose addresses begin with `url`, for example `https://pccs.example:8081/sgx/certification/v4`. `tls` says
    /// whom to believe where the system's certificates do not vouch for it. Nothing is connected yet.
    pub fn new(url: &str, tls: Option<Tls>, options: PccsOptions) -> Result<Self, BadEndpoint> {
        Ok(Self {
            endpoint: url.parse()?,
            connector: tls.map(Tcp::with_tls).unwrap_or_default(),
            options,
            slots: Mutex::default(),
        })
    }

    fn slot(&self, kind: PlatformKind) -> Arc<AsyncMutex<Slot>> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.len() >= MAX_KINDS && !slots.contains_key(&kind) {
            slots.pop_first();
        }
        slots.entry(kind).or_default().clone()
    }

    async fn fetch(&self, kind: PlatformKind) -> Result<Arc<SgxV30QuoteCollateral>, CollateralError> {
        let limit = self.options.timeout;
        let fetched = timeout(limit, Box::pin(self.ask(kind)))
            .await
            .unwrap_or_else(|_| Err(self.unreachable(format!("no answer within {} s", limit.as_secs_f64()))));
        let result = if fetched.is_ok() { "fetched" } else { "failed" };
        metrics::counter!("prb_collateral_total", "result" => result).increment(1);
        if fetched.is_ok() {
            info!(%kind, pccs = %self.endpoint, "fetched DCAP collateral");
        }
        fetched.map(Arc::new)
    }

    async fn ask(&self, kind: PlatformKind) -> Result<SgxV30QuoteCollateral, CollateralError> {
        let fmspc = hex::encode_upper(kind.fmspc);
        let (crl, root, tcb, identity) = futures::try_join!(
            self.get(kind, format!("/pckcrl?ca={}", kind.ca.name())),
            self.get(kind, "/rootcacrl".to_owned()),
            self.get(kind, format!("/tcb?fmspc={fmspc}")),
            self.get(kind, "/qe/identity".to_owned()),
        )?;
        answer::collateral(&crl, &root, &tcb, &identity)
            .map_err(|cause| CollateralError::BadAnswer { url: self.endpoint.to_string(), cause })
    }

    async fn get(&self, kind: PlatformKind, path: String) -> Result<http::Answer, CollateralError> {
        let stream = self.connector.connect(&self.endpoint).await;
        let stream = stream.map_err(|error| self.unreachable(described(&error)))?;
        match http::get(stream, &self.endpoint, &path).await {
            Ok(answer) if answer.status == 200 => Ok(answer),
            Ok(answer) => {
                let url = format!("{}{path}", self.endpoint);
                Err(CollateralError::Refused { url, status: answer.status, kind })
            }
            Err(http::Failure::Broken(cause)) => Err(self.unreachable(format!("{path}: {cause}"))),
            Err(http::Failure::Unusable(cause)) => {
                Err(CollateralError::BadAnswer { url: format!("{}{path}", self.endpoint), cause })
            }
        }
    }

    fn unreachable(&self, cause: String) -> CollateralError {
        CollateralError::Unreachable { url: self.endpoint.to_string(), cause }
    }
}

#[async_trait]
impl CollateralSource for Pccs {
    async fn collateral(&self, kind: PlatformKind) -> Result<Arc<SgxV30QuoteCollateral>, CollateralError> {
        let slot = self.slot(kind);
        let mut slot = slot.lock().await;
        if let Some((at, answer)) = &*slot {
            let keep = if answer.is_ok() { self.options.keep } else { KEEP_FAILURE };
            if at.elapsed() < keep {
                metrics::counter!("prb_collateral_total", "result" => "kept").increment(1);
                return answer.clone();
            }
        }
        let answer = self.fetch(kind).await;
        *slot = Some((Instant::now(), answer.clone()));
        answer
    }
}

impl fmt::Debug for Pccs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pccs").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}
