//! Making a node misbehave.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use jsonrpsee::types::{ErrorObject, ErrorObjectOwned};
use serde_json::Value;

use super::Node;
use crate::chain::lock;

/// Asked about every request with its method and parameters, about every subscription likewise, and about every
/// notification with the notification's name (as `chain_finalizedHead`) and its payload as the only parameter.
pub type FaultHook = Arc<dyn Fn(&str, &[Value]) -> Option<Fault> + Send + Sync>;

/// What goes wrong.
#[derive(Clone)]
pub enum Fault {
    /// This result instead.
    Result(Value),
    /// The right result, changed.
    Alter(Arc<dyn Fn(Value) -> Value + Send + Sync>),
    /// An error.
    Error {
        /// JSON-RPC error code.
        code: i32,
        /// Its message.
        message: String,
        /// Its data.
        data: Option<Value>,
    },
    /// The right result, late.
    Delay(Duration),
    /// No answer for as long as the connection lasts; a notification is left out.
    Drop,
}

impl Fault {
    /// Changes the right result in place.
    pub fn edit(edit: impl Fn(&mut Value) + Send + Sync + 'static) -> Self {
        Self::Alter(Arc::new(move |mut value| {
            edit(&mut value);
            value
        }))
    }

    /// An error without data.
    pub fn error(code: i32, message: impl Into<String>) -> Self {
        Self::Error { code, message: message.into(), data: None }
    }
}

impl Node {
    pub(super) fn fault_for(&self, name: &str, params: &[Value]) -> Option<Fault> {
        let hook = lock::mutex(&self.fault).clone();
        hook.and_then(|hook| hook(name, params))
    }
}

/// The outcome of `work` under `fault`.
pub(super) async fn play(
    fault: Option<Fault>,
    work: impl Future<Output = Result<Value, ErrorObjectOwned>>,
) -> Result<Value, ErrorObjectOwned> {
    match fault {
        None => work.await,
        Some(Fault::Result(value)) => Ok(value),
        Some(Fault::Alter(alter)) => work.await.map(|value| alter(value)),
        Some(Fault::Error { code, message, data }) => Err(ErrorObject::owned(code, message, data)),
        Some(Fault::Delay(delay)) => {
            tokio::time::sleep(delay).await;
            work.await
        }
        Some(Fault::Drop) => std::future::pending().await,
    }
}
