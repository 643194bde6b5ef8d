//! The console: a few pages for operators, rendered here, and what they may do there.
//!
//! It reads the ledger and asks it for jobs, as an event would; it changes nothing else. Whoever reaches the listener
//! may read, as with the metrics; acting needs `admin.token`.

mod act;
mod admit;
mod asset;
mod body;
mod drift;
mod event;
mod events;
mod form;
mod hand;
mod health;
mod html;
mod jobs;
mod overview;
mod page;
mod parts;
mod place;
mod routes;
mod session;
mod sign_in;
mod sources;
mod trouble;
mod user;
mod users;

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::header::{ALLOW, HOST, LOCATION};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;

use self::act::Action;
use self::admit::{Admitted, Refused, Sender};
use self::form::Form;
use self::hand::Hand;
use self::page::{Around, Page};
use self::place::{Place, Show};
use self::session::Sessions;
pub use self::sources::{
    Answer, Explain, Payments, Question, Reload, RouteLine, Sources, Upstream,
};
use self::trouble::Trouble;
use crate::auth::Keys;
use crate::clock::Clock;
use crate::reply::{self, Problem};
use crate::server::{Peer, RequestBody};
use crate::store::UnixMillis;
use crate::telemetry::Metrics;
use crate::types::Secret;

/// The console of one process.
pub struct Console {
    sources: Sources,
    sessions: Sessions,
    keys: Option<Arc<Keys>>,
    metrics: Arc<Metrics>,
    clock: Arc<dyn Clock>,
    started: UnixMillis,
}

/// Somebody who looks at a page.
struct Visit<'a> {
    console: &'a Console,
    query: Form,
    hand: Hand,
    now: UnixMillis,
}

/// An action that was asked for, and by whom.
struct Order<'a> {
    head: Parts,
    form: Form,
    hand: Hand,
    peer: &'a Peer,
}

impl Order<'_> {
    fn sender(&self) -> Sender<'_> {
        Sender {
            headers: &self.head.headers,
            host: host(&self.head),
            address: self.peer.address.ip(),
        }
    }
}

impl Console {
    /// A console; with `token`, whoever knows it may act.
    #[must_use]
    pub fn new(
        sources: Sources,
        token: Option<Secret>,
        keys: Option<Arc<Keys>>,
        metrics: Arc<Metrics>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            sources,
            sessions: Sessions::new(token),
            keys,
            metrics,
            started: millis(&*clock),
            clock,
        }
    }

    /// Answers one request.
    pub(super) async fn answer(
        &self,
        peer: &Peer,
        request: Request<RequestBody>,
    ) -> Response<Full<Bytes>> {
        let (head, body) = request.into_parts();
        let place = Place::of(head.uri.path());
        let here = place.as_ref().map(|place| place.page(&head.uri));
        let here = here.as_deref().unwrap_or("/");
        let hand = admit::hand(&self.sessions, &head.headers, here, Instant::now());
        let Some(place) = place else {
            let sorry = Page::sorry(StatusCode::NOT_FOUND, "Not found", "There is no such page.");
            return self.send(sorry, &hand, HeaderMap::new());
        };
        let reads = head.method == Method::GET || head.method == Method::HEAD;
        match place {
            Place::Asset(asset) if reads => asset.answer(),
            Place::Show(show) if reads => self.show(&show, &head, hand).await,
            Place::SignIn if reads => sign_in::page(self, &head, &hand),
            Place::Do(_) | Place::SignIn | Place::SignOut if head.method == Method::POST => {
                match body::form(&head.headers, body).await {
                    Ok(form) => {
                        let order = Order {
                            head,
                            form,
                            hand,
                            peer,
                        };
                        self.take(place, &order).await
                    }
                    Err(unread) => {
                        let text = unread.to_string();
                        let page = Page::sorry(unread.status(), "The form was not read", &text);
                        self.send(page, &hand, HeaderMap::new())
                    }
                }
            }
            Place::Asset(_) | Place::Show(_) | Place::SignIn | Place::Do(_) | Place::SignOut => {
                self.wrong_method(&place, &hand)
            }
        }
    }

    fn wrong_method(&self, place: &Place, hand: &Hand) -> Response<Full<Bytes>> {
        let allow = place.allow();
        let text = format!("This address takes {allow} alone.");
        let page = Page::sorry(StatusCode::METHOD_NOT_ALLOWED, "Another method", &text);
        let headers = [(ALLOW, HeaderValue::from_static(allow))];
        self.send(page, hand, headers.into_iter().collect())
    }

    /// A page to look at.
    async fn show(&self, show: &Show, head: &Parts, hand: Hand) -> Response<Full<Bytes>> {
        let visit = Visit {
            console: self,
            query: Form::parse(head.uri.query().unwrap_or_default()),
            hand,
            now: millis(&*self.clock),
        };
        let page = match (show, &self.sources.payments) {
            (Show::Overview, _) => overview::page(&visit).await,
            (Show::Health, _) => health::page(&visit).await,
            (Show::Routes, _) => routes::page(&visit),
            (other, None) => without_ledger().at(other.section()),
            (other, Some(payments)) => {
                let page = paid(other, &visit, payments).await;
                page.unwrap_or_else(|trouble| self.away(&trouble).at(other.section()))
            }
        };
        let notice = act::notice(&visit.query);
        self.send_with(page, &visit.hand, HeaderMap::new(), notice)
    }

    /// Something to do.
    async fn take(&self, place: Place, order: &Order<'_>) -> Response<Full<Bytes>> {
        match place {
            Place::SignIn => sign_in::sign_in(self, order),
            Place::SignOut => sign_in::sign_out(self, order),
            Place::Do(deed) => self.act(deed.action(&order.form), order).await,
            Place::Asset(_) | Place::Show(_) => self.wrong_method(&place, &order.hand),
        }
    }

    async fn act(&self, action: Option<Action>, order: &Order<'_>) -> Response<Full<Bytes>> {
        let client = order.peer.text();
        let admitted = admit::admit(&self.sessions, order.sender(), &order.form, Instant::now());
        let by = match admitted {
            Ok(by) => by,
            Err(refused) => {
                tracing::warn!(client.address = client, why = %refused, "console: an action was refused");
                return self.refuse(refused, order);
            }
        };
        let Some(action) = action else {
            let text = "The form does not say what is to be done, or to whom: an id is of visible ASCII, and no longer than 512.";
            return self.sorry(StatusCode::BAD_REQUEST, "Nothing was done", text, by, order);
        };
        let Some(payments) = &self.sources.payments else {
            return self.send(without_ledger(), &order.hand, HeaderMap::new());
        };
        let done = action.perform(payments, millis(&*self.clock)).await;
        let (word, subject) = (action.word(), action.subject());
        match done {
            Ok(act::Done::Nothing) => {
                tracing::info!(
                    client.address = client,
                    action = word,
                    subject,
                    "console: nothing to do"
                );
                let text = "The ledger knows no such thing, or none that could concern anybody.";
                self.sorry(StatusCode::NOT_FOUND, "Nothing was done", text, by, order)
            }
            Ok(done) => {
                tracing::info!(
                    client.address = client,
                    action = word,
                    subject,
                    "console: done"
                );
                let query = done.query();
                match by {
                    Admitted::Browser => see(&format!("{}?{query}", action.next())),
                    Admitted::Script => {
                        let notice = act::notice(&Form::parse(&query));
                        let body = serde_json::json!({ "ok": true, "message": notice });
                        guarded(reply::json(StatusCode::OK, &body))
                    }
                }
            }
            Err(trouble) => {
                tracing::warn!(client.address = client, action = word, subject, error = %trouble, "console: not done");
                let text = "The ledger does not answer, so nothing was done, or not all of it. Try again later.";
                let status = StatusCode::SERVICE_UNAVAILABLE;
                self.sorry(status, "The ledger is away", text, by, order)
            }
        }
    }

    fn refuse(&self, refused: Refused, order: &Order<'_>) -> Response<Full<Bytes>> {
        let by = if order.head.headers.contains_key(http::header::AUTHORIZATION) {
            Admitted::Script
        } else {
            Admitted::Browser
        };
        let text = refused.to_string();
        let mut response = self.sorry(refused.status(), "Not allowed", &text, by, order);
        response.headers_mut().extend(refused.headers());
        response
    }

    /// Says no, to people as a page and to scripts as JSON.
    fn sorry(
        &self,
        status: StatusCode,
        title: &str,
        text: &str,
        to: Admitted,
        order: &Order<'_>,
    ) -> Response<Full<Bytes>> {
        match to {
            Admitted::Browser => self.send(
                Page::sorry(status, title, text),
                &order.hand,
                HeaderMap::new(),
            ),
            Admitted::Script => {
                let problem = Problem::new(status, "not_done", text);
                let path = order.head.uri.path();
                guarded(problem.into_response(path, "", self.clock.unix_seconds()))
            }
        }
    }

    /// The page that says that the ledger is away.
    fn away(&self, trouble: &Trouble) -> Page {
        tracing::warn!(error = %trouble, "console: the ledger cannot be read");
        self.metrics.billing.ledger_error("console");
        let text = "The ledger does not answer now, so there is nothing to show. Requests are decided by their tokens \
            alone, and webhooks are refused until it is back, so that Stripe sends them again. The log says more.";
        Page::sorry(StatusCode::SERVICE_UNAVAILABLE, "The ledger is away", text)
    }

    fn send(&self, page: Page, hand: &Hand, headers: HeaderMap) -> Response<Full<Bytes>> {
        self.send_with(page, hand, headers, None)
    }

    fn send_with(
        &self,
        page: Page,
        hand: &Hand,
        headers: HeaderMap,
        notice: Option<String>,
    ) -> Response<Full<Bytes>> {
        page.into_response(&Around {
            hand,
            has_payments: self.sources.payments.is_some(),
            notice,
            headers,
        })
    }
}

/// A page that needs the ledger.
async fn paid(show: &Show, visit: &Visit<'_>, payments: &Payments) -> Result<Page, Trouble> {
    match show {
        Show::Events => events::page(visit, payments).await,
        Show::Event(id) => event::page(visit, payments, id).await,
        Show::Jobs => jobs::page(visit, payments).await,
        Show::Users => users::page(visit, payments).await,
        Show::User(user) => user::page(visit, payments, user).await,
        Show::Drift => drift::page(visit, payments).await,
        Show::Overview | Show::Health | Show::Routes => Ok(without_ledger()),
    }
}

fn without_ledger() -> Page {
    let text = "There is no ledger here: this Tollgate is a gate alone, because its config has no `stripe` section.";
    Page::sorry(StatusCode::NOT_FOUND, "No ledger", text)
}

/// Sends a browser on, after a form.
fn see(location: &str) -> Response<Full<Bytes>> {
    let mut response = page::answer(StatusCode::SEE_OTHER, "text/plain", Bytes::new());
    let location = HeaderValue::from_str(location);
    let home = HeaderValue::from_static("/");
    let headers = response.headers_mut();
    headers.insert(LOCATION, location.unwrap_or(home));
    response
}

fn guarded(mut response: Response<Full<Bytes>>) -> Response<Full<Bytes>> {
    page::guard(&mut response);
    response
}

/// The host that was asked for, with its port.
fn host(head: &Parts) -> &str {
    let named = head.headers.get(HOST).and_then(|host| host.to_str().ok());
    let authority = || head.uri.authority().map(http::uri::Authority::as_str);
    named.or_else(authority).unwrap_or_default()
}

fn millis(clock: &dyn Clock) -> UnixMillis {
    clock.unix_millis()
}
