//! The driver against the dev worker, which validates all it is sent and shares no code with the driver.
#![allow(clippy::unwrap_used, missing_docs)]

use std::{sync::Arc, time::Duration};

use prb_core::{
    port::worker::WorkerDriver,
    testkit::conform::worker::{Bench, Trouble, all},
};
use prb_devnet::worker::{Fault, FaultRule, WorkerConfig, WorkerHandle, WorkerServer};
use prb_worker::{Deadlines, MinimumRate, Options, PrpcDriver, ReplyCaps};

/// Long enough for calls without trouble, on a machine that is busy.
const DEADLINE: Duration = Duration::from_secs(6);
const CAP: usize = 64 << 10;

struct DevBench {
    worker: WorkerHandle,
    driver: Arc<PrpcDriver>,
}

impl DevBench {
    async fn start() -> Self {
        let worker = WorkerServer::start(WorkerConfig::default(), ([127, 0, 0, 1], 0).into()).await.unwrap();
        let options = Options {
            deadlines: Deadlines { read: DEADLINE, work: DEADLINE, load: DEADLINE },
            reply_caps: ReplyCaps { runtime: CAP, other: CAP },
            minimum_rate: MinimumRate { bytes: 1024, window: DEADLINE / 2 },
            ..Options::default()
        };
        let driver = Arc::new(PrpcDriver::new(&worker.url(), options).unwrap());
        Self { worker, driver }
    }
}

impl Bench for DevBench {
    fn driver(&self) -> Arc<dyn WorkerDriver> {
        self.driver.clone()
    }

    fn deadline(&self) -> Duration {
        DEADLINE
    }

    fn next(&self, trouble: Trouble) {
        let error = |status, message: &str| Fault::Error { status, message: message.to_owned() };
        let fault = match trouble {
            Trouble::Hang => Fault::Hang,
            Trouble::Trickle => Fault::Slow { bytes_per_second: 1 },
            Trouble::Break => Fault::Drop,
            Trouble::BreakAfter => Fault::DropAnswer,
            Trouble::Refuse(text) => error(500, text),
            Trouble::BadRequest => error(400, "DecodeError(x)"),
            Trouble::NoMethod => error(404, "Method Not Found"),
            Trouble::Garbage => Fault::Garbage(vec![0xff; 12]),
            Trouble::Oversize => Fault::Garbage(vec![0; CAP + 1]),
        };
        self.worker.add_fault(FaultRule { method: None, times: Some(1), fault });
    }

    fn peak_in_flight(&self) -> usize {
        self.worker.peak_in_flight()
    }
}

#[tokio::test]
async fn the_driver_conforms() {
    all(DevBench::start).await;
}
