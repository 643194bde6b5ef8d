//! What all pages have in common: head, navigation, notice, foot, and the headers of the answer.

use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use http::{HeaderValue, Response, StatusCode};
use http_body_util::Full;

use super::hand::Hand;
use super::html::Html;

/// Nothing but our own style, script and forms; `connect-src` is for the script, which asks for the same page again.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; \
    connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// One page.
pub(super) struct Page {
    pub(super) status: StatusCode,
    pub(super) title: String,
    /// Where in the navigation it stands.
    pub(super) here: Option<Section>,
    /// Whether the script asks for it again and again.
    pub(super) live: bool,
    pub(super) body: Html,
}

/// An entry of the navigation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Section {
    Overview,
    Events,
    Jobs,
    Users,
    Drift,
    Health,
    Routes,
}

impl Section {
    const ALL: [Self; 7] = [
        Self::Overview,
        Self::Events,
        Self::Jobs,
        Self::Users,
        Self::Drift,
        Self::Health,
        Self::Routes,
    ];

    fn link(self) -> (&'static str, &'static str) {
        match self {
            Self::Overview => ("/", "Overview"),
            Self::Events => ("/events", "Events"),
            Self::Jobs => ("/jobs", "Jobs"),
            Self::Users => ("/users", "Users"),
            Self::Drift => ("/drift", "Drift"),
            Self::Health => ("/health", "Health"),
            Self::Routes => ("/routes", "Routes"),
        }
    }

    /// Whether there is nothing to see without a ledger.
    fn is_of_payments(self) -> bool {
        match self {
            Self::Events | Self::Jobs | Self::Users | Self::Drift => true,
            Self::Overview | Self::Health | Self::Routes => false,
        }
    }
}

impl Page {
    /// A page with its heading.
    pub(super) fn new(here: Section, title: &str, write: impl FnOnce(&mut Html)) -> Self {
        Self {
            status: StatusCode::OK,
            title: title.to_owned(),
            here: Some(here),
            live: false,
            body: Html::of(write),
        }
    }

    /// A page that says why there is nothing else on it.
    pub(super) fn sorry(status: StatusCode, title: &str, text: &str) -> Self {
        Self {
            status,
            title: title.to_owned(),
            here: None,
            live: false,
            body: Html::of(|h| h.line("p", &[("class", "lead")], text)),
        }
    }

    /// The same page, in this place of the navigation.
    pub(super) fn at(self, here: Section) -> Self {
        Self {
            here: Some(here),
            ..self
        }
    }

    /// The same page, which the script asks for again and again.
    pub(super) fn live(self) -> Self {
        Self { live: true, ..self }
    }

    /// The whole answer.
    pub(super) fn into_response(self, around: &Around<'_>) -> Response<Full<Bytes>> {
        let (status, title) = (self.status, self.title.clone());
        let html = Html::of(|h| {
            h.doctype();
            h.tag("html", &[("lang", "en")], |h| {
                h.tag("head", &[], |h| head(h, &title));
                h.tag("body", &[], |h| self.body(h, around));
            });
        });
        let mut response = answer(status, "text/html; charset=utf-8", html.finish());
        response.headers_mut().extend(around.headers.clone());
        response
    }

    fn body(self, h: &mut Html, around: &Around<'_>) {
        let skip = [("class", "skip"), ("href", "#main")];
        h.line("a", &skip, "Skip to the content");
        h.tag("header", &[("class", "top")], |h| {
            h.tag("a", &[("class", "brand"), ("href", "/")], |h| {
                let icon = [("src", "/assets/icon.svg"), ("alt", ""), ("width", "24")];
                h.void("img", &icon);
                h.line("span", &[], "Tollgate");
            });
            h.tag("nav", &[("aria-label", "Main")], |h| {
                self.links(h, around.has_payments);
            });
            around.hand.corner(h);
        });
        let live: &[_] = if self.live {
            &[("id", "main"), ("data-live", "")]
        } else {
            &[("id", "main")]
        };
        h.tag("main", live, |h| {
            if let Some(notice) = &around.notice {
                let attributes = [("class", "notice good"), ("role", "status")];
                h.line("p", &attributes, notice);
            }
            h.line("h1", &[], &self.title);
            h.append(&self.body);
        });
        h.tag("footer", &[], |h| {
            h.line("span", &[], concat!("Tollgate ", env!("CARGO_PKG_VERSION")));
            h.line("span", &[("class", "clock")], "Times are UTC.");
        });
    }

    fn links(&self, h: &mut Html, has_payments: bool) {
        let sections = Section::ALL.into_iter();
        for section in sections.filter(|section| has_payments || !section.is_of_payments()) {
            let (path, name) = section.link();
            let link = [("href", path)];
            let current = [("href", path), ("aria-current", "page")];
            let attributes: &[_] = if self.here == Some(section) {
                &current
            } else {
                &link
            };
            h.line("a", attributes, name);
        }
    }
}

/// What surrounds a page.
pub(super) struct Around<'a> {
    pub(super) hand: &'a Hand,
    pub(super) has_payments: bool,
    /// What was done last.
    pub(super) notice: Option<String>,
    /// Further headers.
    pub(super) headers: http::HeaderMap,
}

fn head(h: &mut Html, title: &str) {
    h.void("meta", &[("charset", "utf-8")]);
    let viewport = "width=device-width, initial-scale=1";
    h.void("meta", &[("name", "viewport"), ("content", viewport)]);
    h.void(
        "meta",
        &[("name", "color-scheme"), ("content", "light dark")],
    );
    h.line("title", &[], &format!("{title} · Tollgate"));
    h.void("link", &[("rel", "icon"), ("href", "/assets/icon.svg")]);
    let style = [("rel", "stylesheet"), ("href", "/assets/console.css")];
    h.void("link", &style);
    h.tag(
        "script",
        &[("src", "/assets/console.js"), ("defer", "")],
        |_| {},
    );
}

/// An answer with the headers that all of the console's have.
pub(super) fn answer(
    status: StatusCode,
    kind: &'static str,
    body: impl Into<Bytes>,
) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    guard(&mut response);
    response
}

/// Sets the headers that all of the console's answers have.
pub(super) fn guard(response: &mut Response<Full<Bytes>>) {
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        // Our own forms are to say where they come from; other sites learn no user's id.
        (REFERRER_POLICY, "same-origin"),
        (CACHE_CONTROL, "no-store"),
    ] {
        let value = HeaderValue::from_static(value);
        response.headers_mut().insert(name, value);
    }
}
