//! Where peers manage a lifecycle manager: a deployment comes and goes, the network stays.

use super::manage::{Management, Permission};
use crate::config::{ConfigError, P2p};
use async_trait::async_trait;
use prb_p2p::{Caller, PeerId, Service, message::ResponseError, method::Method};
use prost::bytes::Bytes;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio::sync::RwLock;
use tracing::info;

/// How long it is kept quiet that peers are refused for the same reason.
const QUIET: Duration = Duration::from_secs(60);

/// What is managed, while there is something, and who may do that.
pub(super) struct Desk {
    managers: BTreeSet<PeerId>,
    /// Whether peers on this machine may manage.
    locals: bool,
    anybody: bool,
    refused: Mutex<Refused>,
    /// Whoever answers holds it for reading, so whoever takes it away waits for answers under way.
    managed: RwLock<Option<Management>>,
}

impl Desk {
    pub(super) fn of(p2p: &P2p) -> Result<Self, ConfigError> {
        Ok(Self {
            managers: p2p.managers()?,
            locals: p2p.local_manages,
            anybody: p2p.allow_unauthenticated,
            refused: Mutex::default(),
            managed: RwLock::default(),
        })
    }

    pub(super) async fn open(&self, managed: Management) {
        *self.managed.write().await = Some(managed);
    }

    pub(super) async fn close(&self) {
        *self.managed.write().await = None;
    }

    fn permission(&self, caller: &Caller) -> Permission {
        Permission::of(caller.is_local && self.locals, self.managers.contains(&caller.peer), self.anybody)
    }

    /// Tells of what was changed, and of what was refused. Not its words: they may repeat what was sent, and that may be a
    /// secret in a wrong place.
    fn tell(&self, peer: &str, method: Method, answered: &Result<Bytes, ResponseError>) {
        let method = method.name();
        let Err(cause) = answered else {
            return info!(peer, method, "changed over the peer-to-peer network");
        };
        let kind = cause.kind().name();
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(untold) = refused.tell(kind, Instant::now()) {
            info!(peer, method, kind, untold, "refused to a peer; others of this kind are told in a minute");
        }
    }
}

/// When refusals of a kind were told last, and how many were not since.
#[derive(Default)]
struct Refused(BTreeMap<&'static str, (Instant, u64)>);

impl Refused {
    /// Whether one of this kind is told now; how many were not before it.
    fn tell(&mut self, kind: &'static str, now: Instant) -> Option<u64> {
        match self.0.get_mut(kind) {
            Some((told, untold)) if now.saturating_duration_since(*told) < QUIET => {
                *untold += 1;
                None
            }
            known => {
                let untold = known.map_or(0, |(_, untold)| *untold);
                self.0.insert(kind, (now, 0));
                Some(untold)
            }
        }
    }
}

#[async_trait]
impl Service for Desk {
    async fn answer(&self, caller: &Caller, method: Method, data: Bytes) -> Result<Bytes, ResponseError> {
        let managed = self.managed.read().await;
        let Some(managed) = managed.as_ref() else { return Err(Management::standing_by()) };
        let peer = caller.peer.to_string();
        let answered = managed.answer(&peer, self.permission(caller), method, data).await;
        if method.manages() {
            self.tell(&peer, method, &answered);
        }
        answered
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config::Config, inventory::Inventory};
    use prb_p2p::message::ErrorKind;
    use serde_json::json;
    use std::sync::Arc;

    fn caller(is_local: bool) -> Caller {
        let (peer, address) = (PeerId::random(), "/ip4/10.0.0.3/tcp/1".parse().unwrap());
        Caller { peer, address, is_local, is_listed: false }
    }

    #[test]
    fn x18_who_may_manage_is_on_this_machine_or_listed() {
        let (here, manager, stranger) = (caller(true), caller(false), caller(false));
        // One that may connect where few may.
        let member = Caller { is_listed: true, ..caller(false) };
        let (look, manage) = (Permission::Look, Permission::Manage);
        let p2p = P2p {
            members: vec![member.peer.to_string()],
            managers: vec![manager.peer.to_string()],
            only_members: true,
            ..P2p::default()
        };
        let far = P2p { local_manages: false, ..p2p.clone() };
        let open = P2p { allow_unauthenticated: true, ..far.clone() };
        for (p2p, permissions) in
            [(&p2p, [manage, manage, look, look]), (&far, [look, manage, look, look]), (&open, [manage; 4])]
        {
            let desk = Desk::of(p2p).unwrap();
            assert_eq!(
                [&here, &manager, &member, &stranger].map(|caller| desk.permission(caller)),
                permissions
            );
        }
    }

    #[test]
    fn x18_refusals_of_a_kind_are_told_once_a_minute_with_how_many_there_were() {
        let (mut refused, begun) = (Refused::default(), Instant::now());
        let at = |seconds| begun + Duration::from_secs(seconds);
        for (seconds, kind, told) in [
            (0, "UNAUTHORIZED", Some(0)),
            (1, "UNAUTHORIZED", None),
            (1, "SERVER", Some(0)),
            (59, "UNAUTHORIZED", None),
            (60, "UNAUTHORIZED", Some(2)),
            (61, "UNAUTHORIZED", None),
            (999, "SERVER", Some(0)),
        ] {
            assert_eq!(refused.tell(kind, at(seconds)), told, "{seconds} {kind}");
        }
    }

    #[tokio::test]
    async fn v2_f131_x18_a_stranger_looks_and_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let config = Config::for_nodes(folder.path().to_owned(), "ws://127.0.0.1:9", "ws://127.0.0.1:9");
        let inventory = Inventory::open(&config.inventory_dir()).unwrap();
        let (desk, stranger) = (Desk::of(&P2p::default()).unwrap(), caller(false));
        desk.open(Management::Resting { inventory: inventory.clone(), keyring: Arc::new(config.keyring()) })
            .await;
        let before = inventory.revision().unwrap();
        for method in Method::ALL.into_iter().filter(|method| method.manages()) {
            let refused = desk.answer(&stranger, method, Bytes::new()).await.unwrap_err();
            assert_eq!(refused.kind, Some(ErrorKind::Unauthorized as i32), "{method:?}: {refused}");
            let remedy = format!("managers = [\"{}\"]", stranger.peer);
            assert!(refused.message().contains(&remedy), "{refused}");
        }
        assert_eq!(inventory.revision().unwrap(), before);
        assert!(desk.answer(&stranger, Method::ListPool, Bytes::new()).await.is_ok());
    }

    #[tokio::test]
    async fn changes_are_logged_with_who_made_them_and_refusals_without_what_was_sent() {
        let observed = prb_core::testkit::Observed::begin();
        let folder = tempfile::tempdir().unwrap();
        let config = Config::for_nodes(folder.path().to_owned(), "ws://127.0.0.1:9", "ws://127.0.0.1:9");
        let inventory = Inventory::open(&config.inventory_dir()).unwrap();
        let (desk, here) = (Desk::of(&P2p::default()).unwrap(), caller(true));
        desk.open(Management::Resting { inventory, keyring: Arc::new(config.keyring()) }).await;
        for (secret, is_taken) in [("sesame open", false), ("//Alice//sesame", true), ("sesame shut", false)]
        {
            let pool = json!({ "pools": [{ "pid": 1, "name": "p", "owner": { "mnemonic": secret } }] });
            let make = Method::CreatePool.request_from_json(&pool).unwrap();
            assert_eq!(desk.answer(&here, Method::CreatePool, make).await.is_ok(), is_taken, "{secret}");
        }
        let peer = here.peer.to_string();
        assert_eq!(observed.lines(&["INFO", "CreatePool", &peer, "changed"]).len(), 1);
        assert_eq!(observed.lines(&["INFO", "CreatePool", &peer, "refused", "SERVER"]).len(), 1);
        assert!(observed.lines(&["sesame"]).is_empty());
    }

    #[tokio::test]
    async fn v2_f036_in_config_mode_pools_are_made_and_before_and_after_nothing_is_answered() {
        let folder = tempfile::tempdir().unwrap();
        let config = Config::for_nodes(folder.path().to_owned(), "ws://127.0.0.1:9", "ws://127.0.0.1:9");
        let inventory = Inventory::open(&config.inventory_dir()).unwrap();
        let (desk, here) = (Desk::of(&P2p::default()).unwrap(), caller(true));
        let mnemonic = "bottom drive obey lake curtain smoke basket hold race lonely fit walk";
        let pool = json!({ "pools": [{ "pid": 2, "name": "p", "owner": { "mnemonic": mnemonic } }] });
        let make = Method::CreatePool.request_from_json(&pool).unwrap();
        let made = async || desk.answer(&here, Method::CreatePool, make.clone()).await;
        assert!(made().await.is_err());
        desk.open(Management::Resting { inventory: inventory.clone(), keyring: Arc::new(config.keyring()) })
            .await;
        made().await.unwrap();
        assert_eq!(inventory.snapshot().unwrap().pools.len(), 1);
        let kicked = desk.answer(&here, Method::KickWorker, Bytes::new()).await.unwrap_err();
        assert_eq!(kicked.kind, Some(ErrorKind::NotFound as i32), "{kicked}");
        desk.close().await;
        assert!(made().await.is_err());
    }
}
