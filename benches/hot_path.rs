//! What a request costs inside the process, step by step, and as a whole over loopback.
//!
//!     cargo bench --bench hot_path                 nanoseconds per operation
//!     cargo bench --bench hot_path -- token        those whose name holds `token`
//!     benches/instructions                         instructions per operation, by valgrind
//!
//! The whole gate is measured over real sockets, with a client and a backend that do as little as they can; both,
//! and the kernel, are in its time.
#![expect(clippy::expect_used, reason = "a benchmark that cannot be set up ends")]

#[path = "hot_path/measure.rs"]
mod measure;
#[path = "hot_path/stage.rs"]
mod stage;
#[expect(dead_code, reason = "the integration tests use the rest")]
#[path = "../tests/support/support.rs"]
mod support;

use std::hint::black_box;
use std::sync::Arc;

use futures_util::FutureExt as _;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue, Method};
use tollgate::auth::{LastToken, Outcome, TokenError, Verifier, bearer};
use tollgate::policy::{Credential, NormalPath, PathRules, Principal, decide};

use measure::Measure;
use stage::Stage;

/// The allocator of the product.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::io::Result<()> {
    let mut measure = Measure::from_arguments(std::env::args().skip(1));
    let stage = Stage::set();
    paths(&stage, &mut measure)?;
    tokens(&stage, &mut measure)?;
    decisions(&stage, &mut measure)?;
    whole(&stage, &mut measure)
}

fn paths(stage: &Stage, measure: &mut Measure) -> std::io::Result<()> {
    let rules = &stage.config.gate.paths;
    let plain =
        |rules: &PathRules| NormalPath::parse(black_box("/api/reports/2026"), rules).is_ok();
    measure.run("path: plain", || plain(rules))?;
    let encoded = |rules: &PathRules| {
        NormalPath::parse(black_box("/api/%72eports/./2026%20a"), rules).is_ok()
    };
    measure.run("path: encoded", || encoded(rules))?;
    let path = NormalPath::parse("/reports/2026", rules).expect("a good path");
    let table = &stage.config.gate.table;
    measure.run("route: look-up", || {
        table
            .find(black_box(&path), &Method::GET)
            .requirement()
            .is_some()
    })
}

fn tokens(stage: &Stage, measure: &mut Measure) -> std::io::Result<()> {
    let mut headers = HeaderMap::new();
    let value = HeaderValue::try_from(format!("Bearer {}", stage.token)).expect("a header");
    headers.insert(AUTHORIZATION, value);
    measure.run("token: read from the header", || {
        bearer(black_box(&headers)).is_ok()
    })?;
    let caching = stage.verifier(true);
    measure.run("token: verified, in the cache", || {
        principal(&caching, &stage.token)
    })?;
    let last = LastToken::default();
    measure.run("token: the one this connection sent last", || {
        matches!(
            caching
                .verify(black_box(&stage.token), &last)
                .now_or_never(),
            Some(Outcome::Verified(_))
        )
    })?;
    let forgetful = stage.verifier(false);
    measure.run("token: verified anew", || {
        principal(&forgetful, &stage.token)
    })?;
    measure.run("token: forged", || {
        matches!(
            verify(&forgetful, &stage.forged),
            Outcome::Refused(TokenError::Signature)
        )
    })
}

/// Its key is known, so nothing is waited for.
fn verify(verifier: &Verifier, token: &str) -> Outcome {
    verifier
        .verify(black_box(token), &LastToken::default())
        .now_or_never()
        .expect("no wait for a known key")
}

fn principal(verifier: &Verifier, token: &str) -> Arc<Principal> {
    match verify(verifier, token) {
        Outcome::Verified(principal) => Some(principal),
        Outcome::Refused(_) | Outcome::NotReady => None,
    }
    .expect("a good token")
}

fn decisions(stage: &Stage, measure: &mut Measure) -> std::io::Result<()> {
    let path = NormalPath::parse("/reports/2026", &stage.config.gate.paths).expect("a good path");
    let found = stage.config.gate.table.find(&path, &Method::GET);
    let principal = principal(&stage.verifier(true), &stage.token);
    measure.run("decision: permitted", || {
        decide::<TokenError>(black_box(&found), Credential::Valid(Arc::clone(&principal))).is_ok()
    })?;
    measure.run("decision: refused", || {
        decide::<TokenError>(black_box(&found), Credential::None).is_err()
    })
}

fn whole(stage: &Stage, measure: &mut Measure) -> std::io::Result<()> {
    for (name, target, token, status) in [
        ("gate: public route", "/health", None, "200"),
        (
            "gate: guarded route, token in the cache",
            "/api/reports/2026",
            Some(&stage.token),
            "200",
        ),
        (
            "gate: guarded route, no token",
            "/api/reports/2026",
            None,
            "401",
        ),
        (
            "gate: guarded route, forged token",
            "/api/reports/2026",
            Some(&stage.forged),
            "401",
        ),
    ] {
        let mut client = stage.client(target, token.map(String::as_str));
        measure.run(name, || assert_eq!(client.ask(), status, "{name}"))?;
    }
    Ok(())
}
