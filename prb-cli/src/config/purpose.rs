//! What a configuration is read for.

/// Which commands a configuration is for: what they need of it, and what else they take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// `prb run` and whatever works on its data directory.
    Run,
    /// `prb lifecycle`, which reads from data providers.
    Lifecycle,
    /// Commands on operators, pools and transactions: what a trader needs, too. They ask no nodes.
    Inventory,
    /// `prb trade`, which only makes transactions.
    Trade,
    /// `prb data-provider`, which ingests whatever section `[providers]` says.
    DataProvider,
    /// `prb store`, which asks no nodes but for the genesis of record files.
    Store,
    /// `prb monitor`, which asks managers and peers.
    Monitor,
}

impl Purpose {
    /// What to do where there is no file.
    pub(super) const fn without_file(self) -> &'static str {
        match self {
            Self::Run | Self::Inventory => {
                "write one with a section [chain] that holds relay = \"ws://...\" and para = \"ws://...\", or name \
                 another file with --config"
            }
            Self::Lifecycle => {
                "write one with a section [chain] that holds para = \"ws://...\", and a section [providers] that holds \
                 urls = [\"http://...\"], or name another file with --config"
            }
            Self::Trade => {
                "write one with a section [chain] that holds para = \"ws://...\", and a section [redis] that holds \
                 url = \"redis://...\", or name another file with --config"
            }
            Self::DataProvider => {
                "name nodes with --relay and --para, or another data provider with --mirror, or a file with a section \
                 [chain] with --config"
            }
            Self::Monitor => "name another file with --config",
            Self::Store => "name the folder of the store with --data-dir, or another file with --config",
        }
    }

    /// Whether nodes of the relay chain are needed; `fed` if there are data providers.
    pub(super) const fn needs_relay(self, fed: bool) -> bool {
        match self {
            Self::Run => !fed,
            Self::DataProvider => true,
            Self::Lifecycle | Self::Trade | Self::Inventory | Self::Store | Self::Monitor => false,
        }
    }

    /// Whether nodes of the parachain are needed where blocks do not come from a mirror.
    pub(super) const fn needs_para(self) -> bool {
        !matches!(self, Self::Inventory | Self::Store | Self::Monitor)
    }

    /// What else than nodes of the relay chain would do.
    pub(super) const fn instead_of_relay(self) -> &'static str {
        match self {
            Self::DataProvider => {
                "; give them with --relay, or another data provider with --mirror (chain.mirror)"
            }
            _ => {
                "; or name another data provider as chain.mirror, or let others ingest and name them in a section \
                 [providers]"
            }
        }
    }

    /// What else than nodes of the parachain would do, or what they are for.
    pub(super) const fn instead_of_para(self, fed: bool) -> &'static str {
        match self {
            Self::DataProvider => {
                "; give them with --para, or another data provider with --mirror (chain.mirror)"
            }
            Self::Trade => "; transactions go through them",
            _ if fed => "; chain state is read from them, and transactions go through them",
            _ => "; or name another data provider as chain.mirror",
        }
    }
}
