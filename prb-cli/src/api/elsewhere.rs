//! What is asked here and answered elsewhere, by managers and peers.

use super::{
    managers::{Way, Whom},
    reply::Reply,
    serve::Shared,
};
use hyper::{Method, StatusCode, body::Incoming, http::request::Parts};
use percent_encoding::percent_decode_str;

/// Something of the kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Elsewhere {
    /// Which managers there are.
    Managers,
    /// Something that is asked of a manager.
    Manager(Way),
}

impl Elsewhere {
    /// What a path means, none if it is none of these.
    pub(super) fn find(method: &Method, segments: &[&str]) -> Option<Result<Self, Reply>> {
        let way = |whom: Option<Whom>, rest| {
            let way = whom.and_then(|whom| Way::new(method, whom, rest));
            way.map(Self::Manager).ok_or_else(|| {
                let message = "such a path cannot be asked of a manager";
                Reply::error(StatusCode::NOT_FOUND, "NotFound", message)
            })
        };
        Some(match segments {
            ["managers", name, rest @ ..] => way(decoded(name).map(Whom::Named), rest),
            // Of PRB v3's monitor.
            ["api", "p", at, rest @ ..] => way(decoded(at).map(Whom::At), rest),
            _ => return None,
        })
    }

    /// Whether it may be more than reading.
    pub(super) const fn changes(&self) -> bool {
        match self {
            Self::Managers => false,
            Self::Manager(way) => way.changes,
        }
    }
}

impl Shared {
    /// Asks there, and answers.
    pub(super) async fn ask_elsewhere(
        &self,
        what: Elsewhere,
        parts: &Parts,
        body: Incoming,
    ) -> Result<Reply, Reply> {
        match what {
            Elsewhere::Managers => Ok(Reply::ok(&self.managers.list(self.subject.is_manager()))),
            Elsewhere::Manager(way) => {
                let body = self.read(body, self.limits.body_bytes).await?;
                // A token of this program is nobody else's business.
                self.managers.ask(&way, parts, body, self.access.token.is_none()).await
            }
        }
    }
}

fn decoded(segment: &str) -> Option<String> {
    percent_decode_str(segment).decode_utf8().ok().map(Into::into)
}
