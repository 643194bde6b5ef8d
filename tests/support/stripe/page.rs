//! The two pages that Stripe hosts: the checkout and the customer portal. Plain, for people who try the demo.

use std::fmt::Write as _;

use bytes::Bytes;
use http::{Method, Response, StatusCode};
use http_body_util::Full;
use serde_json::Value;

use super::form;
use super::life::Means;
use super::objects::{number, text};
use super::render;
use super::server::put;
use super::state::State;

type Page = Response<Full<Bytes>>;

pub(super) fn answer(state: &mut State, method: &Method, path: &str, body: &str) -> Page {
    let found = |prefix: &str, object: &str| {
        let id = path.strip_prefix(prefix)?;
        let found = state
            .objects
            .find(id)
            .filter(|found| text(found, "object") == object);
        found.cloned()
    };
    let is_post = method == Method::POST;
    if let Some(session) = found("/pay/", "checkout.session") {
        if is_post {
            pay(state, &session)
        } else {
            checkout(state, &session)
        }
    } else if let Some(session) = found("/portal/", "billing_portal.session") {
        if is_post {
            cancel(state, &session, body)
        } else {
            portal(state, &session)
        }
    } else {
        page(
            StatusCode::NOT_FOUND,
            "Nothing here",
            "<p>There is no such page.</p>",
        )
    }
}

fn checkout(state: &State, session: &Value) -> Page {
    let status = text(session, "status");
    if status != "open" {
        let told = format!("<p>This checkout is {status}.</p>");
        return page(StatusCode::OK, "Checkout", &told);
    }
    let mut told = String::new();
    for item in render::line_items(&state.objects, session) {
        let _ = write!(
            told,
            "<p>{} &times; {}: {}</p>",
            number(&item, "quantity"),
            escape(text(&item, "description")),
            euros(number(&item, "amount_total"))
        );
    }
    let _ = write!(
        told,
        "<p>Total: {}</p>",
        euros(number(session, "amount_total"))
    );
    told += "<form method=\"post\"><button>Pay</button></form>";
    if let Some(url) = session["cancel_url"].as_str() {
        told += &link(url, "Cancel");
    }
    page(StatusCode::OK, "Checkout", &told)
}

fn pay(state: &mut State, session: &Value) -> Page {
    let id = text(session, "id");
    if text(session, "status") == "open" {
        state.complete(id, Means::Card);
    }
    let back = text(session, "success_url").replace("{CHECKOUT_SESSION_ID}", id);
    redirect(&back)
}

fn portal(state: &State, session: &Value) -> Page {
    let customer = text(session, "customer");
    let own = state
        .objects
        .newest("subscription")
        .filter(|found| text(found, "customer") == customer);
    let mut told = String::new();
    for subscription in own {
        let id = text(subscription, "id");
        let name = text(&subscription["items"]["data"][0]["price"], "nickname");
        let _ = write!(
            told,
            "<p>{}: {}",
            escape(name),
            text(subscription, "status")
        );
        if !subscription["cancel_at"].is_null() {
            told += ", ends with its period";
        } else if text(subscription, "status") != "canceled" {
            let _ = write!(
                told,
                "<form method=\"post\"><input type=\"hidden\" name=\"subscription\" value=\"{id}\">\
                 <button>Cancel at period end</button></form>"
            );
        }
        told += "</p>";
    }
    if told.is_empty() {
        "<p>No subscription.</p>".clone_into(&mut told);
    }
    if let Some(url) = session["return_url"].as_str() {
        told += &link(url, "Back");
    }
    page(StatusCode::OK, "Your subscriptions", &told)
}

/// The portal sets `cancel_at` alone, as it does with flexible billing.
fn cancel(state: &mut State, session: &Value, body: &str) -> Page {
    let form = form::decode(body).unwrap_or_default();
    let id = form
        .get("subscription")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let found = state
        .objects
        .find(id)
        .filter(|found| found["object"] == "subscription");
    let own = found.is_some_and(|found| {
        found["customer"] == session["customer"] && found["status"] != "canceled"
    });
    if own {
        state.set_cancel_at(id);
    }
    redirect(&format!("{}/portal/{}", state.url, text(session, "id")))
}

fn euros(cents: i64) -> String {
    format!("{}.{:02} EUR", cents / 100, cents % 100)
}

fn link(url: &str, name: &str) -> String {
    format!("<p><a href=\"{}\">{name}</a></p>", escape(url))
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('"', "&quot;")
}

fn page(status: StatusCode, title: &str, told: &str) -> Page {
    let html = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>{title}</title>\
         <body style=\"font-family: sans-serif; max-width: 30em; margin: 3em auto\"><h1>{title}</h1>{told}</body></html>"
    );
    let mut response = Response::new(Full::from(html));
    *response.status_mut() = status;
    put(
        response.headers_mut(),
        "content-type",
        "text/html; charset=utf-8",
    );
    response
}

fn redirect(url: &str) -> Page {
    let mut response = page(
        StatusCode::SEE_OTHER,
        "On the way back",
        &link(url, "Go on"),
    );
    put(response.headers_mut(), "location", url);
    response
}
