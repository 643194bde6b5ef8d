//! A caller of the API, and an endpoint for events.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};

use crate::support::net::{Listening, Reserved};
use crate::support::raw::{Reply, Wire};
use crate::support::stripe::{KEY, PRICE_LIFETIME, PRICE_MONTHLY, Stripe};

/// Calls the API with the usual key.
pub(super) struct Caller {
    address: SocketAddr,
    pub(super) key: String,
}

impl Caller {
    pub(super) fn of(stripe: &Stripe) -> Self {
        Self {
            address: stripe.address(),
            key: KEY.to_owned(),
        }
    }

    /// GET `path`, whose query is already encoded.
    pub(super) async fn get(&self, path: &str) -> Reply {
        self.try_send("GET", path, "", "").await.expect("an answer")
    }

    pub(super) async fn delete(&self, path: &str) -> Reply {
        self.try_send("DELETE", path, "", "")
            .await
            .expect("an answer")
    }

    /// POST of a form that is already encoded.
    pub(super) async fn post(&self, path: &str, form: &str) -> Reply {
        self.try_send("POST", path, form, "")
            .await
            .expect("an answer")
    }

    /// POST under an idempotency key.
    pub(super) async fn post_as(&self, key: &str, path: &str, form: &str) -> Reply {
        let header = format!("Idempotency-Key: {key}\r\n");
        self.try_send("POST", path, form, &header)
            .await
            .expect("an answer")
    }

    /// One request with one more header; `None` when the connection is cut.
    pub(super) async fn try_send(
        &self,
        method: &str,
        path: &str,
        form: &str,
        header: &str,
    ) -> Option<Reply> {
        let mut wire = Wire::connect(self.address).await;
        wire.try_send(format!(
            "{method} {path} HTTP/1.1\r\nHost: stripe\r\nAuthorization: Bearer {}\r\nStripe-Version: 2026-05-27.dahlia\r\n\
             Content-Type: application/x-www-form-urlencoded\r\n{header}Content-Length: {}\r\n\r\n{form}",
            self.key,
            form.len()
        ))
        .await
        .ok()?;
        wire.try_reply(false).await.ok()
    }

    /// A checkout of the monthly or the lifetime plan, as Tollgate begins one. Gives its id.
    pub(super) async fn checkout(&self, customer: &str, price: &str) -> String {
        let reply = self
            .post("/v1/checkout/sessions", &checkout_form(customer, price))
            .await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        id(&reply)
    }
}

/// The form of a good checkout.
pub(super) fn checkout_form(customer: &str, price: &str) -> String {
    let (mode, data) = if price == PRICE_MONTHLY {
        ("subscription", "subscription_data")
    } else {
        ("payment", "payment_intent_data")
    };
    format!(
        "mode={mode}&line_items[0][price]={price}&line_items[0][quantity]=1&customer={customer}\
         &client_reference_id=auth0%7Cu&metadata[auth0_user_id]=auth0%7Cu&{data}[metadata][auth0_user_id]=auth0%7Cu\
         &success_url=https%3A%2F%2Fshop.test%2F%3Fsession%3D%7BCHECKOUT_SESSION_ID%7D&cancel_url=https%3A%2F%2Fshop.test%2F"
    )
}

/// A customer who has paid for the month; gives customer, session and subscription.
pub(super) async fn subscriber(stripe: &Stripe) -> (String, String, String) {
    let customer = stripe.new_customer("a@example.test", &json!({ "auth0_user_id": "auth0|u" }));
    let session = Caller::of(stripe).checkout(&customer, PRICE_MONTHLY).await;
    stripe.pay(&session);
    let subscription = stripe.subscription_of(&session);
    (customer, session, subscription)
}

/// A customer who has paid for life; gives customer and session.
pub(super) async fn owner(stripe: &Stripe) -> (String, String) {
    let customer = stripe.new_customer("a@example.test", &Value::Null);
    let session = Caller::of(stripe).checkout(&customer, PRICE_LIFETIME).await;
    stripe.pay(&session);
    (customer, session)
}

pub(super) fn id(reply: &Reply) -> String {
    reply.json()["id"].as_str().unwrap_or_default().to_owned()
}

/// The ids of a list.
pub(super) fn ids(reply: &Reply) -> Vec<String> {
    let data = reply.json()["data"].clone();
    let id = |object: &Value| object["id"].as_str().unwrap_or_default().to_owned();
    data.as_array().into_iter().flatten().map(id).collect()
}

/// What an endpoint has received: the header and the body.
pub(super) type Received = (String, String);

/// An endpoint that answers with the statuses it is given, then with 200.
pub(super) struct Endpoint {
    listening: Listening,
    received: Arc<Mutex<Vec<Received>>>,
}

impl Endpoint {
    pub(super) fn start(statuses: &[u16]) -> Self {
        let received = Arc::new(Mutex::new(Vec::new()));
        let next = Arc::new(Mutex::new(VecDeque::from(statuses.to_vec())));
        let own = Arc::clone(&received);
        let listening = Listening::start(Reserved::any().listen(), move |stream| {
            let (received, next) = (Arc::clone(&own), Arc::clone(&next));
            let service = service_fn(move |request: Request<Incoming>| {
                let (received, next) = (Arc::clone(&received), Arc::clone(&next));
                async move {
                    let header = request.headers()["stripe-signature"]
                        .to_str()
                        .expect("text")
                        .to_owned();
                    let body = request.into_body().collect().await?.to_bytes();
                    let body = String::from_utf8(body.to_vec()).expect("text");
                    received.lock().expect("a lock").push((header, body));
                    let status = next.lock().expect("a lock").pop_front().unwrap_or(200);
                    let mut response = Response::new(Full::<Bytes>::default());
                    *response.status_mut() = StatusCode::from_u16(status).expect("a status");
                    Ok::<_, hyper::Error>(response)
                }
            });
            async move {
                let io = TokioIo::new(stream);
                let _ = hyper::server::conn::http1::Builder::new()
                    .serve_connection(io, service)
                    .await;
            }
        });
        Self {
            listening,
            received,
        }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/stripe/webhook", self.listening.address)
    }

    pub(super) fn received(&self) -> Vec<Received> {
        self.received.lock().expect("a lock").clone()
    }

    /// The types of the events received.
    pub(super) fn kinds(&self) -> Vec<String> {
        let kind = |(_, body): Received| {
            let event: Value = serde_json::from_str(&body).expect("JSON");
            event["type"].as_str().unwrap_or_default().to_owned()
        };
        self.received().into_iter().map(kind).collect()
    }
}
