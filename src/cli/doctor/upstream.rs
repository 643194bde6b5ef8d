//! Whether the backend answers, on the very way that requests take.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::{HeaderValue, Request, Uri, header};
use http_body_util::Empty;
use tokio_util::task::TaskTracker;

use super::patience::{CALL, Patience};
use super::report::Check;
use crate::clock::SystemClock;
use crate::policy::{Credential, Fallback, Found, Requirement, decide};
use crate::proxy::{Addressing, Config, Outgoing, Shared, Tenure, Upstream};
use crate::stop::Stop;

const NAME: &str = "answers";

/// Any answer is a good one, but for one that says that the backend has trouble.
pub(super) async fn check(config: &Config, patience: Patience) -> Check {
    let url = format!("{}://{}", config.scheme, config.authority);
    let began = Instant::now();
    match patience.wait(CALL, ask(config)).await {
        Some(Ok(status)) => {
            let took = began.elapsed().as_millis();
            answered(&format!("{url} answered {status} within {took} ms"), status)
        }
        Some(Err(reason)) => Check::fail(NAME, format!("{url}: {reason}"), mend(config, &reason)),
        None => Check::fail(NAME, format!("{url}: no answer in time"), mend(config, "")),
    }
}

fn answered(found: &str, status: http::StatusCode) -> Check {
    if status.is_server_error() {
        let mend =
            "See in the backend's log what it has; leave it if that is how it answers on `/`.";
        return Check::warn(NAME, found, mend);
    }
    Check::pass(NAME, found)
}

fn mend(config: &Config, reason: &str) -> &'static str {
    match (reason.contains("certificate"), &config.ca) {
        (false, _) => "Check that the backend runs, and that `upstream.url` leads to it.",
        (true, None) => {
            "Name the authority of its certificate as `upstream.ca`, and check that the certificate is for the host of `upstream.url`."
        }
        (true, Some(_)) => {
            "Check that `upstream.ca` holds the authority of its certificate, and that the certificate is for the host of `upstream.url`."
        }
    }
}

async fn ask(config: &Config) -> Result<http::StatusCode, String> {
    let shared = Shared::new(config.clone(), Arc::new(SystemClock)).map_err(|e| e.to_string())?;
    let upstream = Upstream::<Empty<Bytes>>::new(shared, TaskTracker::new(), Stop::new());
    let found = Found::Fallback(&Fallback::Apply(Requirement::Public));
    let Ok(permit) = decide::<()>(&found, Credential::None) else {
        return Err("it was not asked".to_owned());
    };
    let host = HeaderValue::from_str(config.authority.as_str()).map_err(|e| e.to_string())?;
    let outgoing = Outgoing {
        request: Box::new(request(host.clone())),
        addressing: addressing(host),
        plan: None,
        tenure: Tenure::default(),
        keep: Arc::new(()),
    };
    match upstream.forward(permit, outgoing).await {
        Ok(answer) => Ok(answer.status()),
        Err(error) => Err(error.to_string()),
    }
}

fn request(host: HeaderValue) -> Request<Empty<Bytes>> {
    let mut request = Request::new(Empty::new());
    *request.uri_mut() = Uri::from_static("/");
    request.headers_mut().insert(header::HOST, host);
    request
}

fn addressing(host: HeaderValue) -> Addressing {
    Addressing {
        request_id: HeaderValue::from_static("tollgate-doctor"),
        forwarded_for: HeaderValue::from_static("127.0.0.1"),
        proto: HeaderValue::from_static("http"),
        host: host.clone(),
        requested_host: host,
        forwarded: HeaderValue::from_static("for=127.0.0.1;proto=http"),
        trusted: false,
        traceparent: None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::report::Status;
    use super::*;

    #[test]
    fn a_backend_that_has_trouble_is_warned_of() {
        let of = |status| answered("it", http::StatusCode::from_u16(status).unwrap()).status;
        for status in [200, 302, 401, 404] {
            assert_eq!(of(status), Status::Pass, "{status}");
        }
        assert_eq!(of(500), Status::Warn);
        assert_eq!(of(503), Status::Warn);
    }
}
