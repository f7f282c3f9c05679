//! An archive, or record files of headers-cache, as sources of blocks: what they answer is verified like a node's answer.

use async_trait::async_trait;
use codec::DecodeAll;
use prb_core::{
    Bytes,
    id::{BlockRef, Height},
    port::{
        Answer, BlockSource, ChainIdentity, Genesis, Origin, ParaHead, RelayBatch, SourceError, Stream, Tips,
        store::ProvenHead,
    },
    span::Span,
    types::{grandpa::AuthoritySetChange, sync::ChangesForm},
};
use prb_store::{
    archive::{Archive, ArchiveError},
    records::{self, Kind, Records, RecordsError, RelayRecord},
};
use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// Longest run of relay headers up to a justified one that is taken. Authority sets have up to a few thousand; finality
/// that stood still makes them longer.
const MAX_BATCH: u64 = 1 << 17;

/// How long nothing changes: these sources are what they are.
const PATIENCE: Duration = Duration::from_secs(12);

/// Files that hold headers by height.
#[async_trait]
pub trait HeaderFiles: BlockSource {
    /// Heights whose headers of either chain are there.
    fn heights(&self, stream: Stream) -> Option<Span>;

    /// The SCALE header at one of these heights, as it stands in the files.
    async fn header(&self, stream: Stream, at: Height) -> Result<Bytes, SourceError>;
}

/// An archive.
pub struct ArchiveSource {
    archive: Arc<Archive>,
    expected: Mutex<Option<ChainIdentity>>,
}

impl ArchiveSource {
    /// Answers from `archive`.
    pub fn new(archive: Arc<Archive>) -> Self {
        Self { archive, expected: Mutex::default() }
    }

    /// Refuses where the archive is of other chains than expected.
    fn known(&self) -> Result<(), SourceError> {
        let Some(expected) = *self.expected.lock().unwrap_or_else(PoisonError::into_inner) else {
            return Ok(());
        };
        let found = self.archive.manifest().chain;
        let chains = [
            ("relay chain", found.relay_chain, expected.relay_chain),
            ("parachain", found.para_genesis, expected.para_genesis),
        ];
        match chains.into_iter().find(|(_, found, expected)| found != expected) {
            Some((chain, found, expected)) => {
                Err(SourceError::Foreign { endpoint: self.archive.name(), chain, found, expected })
            }
            None => Ok(()),
        }
    }

    fn answer<T>(&self, what: &str, found: Result<T, ArchiveError>) -> Result<Answer<T>, SourceError> {
        let value = found.map_err(|error| self.failed(what, error))?;
        Ok(Answer::new(value, Origin::new(self.archive.name())))
    }

    async fn batch(&self, from: Height) -> Result<Option<RelayBatch>, ArchiveError> {
        let (archive, manifest) = (&self.archive, self.archive.manifest());
        let Some(justification) = archive.next_item(Stream::Justifications, from).await? else {
            return Ok(None);
        };
        let at = justification.height;
        let Some(span) = Span::new(from, at).filter(|span| self.holds(Stream::RelayHeaders, span.last()))
        else {
            return Ok(None);
        };
        if span.count() > MAX_BATCH {
            let (place, name) = (archive.name(), format!("{}", Stream::Justifications));
            let cause = format!("has no justification at {from} and for {MAX_BATCH} blocks after it");
            return Err(ArchiveError::Damaged { place, name, cause });
        }
        // An export that is under way may have come further with one stream than with another.
        if !self.holds(Stream::SetChanges, at) {
            return Ok(None);
        }
        if manifest.chain.parachain {
            if !self.holds(Stream::ParaHeads, at) {
                return Ok(None);
            }
            let head = archive.item(Stream::ParaHeads, at).await?;
            if let Some(head) = head {
                let head = self.decoded::<ProvenHead>(Stream::ParaHeads, at, &head)?;
                let changes = head.number == Height(0) || self.holds(Stream::Changes, head.number);
                if !self.holds(Stream::ParaHeaders, head.number) || !changes {
                    return Ok(None);
                }
            }
        } else if !self.holds(Stream::Changes, at) {
            return Ok(None);
        }
        let headers = archive.items(Stream::RelayHeaders, span).await?;
        let set_change = match archive.item(Stream::SetChanges, at).await? {
            Some(change) => Some(self.decoded::<AuthoritySetChange>(Stream::SetChanges, at, &change)?),
            None => None,
        };
        Ok(Some(RelayBatch { headers, justification: justification.bytes, set_change }))
    }

    fn holds(&self, stream: Stream, height: Height) -> bool {
        self.archive.manifest().span(stream).is_some_and(|span| span.contains(height))
    }

    fn decoded<T: DecodeAll>(&self, stream: Stream, at: Height, bytes: &Bytes) -> Result<T, ArchiveError> {
        T::decode_all(&mut bytes.as_ref()).map_err(|_| ArchiveError::Damaged {
            place: self.archive.name(),
            name: format!("{stream} at {at}"),
            cause: "does not decode".to_owned(),
        })
    }

    async fn head(&self, at: Height) -> Result<Option<ParaHead>, ArchiveError> {
        let Some(head) = self.archive.item(Stream::ParaHeads, at).await? else { return Ok(None) };
        let head = self.decoded::<ProvenHead>(Stream::ParaHeads, at, &head)?;
        let header = self.archive.items(Stream::ParaHeaders, Span::one(head.number)).await?.pop();
        let proof = head.proof.into_iter().map(Bytes::from).collect();
        Ok(header.map(|header| ParaHead { header, proof }))
    }

    fn failed(&self, what: &str, error: ArchiveError) -> SourceError {
        let (endpoint, what) = (self.archive.name(), what.to_owned());
        match error {
            ArchiveError::Unreachable { name, cause, .. } => {
                SourceError::Unreachable { endpoint, what: name, cause }
            }
            ArchiveError::Missing { name, .. } => SourceError::Missing { endpoint, what: name },
            error => SourceError::Bad { endpoint, what, cause: error.to_string() },
        }
    }
}

#[async_trait]
impl BlockSource for ArchiveSource {
    async fn genesis(&self) -> Result<Answer<Genesis>, SourceError> {
        self.known()?;
        self.answer("the genesis", self.archive.genesis().await)
    }

    async fn tips(&self) -> Result<Tips, SourceError> {
        self.known()?;
        let manifest = self.archive.manifest();
        let last = |stream| manifest.span(stream).map_or(Height(0), Span::last);
        let relay = last(Stream::RelayHeaders);
        let para = if manifest.chain.parachain { last(Stream::ParaHeaders) } else { relay };
        Ok(Tips { relay, para })
    }

    async fn relay_batch(&self, from: Height) -> Result<Answer<Option<RelayBatch>>, SourceError> {
        self.known()?;
        self.answer(&format!("relay blocks from {from}"), self.batch(from).await)
    }

    async fn para_head(&self, at: BlockRef, para_id: u32) -> Result<Answer<Option<ParaHead>>, SourceError> {
        self.known()?;
        let ours = para_id == self.archive.manifest().chain.para_id;
        let head = if ours { self.head(at.height).await } else { Ok(None) };
        self.answer(&format!("the parachain head at relay block {at}"), head)
    }

    async fn para_headers(&self, span: Span) -> Result<Answer<Vec<Bytes>>, SourceError> {
        self.known()?;
        let items = self.archive.items(Stream::ParaHeaders, span).await;
        self.answer(&format!("parachain headers {span}"), items)
    }

    async fn changes(&self, first: BlockRef, last: BlockRef) -> Result<Answer<Vec<Bytes>>, SourceError> {
        self.known()?;
        let span = Span::new(first.height, last.height).unwrap_or(Span::one(first.height));
        let items = self.archive.items(Stream::Changes, span).await;
        self.answer(&format!("storage changes of {span}"), items)
    }

    async fn wait_for_tip(&self, _: Tips) -> Result<(), SourceError> {
        tokio::time::sleep(PATIENCE).await;
        Ok(())
    }

    fn expect(&self, chain: &ChainIdentity) {
        *self.expected.lock().unwrap_or_else(PoisonError::into_inner) = Some(*chain);
    }

    fn changes_form(&self) -> ChangesForm {
        ChangesForm::named(&self.archive.manifest().changes_form).unwrap_or(ChangesForm::Mixed)
    }

    fn endpoint(&self) -> String {
        self.archive.name()
    }
}

#[async_trait]
impl HeaderFiles for ArchiveSource {
    fn heights(&self, stream: Stream) -> Option<Span> {
        self.archive.manifest().span(stream)
    }

    async fn header(&self, stream: Stream, at: Height) -> Result<Bytes, SourceError> {
        let what = format!("{stream} at {at}");
        let items = self.archive.items(stream, Span::one(at)).await;
        let item = items.map_err(|error| self.failed(&what, error))?.pop();
        item.ok_or_else(|| SourceError::Missing { endpoint: self.archive.name(), what })
    }
}

/// Record files of headers-cache. The genesis, which they do not hold, is `nodes`' to answer; what they hold of it
/// must agree.
pub struct RecordSource<N> {
    folder: PathBuf,
    headers: Arc<Records>,
    para_headers: Option<Arc<Records>>,
    changes: Arc<Records>,
    nodes: N,
}

impl<N: BlockSource> RecordSource<N> {
    /// Looks through the files in `folder`; a chain without relay chain has no `parachain-headers.bin`. This blocks.
    pub fn open(folder: &Path, nodes: N) -> Result<Self, RecordsError> {
        let para_headers = match Records::open(folder, Kind::ParaHeaders) {
            Err(RecordsError::None { .. }) => None,
            found => Some(Arc::new(found?)),
        };
        Ok(Self {
            folder: folder.to_owned(),
            headers: Arc::new(Records::open(folder, Kind::Headers)?),
            para_headers,
            changes: Arc::new(Records::open(folder, Kind::Changes)?),
            nodes,
        })
    }

    /// The last block of storage changes.
    pub fn last_changes(&self) -> Height {
        self.changes.span().last()
    }

    /// The last relay block.
    pub fn last_relay(&self) -> Height {
        self.headers.span().last()
    }

    fn answer<T>(&self, value: T) -> Answer<T> {
        Answer::new(value, Origin::new(self.endpoint()))
    }

    fn bad(&self, what: String, cause: impl Into<String>) -> SourceError {
        SourceError::Bad { endpoint: self.endpoint(), what, cause: cause.into() }
    }

    fn missing(&self, kind: Kind, span: Span) -> SourceError {
        SourceError::Missing {
            endpoint: self.endpoint(),
            what: format!("block {} in {}", span.first(), kind.name()),
        }
    }

    async fn read(&self, records: &Arc<Records>, span: Span) -> Result<Vec<Bytes>, SourceError> {
        let (kind, records) = (records.kind(), records.clone());
        let read = blocking(move || records.read(span)).await;
        let read = read.and_then(|read| read.map_err(|error| error.to_string()));
        read.map_err(|cause| self.bad(format!("blocks {span}"), cause))?
            .ok_or_else(|| self.missing(kind, span))
    }

    /// The records from `from` up to a justified one, none if they end before.
    async fn run(&self, from: Height) -> Result<Option<Vec<RelayRecord>>, SourceError> {
        let records = self.headers.clone();
        if from < records.span().first() {
            return Err(self.missing(Kind::Headers, Span::one(from)));
        }
        let visited = blocking(move || {
            let (mut run, mut whole) = (Vec::new(), false);
            let visited = records.visit(from, &mut |height, record| {
                let record = RelayRecord::decode(&record).ok_or("not a record of relay headers")?;
                whole = record.justification.is_some();
                run.push(record);
                if run.len() as u64 > MAX_BATCH {
                    return Err(format!("no justification for {MAX_BATCH} blocks before {height}"));
                }
                Ok(!whole)
            });
            visited.map(|()| whole.then_some(run))
        });
        let visited = visited.await.and_then(|visited| visited.map_err(|error| error.to_string()));
        visited.map_err(|cause| self.bad(format!("relay blocks from {from}"), cause))
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, String> {
    tokio::task::spawn_blocking(work).await.map_err(|error| error.to_string())
}

#[async_trait]
impl<N: BlockSource> BlockSource for RecordSource<N> {
    async fn genesis(&self) -> Result<Answer<Genesis>, SourceError> {
        let genesis = self.nodes.genesis().await?;
        let folder = self.folder.clone();
        let found = blocking(move || records::read_genesis(&folder)).await;
        let found = found.and_then(|found| found.map_err(|error| error.to_string()));
        let found = found.map_err(|cause| self.bad("the genesis".to_owned(), cause))?;
        match found.filter(|found| found.block_header != genesis.value.relay.block_header) {
            Some(found) => {
                let (found, start) = (found.block_header.block_ref(), genesis.value.start());
                let cause =
                    format!("its chain starts at {found}, that of {} at {start}", self.nodes.endpoint());
                Err(self.bad("the genesis".to_owned(), cause))
            }
            None => Ok(genesis),
        }
    }

    async fn tips(&self) -> Result<Tips, SourceError> {
        let relay = self.last_relay();
        let para = self.para_headers.as_ref().map_or(relay, |records| records.span().last());
        Ok(Tips { relay, para })
    }

    async fn relay_batch(&self, from: Height) -> Result<Answer<Option<RelayBatch>>, SourceError> {
        let Some(run) = self.run(from).await? else { return Ok(self.answer(None)) };
        let mut headers = Vec::with_capacity(run.len());
        let mut end = None;
        for record in run {
            headers.push(record.header);
            end = record
                .justification
                .map(|justification| (justification, record.para_head, record.set_change));
        }
        let Some((justification, head, set_change)) = end else { return Ok(self.answer(None)) };
        if let (Some(_), None) = (&self.para_headers, &head) {
            let at = from + (headers.len() as u32 - 1);
            let cause = "it is justified and has no parachain head; grab the headers again with --para-node-uri, or \
                         leave this part to the nodes: `prb data-provider`";
            return Err(self.bad(format!("relay block {at}"), cause));
        }
        // What comes with it must be there too, or the store would stand where these files do not lead on.
        let held = |records: &Records, number| records.span().contains(number);
        let led_on = match (&self.para_headers, head) {
            (Some(para), Some(head)) => {
                held(para, head.number) && (head.number == Height(0) || held(&self.changes, head.number))
            }
            _ => true,
        };
        Ok(self.answer(led_on.then_some(RelayBatch { headers, justification, set_change })))
    }

    async fn para_head(&self, at: BlockRef, _: u32) -> Result<Answer<Option<ParaHead>>, SourceError> {
        let record = self.read(&self.headers, Span::one(at.height)).await?.pop();
        let head = record.as_ref().and_then(RelayRecord::decode).and_then(|record| record.para_head);
        let (Some(head), Some(para)) = (head, &self.para_headers) else { return Ok(self.answer(None)) };
        let header = self.read(para, Span::one(head.number)).await?.pop();
        let header = header.as_ref().and_then(records::para_header);
        let header =
            header.ok_or_else(|| self.bad(format!("parachain header {}", head.number), "not a header"))?;
        let proof = head.proof.into_iter().map(Bytes::from).collect();
        Ok(self.answer(Some(ParaHead { header, proof })))
    }

    async fn para_headers(&self, span: Span) -> Result<Answer<Vec<Bytes>>, SourceError> {
        let Some(para) = &self.para_headers else { return Err(self.missing(Kind::ParaHeaders, span)) };
        let records = self.read(para, span).await?;
        let headers: Option<Vec<_>> = records.iter().map(records::para_header).collect();
        let headers = headers.ok_or_else(|| self.bad(format!("parachain headers {span}"), "not headers"))?;
        Ok(self.answer(headers))
    }

    async fn changes(&self, first: BlockRef, last: BlockRef) -> Result<Answer<Vec<Bytes>>, SourceError> {
        let span = Span::new(first.height, last.height).unwrap_or(Span::one(first.height));
        let records = self.read(&self.changes, span).await?;
        let changes: Option<Vec<_>> = records.iter().map(records::storage_changes).collect();
        let wrong = || self.bad(format!("storage changes of {span}"), "not storage changes");
        Ok(self.answer(changes.ok_or_else(wrong)?))
    }

    async fn wait_for_tip(&self, _: Tips) -> Result<(), SourceError> {
        tokio::time::sleep(PATIENCE).await;
        Ok(())
    }

    fn expect(&self, chain: &ChainIdentity) {
        self.nodes.expect(chain);
    }

    fn endpoint(&self) -> String {
        self.folder.display().to_string()
    }
}

#[async_trait]
impl<N: BlockSource> HeaderFiles for RecordSource<N> {
    fn heights(&self, stream: Stream) -> Option<Span> {
        match stream {
            Stream::RelayHeaders => Some(self.headers.span()),
            Stream::ParaHeaders => self.para_headers.as_ref().map(|records| records.span()),
            _ => None,
        }
    }

    async fn header(&self, stream: Stream, at: Height) -> Result<Bytes, SourceError> {
        let wrong = || self.bad(format!("{stream} at {at}"), "not a header");
        if stream == Stream::ParaHeaders {
            return self.para_headers(Span::one(at)).await?.value.pop().ok_or_else(wrong);
        }
        let record = self.read(&self.headers, Span::one(at)).await?.pop();
        let record = record.as_ref().and_then(RelayRecord::decode);
        record.map(|record| record.header).ok_or_else(wrong)
    }
}
