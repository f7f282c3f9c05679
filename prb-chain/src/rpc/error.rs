//! What a node's or a transport's error means.
//!
//! Nodes of different age use different codes for the same thing, so the words decide (`sc-rpc`,
//! `sc-consensus-grandpa-rpc`, `phala-node-rpc-ext`, `jsonrpsee`).

use super::Question;
use jsonrpsee::core::client::Error as ClientError;
use prb_core::port::SourceError;
use std::time::Duration;
use subxt_rpcs::{Error, UserError};

/// JSON-RPC 2.0.
const METHOD_NOT_FOUND: i32 = -32601;
/// `jsonrpsee` up to 0.17 and after.
const OVERSIZED: [i32; 2] = [-32702, -32008];
/// Longest text of others that is repeated.
const MAX_WORDS: usize = 300;

/// Why an attempt gave no answer.
#[derive(Debug)]
pub(crate) enum Miss {
    /// There is no connection, and none could be made; the words of the transport.
    Unreachable(String),
    /// The connection is gone; the words of the transport.
    Broken(String),
    /// No answer within this time.
    Late(Duration),
    /// The node answered with an error.
    Refused(UserError),
    /// The answer exceeds what is accepted here.
    TooLarge(String),
    /// The answer is not what JSON-RPC allows.
    Unusable(String),
}

impl Miss {
    /// What an error of the transport means, and whether no further answer will come on the connection.
    pub(super) fn of(error: Error) -> (Self, bool) {
        match error {
            Error::User(error) => (Self::Refused(error), false),
            Error::Client(client) => {
                let words = short(&client.to_string());
                match client.downcast_ref::<ClientError>() {
                    Some(ClientError::ParseError(_)) => (Self::Unusable(words), false),
                    _ if is_too_large(&words) => (Self::TooLarge(words), true),
                    _ => (Self::Broken(words), true),
                }
            }
            Error::DisconnectedWillReconnect(cause) => (Self::Broken(short(&cause)), true),
            error @ (Error::Serialization(_) | Error::Deserialization(_)) => {
                (Self::Unusable(short(&error.to_string())), false)
            }
            other => (Self::Unusable(short(&other.to_string())), true),
        }
    }
}

/// What a miss means for the question that was asked.
pub(super) fn meaning(endpoint: &str, question: &Question, miss: Miss) -> SourceError {
    let (endpoint, what) = (endpoint.to_owned(), question.what.clone());
    match miss {
        Miss::Refused(error) => refusal(endpoint, question, &error),
        Miss::TooLarge(_) if question.long => SourceError::TooLarge { endpoint, what },
        Miss::Unreachable(cause) | Miss::Broken(cause) | Miss::TooLarge(cause) => {
            SourceError::Unreachable { endpoint, what, cause }
        }
        Miss::Late(patience) => SourceError::Timeout { endpoint, what, seconds: patience.as_secs() },
        Miss::Unusable(cause) => SourceError::Bad { endpoint, what, cause },
    }
}

/// What the words of an error mean that came as a notification.
pub(super) fn failure(endpoint: &str, question: &Question, words: &str) -> SourceError {
    refusal(endpoint.to_owned(), question, &UserError { code: 0, message: words.to_owned(), data: None })
}

fn refusal(endpoint: String, question: &Question, error: &UserError) -> SourceError {
    let what = question.what.clone();
    let words = match &error.data {
        Some(data) => format!("{} ({})", error.message, data.get()),
        None => error.message.clone(),
    };
    let lower = words.to_ascii_lowercase();
    let says = |text: &str| lower.contains(text);
    if says("discarded") || says("pruned") || says("not covered by authority set changes") {
        return SourceError::Pruned { endpoint, what };
    }
    if error.code == METHOD_NOT_FOUND || says("unsafe to be called externally") || says("method not found") {
        let cause = short(&words);
        return SourceError::Refused { endpoint, method: question.method.to_owned(), cause };
    }
    if OVERSIZED.contains(&error.code) || is_too_large(&lower) {
        return SourceError::TooLarge { endpoint, what };
    }
    if says("not yet finalized")
        || says("header was not found")
        || says("unknownblock")
        || says("unknown block")
    {
        return SourceError::Missing { endpoint, what };
    }
    if says("too many requests") || says("rate limit") || says("server is busy") {
        return SourceError::Unreachable { endpoint, what, cause: short(&words) };
    }
    SourceError::Bad { endpoint, what, cause: format!("error {}: {}", error.code, short(&words)) }
}

fn is_too_large(words: &str) -> bool {
    let words = words.to_ascii_lowercase();
    ["too big", "too large", "payload too large"].iter().any(|text| words.contains(text))
}

/// Words of others: one line, no control characters, cut where they go on and on.
pub(crate) fn short(words: &str) -> String {
    let mut short: String =
        words.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_WORDS + 1).collect();
    if short.chars().count() > MAX_WORDS {
        short.pop();
        short.push('…');
    }
    short
}

/// Scheme, host and port of an address. User, password, path and query may hold secrets and are left out.
pub(crate) fn without_credentials(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("ws", url));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    format!("{scheme}://{host}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meaning(code: i32, message: &str) -> &'static str {
        let question = Question::new("state_getStorage", Vec::new(), "a value");
        let error = UserError { code, message: message.to_owned(), data: None };
        match refusal("ws://node".to_owned(), &question, &error) {
            SourceError::Pruned { .. } => "pruned",
            SourceError::Refused { .. } => "refused",
            SourceError::TooLarge { .. } => "too large",
            SourceError::Missing { .. } => "missing",
            SourceError::Unreachable { .. } => "unreachable",
            SourceError::Timeout { .. } => "timeout",
            SourceError::Bad { .. } => "bad",
            SourceError::Foreign { .. } => "foreign",
        }
    }

    #[test]
    fn the_words_of_nodes_old_and_new_are_understood() {
        let cases = [
            (4003, "Client error: UnknownBlock: State already discarded for 0x12", "pruned"),
            (-32603, "Client error: UnknownBlock: State already discarded for BlockId::Hash(0x12)", "pruned"),
            (10000, "UnknownBlock: State already discarded for 0x12", "pruned"),
            (4, "GRANDPA prove finality rpc failed: Block not covered by authority set changes", "pruned"),
            (4, "GRANDPA prove finality rpc failed: Block not yet finalized", "missing"),
            (4003, "RPC call is unsafe to be called externally", "refused"),
            (-32601, "RPC call is unsafe to be called externally", "refused"),
            (-32601, "Method not found", "refused"),
            (-32008, "Response is too big", "too large"),
            (-32702, "Response is too big", "too large"),
            (10000, "Resource limited, Too large number of blocks.", "too large"),
            (4003, "Client error: UnknownBlock: Header was not found in the database: 0x12", "missing"),
            (-32005, "Too many requests", "unreachable"),
            (1, "something else", "bad"),
        ];
        for (code, message, expected) in cases {
            assert_eq!(meaning(code, message), expected, "{code} {message}");
        }
    }

    #[test]
    fn names_of_endpoints_hold_no_secrets() {
        let cases = [
            ("wss://user:secret@node.example:443/path?key=secret", "wss://node.example:443"),
            ("wss://node.example/v1/secret", "wss://node.example"),
            ("ws://127.0.0.1:9944", "ws://127.0.0.1:9944"),
            ("ws://a@b@host#secret", "ws://host"),
        ];
        for (url, expected) in cases {
            assert_eq!(without_credentials(url), expected);
        }
    }

    #[test]
    fn long_words_are_cut_and_stay_on_one_line() {
        let cut = short(&"é\n".repeat(500));
        assert_eq!(cut.chars().count(), MAX_WORDS + 1);
        assert!(!cut.contains('\n'));
    }
}
