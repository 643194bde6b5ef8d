//! Claims that are there, but not as they should be: refused, never taken for absent (DESIGN.md, "Tokens").

use serde_json::json;

use super::tokens::refused;
use crate::gate::World;

#[tokio::test]
async fn a_claim_of_the_wrong_type_is_a_refusal_and_not_absent() {
    let world = World::start().await;
    let (auth0, gate) = (&world.auth0, &world.gate);
    let good = auth0.draft("auth0|1", &[]);
    let wrong = [
        ("sub", json!(null)),
        ("sub", json!(7)),
        ("sub", json!("")),
        ("sub", json!("a\u{e9}")),
        ("sub", json!("a\nb")),
        ("exp", json!("tomorrow")),
        ("exp", json!(null)),
        ("exp", json!([1])),
        ("exp", json!(-1)),
        ("exp", json!(1e300)),
        ("nbf", json!("now")),
        ("nbf", json!(null)),
        ("iat", json!("now")),
        ("iat", json!({})),
        ("iat", json!(1e300)),
        ("iss", json!([auth0.url()])),
        ("aud", json!(7)),
        ("aud", json!([7])),
        ("aud", json!({})),
        ("permissions", json!("read:x")),
        ("permissions", json!(null)),
        ("permissions", json!([7])),
        ("permissions", json!(["read x"])),
        ("permissions", json!(["r\u{e9}ad"])),
        ("permissions", json!([""])),
        ("permissions", json!(["a\r\nX-Auth-Subject: b"])),
        ("permissions", json!({"read:x": true})),
    ];
    for (name, value) in wrong {
        let token = auth0.sign(&good.clone().claim(name, value.clone()));
        refused(gate, &format!("{name}: {value}"), &token).await;
    }
}

#[tokio::test]
async fn a_duplicate_claim_is_a_refusal() {
    let world = World::start().await;
    let (auth0, gate) = (&world.auth0, &world.gate);
    let good = auth0.draft("auth0|1", &[]);
    let claims = good.claims();
    let inner = claims.trim_start_matches('{');
    for twice in [
        r#""sub":"auth0|admin""#,
        r#""permissions":["access:admin-panel"]"#,
        r#""exp":4000000000"#,
    ] {
        let token = auth0.sign(&good.clone().payload(&format!("{{{twice},{inner}")));
        refused(gate, twice, &token).await;
    }
}

#[tokio::test]
async fn a_payload_that_is_no_object_of_claims_is_refused() {
    let world = World::start().await;
    let good = world.auth0.draft("auth0|1", &[]);
    for payload in ["", "[]", "null", "{", "\"x\"", "\u{0}", "{} {}"] {
        let token = world.auth0.sign(&good.clone().payload(payload));
        refused(&world.gate, payload, &token).await;
    }
}
