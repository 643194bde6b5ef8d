//! The key set: start without it, rotation, floods, and an Auth0 that misbehaves (DESIGN.md, "Tokens").

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::errors::assert_error;
use crate::gate::{Setup, World};
use crate::support::auth0::{Auth0, Fault, JWKS};
use crate::support::backend::Backend;
use crate::support::keys::Key;

/// Starts with an Auth0 that `spoil` has broken first.
async fn start_broken(change: impl FnOnce(Setup) -> Setup, spoil: impl FnOnce(&Auth0)) -> World {
    let (auth0, backend) = (Auth0::start(), Backend::start());
    spoil(&auth0);
    let gate = change(Setup::new(&auth0, &backend.url()))
        .start_unready()
        .await;
    World {
        auth0,
        backend,
        gate,
    }
}

async fn serves_public_alone(world: &World) {
    world.gate.until_readyz(503).await;
    assert_eq!(world.gate.get("/pub/x").await.status, 200);
    let refused = world.get_as("/me/x", "u", &[]).await;
    assert_error(&refused, 503, "not_ready");
    let wait = refused
        .header("retry-after")
        .and_then(|text| text.parse::<u32>().ok());
    assert!(wait.is_some_and(|seconds| seconds > 0), "{refused:?}");
    assert_eq!(
        world.gate.admin("/livez").await.map(|reply| reply.status),
        Some(200)
    );
}

#[tokio::test]
async fn without_auth0_public_routes_are_served_and_it_recovers_by_itself() {
    let (mut auth0, backend) = (Auth0::start_down(), Backend::start());
    let gate = Setup::new(&auth0, &backend.url()).start_unready().await;
    auth0.come_up();
    auth0.fault(JWKS, Fault::Status(503));
    let world = World {
        auth0,
        backend,
        gate,
    };
    serves_public_alone(&world).await;
    world.auth0.mend(JWKS);
    world.gate.until_readyz(200).await;
    assert_eq!(world.get_as("/me/x", "u", &[]).await.status, 200);
}

#[tokio::test]
async fn without_a_key_nobody_is_told_to_sign_in() {
    let world = start_broken(|setup| setup, |auth0| auth0.fault(JWKS, Fault::Cut)).await;
    assert_error(&world.gate.get("/me/x").await, 503, "not_ready");
    assert_eq!(world.gate.get("/elsewhere").await.status, 403);
}

#[tokio::test]
async fn a_key_set_that_is_garbage_endless_or_stuck_is_no_key_set() {
    let bodies = ["not json", "{\"keys\":7}", "{\"keys\":[]}"].map(|text| Fault::Body(text.into()));
    let faults = [
        Fault::Cut,
        Fault::Status(500),
        Fault::Hang,
        Fault::Stall,
        Fault::Endless,
    ];
    join_all(faults.into_iter().chain(bodies).map(recovers_from)).await;
}

async fn recovers_from(fault: Fault) {
    let short = |setup: Setup| setup.auth0("jwks: { timeout: 500ms }");
    let world = start_broken(short, |auth0| auth0.fault(JWKS, fault.clone())).await;
    world.auth0.until_hits(JWKS, 1).await;
    serves_public_alone(&world).await;
    world.auth0.mend(JWKS);
    world.gate.until_readyz(200).await;
    assert_eq!(
        world.get_as("/me/x", "u", &[]).await.status,
        200,
        "{fault:?}"
    );
}

#[tokio::test]
async fn an_unusable_key_beside_good_ones_is_skipped_with_a_warning() {
    let small = Key::nth(2).named("small").jwk()["n"]
        .as_str()
        .map(|n| n[..171].to_owned());
    let world = start_broken(
        |setup| setup,
        |auth0| {
            auth0.publish(
                json!({ "kty": "RSA", "kid": "small", "use": "sig", "n": small, "e": "AQAB" }),
            );
            auth0.publish(json!({ "kty": "RSA", "kid": "broken", "n": "!!!", "e": "AQAB" }));
            auth0.publish(json!({ "kty": "WHAT", "kid": "unknown" }));
            auth0.publish(json!(7));
            auth0.publish(json!({ "kty": "oct", "kid": "secret", "k": "c2VjcmV0" }));
        },
    )
    .await;
    world.gate.until_readyz(200).await;
    assert_eq!(world.get_as("/me/x", "u", &[]).await.status, 200);
    world
        .gate
        .log
        .until("the small, broken and unknown key", 3, |event| {
            event["level"] == "WARN"
                && event["message"] == "JWKS: a key is skipped"
                && ["small", "broken", "unknown"]
                    .map(Value::from)
                    .contains(&event["key.id"])
        })
        .await;
    let symmetric = world.auth0.draft("u", &[]).sign_hs256("secret", b"secret");
    assert_eq!(
        world.gate.get_with_token("/me/x", &symmetric).await.status,
        401
    );
}

#[tokio::test]
async fn a_key_for_encryption_verifies_nothing() {
    for (member, value) in [("use", json!("enc")), ("key_ops", json!(["encrypt"]))] {
        let mut jwk = Key::nth(1).named("other").jwk();
        jwk[member] = value;
        if member == "key_ops" {
            jwk.as_object_mut().expect("an object").remove("use");
        }
        let world = start_broken(|setup| setup, |auth0| auth0.publish(jwk)).await;
        world.gate.until_readyz(200).await;
        let token = world
            .auth0
            .draft("u", &[])
            .sign(&Key::nth(1).named("other"));
        assert_eq!(
            world.gate.get_with_token("/me/x", &token).await.status,
            401,
            "{member}"
        );
    }
}

#[tokio::test]
async fn a_rotated_key_is_found_without_a_restart() {
    let world = World::with(|setup| setup.auth0("jwks: { cooldown: 1s }")).await;
    assert_eq!(world.get_as("/me/x", "u", &[]).await.status, 200);
    world.auth0.rotate_to(Key::nth(1));
    let token = world.auth0.token("u", &[]);
    let mut look = tokio::time::interval(Duration::from_millis(50));
    let found = tokio::time::timeout(crate::support::raw::DEADLINE, async {
        while world.gate.get_with_token("/me/x", &token).await.status != 200 {
            look.tick().await;
        }
    });
    found.await.expect("the new key is fetched");
    let old = world.auth0.draft("u", &[]).sign(&Key::nth(0));
    assert_eq!(world.gate.get_with_token("/me/x", &old).await.status, 200);
}

#[tokio::test]
async fn a_key_that_was_asked_for_before_it_was_published_is_found_soon_after() {
    let slow = "jwks: { cooldown: 1s, refresh: 1h, stale: 2h }";
    let world = World::with(|setup| setup.auth0(slow)).await;
    let token = world.auth0.draft("u", &[]).sign(&Key::nth(1));
    assert_eq!(world.gate.get_with_token("/me/x", &token).await.status, 401);
    world.auth0.publish(Key::nth(1).jwk());
    let mut look = tokio::time::interval(Duration::from_millis(50));
    let found = tokio::time::timeout(crate::support::raw::DEADLINE, async {
        while world.gate.get_with_token("/me/x", &token).await.status != 200 {
            look.tick().await;
        }
    });
    found.await.expect("long before the next refresh");
}

#[tokio::test]
async fn a_key_that_leaves_the_set_empties_what_it_had_signed() {
    let world =
        World::with(|setup| setup.auth0("jwks: { refresh: 1s, stale: 1h, cooldown: 1s }")).await;
    let token = world.auth0.token("u", &[]);
    assert_eq!(world.gate.get_with_token("/me/x", &token).await.status, 200);
    world.auth0.rotate_to(Key::nth(1));
    world.auth0.revoke("key-0");
    let mut look = tokio::time::interval(Duration::from_millis(50));
    let emptied = tokio::time::timeout(crate::support::raw::DEADLINE, async {
        while world.gate.get_with_token("/me/x", &token).await.status == 200 {
            look.tick().await;
        }
    });
    emptied.await.expect("the old token is refused");
    assert_eq!(world.get_as("/me/x", "u", &[]).await.status, 200);
}

#[tokio::test]
async fn a_flood_of_made_up_key_ids_costs_auth0_one_request() {
    let world = World::start().await;
    let before = world.auth0.hits(JWKS);
    // The second round has ids of the first, and new ones.
    for ids in [0..40, 20..60] {
        let replies = join_all(ids.map(async |id| {
            let draft = world.auth0.draft("u", &[]);
            let token = world
                .auth0
                .sign(&draft.header("kid", format!("made-up-{id}")));
            world.gate.get_with_token("/me/x", &token).await.status
        }));
        assert_eq!(replies.await, [401; 40]);
    }
    assert_eq!(world.auth0.hits(JWKS) - before, 1);
}

#[tokio::test]
async fn the_last_good_keys_serve_while_auth0_is_down() {
    let mut world = World::with(|setup| setup.auth0("jwks: { refresh: 1s, stale: 1h }")).await;
    world.auth0.go_down().await;
    world
        .gate
        .until_metric("tollgate_jwks_refresh_total", &[("result", "error")], 1.0)
        .await;
    assert_eq!(world.get_as("/me/x", "u", &[]).await.status, 200);
    world.gate.until_readyz(200).await;
}

#[tokio::test]
async fn a_known_key_never_waits_for_the_network() {
    let world =
        World::with(|setup| setup.auth0("jwks: { refresh: 1s, stale: 1h, timeout: 60s }")).await;
    let before = world.auth0.hits(JWKS);
    world.auth0.fault(JWKS, Fault::Hang);
    world.auth0.until_hits(JWKS, before + 1).await;
    let start = std::time::Instant::now();
    assert_eq!(world.get_as("/me/x", "u", &[]).await.status, 200);
    assert!(
        start.elapsed() < Duration::from_secs(15),
        "{:?}",
        start.elapsed()
    );
}

#[tokio::test]
async fn keys_grow_stale_and_it_recovers() {
    let world = World::with(|setup| setup.auth0("jwks: { refresh: 1s, stale: 4s }")).await;
    let token = world.auth0.token("u", &[]);
    assert_eq!(world.gate.get_with_token("/me/x", &token).await.status, 200);
    world.auth0.fault(JWKS, Fault::Status(500));
    world.gate.until_readyz(503).await;
    // Cached or not, the verdict is the same.
    assert_error(
        &world.gate.get_with_token("/me/x", &token).await,
        503,
        "not_ready",
    );
    assert_error(&world.get_as("/me/x", "v", &[]).await, 503, "not_ready");
    world.auth0.mend(JWKS);
    world.gate.until_readyz(200).await;
    assert_eq!(world.gate.get_with_token("/me/x", &token).await.status, 200);
}

#[tokio::test]
async fn it_fetches_once_at_start_however_many_ask() {
    let patient = |setup: Setup| setup.auth0("jwks: { timeout: 60s }");
    let world = start_broken(patient, |auth0| auth0.fault(JWKS, Fault::Hang)).await;
    world.auth0.until_hits(JWKS, 1).await;
    assert_eq!(ten_ask(&world).await, [503; 10]);
    assert_eq!(world.auth0.hits(JWKS), 1);
    let world = World::start().await;
    assert_eq!(ten_ask(&world).await, [200; 10]);
    assert_eq!(world.auth0.hits(JWKS), 1);
}

/// The statuses of ten users who ask at once.
async fn ten_ask(world: &World) -> Vec<u16> {
    let users = (0..10).map(async |n| world.get_as("/me/x", &format!("u{n}"), &[]).await.status);
    join_all(users).await
}
