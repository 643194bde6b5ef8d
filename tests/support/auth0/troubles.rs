//! Faults for some requests: by method and path, for the next few times or until mended.

use std::sync::Arc;

use http::{HeaderValue, Method, Response, StatusCode};
use serde_json::json;
use tokio::sync::watch;

use super::faults::Fault;
use super::management::segments;
use super::{Body, json_response};

/// What goes wrong.
#[derive(Clone)]
pub(crate) enum Trouble {
    /// Nothing is done, and this answered.
    Instead(Fault),
    /// What was asked for is done, and this answered.
    After(Fault),
    /// Nothing is done before the door is open.
    Held(Door),
    /// Nothing is done: 429, with these headers as far as they are given.
    TooMany {
        /// In seconds.
        retry_after: Option<u64>,
        /// In seconds since 1970.
        reset: Option<i64>,
    },
    /// All goes well, and these headers are set.
    Headers(Vec<(&'static str, String)>),
}

/// Something that holds requests back.
#[derive(Clone, Default)]
pub(crate) struct Door(Arc<watch::Sender<bool>>);

impl Door {
    /// Lets all through, now and later.
    pub(crate) fn open(&self) {
        self.0.send_replace(true);
    }

    async fn pass(&self) {
        let mut open = self.0.subscribe();
        let _ = open.wait_for(|open| *open).await;
    }
}

impl Trouble {
    /// Requests are held until the door is opened.
    pub(crate) fn held() -> (Self, Door) {
        let door = Door::default();
        (Self::Held(door.clone()), door)
    }

    /// The answer; `None` cuts the connection.
    pub(super) async fn answer(
        self,
        handle: impl FnOnce() -> Response<Body>,
    ) -> Option<Response<Body>> {
        match self {
            Self::Instead(fault) => fault.answer().await,
            Self::After(fault) => {
                handle();
                fault.answer().await
            }
            Self::Held(door) => {
                door.pass().await;
                Some(handle())
            }
            Self::TooMany { retry_after, reset } => Some(too_many(retry_after, reset)),
            Self::Headers(list) => {
                let mut response = handle();
                for (name, value) in list {
                    set(&mut response, name, &value);
                }
                Some(response)
            }
        }
    }
}

pub(super) fn too_many(retry_after: Option<u64>, reset: Option<i64>) -> Response<Body> {
    let mut response = json_response(
        StatusCode::TOO_MANY_REQUESTS,
        &json!({ "statusCode": 429, "error": "Too Many Requests",
                 "message": "Global limit has been reached", "errorCode": "too_many_requests" }),
    );
    if let Some(seconds) = retry_after {
        set(&mut response, "retry-after", &seconds.to_string());
    }
    if let Some(reset) = reset {
        set(&mut response, "x-ratelimit-reset", &reset.to_string());
    }
    response
}

pub(super) fn set(response: &mut Response<Body>, name: &'static str, value: &str) {
    let value = HeaderValue::from_str(value).expect("a header's value");
    response.headers_mut().insert(name, value);
}

/// All that was ordered, the oldest first.
#[derive(Default)]
pub(super) struct Troubles(Vec<Order>);

/// Trouble for requests with this method whose path begins with the pattern.
pub(super) struct Order {
    pub(super) method: Method,
    pub(super) pattern: String,
    /// `None` until mended.
    pub(super) times: Option<usize>,
    pub(super) trouble: Trouble,
}

impl Troubles {
    pub(super) fn add(&mut self, order: Order) {
        self.0.push(order);
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// What goes wrong with this request.
    pub(super) fn next(&mut self, method: &Method, path: &str) -> Option<Trouble> {
        let fits = |order: &Order| order.method == *method && matches(&order.pattern, path);
        let at = self.0.iter().position(fits)?;
        let trouble = self.0[at].trouble.clone();
        if let Some(times) = &mut self.0[at].times {
            *times -= 1;
            if *times == 0 {
                self.0.remove(at);
            }
        }
        Some(trouble)
    }
}

/// Whether `path`, as sent, begins with the segments of `pattern`, which are not encoded; `*` stands for any one.
pub(super) fn matches(pattern: &str, path: &str) -> bool {
    let path = segments(path);
    let mut path = path.iter();
    pattern
        .trim_matches('/')
        .split('/')
        .all(|wanted| path.next().is_some_and(|s| wanted == "*" || s == wanted))
}
