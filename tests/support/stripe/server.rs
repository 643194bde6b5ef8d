//! The socket side: requests in, answers and faults out.

use std::future::pending;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::api::{Admitted, Answer, Request};
use super::faults::{self, Fault};
use super::{Account, page};

/// No call we make is larger.
const MAX_BODY: usize = 1 << 20;

pub(super) async fn serve(account: Arc<Account>, stream: TcpStream) {
    let service = service_fn(move |request| {
        let account = Arc::clone(&account);
        async move { account.answer(request).await.ok_or("cut") }
    });
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

impl Account {
    /// The answer; `None` cuts the connection.
    async fn answer(
        self: Arc<Self>,
        request: http::Request<Incoming>,
    ) -> Option<Response<Full<Bytes>>> {
        let (head, body) = request.into_parts();
        let body = Limited::new(body, MAX_BODY)
            .collect()
            .await
            .ok()?
            .to_bytes();
        let body = String::from_utf8_lossy(&body).into_owned();
        let path = head.uri.path();
        if !path.starts_with("/v1/") {
            return Some(self.change(|state| page::answer(state, &head.method, path, &body)));
        }
        let request = read(&head, &body);
        let (call, fault) = self.change(|state| {
            let call = state.record(&request);
            (call, state.faults.next(&request.method, &request.path))
        });
        let answer = self.meet(&request, call, fault).await?;
        let time = self.change(|state| {
            state.calls[call].status = Some(answer.status);
            state.set_time
        });
        let mut response = respond(&answer, &request, call);
        if let Some(time) = time.and_then(|time| u64::try_from(time).ok()) {
            let date = UNIX_EPOCH + Duration::from_secs(time);
            put(
                response.headers_mut(),
                "date",
                &httpdate::fmt_http_date(date),
            );
        }
        Some(response)
    }

    /// What comes of a call under `fault`.
    async fn meet(
        self: &Arc<Self>,
        request: &Request,
        call: usize,
        fault: Option<Fault>,
    ) -> Option<Answer> {
        match &fault {
            Some(Fault::Status {
                status,
                retry_after,
                should_retry,
            }) => {
                return Some(faults::edge(*status, *retry_after, *should_retry));
            }
            Some(Fault::Hang) => return pending().await,
            Some(Fault::CutBefore) => return None,
            Some(
                Fault::Broken | Fault::Hold | Fault::Late | Fault::CutAfter | Fault::Garbage(_),
            )
            | None => {}
        }
        match self.change(|state| state.admit(request, call)) {
            Ok(admitted) => self.perform_under(fault, admitted).await,
            Err(answer) => Some(answer),
        }
    }

    /// Does what was let in, or not, as `fault` says.
    async fn perform_under(
        self: &Arc<Self>,
        fault: Option<Fault>,
        admitted: Admitted,
    ) -> Option<Answer> {
        match fault {
            Some(Fault::Broken) => return Some(self.change(|state| state.break_down(&admitted))),
            Some(Fault::Hold) => return self.perform_when_released(admitted).await,
            Some(
                Fault::Late
                | Fault::CutAfter
                | Fault::Garbage(_)
                | Fault::Status { .. }
                | Fault::Hang
                | Fault::CutBefore,
            )
            | None => {}
        }
        let answer = self.change(|state| state.perform(&admitted));
        match fault {
            Some(Fault::CutAfter) => None,
            Some(Fault::Garbage(text)) => Some(faults::garbage(text)),
            Some(Fault::Late) => {
                self.released().await;
                Some(answer)
            }
            Some(
                Fault::Broken | Fault::Hold | Fault::Status { .. } | Fault::Hang | Fault::CutBefore,
            )
            | None => Some(answer),
        }
    }

    /// In a task of its own: who called may be gone by then, and the call is done all the same.
    async fn perform_when_released(self: &Arc<Self>, admitted: Admitted) -> Option<Answer> {
        let account = Arc::clone(self);
        let later = self.tasks.spawn(async move {
            account.released().await;
            account.change(|state| state.perform(&admitted))
        });
        later.await.ok()
    }

    async fn released(&self) {
        if let Ok(permit) = self.permits.acquire().await {
            permit.forget();
        }
    }
}

fn respond(answer: &Answer, request: &Request, call: usize) -> Response<Full<Bytes>> {
    let text = match answer.body.as_str() {
        Some(garbage) => garbage.to_owned(),
        None => answer.body.to_string(),
    };
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = StatusCode::from_u16(answer.status).expect("a status");
    let headers = response.headers_mut();
    put(headers, "content-type", "application/json");
    put(headers, "request-id", &format!("req_{call:014}"));
    put(
        headers,
        "stripe-version",
        request.version.as_deref().unwrap_or("2026-05-27.dahlia"),
    );
    if let Some(key) = &request.idempotency_key {
        put(headers, "idempotency-key", key);
    }
    for (name, value) in &answer.headers {
        put(headers, name, value);
    }
    response
}

fn read(head: &http::request::Parts, body: &str) -> Request {
    let header = |name: &str| {
        head.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .map(ToOwned::to_owned)
    };
    let form = header("content-type")
        .is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"));
    // What a GET has for a body is not read.
    let body = if head.method == Method::GET { "" } else { body };
    Request {
        method: head.method.to_string(),
        path: head.uri.path().to_owned(),
        authorization: header("authorization"),
        idempotency_key: header("idempotency-key"),
        version: header("stripe-version"),
        is_form: body.is_empty() || form,
        encoded: format!("{}&{body}", head.uri.query().unwrap_or_default()),
    }
}

pub(super) fn put(headers: &mut HeaderMap, name: &'static str, value: &str) {
    headers.insert(name, HeaderValue::from_str(value).expect("a header"));
}
