//! Methods peers may call, and their messages in JSON.

use crate::message::{
    AuthRequest, AuthResponse, BadJson, Blob, BlobMeta, CreatePool, CreateWorker, Empty, GetBlob,
    GetBlobByKey, PoolList, ProviderInfo, RawBlob, SystemInfo, UpdatePool, UpdateWorker, UuidQueryRequest,
    WantBlob, WorkerList, WorkerStateUpdate, json::Item,
};
use bytes::Bytes;
use prost::{DecodeError, Message};
use serde_json::Value;

/// A method of the service `WalkieRpc`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Method {
    /// Who a peer is. Answered by every peer.
    Hello,
    /// Shows that one may. Answered by nobody.
    Auth,
    /// How far a data provider is.
    GetDataProviderInfo,
    /// Something out of the database of a data provider.
    GetBlobByKey,
    /// Asks for a block. Answered by nobody.
    WantBlob,
    /// Has the block that was asked for. Answered by nobody.
    GetBlobWithToken,
    /// All pools of a lifecycle manager.
    ListPool,
    /// Adds pools.
    CreatePool,
    /// Changes or removes pools.
    UpdatePool,
    /// All workers of a lifecycle manager.
    ListWorker,
    /// Adds workers.
    CreateWorker,
    /// Changes or removes workers.
    UpdateWorker,
    /// Begins anew with workers.
    RestartWorker,
    /// Registers workers anew, with a fresh attestation report.
    RefreshRaAndRestartWorker,
    /// Has workers stop.
    KickWorker,
    /// How workers are.
    GetWorkerStatus,
}

impl Method {
    /// All of them.
    pub const ALL: [Self; 16] = [
        Self::Hello,
        Self::Auth,
        Self::GetDataProviderInfo,
        Self::GetBlobByKey,
        Self::WantBlob,
        Self::GetBlobWithToken,
        Self::ListPool,
        Self::CreatePool,
        Self::UpdatePool,
        Self::ListWorker,
        Self::CreateWorker,
        Self::UpdateWorker,
        Self::RestartWorker,
        Self::RefreshRaAndRestartWorker,
        Self::KickWorker,
        Self::GetWorkerStatus,
    ];

    /// Its name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hello => "Hello",
            Self::Auth => "Auth",
            Self::GetDataProviderInfo => "GetDataProviderInfo",
            Self::GetBlobByKey => "GetBlobByKey",
            Self::WantBlob => "WantBlob",
            Self::GetBlobWithToken => "GetBlobWithToken",
            Self::ListPool => "ListPool",
            Self::CreatePool => "CreatePool",
            Self::UpdatePool => "UpdatePool",
            Self::ListWorker => "ListWorker",
            Self::CreateWorker => "CreateWorker",
            Self::UpdateWorker => "UpdateWorker",
            Self::RestartWorker => "RestartWorker",
            Self::RefreshRaAndRestartWorker => "RefreshRaAndRestartWorker",
            Self::KickWorker => "KickWorker",
            Self::GetWorkerStatus => "GetWorkerStatus",
        }
    }

    /// The method of this name.
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.name() == name)
    }

    /// Whether it changes something: pools, workers, or what is on chain. Others may be called twice.
    pub const fn manages(self) -> bool {
        match self {
            Self::CreatePool
            | Self::UpdatePool
            | Self::CreateWorker
            | Self::UpdateWorker
            | Self::RestartWorker
            | Self::RefreshRaAndRestartWorker
            | Self::KickWorker => true,
            Self::Hello
            | Self::Auth
            | Self::GetDataProviderInfo
            | Self::GetBlobByKey
            | Self::WantBlob
            | Self::GetBlobWithToken
            | Self::ListPool
            | Self::ListWorker
            | Self::GetWorkerStatus => false,
        }
    }

    /// Most that its answer may be, bytes: of blobs 64 MiB, of lists 16 MiB, else 64 KiB.
    pub const fn largest_answer(self) -> usize {
        match self {
            Self::GetBlobByKey | Self::GetBlobWithToken => 64 << 20,
            Self::ListPool
            | Self::CreatePool
            | Self::UpdatePool
            | Self::ListWorker
            | Self::CreateWorker
            | Self::UpdateWorker
            | Self::RestartWorker
            | Self::RefreshRaAndRestartWorker
            | Self::KickWorker
            | Self::GetWorkerStatus => 16 << 20,
            Self::Hello | Self::Auth | Self::GetDataProviderInfo | Self::WantBlob => SMALL_ANSWER,
        }
    }

    /// Its request, encoded, of what JSON says. No body at all (null) is an empty request.
    pub fn request_from_json(self, body: &Value) -> Result<Bytes, BadJson> {
        (self.forms().request)(body)
    }

    /// Its encoded answer as JSON.
    pub fn answer_to_json(self, answer: &[u8]) -> Result<Value, DecodeError> {
        (self.forms().answer)(answer)
    }

    /// Its messages.
    fn forms(self) -> Forms {
        match self {
            Self::Hello => Forms::of::<SystemInfo, SystemInfo>(),
            Self::Auth => Forms::of::<AuthRequest, AuthResponse>(),
            Self::GetDataProviderInfo => Forms::of::<Empty, ProviderInfo>(),
            Self::GetBlobByKey => Forms::of::<GetBlobByKey, RawBlob>(),
            Self::WantBlob => Forms::of::<WantBlob, BlobMeta>(),
            Self::GetBlobWithToken => Forms::of::<GetBlob, Blob>(),
            Self::ListPool => Forms::of::<Empty, PoolList>(),
            Self::CreatePool => Forms::of::<CreatePool, PoolList>(),
            Self::UpdatePool => Forms::of::<UpdatePool, PoolList>(),
            Self::ListWorker => Forms::of::<Empty, WorkerList>(),
            Self::CreateWorker => Forms::of::<CreateWorker, WorkerList>(),
            Self::UpdateWorker => Forms::of::<UpdateWorker, WorkerList>(),
            Self::RestartWorker
            | Self::RefreshRaAndRestartWorker
            | Self::KickWorker
            | Self::GetWorkerStatus => Forms::of::<UuidQueryRequest, WorkerStateUpdate>(),
        }
    }
}

/// Of an answer that is neither a list nor a blob, bytes.
pub(crate) const SMALL_ANSWER: usize = 64 * 1024;

/// How the messages of a method are read and written.
struct Forms {
    request: fn(&Value) -> Result<Bytes, BadJson>,
    answer: fn(&[u8]) -> Result<Value, DecodeError>,
}

impl Forms {
    fn of<Request: Message + Item, Answer: Message + Default + Item>() -> Self {
        Self {
            request: |body| match body {
                Value::Null => Ok(Bytes::new()),
                body => Ok(Request::read(body)?.encode_to_vec().into()),
            },
            answer: |answer| Ok(Answer::decode(answer)?.write()),
        }
    }
}

#[cfg(test)]
mod tests;
