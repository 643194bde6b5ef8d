//! One replica stands still for longer than its lease, or dies: others finish what it began, and when it goes on it does
//! no harm and answers by nothing that is past.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use http::Method;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::ledger::{self, assert_logs_are_calm, assert_nothing_done_twice, until_all_is_done};
use super::{Fleet, LOOK, SOON};
use crate::gate::{Gate, request};
use crate::shop::ANN;
use crate::support::auth0::{Auth0, Door, Trouble};
use crate::support::postgres::Server;
use crate::support::raw::{DEADLINE, Wire};

const ROLES: &str = "/api/v2/users/*/roles";
/// What is healed at once is healed by then.
const SECONDS: Duration = Duration::from_secs(5);

/// Ann has paid, and the only replica is in the middle of giving her the role: its call waits at the door. Gives the
/// checkout.
async fn in_the_middle_of_a_role_change(fleet: &Fleet) -> (String, Door) {
    let shop = &fleet.shop;
    let (held, door) = Trouble::held();
    shop.auth0.trouble_times(1, Method::POST, ROLES, held);
    let session = shop.checkout(ANN, "lifetime").await;
    shop.stripe.pay(&session);
    let has_called = |auth0: &Auth0| auth0.count(&Method::POST, ROLES) > 0;
    timeout(DEADLINE, shop.auth0.until(has_called))
        .await
        .expect("the role is asked for");
    (session, door)
}

/// Two more replicas, which have the events and the work from now on.
async fn others_take_over(fleet: &mut Fleet) {
    fleet.grow().await;
    fleet.grow().await;
    fleet.leave_out_the_first();
    let taken_over = fleet.shop.auth0.until_roles(ANN, &["premium-lifetime"]);
    timeout(DEADLINE, taken_over)
        .await
        .expect("another replica finishes it when the lease is over");
}

async fn all_is_well(fleet: &Fleet) {
    fleet.shop.stripe.until_all_acknowledged().await;
    let ledger = ledger::open(fleet).await;
    until_all_is_done(fleet, &*ledger).await;
    assert_nothing_done_twice(fleet, &*ledger, ANN).await;
    assert_logs_are_calm(fleet);
}

#[tokio::test]
async fn what_a_killed_replica_was_at_is_taken_up_when_its_lease_is_over() {
    let Some(server) = Server::shared() else {
        return;
    };
    let mut fleet = Fleet::of(1, &server).await;
    let _held = in_the_middle_of_a_role_change(&fleet).await;
    fleet.shop.gate.signal("KILL");
    fleet.shop.gate.exit().await;
    others_take_over(&mut fleet).await;
    all_is_well(&fleet).await;
}

#[tokio::test]
async fn a_replica_that_was_stopped_in_the_middle_of_a_role_change_finds_it_done() {
    let Some(server) = Server::shared() else {
        return;
    };
    let mut fleet = Fleet::of(1, &server).await;
    let (_, door) = in_the_middle_of_a_role_change(&fleet).await;
    fleet.shop.gate.signal("STOP");
    others_take_over(&mut fleet).await;
    // Its call goes through after all: once more what is there already.
    door.open();
    fleet.shop.gate.signal("CONT");
    fleet.shop.gate.until_readyz(200).await;
    all_is_well(&fleet).await;
    assert_eq!(fleet.shop.auth0.roles_of(ANN), ["premium-lifetime"]);
}

#[tokio::test]
async fn a_role_that_a_stopped_replica_gave_too_late_is_taken_away_as_soon_as_it_goes_on() {
    let Some(server) = Server::shared() else {
        return;
    };
    let mut fleet = Fleet::of(1, &server).await;
    let (session, door) = in_the_middle_of_a_role_change(&fleet).await;
    fleet.shop.gate.signal("STOP");
    others_take_over(&mut fleet).await;
    fleet.shop.stripe.refund(&session);
    let auth0 = &fleet.shop.auth0;
    let refunded = auth0.until_roles(ANN, &["free-user"]);
    timeout(DEADLINE, refunded).await.expect("refunded");
    door.open();
    let too_late = auth0.until_roles(ANN, &["free-user", "premium-lifetime"]);
    timeout(DEADLINE, too_late).await.expect("it goes through");
    fleet.shop.gate.signal("CONT");
    let healed = auth0.until_roles(ANN, &["free-user"]);
    timeout(SECONDS, healed)
        .await
        .expect("it is healed at once");
    all_is_well(&fleet).await;
    assert_eq!(fleet.shop.auth0.roles_of(ANN), ["free-user"]);
}

#[tokio::test]
async fn a_replica_that_goes_on_after_a_stop_does_not_answer_by_its_overlay_of_before() {
    let Some(server) = Server::shared() else {
        return;
    };
    let mut fleet = Fleet::of(3, &server).await;
    let free = fleet.shop.token(ANN);
    let stopped = fleet.others.remove(0);
    fleet.balance();
    assert_eq!(stopped.get_with_token("/premium", &free).await.status, 403);
    let mut session = String::new();
    for (status, was) in [(200, 403), (403, 200)] {
        stopped.signal("STOP");
        let since = Instant::now();
        if status == 200 {
            session = fleet.shop.checkout(ANN, "lifetime").await;
            fleet.shop.stripe.pay(&session);
        } else {
            fleet.shop.stripe.refund(&session);
        }
        fleet.shop.until("/premium", &free, status).await;
        fleet.until_others(&free, status).await;
        // Longer than an overlay may be old.
        let mut look = tokio::time::interval(LOOK);
        while since.elapsed() < SOON * 3 / 2 {
            look.tick().await;
        }
        let slow = the_ledger_is_slow(&server, &fleet.database.name).await;
        let statuses = asked_while_stopped(&stopped, &free).await;
        slow.await.expect("the ledger goes on");
        let log = stopped.log.text();
        assert_eq!(statuses, [status; ASKED], "it was {was} before\n{log}");
    }
    assert!(!stopped.log.text().contains("the ledger does not answer"));
}

/// For a moment nobody can read entitlements, so that requests come before what is read.
async fn the_ledger_is_slow(server: &Arc<Server>, database: &str) -> JoinHandle<()> {
    let (holder, name) = (Arc::clone(server), database.to_owned());
    let held = tokio::task::spawn_blocking(move || {
        let hold = "BEGIN; LOCK TABLE entitlements; SELECT pg_sleep(0.2); COMMIT";
        holder.sql(&name, hold);
    });
    let is_held = "SELECT COUNT(*) FROM pg_locks
                   WHERE relation = 'entitlements'::regclass AND mode = 'AccessExclusiveLock' AND granted";
    let mut look = tokio::time::interval(LOOK);
    while !held.is_finished() && server.sql(database, is_held) != "1" {
        look.tick().await;
    }
    held
}

/// Requests that wait for a stopped replica.
const ASKED: usize = 8;

/// Sends requests to a replica that is stopped, lets it go on, and gives the statuses of its answers.
async fn asked_while_stopped(stopped: &Gate, token: &str) -> Vec<u16> {
    let bearer = format!("Bearer {token}");
    let request = request("GET", "/premium", &[("Authorization", &bearer)], "");
    let mut wires: Vec<Wire> = join_all((0..ASKED).map(|_| stopped.wire())).await;
    for wire in &mut wires {
        wire.send(&request).await;
    }
    stopped.signal("CONT");
    let answers = wires.iter_mut().map(Wire::reply);
    let answers = join_all(answers).await.into_iter();
    answers.map(|reply| reply.status).collect()
}
