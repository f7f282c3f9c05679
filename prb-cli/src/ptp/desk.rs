//! Where peers manage a lifecycle manager: a deployment comes and goes, the network stays.

use super::manage::{Management, Permission};
use crate::config::{ConfigError, P2p};
use async_trait::async_trait;
use prb_p2p::{Caller, PeerId, Service, message::ResponseError, method::Method};
use prost::bytes::Bytes;
use std::collections::BTreeSet;
use tokio::sync::RwLock;

/// What is managed, while there is something, and who may do that.
pub(super) struct Desk {
    listed: BTreeSet<PeerId>,
    anybody: bool,
    /// Whoever answers holds it for reading, so whoever takes it away waits for answers under way.
    managed: RwLock<Option<Management>>,
}

impl Desk {
    pub(super) fn of(p2p: &P2p) -> Result<Self, ConfigError> {
        Ok(Self { listed: p2p.allowed()?, anybody: p2p.allow_unauthenticated, managed: RwLock::default() })
    }

    pub(super) async fn open(&self, managed: Management) {
        *self.managed.write().await = Some(managed);
    }

    pub(super) async fn close(&self) {
        *self.managed.write().await = None;
    }

    fn permission(&self, caller: &Caller) -> Permission {
        let is_listed = caller.is_listed || self.listed.contains(&caller.peer);
        Permission::of(caller.is_local, is_listed, self.anybody)
    }
}

#[async_trait]
impl Service for Desk {
    async fn answer(&self, caller: &Caller, method: Method, data: Bytes) -> Result<Bytes, ResponseError> {
        match self.managed.read().await.as_ref() {
            Some(managed) => {
                managed.answer(&caller.peer.to_string(), self.permission(caller), method, data).await
            }
            None => Err(Management::standing_by()),
        }
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
        let (here, listed, stranger) = (caller(true), caller(false), caller(false));
        let p2p = P2p { allow: vec![listed.peer.to_string()], ..P2p::default() };
        let desk = Desk::of(&p2p).unwrap();
        assert_eq!(desk.permission(&here), Permission::Manage);
        assert_eq!(desk.permission(&listed), Permission::Manage);
        assert_eq!(desk.permission(&stranger), Permission::Look);
        let open = Desk::of(&P2p { allow_unauthenticated: true, ..p2p }).unwrap();
        assert_eq!(open.permission(&stranger), Permission::Manage);
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
