//! Runtime calls: an overlay over one block's state, and `dispatch` run inside externalities.

use std::panic::{AssertUnwindSafe, catch_unwind};

use codec::{Decode, Encode};
use sp_runtime::traits::BlakeTwo256;
use sp_state_machine::{Ext, OverlayedChanges};

use super::nodes::State;

/// A natively executed runtime: what `impl_runtime_apis!` generates in a `std` build.
#[derive(Clone, Copy)]
pub struct Runtime {
    /// Short name for logs and `system_chain`.
    pub name: &'static str,
    /// `api::dispatch` of the runtime: runtime API method name and SCALE arguments in, SCALE result out; `None`
    /// for an unknown method. May panic on arguments it cannot decode.
    pub dispatch: fn(&str, &[u8]) -> Option<Vec<u8>>,
}

impl std::fmt::Debug for Runtime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// Why a runtime call gave no result.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CallError {
    /// The runtime has no such API method.
    #[error("Exported method {0} is not found")]
    UnknownMethod(String),
    /// The runtime panicked.
    #[error("Runtime panicked in {method}: {message}")]
    Panicked {
        /// The API method called.
        method: String,
        /// What the panic said.
        message: String,
    },
    /// The result was not the expected SCALE type.
    #[error("result of {method} does not decode: {error}")]
    BadResult {
        /// The API method called.
        method: String,
        /// The decoder's words.
        error: codec::Error,
    },
}

/// Whether a call's writes stay in the overlay.
pub(super) enum Keep {
    Yes,
    No,
}

/// A series of runtime calls on top of one state.
pub(super) struct Execution {
    runtime: Runtime,
    pub(super) state: State,
    pub(super) overlay: OverlayedChanges<BlakeTwo256>,
}

impl Execution {
    pub(super) fn new(runtime: Runtime, state: State) -> Self {
        Self { runtime, state, overlay: OverlayedChanges::default() }
    }

    /// Calls `method` and keeps its writes unless it panicked.
    pub(super) fn call(&mut self, method: &str, args: &[u8]) -> Result<Vec<u8>, CallError> {
        self.call_deciding(method, args, |_| Keep::Yes)
    }

    /// Calls `method` and decodes its result.
    pub(super) fn typed<T: Decode>(&mut self, method: &str, args: &impl Encode) -> Result<T, CallError> {
        let raw = self.call(method, &args.encode())?;
        decode(method, &raw)
    }

    /// Calls `method`; `keep` looks at the raw result and says whether the writes stay.
    pub(super) fn call_deciding(
        &mut self,
        method: &str,
        args: &[u8],
        keep: impl FnOnce(&[u8]) -> Keep,
    ) -> Result<Vec<u8>, CallError> {
        const LOCKSTEP: &str = "transactions are opened and closed only here, so the depth is known";
        self.overlay.start_transaction();
        self.overlay.enter_runtime().expect(LOCKSTEP);
        let dispatch = self.runtime.dispatch;
        let outcome = {
            let mut ext = Ext::new(&mut self.overlay, &self.state, None);
            catch_unwind(AssertUnwindSafe(|| {
                sp_externalities::set_and_run_with_externalities(&mut ext, || dispatch(method, args))
            }))
        };
        // Also closes whatever transactions a panic left open inside the runtime.
        self.overlay.exit_runtime().expect(LOCKSTEP);
        let result = match outcome {
            Ok(Some(raw)) => Ok(raw),
            Ok(None) => Err(CallError::UnknownMethod(method.to_owned())),
            Err(panic) => Err(CallError::Panicked { method: method.to_owned(), message: words(&*panic) }),
        };
        match result.as_deref().map(keep) {
            Ok(Keep::Yes) => self.overlay.commit_transaction().expect(LOCKSTEP),
            Ok(Keep::No) | Err(_) => self.overlay.rollback_transaction().expect(LOCKSTEP),
        }
        result
    }
}

pub(super) fn decode<T: Decode>(method: &str, raw: &[u8]) -> Result<T, CallError> {
    T::decode(&mut &*raw).map_err(|error| CallError::BadResult { method: method.to_owned(), error })
}

fn words(panic: &(dyn std::any::Any + Send)) -> String {
    match (panic.downcast_ref::<String>(), panic.downcast_ref::<&str>()) {
        (Some(text), _) => text.clone(),
        (None, Some(text)) => (*text).to_owned(),
        (None, None) => "no message".to_owned(),
    }
}
