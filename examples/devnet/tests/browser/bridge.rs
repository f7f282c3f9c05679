//! A bridge with its monitor, for a browser to look at.

use crate::world::{ANY, World, in_time};
use prb_cli::{api::Api, config::Config, deployment::Deployment};
use std::{net::SocketAddr, sync::Arc};
use tokio::task::JoinHandle;

pub struct Bridge {
    pub world: World,
    deployment: Arc<Deployment>,
    api: Api,
    /// Takes on what is changed in the inventory.
    follower: JoinHandle<()>,
}

impl Bridge {
    /// A bridge for this world, with the API and the monitor at free ports.
    pub async fn start(world: World, mut config: Config) -> Self {
        config.api.listen = Some(vec![ANY]);
        config.monitor.listen = Some(ANY);
        let deployment = Arc::new(Box::pin(Deployment::start(&config)).await.unwrap());
        let api = Api::start(&config).unwrap();
        api.attach(deployment.clone()).await;
        let followed = deployment.clone();
        let follower = tokio::spawn(async move { panic!("the bridge ended: {}", followed.follow().await) });
        Self { world, deployment, api, follower }
    }

    /// Where the monitor is.
    pub fn monitor(&self) -> SocketAddr {
        self.api.monitor().unwrap()
    }

    pub fn deployment(&self) -> &Deployment {
        &self.deployment
    }

    pub async fn stop(mut self) {
        self.api.stop().await;
        self.follower.abort();
        assert!(self.follower.await.unwrap_err().is_cancelled());
        let deployment = Arc::into_inner(self.deployment).unwrap();
        in_time("the bridge stops", deployment.stop()).await;
        self.world.halt_chains().await;
    }
}
