//! Who answers where a data provider was expected.

/// Most bytes of an answer that are looked at.
const LOOKED_AT: usize = 4 << 10;

/// Who gave an HTTP answer that no data provider gives, and what to do about it; none if it may well be one's.
///
/// `status` and `body` are those of the answer; the words looked for are those of `jsonrpsee` (a Substrate node's RPC
/// port), nginx and Go (TLS ports that are asked without it).
pub fn stranger(status: u16, body: &[u8]) -> Option<&'static str> {
    let text = String::from_utf8_lossy(&body[..body.len().min(LOOKED_AT)]).to_ascii_lowercase();
    let says = |words: &str| text.contains(words);
    if says("post or options is required") || says("http method is not allowed") {
        return Some(
            "it is the RPC port of a node, no data provider; a node is named as ws://host:port in chain.relay or \
             chain.para",
        );
    }
    if says("sent to https port") || says("http request to an https server") {
        return Some("it speaks TLS; write https://");
    }
    if text.trim_start().starts_with('<') {
        return Some(
            "it answers with a web page, so it is a web server or a worker, no data provider; name host, port and base \
             path of one",
        );
    }
    match status {
        300..=399 if status != 304 => {
            Some("it sends readers elsewhere; name the address that it sends them to")
        }
        401 => {
            Some("it wants a token, or another one; check providers.token_file (or chain.mirror_token_file)")
        }
        400 | 403..=426 => Some(
            "no data provider answers so: a worker, a node or another web server may; name host, port and base path of \
             a data provider",
        ),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_answers_instead_is_told_by_status_and_words() {
        let node = b"Used HTTP Method is not allowed. POST or OPTIONS is required\n";
        let nginx = b"<html>400 The plain HTTP request was sent to HTTPS port</html>";
        let cases: &[(u16, &[u8], &str)] = &[
            (405, node, "RPC port of a node"),
            (400, nginx, "https://"),
            (400, b"Client sent an HTTP request to an HTTPS server.\n", "https://"),
            (200, b"\n<!DOCTYPE html>", "web page"),
            (404, b"<html>", "web page"),
            (404, b"{}", "a worker, a node or another web server"),
            (302, b"", "elsewhere"),
            (401, b"this provider wants its token", "token_file"),
        ];
        for (status, body, words) in cases {
            let told = stranger(*status, body).unwrap();
            assert!(told.contains(words) && told.lines().count() == 1, "{status}: {told}");
        }
        for (status, body) in [(200, &[0, 1, 0xff][..]), (304, b""), (429, b"later"), (500, b""), (503, b"")]
        {
            assert_eq!(stranger(status, body), None, "{status}");
        }
    }
}
