//! The monitor: pages in the program itself that show and change what the API tells.
//!
//! Its files hold no data and no secret, so whoever reaches the port may read them; a token is typed in them. They want nothing
//! but this API: scripts, styles and connections are of the same address alone, nobody may frame them, and no text becomes
//! markup.

use super::reply::Reply;
use hyper::{
    HeaderMap, StatusCode,
    header::{self, HeaderName},
};
use prb_core::id::Hash;
use std::sync::LazyLock;

const PAGE: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const IMAGE: &str = "image/svg+xml";

/// What a browser may do with them.
const POLICY: &str = "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'; \
                      require-trusted-types-for 'script'; trusted-types 'none'";

/// The file of the folder itself.
const INDEX: &str = "index.html";

/// One of the files.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Asset {
    name: &'static str,
    kind: &'static str,
    body: &'static str,
    /// Strong: a digest of the body.
    tag: String,
}

impl Asset {
    fn new(name: &'static str, kind: &'static str, body: &'static str) -> Self {
        Self { name, kind, body, tag: format!("\"{}\"", hex::encode(Hash::of(body.as_bytes()).0)) }
    }

    /// The file of this name; the folder's own has none.
    pub(super) fn find(name: &str) -> Option<&'static Self> {
        let name = if name.is_empty() { INDEX } else { name };
        ASSETS.iter().find(|asset| asset.name == name)
    }

    /// Whether who asks has it already.
    pub(super) fn is_held(&self, headers: &HeaderMap) -> bool {
        let held = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
        let mut tags = held.flat_map(|tags| tags.split(',')).map(str::trim);
        tags.any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == self.tag)
    }

    /// The file, or that it is as it was.
    pub(super) fn reply(&'static self, held: bool) -> Reply {
        let reply =
            if held { Reply::empty(StatusCode::NOT_MODIFIED) } else { Reply::text(self.kind, self.body) };
        reply
            .with(header::ETAG, &self.tag)
            // Asked for each time, and sent where another version of the program answers.
            .with(header::CACHE_CONTROL, "no-cache")
            .with(header::CONTENT_SECURITY_POLICY, POLICY)
            .with(header::X_FRAME_OPTIONS, "DENY")
            .with(header::REFERRER_POLICY, "no-referrer")
            .with(HeaderName::from_static("cross-origin-opener-policy"), "same-origin")
            .with(HeaderName::from_static("cross-origin-resource-policy"), "same-origin")
    }
}

/// Says where the page is. Relative, so that a proxy may put it below a path of its own; the page's names are, too.
pub(super) fn entrance() -> Reply {
    Reply::empty(StatusCode::TEMPORARY_REDIRECT).with(header::LOCATION, "monitor/")
}

macro_rules! assets {
    ($($kind:ident $name:literal,)*) => {
        vec![$(Asset::new($name, $kind, include_str!(concat!("monitor/", $name)))),*]
    };
}

static ASSETS: LazyLock<Vec<Asset>> = LazyLock::new(|| {
    assets![
        PAGE "index.html",
        STYLE "parts.css",
        STYLE "style.css",
        IMAGE "icon.svg",
        SCRIPT "api.js",
        SCRIPT "app.js",
        SCRIPT "cell.js",
        SCRIPT "chart.js",
        SCRIPT "columns.js",
        SCRIPT "csv.js",
        SCRIPT "dialog.js",
        SCRIPT "dom.js",
        SCRIPT "filter.js",
        SCRIPT "format.js",
        SCRIPT "forms.js",
        SCRIPT "grid.js",
        SCRIPT "heading.js",
        SCRIPT "inventory.js",
        SCRIPT "kinds.js",
        SCRIPT "lifecycle.js",
        SCRIPT "list.js",
        SCRIPT "live.js",
        SCRIPT "operators.js",
        SCRIPT "orders.js",
        SCRIPT "outcomes.js",
        SCRIPT "overview.js",
        SCRIPT "peer.js",
        SCRIPT "peers.js",
        SCRIPT "plot.js",
        SCRIPT "pools.js",
        SCRIPT "provider.js",
        SCRIPT "rate.js",
        SCRIPT "route.js",
        SCRIPT "stream.js",
        SCRIPT "theme.js",
        SCRIPT "transactions.js",
        SCRIPT "worker.js",
        SCRIPT "workers.js",
    ]
});

#[cfg(test)]
mod tests;
