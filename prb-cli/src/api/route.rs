//! Which path means what.

use super::{elsewhere::Elsewhere, monitor::Asset, reply::Reply};
use hyper::{Method, StatusCode, header};
use percent_encoding::percent_decode_str;

/// What a worker is told to do once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Restart,
    Register,
    Endpoints,
    Checkpoint,
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
    Pools,
    Operators,
    Transactions,
    /// Transactions are paused from now on, or sent again.
    Pause(bool),
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
        let segments: Vec<&str> = path.strip_prefix('/').unwrap_or(path).split('/').collect();
        if let Some(found) = Elsewhere::find(method, &segments) {
            return found.map(Self::Elsewhere);
        }
        let (route, wanted) = match segments.as_slice() {
            ["healthz"] => (Self::Health, Method::GET),
            ["readyz"] => (Self::Ready, Method::GET),
            ["metrics"] => (Self::Metrics, Method::GET),
            ["wm", "status"] => (Self::WmStatus, Method::GET),
            ["wm", "restart"] => (Self::WmRestart, Method::PUT),
            ["wm", "config"] => (Self::WmConfig, Method::POST),
            ["workers", "status"] => (Self::WorkersStatus, Method::GET),
            ["workers", "restart"] => (Self::WorkersOrder(Verb::Restart), Method::PUT),
            ["workers", "force_register"] => (Self::WorkersOrder(Verb::Register), Method::PUT),
            ["workers", "update_endpoints"] => (Self::WorkersOrder(Verb::Endpoints), Method::PUT),
            ["workers", "take_checkpoint"] => (Self::WorkersOrder(Verb::Checkpoint), Method::PUT),
            ["tx", "status"] => (Self::TxStatus, Method::GET),
            ["monitor"] => (Self::Entrance, Method::GET),
            ["queue"] => (Self::Queue, Method::GET),
            ["monitor", name] => {
                let asset = Asset::find(name).ok_or_else(|| nothing("there is no such file"))?;
                (Self::Monitor(asset), Method::GET)
            }
            ["v1", own @ ..] => {
                Self::own(own).ok_or_else(|| nothing("there is no such path; see docs/api.md"))?
            }
            _ => return Err(Reply::empty(StatusCode::IM_A_TEAPOT)),
        };
        let asked = if *method == Method::HEAD { &Method::GET } else { method };
        if *asked == wanted {
            return Ok(route);
        }
        let allowed = match wanted {
            Method::GET => "GET",
            Method::PUT => "PUT",
            _ => "POST",
        };
        Err(Reply::empty(StatusCode::METHOD_NOT_ALLOWED).with(header::ALLOW, allowed))
    }

    fn own(segments: &[&str]) -> Option<(Self, Method)> {
        Some(match segments {
            ["version"] => (Self::Version, Method::GET),
            ["overview"] => (Self::Overview, Method::GET),
            ["workers"] => (Self::Workers, Method::GET),
            ["workers", worker] => (Self::Worker(decoded(worker)?), Method::GET),
            ["workers", worker, verb] => {
                let verb = match *verb {
                    "restart" => Verb::Restart,
                    "register" => Verb::Register,
                    "endpoint" => Verb::Endpoints,
                    "checkpoint" => Verb::Checkpoint,
                    _ => return None,
                };
                (Self::Command(decoded(worker)?, verb), Method::POST)
            }
            ["managers"] => (Self::Elsewhere(Elsewhere::Managers), Method::GET),
            ["pools"] => (Self::Pools, Method::GET),
            ["operators"] => (Self::Operators, Method::GET),
            ["transactions"] => (Self::Transactions, Method::GET),
            ["transactions", "pause"] => (Self::Pause(true), Method::POST),
            ["transactions", "resume"] => (Self::Pause(false), Method::POST),
            _ => return None,
        })
    }

    /// Whether it is more than reading.
    pub(super) fn changes(&self) -> bool {
        if let Self::Elsewhere(what) = self {
            return what.changes();
        }
        matches!(self, Self::WmConfig | Self::WorkersOrder(_) | Self::Command(..) | Self::Pause(_))
    }

    /// Whether it is the same for everybody, a part of the program.
    pub(super) const fn is_public(&self) -> bool {
        matches!(self, Self::Entrance | Self::Queue | Self::Monitor(_))
    }

    /// Whether what is asked is in the body.
    pub(super) const fn has_body(&self) -> bool {
        matches!(self, Self::WmConfig | Self::WorkersOrder(_) | Self::Command(_, Verb::Endpoints))
    }
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
            ("GET", "/v1/workers/%FF", Err(404)),
            ("GET", "/v1/workers/", Err(404)),
            ("POST", "/v1/workers/w1/sell", Err(404)),
            ("GET", "/v1", Err(404)),
            ("GET", "/v1/overview", Ok(Route::Overview)),
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
        ] {
            assert!(find(method, path).unwrap().changes(), "{path}");
            assert_eq!(find("GET", path), Err(405), "{path}");
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
        }
        for path in ["/monitor", "/monitor/", "/monitor/style.css"] {
            let route = find("GET", path).unwrap();
            assert!(!route.changes() && route.is_public(), "{path}");
        }
    }
}
