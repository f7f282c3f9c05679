//! What is asked here and answered elsewhere, by managers and peers.

use super::{
    managers::{Way, Whom},
    ptp::{self, Call},
    reply::Reply,
    route::is_read,
    serve::Shared,
};
use hyper::{
    Method, StatusCode,
    body::{Bytes, Incoming},
    http::request::Parts,
};
use percent_encoding::percent_decode_str;
use prb_p2p::Network;
use std::sync::PoisonError;

/// Something of the kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Elsewhere {
    /// Which managers there are.
    Managers,
    /// Something that is asked of a manager.
    Manager(Way),
    /// Which peers there are.
    Discover,
    /// Something that is asked of a peer.
    Peer(Call),
}

impl Elsewhere {
    /// What a path means, none if it is none of these.
    pub(super) fn find(method: &Method, path: &str) -> Option<Result<Self, Reply>> {
        let segments: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
        let way = |whom: Option<Whom>, rest| {
            let way = whom.and_then(|whom| Way::new(method, whom, rest));
            way.map(Self::Manager).ok_or_else(|| nothing("such a path cannot be asked of a manager"))
        };
        Some(match segments.as_slice() {
            ["managers", name, rest @ ..] => way(decoded(name).map(Whom::Named), rest),
            // Of PRB v3's monitor.
            ["api", "p", at, rest @ ..] => way(decoded(at).map(Whom::At), rest),
            // Of PRB v2's monitor.
            ["ptp", "discover"] => Ok(Self::Discover),
            ["ptp", "proxy", peer, name] => match (decoded(peer), decoded(name)) {
                (Some(peer), Some(name)) => Ok(Self::Peer(Call::new(peer, name))),
                _ => Err(nothing("such a peer or method there cannot be")),
            },
            ["ptp", ..] => Err(nothing("/ptp/discover and /ptp/proxy/PEER/METHOD are all there is")),
            _ => return None,
        })
    }

    /// Whether it may be more than reading.
    pub(super) fn changes(&self) -> bool {
        match self {
            Self::Managers | Self::Discover => false,
            Self::Peer(call) => call.changes(),
            Self::Manager(way) => way.changes,
        }
    }
}

impl Shared {
    fn network(&self) -> Result<Network, Reply> {
        let network = self.network.lock().unwrap_or_else(PoisonError::into_inner).clone();
        network.ok_or_else(|| ptp::no_network(self.joining.get().map(|trouble| trouble.borrow().clone())))
    }

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
                let sent = self.read(body, self.limits.body_bytes).await?;
                // Whatever is no change here must be none there.
                let body = if is_read(&parts.method) { Bytes::new() } else { sent };
                // A token of this program is nobody else's business.
                self.managers.ask(&way, parts, body, self.access.token.is_none()).await
            }
            Elsewhere::Discover => {
                // Whatever it is: v2 takes any.
                self.read(body, ptp::MAX_BODY).await?;
                let network = self.network()?;
                Ok(Reply::ok(&ptp::discovered(&network.peers())))
            }
            Elsewhere::Peer(call) => {
                let body = self.read(body, ptp::MAX_BODY).await?;
                let network = self.network()?;
                call.ask(&network, &parts.method, &parts.headers, &body).await
            }
        }
    }
}

fn nothing(message: &str) -> Reply {
    Reply::error(StatusCode::NOT_FOUND, "NotFound", message)
}

fn decoded(segment: &str) -> Option<String> {
    percent_decode_str(segment).decode_utf8().ok().map(Into::into)
}
