//! A fake worker behind a driver that weighs what it carries.

use async_trait::async_trait;
use prb_core::{
    Bytes,
    id::{AccountId, Height},
    port::{
        WorkerDriver, WorkerError, WorkerInfo,
        worker::{
            Attestation, BlockItem, HeadersRequest, InitRequest, ParaHeadersRequest, RuntimeInfo,
            SignedEndpoints,
        },
    },
    testkit::FakeWorker,
    types::message::EgressMessages,
};
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

/// Bytes under way to the workers that share it.
#[derive(Default)]
pub struct Scale {
    now: AtomicUsize,
    most: AtomicUsize,
    /// Requests of no more items than this are not weighed: work at the tip is not held back.
    near: usize,
}

impl Scale {
    /// One that weighs requests of more than `near` blocks or headers only.
    pub fn beyond(near: usize) -> Self {
        Self { near, ..Self::default() }
    }

    fn load(&self, items: usize, bytes: usize) -> Load<'_> {
        Load::new(self, if items > self.near { bytes } else { 0 })
    }

    /// The most that were under way at once.
    pub fn most(&self) -> usize {
        self.most.load(Relaxed)
    }
}

struct Load<'a>(&'a Scale, usize);

impl<'a> Load<'a> {
    fn new(scale: &'a Scale, bytes: usize) -> Self {
        let now = scale.now.fetch_add(bytes, Relaxed) + bytes;
        scale.most.fetch_max(now, Relaxed);
        Self(scale, bytes)
    }
}

impl Drop for Load<'_> {
    fn drop(&mut self) {
        self.0.now.fetch_sub(self.1, Relaxed);
    }
}

/// What a porter has carried.
#[derive(Default)]
pub struct Book {
    /// Bytes of storage changes in each request of them.
    pub blocks: Vec<usize>,
    /// Where the bodies of states lie in memory.
    pub states: Vec<usize>,
}

/// The driver. Clones share everything.
#[derive(Clone)]
pub struct Porter {
    pub fake: FakeWorker,
    pub book: Arc<Mutex<Book>>,
    scale: Arc<Scale>,
    /// Whether only the first half of each request of blocks arrives.
    half: bool,
    /// What it answers for an attestation, if not the worker's own.
    report: Option<Bytes>,
}

impl Porter {
    pub fn new(fake: FakeWorker, scale: &Arc<Scale>) -> Self {
        Self { fake, book: Arc::default(), scale: scale.clone(), half: false, report: None }
    }

    pub fn half(self) -> Self {
        Self { half: true, ..self }
    }

    pub fn report(self, report: Bytes) -> Self {
        Self { report: Some(report), ..self }
    }

    fn attested(&self, info: RuntimeInfo) -> RuntimeInfo {
        let report = self.report.clone().map(Attestation::Report);
        let attestation = info.attestation.map(|own| report.unwrap_or(own));
        RuntimeInfo { attestation, ..info }
    }
}

fn weight<'a>(items: impl IntoIterator<Item = &'a Bytes>) -> usize {
    items.into_iter().map(Bytes::len).sum()
}

#[async_trait]
impl WorkerDriver for Porter {
    async fn info(&self) -> Result<WorkerInfo, WorkerError> {
        self.fake.info().await
    }

    async fn init(&self, request: InitRequest) -> Result<RuntimeInfo, WorkerError> {
        self.book.lock().unwrap().states.push(request.genesis_state.as_ptr() as usize);
        let _load = Load::new(&self.scale, request.genesis_state.len());
        // No fake supports any attestation.
        let info = self.fake.init(InitRequest { attestation_provider: None, ..request }).await?;
        Ok(self.attested(info))
    }

    async fn sync_headers(&self, request: HeadersRequest) -> Result<Option<Height>, WorkerError> {
        let _load = self.scale.load(request.headers.len(), weight(&request.headers));
        self.fake.sync_headers(request).await
    }

    async fn sync_para_headers(&self, request: ParaHeadersRequest) -> Result<Option<Height>, WorkerError> {
        let _load = self.scale.load(request.headers.len(), weight(&request.headers));
        self.fake.sync_para_headers(request).await
    }

    async fn sync_combined(
        &self,
        headers: HeadersRequest,
        para: ParaHeadersRequest,
    ) -> Result<(Option<Height>, Option<Height>), WorkerError> {
        let items = headers.headers.len().max(para.headers.len());
        let _load = self.scale.load(items, weight(&headers.headers) + weight(&para.headers));
        self.fake.sync_combined(headers, para).await
    }

    async fn dispatch(&self, mut blocks: Vec<BlockItem>) -> Result<Option<Height>, WorkerError> {
        let bytes = weight(blocks.iter().map(|block| &block.changes));
        self.book.lock().unwrap().blocks.push(bytes);
        let _load = self.scale.load(blocks.len(), bytes);
        if self.half {
            blocks.truncate(blocks.len().div_ceil(2));
        }
        self.fake.dispatch(blocks).await
    }

    async fn load_chain_state(&self, block: Height, state: Bytes) -> Result<(), WorkerError> {
        self.book.lock().unwrap().states.push(state.as_ptr() as usize);
        let _load = Load::new(&self.scale, state.len());
        self.fake.load_chain_state(block, state).await
    }

    async fn runtime_info(
        &self,
        refresh: bool,
        operator: Option<AccountId>,
    ) -> Result<RuntimeInfo, WorkerError> {
        Ok(self.attested(self.fake.runtime_info(refresh, operator).await?))
    }

    async fn egress_messages(&self) -> Result<EgressMessages, WorkerError> {
        self.fake.egress_messages().await
    }

    async fn sign_endpoints(&self, endpoints: Vec<String>) -> Result<SignedEndpoints, WorkerError> {
        self.fake.sign_endpoints(endpoints).await
    }

    async fn take_checkpoint(&self) -> Result<Height, WorkerError> {
        self.fake.take_checkpoint().await
    }

    async fn stop(&self, remove_checkpoints: bool) -> Result<(), WorkerError> {
        self.fake.stop(remove_checkpoints).await
    }

    fn endpoint(&self) -> String {
        self.fake.endpoint()
    }
}
