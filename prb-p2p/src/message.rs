//! Messages of the RPC between peers, with the numbers and JSON names PRB v2 gives them (protobuf package `prb`).
//!
//! Every field but a repeated one is optional, so that a default that was written is told from a field that was not:
//! v2 writes what was set, and shows what was written. Fields unknown here are skipped on the wire and in JSON.
//!
//! JSON, both ways by `to_json` and `from_json` of each message: names in camelCase, absent fields left out, bytes in
//! base 64. Numbers of 64 bits are decimal strings on the way out, those or numbers on the way in. Enums are names on
//! the way out and numbers on the way in.

mod data_provider;
mod db;
pub(crate) mod json;
mod lifecycle;
mod rpc;
mod utils;
mod worker;

pub use data_provider::{
    Blob, BlobMeta, BlobType, GetBlob, GetBlobByKey, ProviderInfo, ProviderStatus, RawBlob, WantBlob,
};
pub use db::{Genesis, ParaBlock, ParentBlock, Pool, RangeMeta, Window, Worker};
pub use json::BadJson;
pub use lifecycle::{
    CreatePool, CreateWorker, PoolList, UpdatePool, UpdatePoolItem, UpdateWorker, UpdateWorkerItem,
    UuidQueryRequest, WorkerList,
};
pub use rpc::{
    AuthRequest, AuthResponse, AuthStatus, AuthType, BroadcastWrapper, ErrorKind, RequestWrapper,
    ResponseError, ResponseWrapper, Role, SystemInfo,
};
pub use utils::{Account, Ack, Bn, Empty, FullAccount, Placeholder};
pub use worker::{QueryIdentity, QueryWorkerState, WorkerState, WorkerStateUpdate, WorkerStatus};

/// Declares a message: `[what prost must know] field: type`, then `=> Enum` if its number has names, then
/// `as "name"` if its JSON name is not its own in camelCase.
macro_rules! message {
    (
        $(#[$meta:meta])*
        pub struct $name:ident {
            $($(#[$doc:meta])* [$($wire:tt)*] $field:ident: $type:ty $(=> $names:ident)? $(as $json:literal)?,)*
        }
    ) => {
        #[derive(Clone, PartialEq, ::prost::Message)]
        $(#[$meta])*
        pub struct $name {
            $($(#[$doc])* #[prost($($wire)*)] pub $field: $type,)*
        }

        impl $name {
            /// As JSON.
            pub fn to_json(&self) -> ::serde_json::Value {
                $crate::message::json::Item::write(self)
            }

            /// What this JSON says. Fields that are null are absent, unknown ones skipped.
            pub fn from_json(value: &::serde_json::Value) -> Result<Self, $crate::message::BadJson> {
                $crate::message::json::Item::read(value)
            }
        }

        impl $crate::message::json::Item for $name {
            fn write(&self) -> ::serde_json::Value {
                #[allow(unused_mut)]
                let mut object = $crate::message::json::Writer::default();
                $(message!(@write object, self.$field, message!(@name $field $($json)?) $(, $names)?);)*
                object.finish()
            }

            fn read(value: &::serde_json::Value) -> Result<Self, $crate::message::BadJson> {
                #[allow(unused_variables)]
                let object = $crate::message::json::Reader::of(value)?;
                Ok(Self { $($field: object.field(message!(@name $field $($json)?))?,)* })
            }
        }

        #[cfg(test)]
        impl $crate::message::tests::Sample for $name {
            #[allow(unused_variables)]
            fn sample(dice: &mut $crate::message::tests::Dice) -> Self {
                Self { $($field: message!(@sample dice $(, $names)?),)* }
            }
        }
    };
    (@name $field:ident) => { stringify!($field) };
    (@name $field:ident $json:literal) => { $json };
    (@write $object:ident, $value:expr, $name:expr) => { $object.field($name, &$value) };
    (@write $object:ident, $value:expr, $name:expr, $names:ident) => { $object.named::<$names>($name, $value) };
    (@sample $dice:ident) => { $crate::message::tests::Sample::sample($dice) };
    (@sample $dice:ident, $names:ident) => { $dice.number_of::<$names>() };
}

/// Declares an enum, each value with its number and its name in JSON.
macro_rules! numbers {
    ($(#[$meta:meta])* pub enum $name:ident { $($(#[$doc:meta])* $value:ident = $number:tt $json:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, ::prost::Enumeration)]
        #[repr(i32)]
        pub enum $name { $($(#[$doc])* $value = $number,)* }

        impl $name {
            /// Its name in protobuf and JSON.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$value => $json,)* }
            }
        }

        impl $crate::message::json::Named for $name {
            #[cfg(test)]
            const ALL: &'static [Self] = &[$(Self::$value),*];

            fn name(self) -> &'static str {
                $name::name(self)
            }
        }
    };
}

use {message, numbers};

#[cfg(test)]
mod tests;
