//! The key and Stripe's own words stay where they are.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::json;
use tollgate::stripe::{Client, Config};
use tollgate::telemetry::Metrics;
use tollgate::types::Secret;
use tracing_subscriber::fmt::MakeWriter;

use super::server::{KEY, Say, Stripe, ok, refused_with};

/// Every log line of this thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn neither_the_key_nor_stripes_words_are_logged_or_told_and_request_ids_are() {
    crate::sync::log::hear_every_thread();
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(log.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let good = ok(json!({ "id": "cus_1" }));
    let bad = [("request-id", "req_bad")];
    let script = vec![
        refused_with(500, &bad),
        good,
        refused_with(401, &bad),
        Say::Cut,
    ];
    let stripe = Stripe::saying(script);
    let (client, metrics) = stripe.patient(1, Duration::from_secs(5));
    client.customer("cus_1").await.expect("an answer");
    let refused = client.customer("cus_1").await.expect_err("an error");
    let cut = client.customer("cus_1").await.expect_err("an error");
    let log = log.text();
    assert!(log.contains("req_good") && log.contains("req_bad"), "{log}");
    let told = format!(
        "{refused} {refused:?} {cut} {cut:?} {}",
        metrics.render(None)
    );
    for text in [log, told] {
        assert!(
            !text.contains(KEY) && !text.contains("not for eyes"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn why_stripe_cannot_be_reached_is_logged_without_the_address() {
    crate::sync::log::hear_every_thread();
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(log.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let config = Config {
        // Nobody listens there.
        url: "http://127.0.0.1:1".to_owned(),
        secret_key: Secret::new(KEY.to_owned()),
        timeout: Duration::from_secs(5),
        retries: 0,
    };
    let metrics = Arc::new(Metrics::new().expect("metrics"));
    let client = Client::new(config, metrics).expect("a client");
    client.customer("cus_1").await.expect_err("an error");
    let log = log.text();
    let mut lines = log.lines();
    let line = lines.find(|line| line.contains("a request to Stripe failed"));
    let line = line.expect("the failure");
    assert!(line.contains("Connection refused"), "{line}");
    assert!(!line.contains("cus_1") && !line.contains(KEY), "{line}");
}

#[tokio::test]
async fn the_config_does_not_show_the_key_and_one_that_no_header_may_hold_is_refused() {
    let config = |key: &str| Config {
        url: "http://127.0.0.1:1".to_owned(),
        secret_key: Secret::new(key.to_owned()),
        timeout: Duration::from_secs(1),
        retries: 0,
    };
    assert!(!format!("{:?}", config(KEY)).contains(KEY));
    let metrics = Arc::new(Metrics::new().expect("metrics"));
    let broken = format!("{KEY}\n");
    let error = Client::new(config(&broken), metrics)
        .err()
        .expect("an error");
    assert!(!format!("{error} {error:?}").contains(KEY), "{error:?}");
}

#[tokio::test]
async fn requests_are_counted_by_path_template_and_never_by_id() {
    let stripe = Stripe::saying(vec![ok(json!({ "id": "cus_1" })), refused_with(401, &[])]);
    let (client, metrics) = stripe.patient(0, Duration::from_secs(5));
    client.customer("cus_1").await.expect("an answer");
    client.customer("cus_2").await.expect_err("an error");
    let text = metrics.render(None);
    for status in ["200", "401"] {
        let line = format!(
            r#"tollgate_stripe_requests_total{{endpoint="/v1/customers/{{id}}",status="{status}"}} 1"#
        );
        assert!(text.contains(&line), "{text}");
    }
    assert!(!text.contains("cus_"), "{text}");
}
