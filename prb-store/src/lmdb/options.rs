//! How to open a store on disk.

use prb_core::port::source::ChainIdentity;

/// How to open an [`LmdbStore`](super::LmdbStore).
#[derive(Clone, Debug)]
pub struct LmdbOptions {
    /// The chains the store must be of. None accepts what the folder holds.
    pub identity: Option<ChainIdentity>,
    /// Address space to begin with, in bytes. It grows by itself, which stops reading for a moment; the file is
    /// only as large as its content. Typical: 4 GiB.
    pub map_bytes: u64,
    /// Address space never to be exceeded, in bytes: a bound on the size of the file. Typical: 4 TiB.
    pub max_map_bytes: u64,
    /// Most reads at the same time, in all processes. More fail. Typical: 1024, above the 512 blocking threads of
    /// a tokio runtime.
    pub max_readers: u32,
    /// Whether to compress what is added, where that makes it smaller. What is stored can be read either way.
    pub compress: bool,
    /// Where to fail on purpose.
    #[cfg(any(test, feature = "testkit"))]
    pub fail_point: Option<super::FailPoint>,
}

impl Default for LmdbOptions {
    fn default() -> Self {
        Self {
            identity: None,
            map_bytes: 4 << 30,
            max_map_bytes: 4 << 40,
            max_readers: 1024,
            compress: true,
            #[cfg(any(test, feature = "testkit"))]
            fail_point: None,
        }
    }
}
