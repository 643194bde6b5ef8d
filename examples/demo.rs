//! The whole story on loopback, without any account: a stand-in Auth0, a small backend, Tollgate in front.
//!
//!     cargo run --release --example demo            walk through it, then stay up for your own requests
//!     cargo run --release --example demo -- --once  walk through it and end; the status says whether all was right
#![expect(
    clippy::expect_used,
    reason = "the stand-ins say why they cannot start, and end"
)]

#[path = "demo/page.rs"]
mod page;
#[path = "demo/stage.rs"]
mod stage;
#[path = "demo/story.rs"]
mod story;
#[expect(dead_code, reason = "the integration tests use the rest")]
#[path = "../tests/support/support.rs"]
mod support;

use std::process::ExitCode;

use page::Page;
use stage::Stage;

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let once = std::env::args()
        .skip(1)
        .any(|argument| argument == "--once");
    let stage = Stage::set().await?;
    let mut page = Page::new();
    story::tell(&stage, &mut page).await;
    if !once && page.all_right() {
        story::invite(&stage, &mut page);
        tokio::signal::ctrl_c().await?;
    }
    stage.clear().await?;
    Ok(if page.all_right() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
