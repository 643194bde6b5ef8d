//! `stripe`, `plans`, `store`, `sync` and `reconcile`.

use std::time::Duration;

use schemars::{Schema, SchemaGenerator, json_schema};

use crate::config::billing::Cancel;
use crate::config::read::{Form, OneOrMany, Positive, Read};
use crate::config::report::Mistakes;
use crate::config::section::{default, optional, required, section};
use crate::config::tree::{Node, Value};
use crate::config::values::{HttpUrl, StoreUrl};
use crate::config::within::Within;
use crate::config::words::{alternatives, choice, choose};
use crate::entitlement::{Mode, PastDue};
use crate::types::Secret;

section! {
    /// The Stripe account.
    Stripe {
        /// Stripe's API.
        url: HttpUrl = default("https://api.stripe.com"),
        /// A secret or restricted key: `sk_…` or `rk_…`.
        secret_key: Secret = required(),
        /// The publishable key of the same mode: `pk_…`.
        publishable_key: PublishableKey = required(),
        /// The webhook endpoint.
        webhook: Webhook = required(),
        /// Where users come back to after a payment.
        frontend_url: HttpUrl = required(),
        /// When a cancelled subscription ends.
        cancel: Cancel = default("at_period_end"),
        /// What holds while a renewal is not paid: `keep`, `revoke`, or `{ grace: 7d }`.
        past_due: PastDue = default("keep"),
        /// How long one request to Stripe may take.
        timeout: Positive<Duration> = default("10s"),
        /// The account's own id, `acct_…`, where events name it; events of other accounts are ignored.
        account: AccountId = optional(),
    }
}

section! {
    /// The webhook endpoint.
    Webhook {
        /// Signing secrets, `whsec_…`; several while one is being rotated.
        secrets: OneOrMany<Secret> = required(),
        /// How old a signature may be.
        tolerance: Positive<Duration> = default("300s"),
        /// Where Stripe sends events: `doctor` and `bootstrap` look for this endpoint. Without it `/stripe/webhook` below
        /// the base path, on the host of `frontend_url`.
        url: HttpUrl = optional(),
    }
}

section! {
    /// One plan, with the Auth0 role it gives.
    Plan {
        /// Its name.
        name: PlanName = required(),
        /// The Auth0 role it gives; no two plans share one.
        role: String = required(),
        /// Its Stripe price; a plan without one is not for sale.
        price: PriceId = optional(),
        /// Several prices in place of `price`, the one to sell first.
        prices: OneOrMany<PriceId> = optional(),
        /// How it is bought; needed with a price.
        mode: Mode = optional(),
        /// Lower plans whose subscriptions end once this one is bought.
        replaces: OneOrMany<String> = optional(),
    }
}

section! {
    /// The ledger.
    Store {
        /// `sqlite://FILE` or `postgres://…`.
        url: StoreUrl = required(),
        /// How long the raw bytes of events are kept after they were processed.
        retention: Positive<Duration> = default("90d"),
    }
}

section! {
    /// The workers that bring Auth0's roles in line with Stripe.
    Sync {
        /// Users worked on at a time.
        workers: Within<usize, 1, 1_000> = default("4"),
        /// A job that has failed for so long is given up as dead, loudly.
        max_age: Positive<Duration> = default("3d"),
        /// How long one try of a job may take, `1s` at least; longer than `stripe.timeout` and `auth0.management.timeout`,
        /// or it ends before they do. What a replica had in hand when it died is taken up after twice as long, 20 s at
        /// most.
        deadline: Positive<Duration> = default("60s"),
    }
}

section! {
    /// A look at all users now and then: whether Auth0's roles are what Stripe says. Without it only `tollgate reconcile`
    /// looks.
    Reconcile {
        /// How long from the start of one look to the next: `24h`, say; `1s` at least.
        every: Positive<Duration> = required(),
        /// Whether what is found is mended too, or only told.
        fix: bool = default("false"),
    }
}

choice!(Cancel { "at_period_end" => Cancel::AtPeriodEnd, "immediately" => Cancel::Immediately });
choice!(Mode { "subscription" => Mode::Subscription, "payment" => Mode::Payment });

section! {
    /// Access goes on for a while.
    Grace {
        /// For how long.
        grace: Positive<Duration> = required(),
    }
}

/// The words; the section is the third way to write it.
const PAST_DUE: [(&str, PastDue); 2] = [("keep", PastDue::Keep), ("revoke", PastDue::Revoke)];

impl Read for PastDue {
    fn read(node: &Node, mistakes: &mut Mistakes) -> Option<Self> {
        if matches!(node.value, Value::Map(_)) {
            return Some(Self::Grace(Grace::read(node, mistakes)?.grace.value()?.0));
        }
        choose(node, &PAST_DUE, mistakes)
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "enum": PAST_DUE.map(|(word, _)| word) }, Grace::schema(generator)] })
    }
}

/// The name of a plan: part of a key in an answer (`has_NAME_plan`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PlanName(pub(crate) String);

impl Form for PlanName {
    const EXPECTED: &'static str = "the name of a plan";
    const PATTERN: Option<&'static str> = Some("[a-z0-9_-]+");

    fn parse(text: &str) -> Result<Self, String> {
        let valid = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
        if !text.is_empty() && text.chars().all(valid) {
            return Ok(Self(text.to_owned()));
        }
        Err("write small letters, digits, `_` and `-` alone".to_owned())
    }
}

/// The id of a Stripe price.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PriceId(pub(crate) String);

impl Form for PriceId {
    const EXPECTED: &'static str = "the id of a price";

    fn parse(text: &str) -> Result<Self, String> {
        if text.starts_with("prod_") {
            return Err(
                "this is a product: write the id of one of its prices (`price_…`)".to_owned(),
            );
        }
        if !text.is_empty() && text.chars().all(|c| c.is_ascii_graphic()) {
            return Ok(Self(text.to_owned()));
        }
        Err("write the id that Stripe shows (`price_…`), without spaces".to_owned())
    }
}

/// The id of a Stripe account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AccountId(pub(crate) String);

impl Form for AccountId {
    const EXPECTED: &'static str = "the id of an account";

    fn parse(text: &str) -> Result<Self, String> {
        if text.starts_with("acct_") && text.chars().all(|c| c.is_ascii_graphic()) {
            return Ok(Self(text.to_owned()));
        }
        Err("write the id that Stripe shows: `acct_…`".to_owned())
    }
}

/// A publishable key.
#[derive(Clone, Debug)]
pub(crate) struct PublishableKey(pub(crate) String);

impl Form for PublishableKey {
    const EXPECTED: &'static str = "a publishable key";
    // A secret key put here by mistake would be shown in the answer to `GET /stripe/config`, and in the report.
    const SECRET: bool = true;

    fn parse(text: &str) -> Result<Self, String> {
        if text.starts_with("pk_test_") || text.starts_with("pk_live_") {
            return String::parse(text).map(Self);
        }
        Err(format!(
            "it starts with {}",
            alternatives(["pk_test_", "pk_live_"])
        ))
    }
}
