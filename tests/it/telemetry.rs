//! Metrics, the access log, and traces that pass through.

use serde_json::Value;

use crate::gate::World;
use crate::support::backend::Backend;
use crate::support::raw::Reply;

async fn all_kinds(world: &World) -> (Reply, String) {
    let token = world.auth0.token("auth0|7", &["read:premium"]);
    let permitted = world.gate.get_with_token("/premium", &token).await;
    world.gate.get("/premium").await;
    world.gate.get("/pub/some-path").await;
    world.gate.get("/nowhere/at/all").await;
    world.gate.get("/pub/a%2fb").await;
    (permitted, token)
}

#[tokio::test]
async fn requests_are_counted_by_pattern_method_status_and_decision() {
    let world = World::start().await;
    all_kinds(&world).await;
    let permit = [
        ("route", "/premium"),
        ("method", "GET"),
        ("status", "200"),
        ("decision", "permit"),
    ];
    world
        .gate
        .until_metric("tollgate_requests_total", &permit, 1.0)
        .await;
    let refuse = [
        ("route", "/premium"),
        ("method", "GET"),
        ("status", "401"),
        ("decision", "refuse"),
    ];
    world
        .gate
        .until_metric("tollgate_requests_total", &refuse, 1.0)
        .await;
    let public = [("route", "/pub/{*rest}"), ("status", "200")];
    world
        .gate
        .until_metric("tollgate_requests_total", &public, 1.0)
        .await;
    assert!((world.gate.metric("tollgate_requests_total", &public).await - 1.0).abs() < 0.1);
}

#[tokio::test]
async fn label_values_are_bounded() {
    let world = World::start().await;
    for n in 0..20 {
        world.gate.get(&format!("/pub/path-{n}")).await;
        world.gate.get(&format!("/nowhere-{n}")).await;
        world
            .gate
            .send(&format!("METHOD{n}"), "/pub/x", &[], "")
            .await;
    }
    let metrics = world.gate.metrics().await;
    for text in ["path-1", "nowhere-1", "METHOD1"] {
        assert!(!metrics.contains(text), "{text}\n{metrics}");
    }
}

#[tokio::test]
async fn the_metrics_of_the_gate_are_there() {
    let world = World::start().await;
    all_kinds(&world).await;
    let metrics = world.gate.metrics().await;
    for name in [
        "tollgate_requests_total",
        "tollgate_request_duration_seconds",
        "tollgate_upstream_duration_seconds",
        "tollgate_token_verifications_total",
        "tollgate_token_cache_hits_total",
        "tollgate_token_cache_misses_total",
        "tollgate_jwks_refresh_total",
        "tollgate_jwks_age_seconds",
    ] {
        assert!(
            metrics.contains(&format!("# HELP {name} ")),
            "{name}\n{metrics}"
        );
    }
    assert!(
        world
            .gate
            .metric("tollgate_jwks_refresh_total", &[("result", "ok")])
            .await
            >= 1.0
    );
}

#[tokio::test]
async fn each_request_leaves_one_line_in_the_access_log() {
    let world = World::start().await;
    let (_, token) = all_kinds(&world).await;
    world
        .gate
        .log
        .until("five requests", 5, |event| !event["request.id"].is_null())
        .await;
    // A second line of any of them would have come before that of a later request.
    world.gate.get("/pub/last").await;
    world
        .gate
        .log
        .until("the last", 1, |event| event["http.path"] == "/pub/last")
        .await;
    let lines = world.gate.access_log();
    assert_eq!(lines.len(), 6, "{lines:#?}");
    let text = world.gate.log.text();
    assert!(!text.contains(&token), "a token in the log");
    assert!(
        !text.contains(token.rsplit('.').next().unwrap_or_default()),
        "a signature in the log"
    );
    let told = |wanted: &str| {
        let whole: Vec<String> = lines.iter().map(Value::to_string).collect();
        assert!(
            whole.iter().any(|line| line.contains(wanted)),
            "{wanted}\n{text}"
        );
    };
    told("auth0|7");
    told("/pub/{*rest}");
    told("permit");
    told("refuse");
}

#[tokio::test]
async fn the_access_log_can_be_switched_off() {
    let mut world = World::with(|setup| setup.access_log(false)).await;
    world.gate.get("/pub/x").await;
    world.gate.get("/premium").await;
    world.gate.signal("TERM");
    assert_eq!(world.gate.exit().await.code(), Some(0));
    world
        .gate
        .log
        .until("its end", 1, |event| event["message"] == "stopped")
        .await;
    assert!(world.gate.access_log().is_empty());
}

#[tokio::test]
async fn a_query_is_not_logged_for_it_may_hold_a_secret() {
    let world = World::start().await;
    world.gate.get("/pub/x?code=very-secret").await;
    world.gate.get("/premium?code=very-secret").await;
    world
        .gate
        .log
        .until("two requests", 2, |event| !event["request.id"].is_null())
        .await;
    assert!(!world.gate.log.text().contains("very-secret"));
}

#[tokio::test]
async fn a_client_cannot_write_lines_into_the_log() {
    let world = World::start().await;
    let odd = [
        ("User-Agent", "a\u{1b}[31m\" , \"level\":\"ERROR"),
        ("Referer", "x\ty"),
    ];
    world
        .gate
        .send("GET", "/pub/%C2%85%E2%80%A8x", &odd, "")
        .await;
    world
        .gate
        .log
        .until("a request", 1, |event| !event["request.id"].is_null())
        .await;
    for line in world.gate.log.text().lines() {
        assert!(serde_json::from_str::<Value>(line).is_ok(), "{line}");
    }
}

#[tokio::test]
async fn traceparent_is_passed_on() {
    let world = World::start().await;
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    world
        .gate
        .send(
            "GET",
            "/pub/x",
            &[("traceparent", trace), ("tracestate", "a=b")],
            "",
        )
        .await;
    let seen = world.backend.last();
    let passed = seen.header("traceparent").unwrap_or_default();
    assert!(
        passed.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-"),
        "{passed}"
    );
    assert_eq!(seen.header("tracestate"), Some("a=b"));
}

#[tokio::test]
async fn traces_go_to_the_collector_by_the_end() {
    let collector = Backend::start();
    let otlp = format!(
        "telemetry: {{ otlp: {{ endpoint: \"{}\" }} }}",
        collector.url()
    );
    let mut world = World::with(|setup| setup.section(&otlp)).await;
    assert_eq!(world.gate.get("/pub/x").await.status, 200);
    let seen = world.backend.last();
    assert!(seen.header("traceparent").is_some(), "{seen:?}");
    world.gate.signal("TERM");
    assert_eq!(world.gate.exit().await.code(), Some(0));
    assert_eq!(collector.last().target, "/v1/traces");
}
