//! All orders of the events of a purchase, a renewal, a cancellation and a refund, each event twice: when all is over,
//! and late between what happens; with the worker at work all the time, or only in the end.

use crate::support::stripe::{Event, Stripe};
use crate::sync::market::Market;

use super::Place;
use super::oracle::{Bought, assert_settled};
use super::witness::{assert_only_managed, managed_roles};

/// Something that happens to what was bought with this session.
type Act = fn(&Stripe, &str);

/// What happens to one buyer.
struct Story {
    plan: &'static str,
    acts: &'static [Act],
    /// The events whose orders are tried: which act they come of, and their types.
    events: &'static [(usize, &'static str)],
    end: &'static str,
}

/// How the events of a story reach the ledger.
#[derive(Clone, Copy, Debug)]
struct Way {
    /// An act happens only when one of its events is next; else all happen before the first.
    late: bool,
    /// The worker steps after every event, or only after the last.
    stepping: bool,
}

const WAYS: [Way; 4] = [
    Way {
        late: false,
        stepping: false,
    },
    Way {
        late: false,
        stepping: true,
    },
    Way {
        late: true,
        stepping: false,
    },
    Way {
        late: true,
        stepping: true,
    },
];

fn subscription(stripe: &Stripe, session: &str, act: impl FnOnce(&Stripe, &str)) {
    act(stripe, &stripe.subscription_of(session));
}

#[tokio::test]
async fn every_order_of_a_monthly_purchase() {
    let story = Story {
        plan: "monthly",
        acts: &[Stripe::pay],
        events: &[
            (0, "customer.subscription.created"),
            (0, "payment_intent.succeeded"),
            (0, "invoice.paid"),
            (0, "checkout.session.completed"),
        ],
        end: "monthly",
    };
    story.try_every_order().await;
}

#[tokio::test]
async fn every_order_of_a_lifetime_purchase_that_is_paid_late() {
    let story = Story {
        plan: "lifetime",
        acts: &[Stripe::pay_later, Stripe::async_succeed],
        events: &[
            (0, "checkout.session.completed"),
            (1, "payment_intent.succeeded"),
            (1, "checkout.session.async_payment_succeeded"),
        ],
        end: "lifetime",
    };
    story.try_every_order().await;
}

#[tokio::test]
async fn every_order_of_a_renewal() {
    let story = Story {
        plan: "monthly",
        acts: &[Stripe::pay, |stripe, session| {
            subscription(stripe, session, Stripe::renew);
        }],
        events: &[
            (0, "checkout.session.completed"),
            (1, "customer.subscription.updated"),
            (1, "payment_intent.succeeded"),
            (1, "invoice.paid"),
        ],
        end: "monthly",
    };
    story.try_every_order().await;
}

#[tokio::test]
async fn every_order_of_a_renewal_that_fails_and_is_given_up() {
    let story = Story {
        plan: "monthly",
        acts: &[
            Stripe::pay,
            |stripe, session| subscription(stripe, session, Stripe::fail_renewal),
            |stripe, session| subscription(stripe, session, |s, id| s.exhaust(id, "unpaid")),
        ],
        events: &[
            (0, "checkout.session.completed"),
            (1, "invoice.payment_failed"),
            (2, "payment_intent.payment_failed"),
            (2, "customer.subscription.updated"),
        ],
        end: "free",
    };
    story.try_every_order().await;
}

#[tokio::test]
async fn every_order_of_a_cancellation() {
    let story = Story {
        plan: "monthly",
        acts: &[
            Stripe::pay,
            |stripe, session| subscription(stripe, session, Stripe::set_cancel_at),
            |stripe, session| subscription(stripe, session, Stripe::end_period),
        ],
        events: &[
            (0, "customer.subscription.created"),
            (0, "invoice.paid"),
            (0, "checkout.session.completed"),
            (1, "customer.subscription.updated"),
            (2, "customer.subscription.deleted"),
        ],
        end: "free",
    };
    story.try_every_order().await;
}

#[tokio::test]
async fn every_order_of_a_refund() {
    let story = Story {
        plan: "lifetime",
        acts: &[Stripe::pay, |stripe, session| {
            stripe.refund(session);
        }],
        events: &[
            (0, "payment_intent.succeeded"),
            (0, "checkout.session.completed"),
            (1, "refund.created"),
            (1, "charge.refunded"),
        ],
        end: "free",
    };
    story.try_every_order().await;
}

#[tokio::test]
async fn every_order_of_a_refund_that_fails() {
    let story = Story {
        plan: "lifetime",
        acts: &[
            Stripe::pay,
            |stripe, session| {
                stripe.refund(session);
            },
            |stripe, _| stripe.refund_fails(stripe.ids("refund").last().expect("a refund")),
        ],
        events: &[
            (0, "checkout.session.completed"),
            (1, "charge.refunded"),
            (2, "refund.updated"),
            (2, "refund.failed"),
        ],
        end: "lifetime",
    };
    story.try_every_order().await;
}

impl Story {
    /// One market for each way, and in it one buyer for each order.
    async fn try_every_order(&self) {
        for way in WAYS {
            let market = Market::in_memory().await;
            for (number, order) in orders(self.events.len()).into_iter().enumerate() {
                let user = format!("auth0|buyer-{number}");
                market.auth0.create_user(&user, "buyer@example.test", true);
                market.auth0.give_role(&user, "free-user");
                market.auth0.give_role(&user, "admin");
                self.tell(&market, &user, &order, way).await;
            }
            assert_only_managed(&market, &managed_roles(&market).await);
        }
    }

    /// Lets it happen to `user`, and sees how it ends.
    async fn tell(&self, market: &Market, user: &str, order: &[usize], way: Way) {
        let session = market.checkout(user, self.plan).await;
        let mut happened: Vec<Vec<Event>> = Vec::new();
        market.lose_events();
        if !way.late {
            self.happen(market, &session, self.acts.len(), &mut happened);
        }
        for (place, which) in order.iter().enumerate() {
            let (act, kind) = self.events[*which];
            self.happen(market, &session, act + 1, &mut happened);
            self.deliver(market, (act, kind), &happened, way).await;
            // And one of those that came before, again.
            let before = self.events[order[place / 2]];
            self.deliver(market, before, &happened, way).await;
        }
        market.settle().await;
        let bought = match self.plan {
            "monthly" => Bought {
                subscriptions: vec![market.stripe.subscription_of(&session)],
                ..Bought::default()
            },
            _ => Bought {
                lifetime: vec![session],
                ..Bought::default()
            },
        };
        let plan = bought.plan(&market.stripe);
        assert_eq!(plan, self.end, "the story is told wrongly");
        let _place = Place(format!("{order:?} {way:?}"));
        assert_settled(market, user, plan, &["admin"]).await;
        assert_eq!(market.job(user).await, None, "nothing is left to do");
    }

    /// Lets the first `count` acts have happened.
    fn happen(&self, market: &Market, session: &str, count: usize, happened: &mut Vec<Vec<Event>>) {
        while happened.len() < count {
            self.acts[happened.len()](&market.stripe, session);
            happened.push(market.news());
        }
    }

    async fn deliver(
        &self,
        market: &Market,
        (act, kind): (usize, &str),
        happened: &[Vec<Event>],
        way: Way,
    ) {
        let mut events = happened[act].iter();
        let event = events.find(|event| event.kind == kind);
        let event = event.unwrap_or_else(|| unreachable!("no {kind} comes of act {act}"));
        market.receive(event).await;
        if way.stepping {
            market.work().await;
        }
    }
}

/// All orders of the numbers below `count`.
fn orders(count: usize) -> Vec<Vec<usize>> {
    let Some(last) = count.checked_sub(1) else {
        return vec![Vec::new()];
    };
    let shorter = orders(last).into_iter();
    let longer = shorter.flat_map(|order| {
        (0..=order.len()).map(move |place| {
            let mut order = order.clone();
            order.insert(place, last);
            order
        })
    });
    longer.collect()
}

#[test]
fn there_are_as_many_orders_as_there_should_be() {
    let all = orders(4);
    let distinct: std::collections::HashSet<_> = all.iter().collect();
    assert_eq!((all.len(), distinct.len()), (24, 24));
}
