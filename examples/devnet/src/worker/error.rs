//! What a worker call can end in, and what the client sees of it.

use std::fmt::Debug;

/// A failed call. The texts are those of the real worker: bridges match on them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The request, or SCALE bytes inside it, could not be decoded: HTTP 400.
    #[error("DecodeError({0})")]
    Decode(String),
    /// The method name is not part of this version's service: HTTP 404.
    #[error("Method Not Found")]
    MethodNotFound,
    /// The worker refused: HTTP 500 with this text.
    #[error("{0}")]
    App(String),
    /// The process dies without an answer (a panic in a release build of pRuntime); the text is
    /// only for our own log.
    #[error("worker aborts: {0}")]
    Abort(String),
}

impl Error {
    /// An application error with the given text.
    pub fn app(text: impl Into<String>) -> Self {
        Self::App(text.into())
    }

    /// The HTTP status a real worker answers with; `None` means it answers nothing at all.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Decode(_) => Some(400),
            Self::MethodNotFound => Some(404),
            Self::App(_) => Some(500),
            Self::Abort(_) => None,
        }
    }

    pub(crate) fn decode(error: impl Debug) -> Self {
        Self::Decode(format!("{error:?}"))
    }
}

/// Result of a worker call.
pub type Result<T> = std::result::Result<T, Error>;

pub(crate) const NOT_INITIALIZED: &str = "Runtime not initialized";
