//! Packages `prb` of `message` and `prb.error`: who a peer is, and what is around each call.

use super::{message, numbers};
use bytes::Bytes;
use std::fmt;

numbers! {
    /// `WalkieRoles`: what a peer is.
    pub enum Role {
        /// A monitor, or a program that only asks.
        Client = 0 "WR_CLIENT",
        /// A data provider.
        DataProvider = 1 "WR_DATA_PROVIDER_INT",
        /// A data provider of somebody else; v2 has none.
        DataProviderExternal = 2 "WR_DATA_PROVIDER_EXT",
        /// A lifecycle manager.
        LifecycleManager = 3 "WR_LIFECYCLE_MANAGER",
        /// A trader; that of v2 never joins.
        Trader = 4 "WR_TRADER",
    }
}

numbers! {
    /// `ResponseErrorType`.
    pub enum ErrorKind {
        /// Not said.
        Unknown = 0 "UNKNOWN",
        /// The call failed.
        Server = 1 "SERVER",
        /// What was asked for is not there, or the method is not answered here.
        NotFound = 2 "NOT_FOUND",
        /// It is there already.
        Duplicated = 3 "DUPLICATED",
        /// The caller may not.
        Unauthorized = 4 "UNAUTHORIZED",
    }
}

numbers! {
    /// `AuthStatus`.
    pub enum AuthStatus {
        /// Nothing is asked.
        None = 0 "AS_NONE",
        /// It must be shown.
        NeedAuth = 1 "AS_NEED_AUTH",
        /// The caller may.
        Granted = 2 "AS_GRANTED",
        /// The caller may not.
        Rejected = 3 "AS_REJECTED",
        /// The caller is not heard any more.
        Blocked = 4 "AS_BLOCKED",
    }
}

numbers! {
    /// `AuthType`.
    pub enum AuthType {
        /// None.
        None = 0 "AT_NONE",
        /// By a key both sides have.
        Psk = 1 "AT_PSK",
        /// By a list of peers.
        WhiteList = 2 "AT_WHITE_LIST",
    }
}

message! {
    /// `WalkieSystemInfo`: what a peer says of itself.
    pub struct SystemInfo {
        /// Name of its machine.
        [string, optional, tag = "1"] hostname: Option<String>,
        /// Its id, base 58.
        [string, optional, tag = "2"] peer_id: Option<String>,
        /// What it is.
        [enumeration(Role), optional, tag = "3"] role: Option<i32> => Role,
        /// Hash of the first block of its parachain, 0x and hex; `client` of one that has no chain.
        [string, optional, tag = "4"] chain_identity: Option<String>,
        /// What its operator calls the bridge it belongs to.
        [string, optional, tag = "5"] bridge_identity: Option<String>,
        /// Whether it may.
        [enumeration(AuthStatus), optional, tag = "6"] auth: Option<i32> => AuthStatus,
    }
}

message! {
    /// `WalkieRpcRequestWrapper`: a call.
    pub struct RequestWrapper {
        /// When it was made, Unix milliseconds.
        [uint64, optional, tag = "1"] created_at: Option<u64>,
        /// What its answer must repeat; a UUID.
        [string, optional, tag = "2"] nonce: Option<String>,
        /// The request, encoded.
        [bytes = "bytes", optional, tag = "3"] data: Option<Bytes>,
        /// Name of the method.
        [string, optional, tag = "4"] method: Option<String>,
    }
}

message! {
    /// `WalkieRpcResponseWrapper`: the answer to a call.
    pub struct ResponseWrapper {
        /// When it was made, Unix milliseconds.
        [uint64, optional, tag = "1"] created_at: Option<u64>,
        /// Nonce of the call.
        [string, optional, tag = "2"] request_nonce: Option<String>,
        /// A nonce of its own.
        [string, optional, tag = "3"] nonce: Option<String>,
        /// The answer, encoded.
        [bytes = "bytes", optional, tag = "4"] data: Option<Bytes>,
        /// Whether it failed.
        [bool, optional, tag = "5"] has_error: Option<bool>,
        /// Why.
        [message, optional, tag = "6"] error: Option<ResponseError>,
    }
}

message! {
    /// `ResponseError`: why a call failed.
    pub struct ResponseError {
        /// What kind of failure.
        [enumeration(ErrorKind), optional, tag = "1"] kind: Option<i32> => ErrorKind as "type",
        /// For people.
        [string, optional, tag = "2"] message: Option<String>,
    }
}

message! {
    /// `WalkieBroadcastWrapper`: v2 never sends one.
    pub struct BroadcastWrapper {
        /// When it was made, Unix milliseconds.
        [uint64, optional, tag = "1"] created_at: Option<u64>,
        /// A UUID.
        [string, optional, tag = "2"] nonce: Option<String>,
        /// What is told, encoded.
        [bytes = "bytes", optional, tag = "3"] data: Option<Bytes>,
        /// Name of the method.
        [string, optional, tag = "4"] method: Option<String>,
    }
}

message! {
    /// `AuthRequest`.
    #[prost(skip_debug)]
    pub struct AuthRequest {
        /// How the caller shows that it may.
        [enumeration(AuthType), optional, tag = "1"] kind: Option<i32> => AuthType as "type",
        /// What it shows; not in `Debug` output.
        [string, optional, tag = "2"] auth_string: Option<String>,
    }
}

message! {
    /// `AuthResponse`.
    pub struct AuthResponse {
        /// Whether it may.
        [enumeration(AuthStatus), optional, tag = "1"] status: Option<i32> => AuthStatus,
        /// How it may show that.
        [enumeration(AuthType), optional, tag = "2"] kind: Option<i32> => AuthType as "type",
        /// Id of the peer that answers.
        [string, optional, tag = "3"] peer_id: Option<String>,
    }
}

impl ResponseError {
    /// A failure of this kind.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind: Some(kind.into()), message: Some(message.into()) }
    }
}

impl fmt::Display for ResponseError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.kind().name(), self.message())
    }
}

impl std::error::Error for ResponseError {}

impl fmt::Debug for AuthRequest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("AuthRequest").field("kind", &self.kind()).finish_non_exhaustive()
    }
}
