//! Finding a user: by id, by Stripe customer, by e-mail.

mod email;

use super::events::{input, option};
use super::form::Form;
use super::html::Html;
use super::page::{Page, Section};
use super::parts::{Tone, badge, moment, or_dash, table, user_link};
use super::trouble::{Trouble, ask};
use super::user::{plan_badge, standing};
use super::{Payments, Visit};
use crate::store::{Entitlement, UserFilter};

/// Users shown.
const LIMIT: u32 = 50;

/// A user that was found.
struct Found {
    user: String,
    entitlement: Option<Entitlement>,
    /// How it was found.
    how: String,
}

/// What a search came to.
#[derive(Default)]
struct Search {
    found: Vec<Found>,
    /// What could not be searched, and why.
    gaps: Vec<String>,
}

/// The page.
pub(super) async fn page(visit: &Visit<'_>, payments: &Payments) -> Result<Page, Trouble> {
    let text = visit.query.field("q").unwrap_or_default();
    let plan = visit.query.field("plan").unwrap_or_default();
    let searched = search(payments, text, plan).await?;
    let terms = (payments.terms)();
    let plans: Vec<&str> = terms
        .catalog
        .plans()
        .iter()
        .map(|plan| plan.name.as_str())
        .collect();
    let page = Page::new(Section::Users, "Users", |h| {
        form(h, &visit.query, &plans);
        for gap in &searched.gaps {
            let attributes = [("class", "notice warn"), ("role", "status")];
            h.line("p", &attributes, gap);
        }
        if text.is_empty() {
            h.line("p", &[("class", "hint")], "The users who changed last.");
        }
        list(h, &searched.found, text);
    });
    Ok(page)
}

async fn search(payments: &Payments, text: &str, plan: &str) -> Result<Search, Trouble> {
    if text.starts_with("cus_") {
        return of_customer(payments, text).await;
    }
    let filter = UserFilter {
        contains: (!text.is_empty()).then(|| text.to_owned()),
        plan: (!plan.is_empty()).then(|| plan.to_owned()),
        limit: LIMIT,
    };
    let known = ask(payments.store.users(&filter)).await?;
    let mut found: Vec<Found> = known.into_iter().map(by_id).collect();
    let mut gaps = Vec::new();
    if email::is_email(text) {
        let mut known = email::search(payments, text).await?;
        let is_new = |user: &str| found.iter().all(|found| found.user != user);
        known.users.retain(|(user, _)| is_new(user));
        let with = with_entitlements(payments, known.users.into_iter());
        found.splice(0..0, with.await?);
        gaps = known.gaps;
    }
    Ok(Search { found, gaps })
}

fn by_id(entitlement: Entitlement) -> Found {
    Found {
        user: entitlement.user.clone(),
        entitlement: Some(entitlement),
        how: String::new(),
    }
}

async fn of_customer(payments: &Payments, customer: &str) -> Result<Search, Trouble> {
    let links = ask(payments.store.users_of(customer)).await?;
    let how = format!("customer {customer}");
    let users = links.into_iter().map(|link| (link.user, how.clone()));
    Ok(Search {
        found: with_entitlements(payments, users).await?,
        gaps: Vec::new(),
    })
}

async fn with_entitlements(
    payments: &Payments,
    users: impl Iterator<Item = (String, String)>,
) -> Result<Vec<Found>, Trouble> {
    let users: Vec<_> = users.take(LIMIT as usize).collect();
    let ids: Vec<String> = users.iter().map(|(user, _)| user.clone()).collect();
    let known = ask(payments.store.entitlements(&ids)).await?;
    let found = users.into_iter().map(|(user, how)| Found {
        entitlement: known.iter().find(|row| row.user == user).cloned(),
        user,
        how,
    });
    Ok(found.collect())
}

fn form(h: &mut Html, query: &Form, plans: &[&str]) {
    let attributes = [
        ("method", "get"),
        ("action", "/users"),
        ("class", "filter"),
        ("role", "search"),
    ];
    h.tag("form", &attributes, |h| {
        h.tag("label", &[("class", "wide")], |h| {
            h.line("span", &[], "User id, customer or e-mail");
            let text = query.field("q").unwrap_or_default();
            input(h, "q", text, "auth0|…, cus_… or ann@example.com");
        });
        h.tag("label", &[], |h| {
            h.line("span", &[], "Plan");
            let chosen = query.field("plan").unwrap_or_default();
            h.tag("select", &[("name", "plan")], |h| {
                option(h, "", "all", chosen.is_empty());
                for plan in plans {
                    option(h, plan, plan, chosen == *plan);
                }
            });
        });
        h.line("button", &[], "Search");
    });
}

fn list(h: &mut Html, found: &[Found], text: &str) {
    let columns = &["User", "Plan", "Standing", "Roles", "Changed"];
    let empty = if text.is_empty() {
        "The ledger knows no user yet."
    } else {
        "Nobody was found. A user who never paid is not in the ledger; an e-mail has to be written whole."
    };
    table(h, columns, found, empty, |row, found| {
        row.cell(|h| {
            user_link(h, &found.user);
            if !found.how.is_empty() {
                h.line("small", &[], &found.how);
            }
        });
        let Some(entitlement) = &found.entitlement else {
            row.cell(|h| badge(h, Tone::Calm, "not in the ledger"));
            for _ in 0..3 {
                row.cell(|h| or_dash(h, None));
            }
            return;
        };
        row.cell(|h| plan_badge(h, entitlement));
        row.cell(|h| standing(h, entitlement));
        row.cell(|h| {
            or_dash(
                h,
                entitlement
                    .roles
                    .as_ref()
                    .map(|roles| roles.join(", "))
                    .as_deref(),
            );
        });
        row.cell(|h| match entitlement.changed_at {
            Some(at) => moment(h, at),
            None => or_dash(h, None),
        });
    });
}
