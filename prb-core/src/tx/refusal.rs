//! What a node says when it does not take an extrinsic.

use std::fmt;

/// A refusal of `author_submitExtrinsic` and `author_submitAndWatchExtrinsic`, by code and text of the node
/// (`sc-rpc-api` author errors; the discriminating text of code 1010 and 1011 is in `data`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Wrong runtime version, genesis, extension set or checkpoint, or a real signing mistake.
    BadSignature,
    /// The nonce is used up, or (top-level queue message) the sequence.
    Stale,
    /// The nonce is too high.
    Future,
    /// Its mortality has passed.
    AncientBirth,
    /// The signer cannot pay the fee.
    CannotPay,
    /// Too heavy for a block.
    TooHeavy,
    /// The runtime does not know the call.
    UnexpectedCall,
    /// Another reason of the runtime.
    Invalid(String),
    /// The runtime cannot tell yet.
    UnknownValidity,
    /// The same bytes were refused or dropped lately.
    Banned,
    /// The same bytes are in the pool.
    AlreadyImported,
    /// Another extrinsic has this nonce and at least this priority.
    PriorityTooLow,
    /// It depends on itself.
    Cycle,
    /// The pool is full.
    PoolFull,
    /// The runtime failed while looking at it.
    RuntimePanic,
    /// Not even the encoding was understood.
    BadFormat,
    /// A code this release does not know.
    Other {
        /// Its code.
        code: i64,
        /// Its text.
        text: String,
    },
}

/// What to do about a refusal of an extrinsic that was sent for the first time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// Fetch runtime version and metadata, sign again.
    RefreshRuntime,
    /// Ask for the nonce, sign again.
    RefreshNonce,
    /// Sign again at a newer block.
    SignAgain,
    /// It is under way: wait for it.
    Watch,
    /// Try the same later, each time later.
    BackOff,
    /// Send fewer calls together.
    Split,
    /// Give the jobs up; the text says why and what a person can do.
    GiveUp(String),
}

impl fmt::Display for Remedy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RefreshRuntime => "signed again with the runtime's version and metadata read anew",
            Self::RefreshNonce => "signed again with the nonce read anew",
            Self::SignAgain => "signed again at a newer block",
            Self::Watch => "it is under way and waited for",
            Self::BackOff => "sent again later",
            Self::Split => "sent again in smaller parts",
            Self::GiveUp(advice) => return write!(f, "given up: {advice}"),
        })
    }
}

impl Refusal {
    /// Understands an error of the node.
    pub fn classify(code: i64, message: &str, data: &str) -> Self {
        let text = if data.is_empty() { message } else { data };
        let has = |needle: &str| text.to_ascii_lowercase().contains(needle);
        match code {
            1001 => Self::BadFormat,
            1002 => Self::RuntimePanic,
            1010 if has("bad signature") => Self::BadSignature,
            1010 if has("outdated") => Self::Stale,
            1010 if has("valid in the future") => Self::Future,
            1010 if has("ancient birth") => Self::AncientBirth,
            1010 if has("pay some fees") => Self::CannotPay,
            1010 if has("exhaust the block") => Self::TooHeavy,
            1010 if has("call is not expected") => Self::UnexpectedCall,
            1010 => Self::Invalid(text.to_owned()),
            1011 => Self::UnknownValidity,
            1012 => Self::Banned,
            1013 => Self::AlreadyImported,
            1014 => Self::PriorityTooLow,
            1015 => Self::Cycle,
            1016 => Self::PoolFull,
            _ => Self::Other { code, text: format!("{message} {data}").trim().to_owned() },
        }
    }

    /// Its name in metrics.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::BadSignature => "bad_signature",
            Self::Stale => "stale",
            Self::Future => "future",
            Self::AncientBirth => "ancient_birth",
            Self::CannotPay => "cannot_pay",
            Self::TooHeavy => "too_heavy",
            Self::UnexpectedCall => "unexpected_call",
            Self::Invalid(_) => "invalid",
            Self::UnknownValidity => "unknown_validity",
            Self::Banned => "banned",
            Self::AlreadyImported => "already_imported",
            Self::PriorityTooLow => "priority_too_low",
            Self::Cycle => "cycle",
            Self::PoolFull => "pool_full",
            Self::RuntimePanic => "runtime_panic",
            Self::BadFormat => "bad_format",
            Self::Other { .. } => "other",
        }
    }

    /// Whether it proves that the node did not take the extrinsic. An unknown error may be about something else, such as
    /// a limit of the connection, and proves nothing.
    pub const fn proves_absence(&self) -> bool {
        !matches!(self, Self::AlreadyImported | Self::Other { .. })
    }

    /// What to do, `before` being how often the same jobs met a refusal of this kind already.
    pub fn remedy(&self, before: u32) -> Remedy {
        let patient = |remedy: Remedy, tries: u32| {
            if before < tries { remedy } else { Remedy::GiveUp(self.advice()) }
        };
        match self {
            // A second time after a refresh is not a matter of versions.
            Self::BadSignature | Self::UnexpectedCall => patient(Remedy::RefreshRuntime, 1),
            Self::Stale | Self::Future | Self::PriorityTooLow => match before {
                0..3 => Remedy::RefreshNonce,
                _ => patient(Remedy::BackOff, 20),
            },
            Self::AncientBirth | Self::Banned => patient(Remedy::SignAgain, 5),
            Self::TooHeavy => Remedy::Split,
            Self::AlreadyImported => Remedy::Watch,
            Self::UnknownValidity | Self::Cycle | Self::PoolFull => patient(Remedy::BackOff, 20),
            Self::RuntimePanic => match before {
                0 => Remedy::RefreshRuntime,
                _ => patient(Remedy::BackOff, 5),
            },
            Self::Other { .. } => patient(Remedy::BackOff, 5),
            Self::CannotPay | Self::Invalid(_) | Self::BadFormat => Remedy::GiveUp(self.advice()),
        }
    }

    /// Why, and what a person can do, in one line.
    pub fn advice(&self) -> String {
        match self {
            Self::BadSignature => {
                "bad signature, also with fresh metadata: is the node on the chain the keys are for?".into()
            }
            Self::UnexpectedCall => {
                "the runtime does not expect this call, also with fresh metadata: upgrade prb".into()
            }
            Self::CannotPay => "the operator account cannot pay the fee: top it up".into(),
            Self::TooHeavy => "a single job is too heavy for a block: submit fewer calls per job".into(),
            Self::PoolFull => {
                "the node's transaction pool stays full: use another node or raise its limit".into()
            }
            Self::Stale | Self::Future | Self::PriorityTooLow => {
                format!("{self} again and again: does another program sign with this account?")
            }
            other => format!("node refuses the transaction: {other}"),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BadSignature => "bad signature",
            Self::Stale => "nonce is used up",
            Self::Future => "nonce is too high",
            Self::AncientBirth => "mortality has passed",
            Self::CannotPay => "cannot pay the fee",
            Self::TooHeavy => "too heavy for a block",
            Self::UnexpectedCall => "call is not expected",
            Self::Invalid(text) => return write!(f, "invalid: {text}"),
            Self::UnknownValidity => "validity is unknown",
            Self::Banned => "temporarily banned",
            Self::AlreadyImported => "already in the pool",
            Self::PriorityTooLow => "priority is too low",
            Self::Cycle => "cycle detected",
            Self::PoolFull => "pool is full",
            Self::RuntimePanic => "runtime failed while validating",
            Self::BadFormat => "invalid format",
            Self::Other { code, text } => return write!(f, "error {code}: {text}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_text_of_a_node_is_understood() {
        let invalid = |data| Refusal::classify(1010, "Invalid Transaction", data);
        assert_eq!(invalid("Transaction has a bad signature"), Refusal::BadSignature);
        assert_eq!(invalid("Transaction is outdated"), Refusal::Stale);
        assert_eq!(invalid("Transaction will be valid in the future"), Refusal::Future);
        assert_eq!(invalid("Transaction has an ancient birth block"), Refusal::AncientBirth);
        assert_eq!(invalid("Inability to pay some fees (e.g. account balance too low)"), Refusal::CannotPay);
        assert_eq!(invalid("Transaction would exhaust the block limits"), Refusal::TooHeavy);
        assert_eq!(invalid("Transaction call is not expected"), Refusal::UnexpectedCall);
        assert_eq!(invalid("Custom error: 7"), Refusal::Invalid("Custom error: 7".into()));
        assert_eq!(Refusal::classify(1002, "Verification Error: …", ""), Refusal::RuntimePanic);
        assert_eq!(Refusal::classify(1001, "Extrinsic has invalid format", ""), Refusal::BadFormat);
        assert_eq!(Refusal::classify(1011, "Unknown Transaction Validity", ""), Refusal::UnknownValidity);
        assert_eq!(Refusal::classify(1012, "Transaction is temporarily banned", ""), Refusal::Banned);
        assert_eq!(Refusal::classify(1013, "Transaction Already Imported", "0x00"), Refusal::AlreadyImported);
        assert_eq!(Refusal::classify(1014, "Priority is too low: (1 vs 2)", ""), Refusal::PriorityTooLow);
        assert_eq!(Refusal::classify(1015, "Cycle Detected", ""), Refusal::Cycle);
        assert_eq!(Refusal::classify(1016, "Immediately Dropped", ""), Refusal::PoolFull);
    }

    #[test]
    fn the_text_is_found_in_the_message_when_there_is_no_data() {
        assert_eq!(
            Refusal::classify(1010, "Invalid Transaction: Transaction has a bad signature", ""),
            Refusal::BadSignature
        );
    }

    #[test]
    fn a_bad_signature_is_answered_with_one_refresh() {
        assert_eq!(Refusal::BadSignature.remedy(0), Remedy::RefreshRuntime);
        assert!(matches!(Refusal::BadSignature.remedy(1), Remedy::GiveUp(_)));
    }

    #[test]
    fn a_poor_account_is_not_asked_twice() {
        let Remedy::GiveUp(text) = Refusal::CannotPay.remedy(0) else { panic!("gives up") };
        assert!(text.contains("top it up"));
        assert_eq!(Remedy::GiveUp(text.clone()).to_string(), format!("given up: {text}"));
    }

    #[test]
    fn every_refusal_but_a_split_or_a_twin_ends_some_time() {
        let all = [
            Refusal::BadSignature,
            Refusal::Stale,
            Refusal::Future,
            Refusal::AncientBirth,
            Refusal::UnexpectedCall,
            Refusal::UnknownValidity,
            Refusal::Banned,
            Refusal::PriorityTooLow,
            Refusal::Cycle,
            Refusal::PoolFull,
            Refusal::RuntimePanic,
            Refusal::Other { code: -32000, text: "odd".into() },
        ];
        for refusal in all {
            assert!(matches!(refusal.remedy(100), Remedy::GiveUp(_)), "{refusal}");
        }
    }
}
