//! The real process, killed at random moments under a stream of events, and with its disk away: nothing that was
//! acknowledged is lost, and roles end as Stripe says.

use std::time::Duration;

use fastrand::Rng;
use futures_util::future::join_all;
use serde_json::json;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, SqliteConnection};
use tokio::time::timeout;
use tollgate::store::{EventState, Sqlite, Store as _};

use crate::schedules::Place;
use crate::schedules::oracle::{Bought, role};
use crate::shop::{ANN, BOB, Shop};
use crate::support::raw::DEADLINE;
use crate::support::stripe::{PRICE_LIFETIME, PRICE_MONTHLY};

/// Each is another stream, killed at other moments.
const SEED: u64 = 9;
/// How often the process is killed.
const KILLS: usize = 10;
/// How many users buy.
const USERS: usize = 16;
/// How often a condition that nobody announces is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// Somebody who buys at the stand-in itself: the process may be dead.
struct Customer {
    user: String,
    id: String,
    bought: Bought,
}

impl Customer {
    fn new(shop: &Shop, number: usize) -> Self {
        let user = format!("auth0|customer-{number}");
        shop.auth0.create_user(&user, "buyer@example.test", true);
        shop.auth0.give_role(&user, "free-user");
        let metadata = json!({ "auth0_user_id": user });
        let id = shop.stripe.new_customer("buyer@example.test", &metadata);
        Self {
            user,
            id,
            bought: Bought::default(),
        }
    }

    /// Something happens.
    fn act(&mut self, random: &mut Rng, shop: &Shop) {
        let stripe = &shop.stripe;
        let living = |id: &&String| stripe.object(id)["status"] == "active";
        let subscription = self.bought.subscriptions.iter().find(living).cloned();
        let kept = |id: &&String| {
            let charge = stripe.object(&stripe.charge_of(id));
            charge["refunded"] == false
        };
        let lifetime = self.bought.lifetime.iter().find(kept).cloned();
        match (random.u8(0..6), subscription, lifetime) {
            (0, Some(id), _) => stripe.renew(&id),
            (1, Some(id), _) => stripe.cancel_now(&id),
            (2, Some(id), _) => stripe.fail_renewal(&id),
            (3 | 4, _, Some(id)) => drop(stripe.refund(&id)),
            (0..=2, ..) => {
                let session = stripe.new_checkout(&self.id, PRICE_MONTHLY);
                stripe.pay(&session);
                let subscription = stripe.subscription_of(&session);
                self.bought.subscriptions.push(subscription);
            }
            _ => {
                let session = stripe.new_checkout(&self.id, PRICE_LIFETIME);
                stripe.pay(&session);
                self.bought.lifetime.push(session);
            }
        }
    }

    /// Whether Auth0 says of the user what Stripe says.
    fn is_settled(&self, shop: &Shop) -> bool {
        let wanted = role(self.bought.plan(&shop.stripe));
        shop.auth0.roles_of(&self.user) == [wanted]
    }
}

#[tokio::test]
async fn nothing_acknowledged_is_lost_when_the_process_is_killed_at_random_moments() {
    let _place = Place(format!("the stream of seed {SEED}"));
    let mut random = Rng::with_seed(SEED);
    let mut shop = Shop::open().await;
    shop.stripe.send_at_once(4);
    shop.stripe.back_off(Duration::from_millis(20));
    let mut customers: Vec<Customer> = (0..USERS).map(|n| Customer::new(&shop, n)).collect();
    for _ in 0..KILLS {
        for _ in 0..random.usize(4..12) {
            let place = random.usize(..customers.len());
            customers[place].act(&mut random, &shop);
        }
        // Anywhere in the stream: every moment is between two attempts.
        let sent = shop.stripe.attempts().len();
        shop.stripe.until_attempts(sent + random.usize(1..24)).await;
        shop.gate.restart().await;
        send_again(&shop);
    }
    shop.stripe.until_all_acknowledged().await;
    let attempts = shop.stripe.attempts();
    let is_cut = attempts.iter().any(|attempt| attempt.status.is_none());
    assert!(is_cut, "the kills fell into the stream");
    let settled = shop.auth0.until(|_| {
        let mut customers = customers.iter();
        customers.all(|customer| customer.is_settled(&shop))
    });
    let settled = timeout(DEADLINE, settled).await;
    assert!(settled.is_ok(), "roles differ\n{}", shop.gate.log.text());
    until_all_is_done(&shop).await;
}

/// After a restart the process listens elsewhere.
fn send_again(shop: &Shop) {
    let url = format!("http://{}/stripe/webhook", shop.gate.address);
    shop.stripe.send_to(&url);
}

/// Waits until the ledger says that every event it has acknowledged is dealt with.
async fn until_all_is_done(shop: &Shop) {
    let file = shop.gate.folder.path().join("ledger.db");
    let url = format!("sqlite://{}", file.display());
    let ledger = Sqlite::open_existing(&url).await.expect("the ledger");
    let mut look = tokio::time::interval(LOOK);
    let done = timeout(DEADLINE, async {
        loop {
            let totals = ledger.totals().await.expect("totals");
            if totals.queued + totals.running == 0 {
                return totals.dead;
            }
            look.tick().await;
        }
    });
    let dead = done.await.expect("all jobs are done in time");
    assert_eq!(dead, 0, "no job was given up\n{}", shop.gate.log.text());
    for id in shop.stripe.acknowledged() {
        let event = ledger.event(&id).await.expect("the ledger");
        let event = event.unwrap_or_else(|| unreachable!("{id} was acknowledged and is lost"));
        let done = [EventState::Processed, EventState::Ignored];
        assert!(done.contains(&event.state), "{id} is {:?}", event.state);
    }
}

#[tokio::test]
async fn while_the_ledger_cannot_be_written_events_wait_at_stripe_and_requests_go_on() {
    let shop = Shop::open().await;
    shop.stripe.back_off(Duration::from_millis(20));
    // Ann's plan is newer than her token: the overlay alone lets her in.
    let old = shop.token(ANN);
    let session = shop.buy(ANN, "lifetime").await;
    shop.until("/premium", &old, 200).await;
    shop.stripe.until_all_acknowledged().await;
    until_all_is_done(&shop).await;

    let mut lock = Lock::take(&shop).await;
    shop.stripe.hold_events();
    let before = shop.stripe.outbox().len();
    shop.stripe.refund(&session);
    let metadata = json!({ "auth0_user_id": BOB });
    let customer = shop.stripe.new_customer("bob@example.test", &metadata);
    shop.stripe
        .pay(&shop.stripe.new_checkout(&customer, PRICE_LIFETIME));
    let events = shop.stripe.outbox_after(before);
    let sent = events.iter().map(|event| shop.stripe.deliver(event));
    for reply in join_all(sent).await {
        let reply = reply.expect("an answer");
        assert_eq!(reply.status, 503, "{}", reply.text());
        assert!(reply.header("retry-after").is_some(), "{}", reply.text());
    }
    // Tokens, and what the overlay knew.
    assert_eq!(shop.get("/premium", &old).await.status, 200);
    let bob = shop.token(BOB);
    assert_eq!(shop.get("/premium", &bob).await.status, 403);
    assert_eq!(shop.get("/me/x", &bob).await.status, 200);
    // A flood that is not Stripe's is refused as ever, without the ledger.
    let forged = shop
        .stripe
        .post("{}", "t=1,v1=00")
        .await
        .expect("an answer");
    assert_eq!(forged.status, 401);
    for user in ["webhook", "sync"] {
        let labels = [("user", user)];
        let errors = "tollgate_ledger_errors_total";
        shop.gate.until_metric(errors, &labels, 1.0).await;
    }

    lock.release().await;
    shop.stripe.let_events_go();
    shop.stripe.until_all_acknowledged().await;
    shop.auth0.until_roles(ANN, &["free-user"]).await;
    shop.auth0.until_roles(BOB, &["premium-lifetime"]).await;
    shop.until("/premium", &old, 403).await;
    shop.until("/premium", &bob, 200).await;
    until_all_is_done(&shop).await;
}

/// Another connection that keeps the ledger from being written.
struct Lock(SqliteConnection);

impl Lock {
    async fn take(shop: &Shop) -> Self {
        let file = shop.gate.folder.path().join("ledger.db");
        let options = SqliteConnectOptions::new()
            .filename(file)
            .busy_timeout(DEADLINE);
        let mut connection = options.connect().await.expect("the ledger");
        let taken = sqlx::query("BEGIN EXCLUSIVE").execute(&mut connection);
        taken.await.expect("a lock");
        Self(connection)
    }

    async fn release(&mut self) {
        let released = sqlx::query("ROLLBACK").execute(&mut self.0);
        released.await.expect("no lock");
    }
}

#[tokio::test]
async fn after_a_stop_the_ledger_is_in_its_file_alone() {
    let mut shop = Shop::open().await;
    shop.buy(crate::shop::ANN, "monthly").await;
    shop.settled().await;
    shop.gate.signal("TERM");
    assert_eq!(shop.gate.exit().await.code(), Some(0));
    let files = std::fs::read_dir(shop.gate.folder.path()).expect("a folder");
    let names = files.map(|file| file.expect("a file").file_name().into_string());
    let names: Vec<String> = names.filter_map(Result::ok).collect();
    let of_the_ledger: Vec<&String> = names
        .iter()
        .filter(|name| name.ends_with("-wal") || name.ends_with("-shm"))
        .collect();
    assert!(of_the_ledger.is_empty(), "{names:?}");
}
