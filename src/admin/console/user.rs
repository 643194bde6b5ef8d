//! One user: the plan, why, what Auth0 says, and how it came to be.

use super::hand::Button;
use super::html::Html;
use super::page::{Page, Section};
use super::parts::{
    Tone, audit, badge, count, customer_link, event_badge, event_link, fact, facts, moment,
    or_dash, section, table, user_path,
};
use super::trouble::{Trouble, ask};
use super::{Payments, Visit, jobs};
use crate::entitlement::{Catalog, SubscriptionStatus};
use crate::store::{
    Entitlement, Event, EventFilter, JobKey, JobStatus, Link, LinkKind, Purchase, PurchaseState,
    RoleChange,
};

/// Lines of the audit shown.
const AUDIT: u32 = 50;
/// Events shown.
const EVENTS: u32 = 20;

/// What the ledger knows of a user.
struct Known {
    entitlement: Option<Entitlement>,
    links: Vec<Link>,
    purchases: Vec<Purchase>,
    changes: Vec<RoleChange>,
    events: Vec<Event>,
    job: Option<JobStatus>,
}

/// The page.
pub(super) async fn page(
    visit: &Visit<'_>,
    payments: &Payments,
    user: &str,
) -> Result<Page, Trouble> {
    let known = read(payments, user).await?;
    let terms = (payments.terms)();
    let page = Page::new(Section::Users, "User", |h| {
        h.line("p", &[("class", "lead id")], user);
        section(h, "Access", |h| {
            if let Some(entitlement) = &known.entitlement {
                access(h, entitlement, &terms.catalog);
            } else {
                let text = "The ledger has no entitlement of this user: nothing was bought here, or nobody has \
                    looked yet.";
                h.line("p", &[("class", "empty")], text);
            }
            let button = Button {
                label: "Sync now",
                to: &format!("{}/sync", user_path(user)),
                fields: &[],
                question: None,
            };
            visit.hand.button(h, &button);
            visit.hand.why_not(h, "sync this user");
        });
        if let Some(job) = &known.job {
            section(h, "The job", |h| {
                jobs::list(h, std::slice::from_ref(job), &visit.hand);
            });
        }
        section(h, "Role changes", |h| audit(h, &known.changes, false));
        section(h, "Customers", |h| customers(h, &known.links));
        section(h, "Checkouts", |h| purchases(h, &known.purchases));
        section(h, "Events", |h| events(h, &known.events));
    });
    Ok(page)
}

async fn read(payments: &Payments, user: &str) -> Result<Known, Trouble> {
    let store = &*payments.store;
    let filter = EventFilter {
        user: Some(user.to_owned()),
        limit: EVENTS,
        ..EventFilter::default()
    };
    let key = JobKey::User(user.to_owned());
    let (entitlement, links, purchases, changes, events, job) = tokio::try_join!(
        ask(store.entitlement(user)),
        ask(store.customers_of(user)),
        ask(store.purchases_of(user)),
        ask(store.role_changes(user, AUDIT)),
        ask(store.events(&filter)),
        ask(store.job(&key)),
    )?;
    Ok(Known {
        entitlement,
        links,
        purchases,
        changes,
        events,
        job,
    })
}

fn access(h: &mut Html, entitlement: &Entitlement, catalog: &Catalog) {
    facts(h, |h| {
        fact(h, "Plan", |h| plan_line(h, entitlement));
        fact(h, "Why", |h| why(h, entitlement));
        fact(h, "Auth0", |h| standing(h, entitlement));
        fact(h, "Roles at the last reading", |h| {
            roles(h, entitlement, catalog);
        });
        if let Some(at) = entitlement.activated_at {
            fact(h, "Paid since", |h| moment(h, at));
        }
        if let Some(at) = entitlement.derived.recheck_at {
            fact(h, "Looked at again", |h| moment(h, at));
        }
    });
}

/// What the plan rests on.
fn why(h: &mut Html, entitlement: &Entitlement) {
    let derived = &entitlement.derived;
    let Some(backing) = &derived.backing else {
        h.text("Nothing that was bought gives access now, so it is the plan of everybody.");
        return;
    };
    let Some(status) = &derived.status else {
        h.text("Checkout ");
        h.line("span", &[("class", "id")], backing);
        h.text(" was paid once, and the money was not given back.");
        return;
    };
    h.text("Subscription ");
    h.line("span", &[("class", "id")], backing);
    h.text(" is ");
    badge(h, status_tone(status), status);
    if let Some(end) = derived.period_end {
        h.text(if derived.ends == Some(true) {
            "; it is set to end "
        } else {
            "; its period ends "
        });
        moment(h, end.saturating_mul(1000));
        h.text(".");
    } else if derived.ends == Some(true) {
        h.text("; it is set to end.");
    }
}

fn status_tone(status: &str) -> Tone {
    match SubscriptionStatus::from(status) {
        SubscriptionStatus::Active | SubscriptionStatus::Trialing => Tone::Good,
        SubscriptionStatus::PastDue => Tone::Warn,
        SubscriptionStatus::Incomplete
        | SubscriptionStatus::IncompleteExpired
        | SubscriptionStatus::Canceled
        | SubscriptionStatus::Unpaid
        | SubscriptionStatus::Paused
        | SubscriptionStatus::Unknown(_) => Tone::Bad,
    }
}

fn roles(h: &mut Html, entitlement: &Entitlement, catalog: &Catalog) {
    let Some(roles) = &entitlement.roles else {
        h.line("span", &[("class", "quiet")], "never read");
        return;
    };
    if roles.is_empty() {
        h.line("span", &[("class", "quiet")], "none");
    }
    for role in roles {
        if catalog.plan_of_role(role).is_some() {
            badge(h, Tone::Good, role);
        } else {
            badge(h, Tone::Calm, role);
            h.line("small", &[], "no plan's, never touched");
        }
        h.text(" ");
    }
}

/// The plan as a word.
pub(super) fn plan_badge(h: &mut Html, entitlement: &Entitlement) {
    let plan = entitlement.derived.plan.as_deref().unwrap_or("none");
    let tone = if entitlement.derived.paid {
        Tone::Good
    } else {
        Tone::Calm
    };
    badge(h, tone, plan);
}

/// The plan, and whether it was bought.
pub(super) fn plan_line(h: &mut Html, entitlement: &Entitlement) {
    plan_badge(h, entitlement);
    h.text(if entitlement.derived.paid {
        " bought"
    } else {
        " not bought"
    });
}

/// Whether Auth0 has the role.
pub(super) fn standing(h: &mut Html, entitlement: &Entitlement) {
    match (entitlement.changed_at, entitlement.confirmed_at) {
        (_, Some(at)) => {
            badge(h, Tone::Good, "confirmed");
            h.text(" ");
            moment(h, at);
        }
        (Some(at), None) => {
            badge(h, Tone::Warn, "syncing");
            h.text(" since ");
            moment(h, at);
        }
        (None, None) => badge(h, Tone::Calm, "unchanged"),
    }
}

fn customers(h: &mut Html, links: &[Link]) {
    let columns = &["Customer", "Known by", "Since", "In Stripe"];
    table(
        h,
        columns,
        links,
        "No Stripe customer is known.",
        |row, link| {
            row.cell(|h| customer_link(h, &link.customer));
            row.text(match link.kind {
                LinkKind::Owner => "the customer's own metadata",
                LinkKind::Item => "metadata of something it bought",
                LinkKind::Reference => "a checkout's client_reference_id",
            });
            row.cell(|h| moment(h, link.created_at));
            row.cell(|h| {
                if link.deleted {
                    badge(h, Tone::Warn, "deleted");
                } else {
                    badge(h, Tone::Good, "there");
                }
            });
        },
    );
}

fn purchases(h: &mut Html, purchases: &[Purchase]) {
    let columns = &["Checkout", "Plan", "State", "Begun", "Customer"];
    table(
        h,
        columns,
        purchases,
        "No checkout is known.",
        |row, purchase| {
            row.cell(|h| h.line("span", &[("class", "id")], &purchase.session));
            row.text(&purchase.plan);
            row.cell(|h| {
                let tone = match purchase.state {
                    PurchaseState::Open => Tone::Warn,
                    PurchaseState::Complete => Tone::Good,
                    PurchaseState::Expired => Tone::Calm,
                };
                badge(h, tone, purchase.state.word());
            });
            row.cell(|h| moment(h, purchase.created_at));
            row.cell(|h| match &purchase.customer {
                Some(customer) => customer_link(h, customer),
                None => or_dash(h, None),
            });
        },
    );
}

fn events(h: &mut Html, events: &[Event]) {
    let columns = &["Received", "State", "Type", "Event"];
    table(h, columns, events, "No event is known.", |row, event| {
        row.cell(|h| moment(h, event.received_at));
        row.cell(|h| event_badge(h, event.state));
        row.text(&event.event_type);
        row.cell(|h| event_link(h, &event.id));
    });
    if events.len() >= EVENTS as usize {
        let text = format!("The last {}.", count(EVENTS.into(), "event", "events"));
        h.line("p", &[("class", "hint")], &text);
    }
}
