//! What others do while a run is at it.

use http::Method;

use super::{Place, WEBHOOK};
use crate::support::auth0::{AUDIENCE, Auth0, Trouble};
use crate::support::stripe::Fault;

const ENDPOINTS: &str = "/v1/webhook_endpoints";

#[tokio::test]
async fn of_two_runs_at_once_after_a_deletion_both_tell_the_right_secret() {
    let place = Place::empty();
    place.bootstrap(&["--yes"]).await.assert(0, &[]);
    let id = place.stripe.ids("webhook_endpoint").remove(0);
    place.delete_endpoint(&id).await;
    // The first one has looked, and gets to the endpoint only when the second one has made another: Stripe still answers
    // its key with the one that was deleted.
    place.auth0.delete_role("admin");
    let (held, door) = Trouble::held();
    place
        .auth0
        .trouble_times(1, Method::POST, "/api/v2/roles", held);
    let before = place.auth0.count(&Method::POST, "/api/v2/roles");
    let (first, second) = tokio::join!(place.bootstrap(&["--yes"]), async {
        let begun = |auth0: &Auth0| auth0.count(&Method::POST, "/api/v2/roles") > before;
        place.auth0.until(begun).await;
        let told = place.bootstrap(&["--yes"]).await;
        door.open();
        told
    });
    let ids = place.stripe.ids("webhook_endpoint");
    assert_eq!(ids.len(), 1, "{ids:?}");
    let secret = place.stripe.secret_of(&ids[0]);
    for told in [first, second] {
        told.assert(0, &[&secret]);
    }
}

#[tokio::test]
async fn an_endpoint_that_is_deleted_meanwhile_is_not_written_to() {
    let place = Place::empty();
    let there = place
        .stripe
        .new_webhook_endpoint(WEBHOOK, &["invoice.paid"], None);
    let (held, door) = Trouble::held();
    place
        .auth0
        .trouble_times(1, Method::POST, "/api/v2/roles", held);
    let (told, ()) = tokio::join!(place.bootstrap(&["--yes"]), async {
        place
            .auth0
            .until(|auth0| auth0.count(&Method::POST, "/api/v2/roles") == 1)
            .await;
        place.delete_endpoint(&there).await;
        door.open();
    });
    told.assert(1, &["FAILED webhook endpoint", "it was deleted meanwhile"]);
    let writes = format!("{ENDPOINTS}/{there}");
    assert!(place.stripe.calls_of("POST", &writes).is_empty());
    place
        .bootstrap(&["--yes"])
        .await
        .assert(0, &["done   webhook endpoint"]);
    place.assert_whole();
}

#[tokio::test]
async fn a_dialect_that_is_changed_meanwhile_is_kept_and_gains_permissions() {
    let place = Place::empty();
    place.stripe.fault_next(1, "GET", ENDPOINTS, Fault::Hold);
    let (told, ()) = tokio::join!(place.bootstrap(&["--yes"]), async {
        place.stripe.until_calls(1, "GET", ENDPOINTS).await;
        place.auth0.set_rbac(false, "rfc9068_profile");
        place.stripe.release();
    });
    told.assert(0, &["token dialect access_token_authz"]);
    let api = place.auth0.api(AUDIENCE);
    assert_eq!(api["token_dialect"], "rfc9068_profile_authz");
    assert_eq!(api["enforce_policies"], true);
}
