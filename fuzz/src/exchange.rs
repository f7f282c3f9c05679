//! A worker that writes any bytes instead of HTTP.

use std::{io, sync::Arc, time::Duration};

use async_trait::async_trait;
use prb_core::port::worker::{WorkerDriver, WorkerError};
use prb_worker::{Connect, Endpoint, Options, PrpcDriver, Stream};
use tokio::{io::AsyncWriteExt, runtime, time::Instant};

/// A driver's call ends, in time and without panic, whatever the worker writes before it hangs up. The second call
/// meets the connection as the first one left it.
pub fn exchange(data: &[u8]) {
    let runtime = runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime with a clock of its own needs nothing of the system");
    let connector = Arc::new(Writer(data.to_vec()));
    let options = Options::default();
    let deadline = options.deadlines.read;
    let driver = PrpcDriver::with_connector("http://worker.test", options, connector)
        .expect("the address is well-formed");
    runtime.block_on(async {
        let started = Instant::now();
        check(driver.info().await.err());
        check(driver.egress_messages().await.err());
        assert!(started.elapsed() <= deadline * 2 + Duration::from_secs(1));
    });
}

fn check(error: Option<WorkerError>) {
    if let Some(error) = error {
        assert!(error.to_string().len() < 16 << 10, "errors stay short whatever the worker writes");
    }
}

/// Answers each connection with the same bytes, then closes it.
struct Writer(Vec<u8>);

#[async_trait]
impl Connect for Writer {
    async fn connect(&self, _: &Endpoint) -> io::Result<Box<dyn Stream>> {
        let (near, mut far) = tokio::io::duplex(4096);
        let bytes = self.0.clone();
        // A driver that hangs up first is within its rights.
        tokio::spawn(async move { far.write_all(&bytes).await.ok() });
        Ok(Box::new(near))
    }
}
