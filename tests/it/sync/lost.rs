//! What arrives at Auth0 when its worker has long given it up, in the end: it is looked for once more.

use std::time::Duration;

use http::Method;
use tollgate::sync::Stepped;

use super::market::{ANN, Market};
use crate::support::auth0::{Auth0, Trouble};

const ROLES: &str = "/api/v2/users/*/roles";
/// So long a call is thought to be on its way at most.
const LATE: Duration = Duration::from_secs(120);

/// Ann has paid and been refunded while the role she paid for was given: her worker's call hangs. With `lives`, the
/// worker finds out that it lost its job; else it never goes on.
async fn refunded_in_the_middle_of_a_role_change(market: &Market, lives: bool) {
    let session = market.pay(ANN, "lifetime").await;
    market.deliver().await;
    let (held, door) = Trouble::held();
    market.auth0.trouble_times(1, Method::POST, ROLES, held);
    let slow = market.sync.step();
    let others = async {
        let has_called = |auth0: &Auth0| auth0.count(&Method::POST, ROLES) > 0;
        market.auth0.until(has_called).await;
        market.pass(Duration::from_secs(3600));
        // Another takes over.
        market.work().await;
        market.stripe.refund(&session);
        market.deliver().await;
        market.work().await;
        if lives {
            door.open();
        }
    };
    if lives {
        let (slow, ()) = tokio::join!(slow, others);
        assert_eq!(slow.expect("a ledger"), Stepped::Lost);
        market.work().await;
    } else {
        tokio::select! {
            _ = slow => unreachable!("it hangs"),
            () = others => {}
        }
    }
    assert_eq!(market.auth0.roles_of(ANN), ["free-user"]);
}

#[tokio::test]
async fn a_role_given_after_its_worker_was_gone_is_found_whatever_happened_meanwhile() {
    for lives in [true, false] {
        let market = Market::open().await;
        Box::pin(refunded_in_the_middle_of_a_role_change(&market, lives)).await;
        // Somewhere between here and there it had been waiting.
        market.auth0.give_role(ANN, "premium-lifetime");
        market.pass(LATE);
        assert_eq!(market.recheck().await, 1, "lives: {lives}");
        market.work().await;
        assert_eq!(market.auth0.roles_of(ANN), ["free-user"]);
        market.pass(LATE);
        assert_eq!(market.recheck().await, 0, "once is enough");
    }
}
