//! Where peers manage a lifecycle manager: a deployment comes and goes, the network stays.

use super::PtpError;
use crate::{config::P2p, deployment::Deployment};
use async_trait::async_trait;
use prost::bytes::Bytes;
use prb_p2p::{
    Caller, Service,
    message::{ErrorKind, ResponseError},
    method::Method,
};
use std::sync::Arc;
use tokio::sync::RwLock;

/// What is managed, while there is something.
pub(super) struct Desk {
    open: RwLock<Option<Arc<Deployment>>>,
}

impl Desk {
    pub(super) fn of(_: &P2p) -> Result<Self, PtpError> {
        Ok(Self { open: RwLock::default() })
    }

    pub(super) async fn rest(&self, _: crate::inventory::Inventory, _: Arc<crate::identity::Keyring>) {}

    pub(super) async fn open(&self, deployment: Arc<Deployment>) {
        *self.open.write().await = Some(deployment);
    }

    /// Waits for what is being answered.
    pub(super) async fn close(&self) {
        *self.open.write().await = None;
    }
}

#[async_trait]
impl Service for Desk {
    async fn answer(&self, _: &Caller, method: Method, _: Bytes) -> Result<Bytes, ResponseError> {
        let _managed = self.open.read().await;
        Err(ResponseError::new(ErrorKind::NotFound, format!("{} is not answered here", method.name())))
    }
}
