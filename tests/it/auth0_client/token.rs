//! One token for all calls.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::join_all;
use http::Method;
use tollgate::auth0::Kind;
use tollgate::clock::{ManualClock, SystemClock};
use tollgate::types::Secret;
use tracing::field::{Field, Visit};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

use super::{ANN, ROLES, Tenant, begin, kind};
use crate::support::auth0::{Fault, TOKEN, Trouble};
use crate::sync::log::hear_every_thread;

/// A clock that a test holds on to.
#[derive(Clone, Default)]
struct Hand(Arc<ManualClock>);

impl tollgate::clock::Clock for Hand {
    fn since_epoch(&self) -> Duration {
        self.0.since_epoch()
    }
}

/// A tenant whose client goes by a clock that the test sets.
fn by_hand() -> (Tenant, Hand) {
    let hand = Hand::default();
    hand.0.set(1_000_000);
    (Tenant::with(|_| {}, hand.clone()), hand)
}

#[tokio::test]
async fn fifty_callers_wait_for_one_token() {
    let tenant = Tenant::start();
    let (held, door) = Trouble::held();
    tenant.auth0.trouble(Method::POST, TOKEN, held);
    let mut calls = Box::pin(join_all((0..50).map(|_| tenant.client.roles_of(ANN))));
    begin(&mut calls, tenant.auth0.until_hits(TOKEN, 1)).await;
    door.open();
    assert!(calls.await.iter().all(Result::is_ok));
    assert_eq!(tenant.auth0.hits(TOKEN), 1);
    assert_eq!(tenant.auth0.count(&Method::GET, ROLES), 50);
}

#[tokio::test]
async fn who_goes_away_while_fetching_the_token_takes_nobody_along() {
    let tenant = Tenant::start();
    let (held, door) = Trouble::held();
    tenant.auth0.trouble(Method::POST, TOKEN, held);
    let mut first = Box::pin(tenant.client.roles_of(ANN));
    begin(&mut first, tenant.auth0.until_hits(TOKEN, 1)).await;
    let mut second = Box::pin(tenant.client.user(ANN));
    // Polled once, so that it waits for the first.
    begin(&mut second, std::future::ready(())).await;
    drop(first);
    door.open();
    assert!(second.await.expect("an answer").is_some());
    assert_eq!(tenant.auth0.hits(TOKEN), 1);
}

#[tokio::test]
async fn a_purchase_that_everybody_left_runs_to_its_end() {
    let tenant = Tenant::start();
    let (held, door) = Trouble::held();
    tenant.auth0.trouble(Method::POST, TOKEN, held);
    for _ in 0..3 {
        let mut impatient = Box::pin(tenant.client.roles_of(ANN));
        begin(&mut impatient, tenant.auth0.until_hits(TOKEN, 1)).await;
    }
    door.open();
    tenant.held(ANN).await;
    assert_eq!(tenant.auth0.hits(TOKEN), 1);
}

#[tokio::test]
async fn while_the_old_token_is_good_nobody_waits_for_the_next() {
    let (tenant, hand) = by_hand();
    tenant.auth0.machine_token_life(3600, true);
    tenant.held(ANN).await;
    let (held, door) = Trouble::held();
    tenant.auth0.trouble(Method::POST, TOKEN, held);
    hand.0.set(1_003_300);
    for _ in 0..3 {
        tenant.held(ANN).await;
    }
    tenant.auth0.until_hits(TOKEN, 2).await;
    door.open();
    // The old one is over: this waits for the purchase that has begun.
    hand.0.set(1_003_600);
    tenant.held(ANN).await;
    assert_eq!(tenant.auth0.hits(TOKEN), 2);
}

#[tokio::test]
async fn a_purchase_in_the_background_that_failed_is_tried_again_after_a_pause() {
    let (tenant, hand) = by_hand();
    tenant.auth0.machine_token_life(3600, true);
    tenant.held(ANN).await;
    tenant.auth0.fault(TOKEN, Fault::Status(400));
    let refused = async |count| {
        while tenant.counted("/oauth/token", "400") != Some(count) {
            tokio::task::yield_now().await;
        }
    };
    for (later, tries) in [(3300, 1), (3329, 1), (3330, 2), (3359, 2), (3360, 3)] {
        hand.0.set(1_000_000 + later);
        for _ in 0..3 {
            tenant.held(ANN).await;
            refused(tries).await;
        }
        let counted = tenant.counted("/oauth/token", "400");
        assert_eq!(counted, Some(tries), "{later} s later");
    }
}

#[tokio::test]
async fn a_token_is_bought_anew_five_minutes_before_it_ends() {
    let (tenant, hand) = by_hand();
    tenant.auth0.machine_token_life(3600, true);
    for (later, bought) in [(0, 1), (3299, 1), (3300, 2), (6599, 2), (6600, 3)] {
        hand.0.set(1_000_000 + later);
        tenant.held(ANN).await;
        tenant.auth0.until_hits(TOKEN, bought).await;
        assert_eq!(tenant.auth0.hits(TOKEN), bought, "{later} s later");
    }
}

#[tokio::test]
async fn a_token_that_does_not_say_how_long_it_lives_lives_a_day() {
    let (tenant, hand) = by_hand();
    tenant.auth0.machine_token_life(86_400, false);
    for (later, bought) in [(0, 1), (86_099, 1), (86_100, 2)] {
        hand.0.set(1_000_000 + later);
        tenant.held(ANN).await;
        tenant.auth0.until_hits(TOKEN, bought).await;
        assert_eq!(tenant.auth0.hits(TOKEN), bought, "{later} s later");
    }
}

#[tokio::test]
async fn the_old_token_bridges_the_last_five_minutes_when_none_can_be_bought() {
    let (tenant, hand) = by_hand();
    tenant.auth0.machine_token_life(3600, true);
    tenant.held(ANN).await;
    tenant.auth0.fault(TOKEN, Fault::Status(503));
    hand.0.set(1_003_599);
    tenant.held(ANN).await;
    hand.0.set(1_003_600);
    let late = tenant.client.roles_of(ANN).await;
    assert_eq!(kind(late), Some(Kind::Api(503)));
    tenant.auth0.mend(TOKEN);
    tenant.held(ANN).await;
}

#[tokio::test]
async fn a_revoked_token_is_replaced_once_for_all() {
    let tenant = Tenant::start();
    tenant.held(ANN).await;
    tenant.auth0.revoke_machine_tokens();
    let calls = join_all((0..20).map(|_| tenant.client.roles_of(ANN))).await;
    assert!(calls.iter().all(Result::is_ok));
    assert_eq!(tenant.auth0.hits(TOKEN), 2);
}

#[tokio::test]
async fn a_token_that_ended_early_is_replaced() {
    let tenant = Tenant::start();
    // It ends at once, and does not say so.
    tenant.auth0.machine_token_life(0, false);
    let refused = tenant.client.roles_of(ANN).await;
    assert_eq!(kind(refused), Some(Kind::Client));
    assert_eq!(tenant.auth0.hits(TOKEN), 2, "fetched anew once");
    tenant.auth0.machine_token_life(3600, true);
    tenant.held(ANN).await;
}

#[tokio::test]
async fn a_wrong_secret_is_the_clients_fault_and_asked_again_later() {
    let wrong = |config: &mut tollgate::auth0::Config| {
        config.client_secret = Secret::new("wrong-secret".to_owned());
    };
    let tenant = Tenant::with(wrong, SystemClock);
    let Err(error) = tenant.client.role("premium").await else {
        panic!("refused");
    };
    assert_eq!(
        (error.kind.clone(), error.is_retryable()),
        (Kind::Client, true)
    );
    assert!(!format!("{error} {error:?}").contains("wrong-secret"));
    assert_eq!(tenant.counted("/oauth/token", "401"), Some(1));
    assert!(tenant.auth0.seen().is_empty());
}

/// Collects the messages of `INFO` events.
#[derive(Clone, Default)]
struct Messages(Arc<Mutex<Vec<String>>>);

impl<S: tracing::Subscriber> Layer<S> for Messages {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        if *event.metadata().level() == tracing::Level::INFO {
            event.record(&mut self.clone());
        }
    }
}

impl Visit for Messages {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            let mut messages = self.0.lock().expect("no panic");
            messages.push(format!("{value:?}"));
        }
    }
}

#[tokio::test]
async fn each_fetch_of_the_token_is_logged_word_for_word() {
    hear_every_thread();
    let messages = Messages::default();
    let subscriber = tracing_subscriber::registry().with(messages.clone());
    let _guard = tracing::subscriber::set_default(subscriber);
    let tenant = Tenant::start();
    for _ in 0..2 {
        tenant.held(ANN).await;
    }
    tenant.auth0.revoke_machine_tokens();
    tenant.held(ANN).await;
    let messages = messages.0.lock().expect("no panic");
    assert_eq!(*messages, ["Auth0 Management API client refreshed"; 2]);
}

#[tokio::test]
async fn a_scope_that_is_granted_later_counts_within_minutes() {
    let (tenant, hand) = by_hand();
    tenant.auth0.grant(&["update:users"]);
    let lacking = |failed| matches!(kind(failed), Some(Kind::Scope(_)));
    assert!(lacking(tenant.client.roles_of(ANN).await));
    tenant
        .auth0
        .grant(&["read:users", "read:roles", "read:role_members"]);
    // Not at every call: each token is one of a quota.
    assert!(lacking(tenant.client.roles_of(ANN).await));
    assert_eq!(tenant.auth0.hits(TOKEN), 1);
    hand.0.set(1_000_000 + 5 * 60);
    assert!(lacking(tenant.client.roles_of(ANN).await));
    assert!(tenant.client.roles_of(ANN).await.is_ok());
    assert_eq!(tenant.auth0.hits(TOKEN), 2);
}
