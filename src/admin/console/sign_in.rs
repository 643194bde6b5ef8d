//! Signing in and out.

use std::time::Instant;

use bytes::Bytes;
use http::header::SET_COOKIE;
use http::request::Parts;
use http::{HeaderMap, Response, StatusCode};
use http_body_util::Full;

use super::admit::{self, Refused};
use super::form::Form;
use super::hand::Hand;
use super::html::Html;
use super::page::Page;
use super::{Console, Order, see};

/// The form.
pub(super) fn page(console: &Console, head: &Parts, hand: &Hand) -> Response<Full<Bytes>> {
    let query = Form::parse(head.uri.query().unwrap_or_default());
    match hand {
        Hand::ReadOnly => console.send(read_only(), hand, HeaderMap::new()),
        Hand::Operator { .. } => see(after(&query)),
        Hand::Stranger { .. } => {
            let page = ask(StatusCode::OK, after(&query), None);
            console.send(page, hand, HeaderMap::new())
        }
    }
}

/// Opens a session for whoever knows the token.
pub(super) fn sign_in(console: &Console, order: &Order<'_>) -> Response<Full<Bytes>> {
    let now = Instant::now();
    let unverified_token = order.form.field("token").unwrap_or_default();
    let checked = if !console.sessions.is_possible() {
        Err(Refused::ReadOnly)
    } else if admit::is_foreign(order.sender()) {
        Err(Refused::Foreign)
    } else {
        admit::check(
            &console.sessions,
            unverified_token,
            order.peer.address.ip(),
            now,
        )
    };
    let client = order.peer.text();
    if let Err(refused) = checked {
        tracing::warn!(client.address = client, why = %refused, "console: nobody signed in");
        let text = refused.to_string();
        let page = match refused {
            Refused::ReadOnly => read_only(),
            Refused::Foreign
            | Refused::NotSignedIn
            | Refused::WrongToken
            | Refused::TooMany(_)
            | Refused::Forged => ask(refused.status(), after(&order.form), Some(&text)),
        };
        return console.send(page, &order.hand, refused.headers());
    }
    let cookie = console.sessions.open(now);
    let Some(cookie) = cookie.and_then(|cookie| admit::set_cookie(Some(&cookie))) else {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        let page = Page::sorry(
            status,
            "Not signed in",
            "The system gives no random numbers.",
        );
        return console.send(page, &order.hand, HeaderMap::new());
    };
    tracing::info!(client.address = client, "console: signed in");
    let next = after(&order.form);
    let and = if next.contains('?') { '&' } else { '?' };
    let mut response = see(&format!("{next}{and}done=signed-in"));
    response.headers_mut().insert(SET_COOKIE, cookie);
    response
}

/// Ends the session.
pub(super) fn sign_out(console: &Console, order: &Order<'_>) -> Response<Full<Bytes>> {
    let (headers, client) = (&order.head.headers, order.peer.text());
    let (sessions, now) = (&console.sessions, Instant::now());
    if let Err(refused) = admit::admit(sessions, order.sender(), &order.form, now) {
        return console.refuse(refused, order);
    }
    for cookie in admit::cookies(headers) {
        sessions.close(cookie);
    }
    tracing::info!(client.address = client, "console: signed out");
    let mut response = see("/?done=signed-out");
    if let Some(cookie) = admit::set_cookie(None) {
        response.headers_mut().insert(SET_COOKIE, cookie);
    }
    response
}

/// Where to go afterwards: a page of ours, and nothing that a browser could take for another site.
fn after(form: &Form) -> &str {
    let is_ours = |next: &&str| {
        let ours = next.starts_with('/') && !next.starts_with("//");
        ours && next
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'\\')
    };
    form.field("next").filter(is_ours).unwrap_or("/")
}

fn read_only() -> Page {
    let text =
        "The console is read-only: nobody can sign in, because the config has no `admin.token`.";
    Page::sorry(StatusCode::FORBIDDEN, "Read-only", text)
}

fn ask(status: StatusCode, next: &str, wrong: Option<&str>) -> Page {
    let write = |h: &mut Html| {
        let form = [
            ("method", "post"),
            ("action", "/sign-in"),
            ("class", "sign-in card"),
        ];
        h.tag("form", &form, |h| {
            if let Some(wrong) = wrong {
                h.line("p", &[("class", "notice bad"), ("role", "alert")], wrong);
            }
            // For those who keep it in a password manager.
            let name = [
                ("type", "text"),
                ("name", "username"),
                ("value", "operator"),
                ("autocomplete", "username"),
                ("hidden", ""),
            ];
            h.void("input", &name);
            h.line("label", &[("for", "token")], "Token");
            let token = [
                ("type", "password"),
                ("id", "token"),
                ("name", "token"),
                ("required", ""),
                ("autocomplete", "current-password"),
                ("autofocus", ""),
                ("aria-describedby", "about-token"),
            ];
            h.void("input", &token);
            h.tag("p", &[("class", "hint"), ("id", "about-token")], |h| {
                h.text("The value of ");
                h.line("code", &[], "admin.token");
                h.text(" in the config. It is needed to replay, retry, sync and fix.");
            });
            h.void(
                "input",
                &[("type", "hidden"), ("name", "next"), ("value", next)],
            );
            h.line("button", &[("class", "main")], "Sign in");
        });
        let text = "Reading needs no token, as with the metrics: whoever reaches this listener sees customers' data. \
            Keep it away from the public.";
        h.line("p", &[("class", "hint narrow")], text);
    };
    Page {
        status,
        title: "Sign in".to_owned(),
        here: None,
        live: false,
        body: Html::of(write),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::console::form::encode;

    #[test]
    fn signing_in_leads_to_a_page_of_ours_and_nowhere_else() {
        for (next, expected) in [
            ("/jobs", "/jobs"),
            ("/users?q=a%7Cb", "/users?q=a%7Cb"),
            ("https://evil.example/", "/"),
            ("//evil.example/", "/"),
            ("/\\evil.example", "/"),
            ("/a\r\nSet-Cookie: x=y", "/"),
            ("", "/"),
        ] {
            let form = Form::parse(&format!("next={}", encode(next)));
            assert_eq!(after(&form), expected, "{next:?}");
        }
    }
}
