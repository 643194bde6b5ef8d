//! A tenant that asks for less haste.

use http::Method;

use super::Place;
use crate::support::auth0::{TOKEN, Trouble};

#[tokio::test]
async fn a_429_at_any_of_its_calls_is_waited_out() {
    for (method, path) in [
        (Method::POST, TOKEN),
        (Method::GET, "/api/v2/resource-servers"),
        (Method::PATCH, "/api/v2/resource-servers"),
        (Method::GET, "/api/v2/roles"),
        (Method::POST, "/api/v2/roles"),
        (Method::POST, "/api/v2/roles/*/permissions"),
    ] {
        let place = Place::empty();
        let too_many = Trouble::TooMany {
            retry_after: Some(0),
            reset: None,
        };
        place.auth0.trouble_times(1, method.clone(), path, too_many);
        let told = place.bootstrap(&["--yes"]).await;
        assert_eq!(told.status, 0, "{method} {path}\n{}", told.text);
        place.assert_whole();
    }
}

#[tokio::test]
async fn an_empty_tenant_of_the_smallest_size_is_set_up_at_its_pace() {
    let place = Place::empty();
    place.auth0.limit(2, 2.0);
    let told = place.bootstrap(&["--yes"]).await;
    assert_eq!(told.status, 0, "{}", told.text);
    place.assert_whole();
}
