//! SCALE types of the Phala pallets, in the layouts of `phala-types`, `phala-mq` and `phala-pallets`.

mod event;
mod message;
mod pool;
mod session;
mod worker;

pub use event::*;
pub use message::*;
pub use pool::*;
pub use session::*;
pub use worker::*;
