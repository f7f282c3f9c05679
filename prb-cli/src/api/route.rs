//! Which path means what.

use super::{access::Aim, elsewhere::Elsewhere, monitor::Asset, reply::Reply};
use hyper::{
    Method, StatusCode,
    header::{self, HeaderValue},
};
use percent_encoding::percent_decode_str;

/// What a worker is told to do once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Restart,
    Register,
    Endpoints,
    Checkpoint,
    /// Ends the worker's process.
    Kick,
}

/// Something that can be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Route {
    Health,
    Ready,
    Metrics,
    // Of PRB v3.
    WmStatus,
    WmRestart,
    WmConfig,
    WorkersStatus,
    WorkersOrder(Verb),
    TxStatus,
    // prb's own.
    Version,
    Overview,
    Workers,
    Worker(String),
    Command(String, Verb),
    /// Where a worker was.
    History(String),
    /// All tags of a worker.
    Tags(String),
    /// The same for many workers.
    Bulk,
    Pools,
    Operators,
    RemoveOperator(String),
    Import,
    Export,
    Transactions,
    /// Transactions are paused from now on, or sent again.
    Pause(bool),
    /// A transaction that waits is not sent.
    Drop(String),
    /// What changes, as it does.
    Events,
    /// What is logged.
    Log,
    SetLog,
    OpenApi,
    /// Where the monitor is.
    Entrance,
    /// Where its page of transactions is.
    Queue,
    Monitor(&'static Asset),
    /// What others are asked.
    Elsewhere(Elsewhere),
}

impl Route {
    /// The route of a path. What v3 does not have it answers with 418, a method that a path does not have with 405, both without a
    /// body.
    pub(super) fn find(method: &Method, path: &str) -> Result<Self, Reply> {
        if let Some(found) = Elsewhere::find(method, path) {
            return found.map(Self::Elsewhere);
        }
        let found = Self::at(path)?;
        let asked = if *method == Method::HEAD { &Method::GET } else { method };
        if let Some((_, route)) = found.iter().find(|(wanted, _)| wanted == asked) {
            return Ok(route.clone());
        }
        let allowed: Vec<&str> = found.iter().map(|(wanted, _)| wanted.as_str()).collect();
        let allowed = HeaderValue::from_str(&allowed.join(", "));
        let refused = Reply::empty(StatusCode::METHOD_NOT_ALLOWED);
        Err(match allowed {
            Ok(allowed) => refused.with_value(header::ALLOW, allowed),
            Err(_) => refused,
        })
    }

    /// What there is at a path, by method.
    fn at(path: &str) -> Result<Vec<(Method, Self)>, Reply> {
        let segments: Vec<&str> = path.strip_prefix('/').unwrap_or(path).split('/').collect();
        let found = match segments.as_slice() {
            ["healthz"] => (Method::GET, Self::Health),
            ["readyz"] => (Method::GET, Self::Ready),
            ["metrics"] => (Method::GET, Self::Metrics),
            ["wm", "status"] => (Method::GET, Self::WmStatus),
            ["wm", "restart"] => (Method::PUT, Self::WmRestart),
            ["wm", "config"] => (Method::POST, Self::WmConfig),
            ["workers", "status"] => (Method::GET, Self::WorkersStatus),
            ["workers", "restart"] => (Method::PUT, Self::WorkersOrder(Verb::Restart)),
            ["workers", "force_register"] => (Method::PUT, Self::WorkersOrder(Verb::Register)),
            ["workers", "update_endpoints"] => (Method::PUT, Self::WorkersOrder(Verb::Endpoints)),
            ["workers", "take_checkpoint"] => (Method::PUT, Self::WorkersOrder(Verb::Checkpoint)),
            ["tx", "status"] => (Method::GET, Self::TxStatus),
            ["monitor"] => (Method::GET, Self::Entrance),
            ["queue"] => (Method::GET, Self::Queue),
            ["monitor", name] => {
                let asset = Asset::find(name).ok_or_else(|| nothing("there is no such file"))?;
                (Method::GET, Self::Monitor(asset))
            }
            ["v1", own @ ..] => {
                return Self::own(own).ok_or_else(|| nothing("there is no such path; see docs/api.md"));
            }
            _ => return Err(Reply::empty(StatusCode::IM_A_TEAPOT)),
        };
        Ok(vec![found])
    }

    fn own(segments: &[&str]) -> Option<Vec<(Method, Self)>> {
        let found = match segments {
            ["version"] => (Method::GET, Self::Version),
            ["overview"] => (Method::GET, Self::Overview),
            ["events"] => (Method::GET, Self::Events),
            ["workers"] => (Method::GET, Self::Workers),
            // A worker may be called that, too.
            ["workers", "bulk"] => {
                let worker = Self::Worker("bulk".to_owned());
                return Some(vec![(Method::GET, worker), (Method::POST, Self::Bulk)]);
            }
            ["workers", worker] => (Method::GET, Self::Worker(decoded(worker)?)),
            ["workers", worker, "history"] => (Method::GET, Self::History(decoded(worker)?)),
            ["workers", worker, "tags"] => (Method::PUT, Self::Tags(decoded(worker)?)),
            ["workers", worker, verb] => {
                let verb = match *verb {
                    "restart" => Verb::Restart,
                    "register" => Verb::Register,
                    "endpoint" => Verb::Endpoints,
                    "checkpoint" => Verb::Checkpoint,
                    "kick" => Verb::Kick,
                    _ => return None,
                };
                (Method::POST, Self::Command(decoded(worker)?, verb))
            }
            ["managers"] => (Method::GET, Self::Elsewhere(Elsewhere::Managers)),
            ["pools"] => (Method::GET, Self::Pools),
            ["operators"] => (Method::GET, Self::Operators),
            ["operators", operator] => (Method::DELETE, Self::RemoveOperator(decoded(operator)?)),
            ["inventory", "import"] => (Method::POST, Self::Import),
            ["inventory", "export"] => (Method::GET, Self::Export),
            ["transactions"] => (Method::GET, Self::Transactions),
            ["transactions", "pause"] => (Method::POST, Self::Pause(true)),
            ["transactions", "resume"] => (Method::POST, Self::Pause(false)),
            ["transactions", job, "drop"] => (Method::POST, Self::Drop(decoded(job)?)),
            ["log"] => return Some(vec![(Method::GET, Self::Log), (Method::PUT, Self::SetLog)]),
            ["openapi.json"] => (Method::GET, Self::OpenApi),
            _ => return None,
        };
        Some(vec![found])
    }

    /// Whether it is more than reading.
    pub(super) fn changes(&self) -> bool {
        if let Self::Elsewhere(what) = self {
            return what.changes();
        }
        matches!(
            self,
            Self::WmConfig
                | Self::WorkersOrder(_)
                | Self::Command(..)
                | Self::Tags(_)
                | Self::Bulk
                | Self::RemoveOperator(_)
                | Self::Import
                | Self::Pause(_)
                | Self::Drop(_)
                | Self::SetLog
        )
    }

    /// What it is about for who may do what.
    pub(super) fn aim(&self) -> Aim {
        match self {
            Self::Health | Self::Ready | Self::Metrics => Aim::Probe,
            route if route.changes() => Aim::Change,
            _ => Aim::Read,
        }
    }

    /// Whether it is the same for everybody, a part of the program.
    pub(super) const fn is_public(&self) -> bool {
        matches!(self, Self::Entrance | Self::Queue | Self::Monitor(_))
    }

    /// Whether what is asked is in the body.
    pub(super) const fn has_body(&self) -> bool {
        matches!(
            self,
            Self::WmConfig
                | Self::WorkersOrder(_)
                | Self::Command(_, Verb::Endpoints)
                | Self::Tags(_)
                | Self::Bulk
                | Self::Import
                | Self::SetLog
        )
    }
}

/// Whether an HTTP method is one that reads.
pub(super) const fn is_read(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

fn nothing(message: &str) -> Reply {
    Reply::error(StatusCode::NOT_FOUND, "NotFound", message)
}

/// A segment of a path as text.
fn decoded(segment: &str) -> Option<String> {
    percent_decode_str(segment).decode_utf8().ok().filter(|text| !text.is_empty()).map(Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(method: &str, path: &str) -> Result<Route, u16> {
        Route::find(&method.parse().unwrap(), path).map_err(|reply| {
            assert!(
                reply.body.is_empty() || path.starts_with("/v1") || path.starts_with("/monitor/"),
                "{path}"
            );
            reply.status.as_u16()
        })
    }

    fn asset(name: &str) -> &'static Asset {
        Asset::find(name).unwrap()
    }

    #[test]
    fn each_path_has_its_method_and_what_there_is_not_is_answered_as_v3_does() {
        let cases = [
            ("GET", "/wm/status", Ok(Route::WmStatus)),
            ("PUT", "/wm/restart", Ok(Route::WmRestart)),
            ("POST", "/wm/config", Ok(Route::WmConfig)),
            ("GET", "/workers/status", Ok(Route::WorkersStatus)),
            ("HEAD", "/workers/status", Ok(Route::WorkersStatus)),
            ("PUT", "/workers/restart", Ok(Route::WorkersOrder(Verb::Restart))),
            ("PUT", "/workers/force_register", Ok(Route::WorkersOrder(Verb::Register))),
            ("PUT", "/workers/update_endpoints", Ok(Route::WorkersOrder(Verb::Endpoints))),
            ("PUT", "/workers/take_checkpoint", Ok(Route::WorkersOrder(Verb::Checkpoint))),
            ("GET", "/tx/status", Ok(Route::TxStatus)),
            ("GET", "/", Err(418)),
            ("POST", "/", Err(418)),
            ("GET", "/p/v1/discover", Err(418)),
            ("GET", "/workers/status/", Err(418)),
            ("GET", "/workers", Err(418)),
            ("GET", "/wm/restart", Err(405)),
            ("PUT", "/wm/config", Err(405)),
            ("GET", "/workers/restart", Err(405)),
            ("POST", "/workers/restart", Err(405)),
            ("OPTIONS", "/wm/config", Err(405)),
            ("GET", "/healthz", Ok(Route::Health)),
            ("POST", "/healthz", Err(405)),
            ("GET", "/v1/workers/rack%201%2F7", Ok(Route::Worker("rack 1/7".to_owned()))),
            ("POST", "/v1/workers/w1/endpoint", Ok(Route::Command("w1".to_owned(), Verb::Endpoints))),
            ("POST", "/v1/transactions/pause", Ok(Route::Pause(true))),
            ("GET", "/v1/transactions/pause", Err(405)),
            ("POST", "/v1/transactions/1f-7/drop", Ok(Route::Drop("1f-7".to_owned()))),
            ("GET", "/v1/transactions/1f-7/drop", Err(405)),
            ("POST", "/v1/transactions/1f-7", Err(404)),
            ("GET", "/v1/workers/%FF", Err(404)),
            ("GET", "/v1/workers/", Err(404)),
            ("POST", "/v1/workers/w1/sell", Err(404)),
            ("GET", "/v1", Err(404)),
            ("GET", "/v1/overview", Ok(Route::Overview)),
            ("GET", "/v1/workers/bulk", Ok(Route::Worker("bulk".to_owned()))),
            ("POST", "/v1/workers/bulk", Ok(Route::Bulk)),
            ("PUT", "/v1/workers/bulk", Err(405)),
            ("POST", "/v1/workers/w%2Fbulk/kick", Ok(Route::Command("w/bulk".to_owned(), Verb::Kick))),
            ("PUT", "/v1/log", Ok(Route::SetLog)),
            ("POST", "/v1/log", Err(405)),
            ("DELETE", "/v1/operators/a%20b", Ok(Route::RemoveOperator("a b".to_owned()))),
            ("GET", "/v1/operators/a", Err(405)),
            ("GET", "/monitor", Ok(Route::Entrance)),
            ("GET", "/monitor/", Ok(Route::Monitor(asset("")))),
            ("GET", "/monitor/app.js", Ok(Route::Monitor(asset("app.js")))),
            ("HEAD", "/monitor/app.js", Ok(Route::Monitor(asset("app.js")))),
            ("POST", "/monitor/app.js", Err(405)),
            ("PUT", "/monitor", Err(405)),
            ("GET", "/monitor/tests.rs", Err(404)),
            ("GET", "/monitor/..%2Fapp.js", Err(404)),
            ("GET", "/monitors", Err(418)),
            ("GET", "/monitor/a/b", Err(418)),
        ];
        for (method, path, expected) in cases {
            assert_eq!(find(method, path), expected, "{method} {path}");
        }
    }

    #[test]
    fn what_is_not_read_changes_something_and_is_no_get() {
        for (method, path) in [
            ("POST", "/wm/config"),
            ("PUT", "/workers/restart"),
            ("PUT", "/workers/update_endpoints"),
            ("POST", "/v1/workers/w/checkpoint"),
            ("POST", "/v1/transactions/resume"),
            ("POST", "/v1/transactions/1f-7/drop"),
            ("PUT", "/v1/workers/w/tags"),
            ("DELETE", "/v1/operators/a"),
            ("POST", "/v1/inventory/import"),
        ] {
            let route = find(method, path).unwrap();
            assert!(route.changes() && route.aim() == Aim::Change, "{path}");
            assert_eq!(find("GET", path), Err(405), "{path}");
        }
        for (method, path) in [("POST", "/v1/workers/bulk"), ("PUT", "/v1/log")] {
            assert!(find(method, path).unwrap().changes() && !find("GET", path).unwrap().changes(), "{path}");
        }
        for path in [
            "/healthz",
            "/metrics",
            "/workers/status",
            "/tx/status",
            "/v1/operators",
            "/v1/workers/w",
            "/v1/overview",
        ] {
            let route = find("GET", path).unwrap();
            assert!(!route.changes() && !route.is_public(), "{path}");
            let is_probe = matches!(path, "/healthz" | "/metrics");
            assert_eq!(route.aim(), if is_probe { Aim::Probe } else { Aim::Read }, "{path}");
        }
        for path in ["/monitor", "/monitor/", "/monitor/style.css"] {
            let route = find("GET", path).unwrap();
            assert!(!route.changes() && route.is_public(), "{path}");
        }
    }
}
