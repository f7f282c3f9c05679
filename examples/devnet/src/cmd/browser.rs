//! What `up` has beyond the demo: the bridge's API and monitor, and workers that nobody has listed yet.

use super::{counted, local, say};
use anyhow::Context;
use clap::Args;
use prb_cli::{
    api::Api,
    config::{self, Config},
};
use prb_devnet::worker::WorkerHandle;

#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct BrowserArgs {
    /// Port of the monitor, the page to open in a browser on this machine; 0 takes a free one.
    #[arg(long, value_name = "PORT", default_value_t = 3000)]
    monitor_port: u16,
    /// Port of the API that the page uses; 0 takes a free one.
    #[arg(long, value_name = "PORT", default_value_t = 3001)]
    api_port: u16,
    /// Further dev workers that run without being in the inventory, to be added in the browser.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(..=100))]
    spare: u32,
}

impl BrowserArgs {
    pub(super) fn spare(&self) -> u32 {
        self.spare
    }

    /// Listens at the two ports. Until there is a bridge, the page says so.
    pub(super) fn open(&self, config: &mut Config) -> anyhow::Result<Page> {
        config.api = config::Api { listen: Some(vec![local(self.api_port)]), ..config::Api::default() };
        config.monitor.listen = Some(local(self.monitor_port));
        let api = Api::start(config).context(
            "opening the ports for the browser; choose others with --monitor-port and --api-port, 0 takes a free one",
        )?;
        Ok(Page { api })
    }
}

/// The monitor, while it can be opened.
pub(super) struct Page {
    pub(super) api: Api,
}

impl Page {
    /// What to open in a browser.
    pub(super) fn url(&self) -> String {
        self.api.monitor().map_or_else(String::new, |address| format!("http://{address}/"))
    }

    /// Says where it is, and what can be tried there.
    pub(super) fn announce(&self, spare: &[WorkerHandle], pool: u64, stake: &str) {
        let mut text = format!("\n  Open in a browser   {}\n", self.url());
        for address in self.api.addresses() {
            text += &format!("  The API beside it   http://{address}/v1/overview\n");
        }
        if !spare.is_empty() {
            let count = counted(spare.len() as u64, "more worker");
            text += &format!(
                "  {count} to add there (Workers, \"Add a worker\": pool {pool}, stake {stake}), at\n"
            );
        }
        for worker in spare {
            text += &format!("                      {}\n", worker.url());
        }
        say(&text);
    }
}
