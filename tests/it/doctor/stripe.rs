//! What can be wrong with the account.

use serde_json::json;

use super::{Case, Clinic, as_it_is, examine, nothing};
use crate::shop::ANN;
use crate::support::stripe::{Fault, KEY, PRICE_LIFETIME, PRICE_MONTHLY, SECRET};
use crate::support::token;

/// A restricted key of the same account.
const RESTRICTED: &str = "rk_test_standin";

fn restricted(yaml: &str) -> String {
    yaml.replace(KEY, RESTRICTED)
}

fn restrict(clinic: &Clinic, withheld: &[&str]) {
    clinic.stripe().accept_key(RESTRICTED);
    for right in withheld {
        clinic.stripe().withhold(right);
    }
}

#[tokio::test]
async fn the_key_and_the_account() {
    examine(&[
        Case {
            what: "a key that was rolled",
            breaks: |clinic| clinic.stripe().revoke_key(KEY),
            edit: as_it_is,
            lines: &[
                ("stripe key", "FAIL", "this key", "stripe.secret_key"),
                ("stripe prices", "WARN", "not looked at", "key first"),
                ("stripe portal", "WARN", "not looked at", "key first"),
                (
                    "stripe webhook endpoint",
                    "WARN",
                    "not looked at",
                    "key first",
                ),
            ],
        },
        Case {
            what: "a key of another account",
            breaks: nothing,
            edit: |yaml| yaml.replace("stripe:\n", "stripe:\n  account: acct_other\n"),
            lines: &[("stripe account", "FAIL", "acct_other", "stripe.account")],
        },
        Case {
            what: "no portal",
            breaks: |clinic| clinic.stripe().set_up_portal(false),
            edit: as_it_is,
            lines: &[("stripe portal", "WARN", "not set up", "Customer portal")],
        },
    ])
    .await;
}

#[tokio::test]
async fn the_rights_of_a_restricted_key() {
    examine(&[
        Case {
            what: "a key with all rights",
            breaks: |clinic| restrict(clinic, &[]),
            edit: restricted,
            lines: &[],
        },
        Case {
            what: "rights that are needed",
            breaks: |clinic| restrict(clinic, &["customer_write", "dispute_read"]),
            edit: restricted,
            lines: &[(
                "stripe rights",
                "FAIL",
                "Customers: Write, Disputes: Read",
                "Customers: Write, Disputes: Read",
            )],
        },
        Case {
            what: "a right that can be missed",
            breaks: |clinic| restrict(clinic, &["product_read"]),
            edit: restricted,
            lines: &[(
                "stripe lesser rights",
                "WARN",
                "Products: Read",
                "Products: Read",
            )],
        },
        Case {
            what: "endpoints that are not to be seen",
            breaks: |clinic| restrict(clinic, &["webhook_read"]),
            edit: restricted,
            lines: &[(
                "stripe webhook endpoint",
                "WARN",
                "not looked at",
                "Webhook Endpoints: Read",
            )],
        },
    ])
    .await;
}

#[tokio::test]
async fn the_prices() {
    examine(&[
        Case {
            what: "no such price",
            breaks: nothing,
            edit: |yaml| yaml.replace(PRICE_MONTHLY, "price_gone"),
            lines: &[(
                "stripe price monthly",
                "FAIL",
                "price_gone does not exist",
                "plan monthly",
            )],
        },
        Case {
            what: "a price that is sold no more",
            breaks: |clinic| clinic.stripe().retire_price(PRICE_LIFETIME),
            edit: as_it_is,
            lines: &[("stripe price lifetime", "FAIL", "archived", "plan lifetime")],
        },
        Case {
            what: "an earlier price that is sold no more",
            breaks: |clinic| {
                clinic.stripe().new_price("price_old", 500, true);
                clinic.stripe().retire_price("price_old");
            },
            edit: |yaml| {
                let one = format!("price: {PRICE_MONTHLY}");
                yaml.replace(&one, &format!("prices: [{PRICE_MONTHLY}, price_old]"))
            },
            lines: &[(
                "stripe price monthly",
                "WARN",
                "price_old is archived",
                "Leave it",
            )],
        },
        Case {
            what: "a price of the other kind",
            breaks: |clinic| clinic.stripe().sell_by_month(PRICE_LIFETIME, true),
            edit: as_it_is,
            lines: &[(
                "stripe price lifetime",
                "FAIL",
                "is recurring",
                "one-time price",
            )],
        },
        Case {
            what: "a price of the other mode",
            breaks: |clinic| clinic.stripe().move_to_other_mode(PRICE_LIFETIME, true),
            edit: as_it_is,
            lines: &[(
                "stripe price lifetime",
                "FAIL",
                "does not exist in test mode",
                "mode",
            )],
        },
    ])
    .await;
}

#[tokio::test]
async fn the_webhook_endpoint() {
    examine(&[
        Case {
            what: "an endpoint elsewhere",
            breaks: |clinic| {
                let url = "https://hooks.example.test/stripe/webhook";
                clinic
                    .stripe()
                    .pretend(&clinic.endpoint, json!({ "url": url }));
            },
            edit: as_it_is,
            lines: &[(
                "stripe webhook endpoint",
                "FAIL",
                "one to https://hooks.example.test/stripe/webhook",
                "stripe.webhook",
            )],
        },
        Case {
            what: "an endpoint for something else",
            breaks: |clinic| {
                let url = "https://hooks.example.test/other";
                clinic
                    .stripe()
                    .pretend(&clinic.endpoint, json!({ "url": url }));
            },
            edit: as_it_is,
            lines: &[(
                "stripe webhook endpoint",
                "FAIL",
                "none points to",
                "tollgate bootstrap",
            )],
        },
        Case {
            what: "an endpoint that is switched off",
            breaks: |clinic| {
                let off = json!({ "status": "disabled" });
                clinic.stripe().pretend(&clinic.endpoint, off);
            },
            edit: as_it_is,
            lines: &[(
                "stripe webhook endpoint",
                "FAIL",
                "switched off",
                "tollgate bootstrap",
            )],
        },
        Case {
            what: "an event that is not sent",
            breaks: |clinic| {
                let types = tollgate::stripe::EVENT_TYPES.iter();
                let some: Vec<_> = types.filter(|kind| **kind != "charge.refunded").collect();
                let some = json!({ "enabled_events": some });
                clinic.stripe().pretend(&clinic.endpoint, some);
            },
            edit: as_it_is,
            lines: &[(
                "stripe webhook events",
                "FAIL",
                "not sent: charge.refunded",
                "tollgate bootstrap",
            )],
        },
    ])
    .await;
}

#[tokio::test]
async fn events_that_are_worth_having_are_warned_of() {
    let clinic = Clinic::open().await;
    let needed = json!({ "enabled_events": tollgate::stripe::NEEDED_EVENT_TYPES });
    clinic.stripe().pretend(&clinic.endpoint, needed);
    let report = clinic.doctor(as_it_is).await;
    report.assert_lines(
        "the contract's list",
        &[(
            "stripe more webhook events",
            "WARN",
            "refund.failed",
            "tollgate bootstrap",
        )],
    );
}

#[tokio::test]
async fn a_stripe_that_has_trouble_or_takes_no_more_requests() {
    let prices = "/v1/prices";
    for (status, expected, mend) in [(503, "FAIL", "status page"), (429, "WARN", "Try again in")] {
        let clinic = Clinic::open().await;
        clinic.stripe().fault("GET", "/", Fault::status(status));
        let report = clinic.doctor(as_it_is).await;
        let line = report.line("stripe key");
        assert_eq!(line["status"], expected);
        assert!(
            line["mend"]
                .as_str()
                .is_some_and(|said| said.contains(mend)),
            "{line}"
        );
        let clinic = Clinic::open().await;
        clinic.stripe().fault("GET", prices, Fault::status(status));
        let report = clinic.doctor(as_it_is).await;
        assert_eq!(report.status_of("stripe price monthly"), expected);
    }
}

#[tokio::test]
async fn what_a_stand_in_for_stripe_does_not_have_is_a_warning() {
    let clinic = Clinic::open().await;
    for path in ["/v1/billing_portal/configurations", "/v1/webhook_endpoints"] {
        clinic.stripe().fault("GET", path, Fault::status(404));
    }
    clinic.doctor(as_it_is).await.assert_lines(
        "404",
        &[
            (
                "stripe portal",
                "WARN",
                "cannot be looked at",
                "Look in the Stripe dashboard",
            ),
            (
                "stripe webhook endpoint",
                "WARN",
                "cannot be looked at",
                "Look in the Stripe dashboard",
            ),
        ],
    );
}

#[tokio::test]
async fn an_address_that_was_guessed_is_told_as_such() {
    let clinic = Clinic::open().await;
    let guess = |yaml: &str| {
        let at = yaml.find(", url: \"").expect("the webhook's address");
        let end = at + yaml[at..].find(" }").expect("its end");
        format!("{}{}", &yaml[..at], &yaml[end..])
    };
    let report = clinic.doctor(guess).await;
    let (_, found) = report.found("stripe webhook address")[0];
    assert!(found.contains("guessed from `frontend_url`"), "{found}");
    let report = clinic.doctor(as_it_is).await;
    let (_, found) = report.found("stripe webhook address")[0];
    assert!(!found.contains("guessed"), "{found}");
}

#[tokio::test]
async fn every_call_to_stripe_carries_the_key() {
    let clinic = Clinic::open().await;
    clinic.doctor(as_it_is).await;
    let calls = clinic.stripe().calls();
    assert!(!calls.is_empty() && calls.iter().all(|call| call.status != Some(401)));
}

#[tokio::test]
async fn the_endpoints_version_and_its_neighbours() {
    examine(&[
        Case {
            what: "every event",
            breaks: |clinic| {
                let all = json!({ "enabled_events": ["*"], "api_version": "2020-08-27" });
                clinic.stripe().pretend(&clinic.endpoint, all);
            },
            edit: as_it_is,
            lines: &[],
        },
        Case {
            what: "a version from long ago",
            breaks: |clinic| {
                let old = json!({ "api_version": "2015-10-16" });
                clinic.stripe().pretend(&clinic.endpoint, old);
            },
            edit: as_it_is,
            lines: &[("stripe webhook version", "WARN", "2015-10-16", "anew")],
        },
        Case {
            what: "two endpoints",
            breaks: |clinic| {
                let url = format!("http://{}/stripe/webhook/", clinic.shop.gate.address);
                clinic.stripe().new_webhook_endpoint(&url, &["*"], None);
            },
            edit: as_it_is,
            lines: &[(
                "stripe webhook endpoint",
                "WARN",
                "each event comes 2 times",
                "Delete",
            )],
        },
        Case {
            what: "one that is on and lacks an event, beside one that is off and whole",
            breaks: |clinic| {
                let types = tollgate::stripe::EVENT_TYPES.iter();
                let some: Vec<_> = types.filter(|kind| **kind != "charge.refunded").collect();
                let some = json!({ "enabled_events": some });
                clinic.stripe().pretend(&clinic.endpoint, some);
                let url = format!("http://{}/stripe/webhook", clinic.shop.gate.address);
                let other = clinic.stripe().new_webhook_endpoint(&url, &["*"], None);
                let off = json!({ "status": "disabled" });
                clinic.stripe().pretend(&other, off);
            },
            edit: as_it_is,
            lines: &[(
                "stripe webhook events",
                "FAIL",
                "not sent: ",
                "tollgate bootstrap",
            )],
        },
    ])
    .await;
}

#[tokio::test]
async fn events_that_come_by_another_way_than_an_endpoint_are_no_failure() {
    let clinic = Clinic::open().await;
    let elsewhere = json!({ "url": "https://hooks.example.test/other" });
    clinic.stripe().pretend(&clinic.endpoint, elsewhere);
    clinic.doctor(as_it_is).await.assert_lines(
        "none ever came",
        &[(
            "stripe webhook endpoint",
            "FAIL",
            "none points to",
            "tollgate bootstrap",
        )],
    );
    let session = clinic.shop.checkout(ANN, "monthly").await;
    clinic.stripe().pay(&session);
    clinic.auth0().until_roles(ANN, &["premium-monthly"]).await;
    clinic.doctor(as_it_is).await.assert_lines(
        "one came",
        &[(
            "stripe webhook endpoint",
            "WARN",
            "yet events came",
            "event destination",
        )],
    );
    // Nothing that comes is taken in without a secret.
    let report = clinic.doctor(without_secret).await;
    assert_eq!(report.status_of("stripe webhook endpoint"), "FAIL");
}

fn without_secret(yaml: &str) -> String {
    yaml.replace(&format!("[{SECRET}]"), "[\"${TOLLGATE_TEST_NO_SECRET}\"]")
}

#[tokio::test]
async fn the_webhooks_secret_and_address_and_the_clock() {
    examine(&[
        Case {
            what: "a secret that is not there yet",
            breaks: nothing,
            edit: without_secret,
            lines: &[
                ("config file", "WARN", "but for", "webhook secret"),
                (
                    "stripe webhook secret",
                    "FAIL",
                    "none",
                    "tollgate bootstrap",
                ),
            ],
        },
        Case {
            what: "one of two secrets that is not there yet",
            breaks: nothing,
            edit: |yaml| {
                let both = format!("[{SECRET}, \"${{TOLLGATE_TEST_NO_SECRET}}\"]");
                yaml.replace(&format!("[{SECRET}]"), &both)
            },
            lines: &[
                ("config file", "WARN", "but for", "webhook secret"),
                (
                    "stripe webhook secret",
                    "FAIL",
                    "1 of 2",
                    "Set the variable",
                ),
            ],
        },
        Case {
            what: "an address that leads elsewhere",
            breaks: |clinic| {
                let url = format!("{}/stripe/webhook", clinic.shop.backend.url());
                let here = json!({ "url": url });
                clinic.stripe().pretend(&clinic.endpoint, here);
            },
            edit: to_the_backend,
            lines: &[(
                "stripe webhook address",
                "WARN",
                "not what Tollgate says",
                "passes this path on",
            )],
        },
        Case {
            what: "a clock that is a minute wrong",
            breaks: |clinic| clinic.stripe().set_time(Some(token::now() - 60)),
            edit: as_it_is,
            lines: &[("stripe clock", "WARN", "s ahead of that of Stripe", "NTP")],
        },
        Case {
            what: "a clock that is an hour wrong",
            breaks: |clinic| clinic.stripe().set_time(Some(token::now() - 3600)),
            edit: as_it_is,
            lines: &[("stripe clock", "FAIL", "stripe.webhook.tolerance", "NTP")],
        },
    ])
    .await;
}

/// The backend answers at the address that events go to.
fn to_the_backend(yaml: &str) -> String {
    let part = |from: &str, to: char| {
        let start = yaml.find(from).expect("its key") + from.len();
        let rest = &yaml[start..];
        rest[..rest.find(to).expect("its end")].to_owned()
    };
    let backend = part("upstream:\n  url: ", '\n');
    let gate = part(", url: \"", '"');
    yaml.replace(&gate, &format!("{backend}/stripe/webhook"))
}
