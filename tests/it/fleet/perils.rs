//! A crowd at three replicas, while one is killed, another stands still for longer than its lease, and the database is
//! restarted. All the while somebody looks.

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use http::Method;
use tokio::time::timeout;

use super::crowd::Customer;
use super::ledger::{self, assert_logs_are_calm, assert_nothing_done_twice, until_all_is_done};
use super::watch::{Watched, Watchers};
use super::{Fleet, ledger_is};
use crate::schedules::Place;
use crate::support::auth0::Trouble;
use crate::support::postgres::Server;
use crate::support::raw::DEADLINE;

/// Each is another story.
const SEED: u64 = 4;
/// How many users buy.
const USERS: usize = 30;
/// How many others are watched.
const WATCHED: usize = 2;
const ROLES: &str = "/api/v2/users/*/roles";

/// The fleet and everybody around it.
struct Town {
    fleet: Fleet,
    random: Rng,
    crowd: Vec<Customer>,
    /// They pay, and are refunded, and pay again.
    looked_at: Vec<(Customer, Arc<Watched>)>,
    watchers: Watchers,
    is_paid: bool,
}

impl Town {
    async fn open(server: &Arc<Server>) -> Self {
        let fleet = Fleet::of(3, server).await;
        fleet.shop.stripe.send_at_once(6);
        fleet.shop.stripe.back_off(Duration::from_millis(20));
        let crowd = (0..USERS).map(|number| Customer::new(&fleet.shop, number));
        let crowd = crowd.collect();
        let looked_at = (USERS..USERS + WATCHED).map(|number| {
            let customer = Customer::new(&fleet.shop, number);
            let watched = Watched::new(&fleet, &customer.user);
            (customer, watched)
        });
        let mut town = Self {
            looked_at: looked_at.collect(),
            crowd,
            random: Rng::with_seed(SEED),
            watchers: Watchers::new(),
            is_paid: false,
            fleet,
        };
        for (_, watched) in &town.looked_at {
            for gate in town.fleet.replicas() {
                town.watchers.at_replica(watched, gate.address);
            }
            let address = town.fleet.balancer.address;
            town.watchers.at_balancer(watched, address);
        }
        town
    }

    /// Something happens to everybody.
    fn live_on(&mut self) {
        let stripe = &self.fleet.shop.stripe;
        for customer in &mut self.crowd {
            customer.act(&mut self.random, stripe);
        }
        self.is_paid = !self.is_paid;
        for (customer, watched) in &mut self.looked_at {
            watched.next_stage();
            if self.is_paid {
                customer.buy_lifetime(stripe);
            } else {
                customer.is_refunded(stripe);
            }
        }
    }

    /// Waits until something has come of it.
    async fn until_attempts(&self, more: usize) {
        let stripe = &self.fleet.shop.stripe;
        let sent = stripe.attempts().len();
        stripe.until_attempts(sent + more).await;
    }

    async fn until_settled(&self, what: &str) {
        let shop = &self.fleet.shop;
        let looked_at = self.looked_at.iter().map(|(customer, _)| customer);
        let all: Vec<&Customer> = self.crowd.iter().chain(looked_at).collect();
        let settled = shop
            .auth0
            .until(|_| all.iter().all(|customer| customer.is_settled(shop)));
        if timeout(DEADLINE, settled).await.is_err() {
            let unlike = all.iter().filter(|customer| !customer.is_settled(shop));
            let unlike: Vec<&String> = unlike.map(|customer| &customer.user).collect();
            let logs = self.fleet.replicas().map(|gate| gate.log.text());
            let logs: Vec<String> = logs.collect();
            unreachable!("{what}: roles differ: {unlike:?}\n{}", logs.join("\n\n"));
        }
    }

    /// One replica is killed in the middle of its work, and started again, elsewhere.
    async fn one_is_killed(&mut self) {
        self.live_on();
        self.until_attempts(30).await;
        self.watchers.leave(self.fleet.others[1].address);
        self.fleet.others[1].signal("KILL");
        self.live_on();
        self.until_settled("after the kill").await;
        self.fleet.others[1].restart().await;
        self.fleet.balance();
        self.look_at(1);
    }

    /// One more looks at each of the watched, at this one of the other replicas.
    fn look_at(&mut self, other: usize) {
        let address = self.fleet.others[other].address;
        for (_, watched) in &self.looked_at {
            self.watchers.at_replica(watched, address);
        }
    }

    /// One replica stands still in the middle of role changes until the others have done its work and more.
    async fn one_is_stopped(&mut self) {
        let (held, door) = Trouble::held();
        let calls = self.role_calls();
        for method in [Method::POST, Method::DELETE] {
            self.fleet.shop.auth0.trouble(method, ROLES, held.clone());
        }
        self.live_on();
        // Each replica works on a few users at a time, so by then it is within one of these calls.
        let auth0 = &self.fleet.shop.auth0;
        let all_are_at_it = auth0.until(|_| self.role_calls() >= calls + AT_A_TIME);
        timeout(DEADLINE, all_are_at_it)
            .await
            .expect("role changes");
        self.fleet.others[0].signal("STOP");
        auth0.mend_all();
        door.open();
        self.live_on();
        self.until_settled("while one is stopped").await;
        // Their requests are waiting when it goes on.
        self.look_at(0);
        self.fleet.others[0].signal("CONT");
        self.live_on();
        self.until_settled("after one was stopped").await;
    }

    fn role_calls(&self) -> usize {
        let auth0 = &self.fleet.shop.auth0;
        auth0.count(&Method::POST, ROLES) + auth0.count(&Method::DELETE, ROLES)
    }

    async fn the_database_is_restarted(&mut self, server: &Server) {
        self.live_on();
        self.until_attempts(20).await;
        for (_, watched) in &self.looked_at {
            watched.ledger_is_away();
        }
        server.end();
        self.live_on();
        self.until_attempts(20).await;
        server.begin();
        for gate in self.fleet.replicas() {
            ledger_is(gate, 1.0).await;
        }
        for (_, watched) in &self.looked_at {
            watched.ledger_is_back();
        }
        self.until_settled("after the database's restart").await;
    }

    async fn all_is_well(self) {
        self.fleet.shop.stripe.until_all_acknowledged().await;
        let ledger = ledger::open(&self.fleet).await;
        until_all_is_done(&self.fleet, &*ledger).await;
        self.until_settled("in the end").await;
        self.watchers.end().await;
        let looked_at = self.looked_at.iter().map(|(customer, _)| customer);
        for customer in self.crowd.iter().chain(looked_at) {
            assert_nothing_done_twice(&self.fleet, &*ledger, &customer.user).await;
        }
        assert_logs_are_calm(&self.fleet);
    }
}

/// More role changes than two replicas work on at a time.
const AT_A_TIME: usize = 10;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_is_served_right_while_replicas_die_and_stand_still_and_the_database_restarts() {
    let Some(server) = Server::own() else {
        return;
    };
    let _place = Place(format!("the crowd of seed {SEED}"));
    let mut town = Town::open(&server).await;
    town.live_on();
    town.until_settled("at first").await;
    town.one_is_killed().await;
    town.one_is_stopped().await;
    town.the_database_is_restarted(&server).await;
    town.all_is_well().await;
}
