//! The whole story on loopback, without any account: stand-ins for Auth0, Stripe and a backend, Tollgate between them.
//!
//!     cargo run --release --example demo            walk through it, then stay up for your own requests
//!     cargo run --release --example demo -- --once  walk through it and end; the status says whether all was right
//!
//! It reads commands from its terminal; in the background give it none: `< /dev/null &`.
#![expect(
    clippy::expect_used,
    reason = "the stand-ins say why they cannot start, and end"
)]

#[path = "demo/buyer.rs"]
mod buyer;
#[path = "demo/console.rs"]
mod console;
#[path = "demo/frontend.rs"]
mod frontend;
#[path = "demo/guard.rs"]
mod guard;
#[path = "demo/ledger.rs"]
mod ledger;
#[path = "demo/page.rs"]
mod page;
#[path = "demo/scene.rs"]
mod scene;
#[path = "demo/setup.rs"]
mod setup;
#[path = "demo/stage.rs"]
mod stage;
#[expect(dead_code, reason = "the integration tests use the rest")]
#[path = "../tests/support/support.rs"]
mod support;
#[path = "demo/trouble.rs"]
mod trouble;
#[path = "demo/web.rs"]
mod web;

use std::process::ExitCode;

use scene::Scene;

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let once = std::env::args()
        .skip(1)
        .any(|argument| argument == "--once");
    let mut scene = Scene::open().await?;
    tell(&mut scene).await;
    let all_right = scene.page.all_right();
    if !once && all_right {
        console::open(&mut scene).await?;
    }
    scene.stage.clear().await?;
    Ok(if all_right {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Tells the whole story. A part that cannot go on is wrong, and the next one is told all the same.
async fn tell(scene: &mut Scene) {
    let told = guard::tell(scene).await;
    scene.page.end_part(told);
    let told = buyer::tell(scene).await;
    scene.page.end_part(told);
    let told = trouble::tell(scene).await;
    scene.page.end_part(told);
    let told = ledger::tell(scene).await;
    scene.page.end_part(told);
    scene.page.line(if scene.page.all_right() {
        "\nEvery answer was the expected one."
    } else {
        "\nSomething went wrong."
    });
}
