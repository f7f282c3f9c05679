//! The pRPC methods prb calls, with what limits each of them.

use std::time::Duration;

use prb_core::handover::Means;

use crate::options::Options;

/// One method of `PhactoryAPI`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Method {
    /// Name on the wire.
    pub(crate) name: &'static str,
    /// Which deadline applies.
    class: Class,
    /// Which reply cap applies.
    large_reply: bool,
    /// Whether it changes nothing, so that sending it twice is the same as once.
    pub(crate) repeatable: bool,
}

#[derive(Clone, Copy, Debug)]
enum Class {
    Read,
    Work,
    Load,
}

impl Method {
    pub(crate) fn deadline(self, options: &Options) -> Duration {
        match self.class {
            Class::Read => options.deadlines.read,
            Class::Work => options.deadlines.work,
            Class::Load => options.deadlines.load,
        }
    }

    pub(crate) fn reply_cap(self, options: &Options) -> usize {
        if self.large_reply { options.reply_caps.runtime } else { options.reply_caps.other }
    }

    const fn new(name: &'static str, class: Class) -> Self {
        Self { name, class, large_reply: false, repeatable: false }
    }

    const fn with_large_reply(self) -> Self {
        Self { large_reply: true, ..self }
    }

    const fn repeatable(self) -> Self {
        Self { repeatable: true, ..self }
    }
}

pub(crate) const GET_INFO: Method = Method::new("GetInfo", Class::Read).repeatable();
pub(crate) const INIT_RUNTIME: Method = Method::new("InitRuntime", Class::Load).with_large_reply();
pub(crate) const SYNC_HEADER: Method = Method::new("SyncHeader", Class::Work);
pub(crate) const SYNC_PARA_HEADER: Method = Method::new("SyncParaHeader", Class::Work);
pub(crate) const SYNC_COMBINED_HEADERS: Method = Method::new("SyncCombinedHeaders", Class::Work);
pub(crate) const DISPATCH_BLOCKS: Method = Method::new("DispatchBlocks", Class::Work);
pub(crate) const LOAD_CHAIN_STATE: Method = Method::new("LoadChainState", Class::Load);
pub(crate) const GET_RUNTIME_INFO: Method = Method::new("GetRuntimeInfo", Class::Work).with_large_reply();
pub(crate) const GET_EGRESS_MESSAGES: Method =
    Method::new("GetEgressMessages", Class::Read).with_large_reply().repeatable();
pub(crate) const SIGN_ENDPOINT_INFO: Method = Method::new("SignEndpointInfo", Class::Read).repeatable();
pub(crate) const TAKE_CHECKPOINT: Method = Method::new("TakeCheckpoint", Class::Work);
pub(crate) const STOP: Method = Method::new("Stop", Class::Read);

/// The calls of a key handover, in one of their forms. They wait for attestations, and none is made twice.
pub(crate) struct Handover {
    pub(crate) create_challenge: Method,
    pub(crate) accept_challenge: Method,
    pub(crate) start: Method,
    pub(crate) receive: Method,
}

pub(crate) const fn handover(means: Means) -> Handover {
    match means {
        Means::Ias => Handover {
            create_challenge: Method::new("HandoverCreateChallenge", Class::Work),
            accept_challenge: Method::new("HandoverAcceptChallenge", Class::Work),
            start: Method::new("HandoverStart", Class::Work),
            receive: Method::new("HandoverReceive", Class::Work),
        },
        Means::Dcap => Handover {
            create_challenge: Method::new("DcapHandoverCreateChallenge", Class::Work),
            accept_challenge: Method::new("DcapHandoverAcceptChallenge", Class::Work),
            start: Method::new("DcapHandoverStart", Class::Work),
            receive: Method::new("DcapHandoverReceive", Class::Work),
        },
    }
}
