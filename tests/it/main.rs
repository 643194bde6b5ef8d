//! Black-box tests: the real binary between a stand-in Auth0 and a stand-in backend, on loopback.
#![expect(
    clippy::expect_used,
    reason = "a test that cannot go on says why and fails"
)]

#[path = "../support/support.rs"]
mod support;

mod architecture;
mod auth0_client;
mod bodies;
mod bootstrap;
mod claims;
mod commands;
mod config;
mod connection_tokens;
mod console;
mod cors;
mod doctor;
mod endpoints;
mod errors;
mod events_command;
mod fleet;
mod frames;
mod framing;
mod gate;
mod headers;
mod hostile;
mod http2;
mod http2_upstream;
mod jwks;
mod killed;
mod lifecycle;
mod limits;
mod operator;
mod overlay;
mod packaging;
mod parked;
mod paths;
mod places;
mod rate_limits;
mod reconcile;
mod reload;
mod routes;
mod schedules;
mod shop;
mod store;
mod stripe_client;
mod stripe_standin;
mod sync;
mod telemetry;
mod terms;
mod tokens;
mod tunnels;
mod upstream;
mod websockets;
