//! Every token that must be refused, and every one that must not (DESIGN.md, "Tokens").

use serde_json::json;

use super::errors::assert_error;
use crate::gate::{Gate, World, request};
use crate::support::auth0::AUDIENCE;
use crate::support::keys::Key;
use crate::support::raw::Reply;
use crate::support::token::now;

/// The `error_description` of a challenge.
fn description(reply: &Reply) -> String {
    let challenge = reply.header("www-authenticate").unwrap_or_default();
    let rest = challenge
        .split("error_description=\"")
        .nth(1)
        .unwrap_or_default();
    rest.split('"').next().unwrap_or_default().to_owned()
}

/// Refused, twice over with the same words, for a cached verdict is the same as the first.
pub(crate) async fn refused(gate: &Gate, name: &str, token: &str) -> String {
    let first = gate.get_with_token("/me/x", token).await;
    assert_eq!(first.status, 401, "{name}: {}", first.text());
    assert_error(&first, 401, "invalid_token");
    let said = description(&first);
    assert!(!said.is_empty(), "{name}: {:?}", first.headers);
    let again = gate.get_with_token("/me/x", token).await;
    assert_eq!(
        (again.status, description(&again)),
        (401, said.clone()),
        "{name}"
    );
    said
}

async fn accepted(gate: &Gate, name: &str, token: &str) {
    for _ in 0..2 {
        let reply = gate.get_with_token("/me/x", token).await;
        assert_eq!(
            reply.status,
            200,
            "{name}: {} {:?}",
            reply.text(),
            description(&reply)
        );
    }
}

#[tokio::test]
async fn good_tokens_are_accepted() {
    let world = World::start().await;
    let good = || world.auth0.draft("auth0|1", &["read:x"]);
    let tokens = [
        ("as Auth0 makes it", good()),
        ("aud a string", good().claim("aud", AUDIENCE)),
        ("typ absent", good().header("typ", json!(null))),
        ("typ at+jwt", good().header("typ", "at+jwt")),
        ("typ AT+JWT", good().header("typ", "AT+JWT")),
        ("no permissions", good().without("permissions")),
        ("no iat", good().without("iat")),
        ("exp within leeway", good().claim("exp", now() - 10)),
        ("nbf within leeway", good().claim("nbf", now() + 10)),
        ("iat within leeway", good().claim("iat", now() + 10)),
    ];
    for (name, token) in tokens {
        accepted(&world.gate, name, &world.auth0.sign(&token)).await;
    }
}

#[tokio::test]
async fn the_dates_are_honoured_with_leeway() {
    let world = World::start().await;
    let (auth0, gate) = (&world.auth0, &world.gate);
    let good = auth0.draft("auth0|1", &[]);
    let said = refused(
        gate,
        "expired",
        &auth0.sign(&good.clone().claim("exp", now() - 60)),
    )
    .await;
    assert!(said.contains("expired"), "{said}");
    refused(gate, "no exp", &auth0.sign(&good.clone().without("exp"))).await;
    refused(
        gate,
        "nbf to come",
        &auth0.sign(&good.clone().claim("nbf", now() + 60)),
    )
    .await;
    refused(
        gate,
        "iat to come",
        &auth0.sign(&good.clone().claim("iat", now() + 60)),
    )
    .await;
}

#[tokio::test]
async fn the_algorithm_binds() {
    let world = World::start().await;
    let key = world.auth0.key();
    let good = || {
        world
            .auth0
            .draft("auth0|1", &[])
            .header("kid", key.kid.as_str())
    };
    refused(&world.gate, "alg none", &good().unsigned(&key.kid)).await;
    for alg in ["None", "NONE", "nOnE", "RS384", "PS256", "ES256", "XX1", ""] {
        refused(&world.gate, alg, &good().header("alg", alg).sign(&key)).await;
    }
    refused(
        &world.gate,
        "alg absent",
        &good().header("alg", json!(null)).sign(&key),
    )
    .await;
    let modulus = key.jwk()["n"].to_string();
    for secret in [key.public_der(), modulus.trim_matches('"').as_bytes(), b""] {
        refused(
            &world.gate,
            "HS256 with the public key",
            &good().sign_hs256(&key.kid, secret),
        )
        .await;
    }
}

#[tokio::test]
async fn the_signature_binds() {
    let world = World::start().await;
    let good = world.auth0.draft("auth0|1", &[]);
    let kid = world.auth0.key().kid;
    refused(
        &world.gate,
        "forged under our kid",
        &good.sign(&Key::nth(1).named(&kid)),
    )
    .await;
    let whole = world.auth0.sign(&good);
    let (text, _) = whole.rsplit_once('.').expect("three parts");
    refused(&world.gate, "no signature", &format!("{text}.")).await;
    let other = world.auth0.sign(&good.claim("sub", "auth0|2"));
    let signature = other.rsplit('.').next().expect("three parts");
    refused(
        &world.gate,
        "another's signature",
        &format!("{text}.{signature}"),
    )
    .await;
}

#[tokio::test]
async fn the_header_is_checked() {
    let world = World::start().await;
    let good = || world.auth0.draft("auth0|1", &[]);
    let tokens = [
        ("no kid", good().header("kid", json!(null))),
        ("kid a number", good().header("kid", 7)),
        ("unknown kid", good().header("kid", "who")),
        ("crit", good().header("crit", json!(["exp"]))),
        ("typ of a proof", good().header("typ", "dpop+jwt")),
        ("typ a number", good().header("typ", 7)),
    ];
    for (name, token) in tokens {
        refused(&world.gate, name, &world.auth0.sign(&token)).await;
    }
    let brought_along = good().header("jwk", Key::nth(1).jwk());
    refused(
        &world.gate,
        "jwk in the header",
        &brought_along.sign(&Key::nth(1)),
    )
    .await;
}

#[tokio::test]
async fn issuer_and_audience_are_compared_exactly() {
    let world = World::start().await;
    let (auth0, gate) = (&world.auth0, &world.gate);
    let good = auth0.draft("auth0|1", &[]);
    let bare = auth0.url().trim_end_matches('/').to_owned();
    refused(
        gate,
        "iss without its slash",
        &auth0.sign(&good.clone().claim("iss", bare)),
    )
    .await;
    refused(
        gate,
        "iss of another",
        &auth0.sign(&good.clone().claim("iss", "https://evil.test/")),
    )
    .await;
    refused(gate, "no iss", &auth0.sign(&good.clone().without("iss"))).await;
    refused(
        gate,
        "aud of another",
        &auth0.sign(&good.clone().claim("aud", "https://other.test")),
    )
    .await;
    refused(
        gate,
        "aud a prefix",
        &auth0.sign(&good.clone().claim("aud", "https://api.example.tes")),
    )
    .await;
    refused(gate, "no aud", &auth0.sign(&good.clone().without("aud"))).await;
    refused(
        gate,
        "aud empty",
        &auth0.sign(&good.clone().claim("aud", json!([]))),
    )
    .await;
}

#[tokio::test]
async fn an_id_token_is_not_an_access_token() {
    let world = World::start().await;
    let id = world
        .auth0
        .draft("auth0|1", &[])
        .claim("aud", "spa-client")
        .claim("nonce", "n-1")
        .without("permissions");
    refused(&world.gate, "ID token", &world.auth0.sign(&id)).await;
}

#[tokio::test]
async fn an_opaque_or_encrypted_token_is_told_that_the_audience_is_missing() {
    let world = World::start().await;
    let said = refused(&world.gate, "opaque", "a1B2c3D4e5F6g7H8i9J0kLmNoPqRsTuV").await;
    assert!(
        said.contains("audience") || said.contains("opaque"),
        "{said}"
    );
    // {"alg":"dir","enc":"A256GCM","iss":…} and no encrypted key, as Auth0 makes them without an audience.
    let jwe = "eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIn0..c29tZS1pdg.Y2lwaGVydGV4dA.dGFn";
    let said = refused(&world.gate, "encrypted", jwe).await;
    assert!(
        said.contains("audience") || said.contains("encrypted"),
        "{said}"
    );
}

#[tokio::test]
async fn a_token_in_disorder_is_refused() {
    let world = World::start().await;
    let good = world.auth0.token("auth0|1", &[]);
    for token in [
        "a.b",
        "a.b.c",
        "..",
        "a.b.c.d",
        &format!("{good}="),
        &format!("{good}."),
        &format!(".{good}"),
    ] {
        refused(&world.gate, token, token).await;
    }
}

#[tokio::test]
async fn a_token_outside_ascii_is_refused() {
    let world = World::start().await;
    let reply = world.gate.get_with_token("/me/x", "é.b.c").await;
    assert_eq!(reply.status, 401, "{}", reply.text());
}

#[tokio::test]
async fn the_scheme_is_bearer_in_any_letter_case_and_no_other() {
    let world = World::start().await;
    let token = world.auth0.token("auth0|1", &[]);
    for scheme in ["Bearer", "bearer", "BEARER", "bEaReR"] {
        let reply = world
            .gate
            .send(
                "GET",
                "/me/x",
                &[("Authorization", &format!("{scheme} {token}"))],
                "",
            )
            .await;
        assert_eq!(reply.status, 200, "{scheme}");
    }
    for value in [
        "Basic dXNlcjpwYXNz",
        &format!("Token {token}"),
        &format!("Bearer{token}"),
        &token,
        "Bearer",
        "Bearer ",
    ] {
        let reply = world
            .gate
            .send("GET", "/me/x", &[("Authorization", value)], "")
            .await;
        assert_eq!(reply.status, 401, "{value}");
    }
}

#[tokio::test]
async fn two_authorization_headers_or_two_schemes_are_refused() {
    let world = World::start().await;
    let bearer = format!("Bearer {}", world.auth0.token("auth0|1", &[]));
    let twice = [
        ("Authorization", bearer.as_str()),
        ("Authorization", bearer.as_str()),
    ];
    assert_eq!(
        world.gate.send("GET", "/me/x", &twice, "").await.status,
        401
    );
    let mixed = [
        ("Authorization", "Basic eDp5"),
        ("authorization", bearer.as_str()),
    ];
    assert_eq!(
        world.gate.send("GET", "/me/x", &mixed, "").await.status,
        401
    );
    let list = format!("{bearer}, Basic eDp5");
    assert_eq!(
        world
            .gate
            .send("GET", "/me/x", &[("Authorization", &list)], "")
            .await
            .status,
        401
    );
    assert_eq!(world.backend.counts().requests, 0);
}

#[tokio::test]
async fn a_token_of_more_than_16_kib_is_refused() {
    let world = World::start().await;
    let padded = |size: usize| {
        world
            .auth0
            .sign(&world.auth0.draft("u", &[]).claim("pad", "x".repeat(size)))
    };
    let fits = padded(10 * 1024);
    assert!(fits.len() < 16 * 1024, "{}", fits.len());
    accepted(&world.gate, "under the limit", &fits).await;
    let long = padded(13 * 1024);
    assert!(long.len() > 16 * 1024, "{}", long.len());
    refused(&world.gate, "over the limit", &long).await;
}

#[tokio::test]
async fn a_cached_token_ends_at_exp_plus_leeway() {
    let world = World::with(|setup| setup.auth0("leeway: 1s")).await;
    let token = world
        .auth0
        .sign(&world.auth0.draft("u", &[]).claim("exp", now() + 6));
    assert_eq!(world.gate.get_with_token("/me/x", &token).await.status, 200);
    let mut look = tokio::time::interval(std::time::Duration::from_millis(50));
    let ended = tokio::time::timeout(crate::support::raw::DEADLINE, async {
        while world.gate.get_with_token("/me/x", &token).await.status == 200 {
            look.tick().await;
        }
    });
    ended.await.expect("it ends");
    let said = description(&world.gate.get_with_token("/me/x", &token).await);
    assert!(said.contains("expired"), "{said}");
}

#[tokio::test]
async fn a_second_look_at_a_token_comes_from_the_cache() {
    let world = World::start().await;
    let token = world.auth0.token("u", &[]);
    for _ in 0..3 {
        assert_eq!(world.gate.get_with_token("/me/x", &token).await.status, 200);
    }
    assert!(
        world
            .gate
            .metric("tollgate_token_cache_hits_total", &[])
            .await
            >= 2.0
    );
    assert!(
        world
            .gate
            .metric("tollgate_token_cache_misses_total", &[])
            .await
            >= 1.0
    );
}

#[tokio::test]
async fn a_token_never_comes_from_the_query_or_the_body() {
    let world = World::start().await;
    let token = world.auth0.token("u", &[]);
    assert_eq!(
        world
            .gate
            .get(&format!("/me/x?access_token={token}"))
            .await
            .status,
        401
    );
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    let reply = world
        .gate
        .send_raw(request(
            "POST",
            "/me/x",
            &form,
            &format!("access_token={token}"),
        ))
        .await;
    assert_eq!(reply.expect("an answer").status, 401);
}

#[tokio::test]
async fn a_token_that_the_tenant_sold_is_accepted() {
    let world = World::start().await;
    world.auth0.add_user("ann", "auth0|ann", &["read:premium"]);
    let body =
        json!({ "grant_type": "password", "username": "ann", "password": "any" }).to_string();
    let mut wire = crate::support::raw::Wire::connect(world.auth0.address()).await;
    wire.send(request(
        "POST",
        "/oauth/token",
        &[("Content-Type", "application/json")],
        &body,
    ))
    .await;
    let sold = wire.reply().await.json();
    let reply = world
        .gate
        .get_with_token(
            "/premium",
            sold["access_token"].as_str().unwrap_or_default(),
        )
        .await;
    assert_eq!(reply.status, 200, "{}", reply.text());
}
