//! The whole story on loopback, without any account: stand-ins for Auth0, Stripe and a backend, Tollgate between them.
//!
//!     cargo run --release --example demo             walk through it, then stay up for your own requests
//!     cargo run --release --example demo -- --once   walk through it and end; the status says whether all was right
//!     cargo run --release --example demo -- --empty  an empty tenant and an empty account, and the rest is yours to do
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
#[path = "demo/empty.rs"]
mod empty;
#[path = "demo/frontend.rs"]
mod frontend;
#[path = "demo/guard.rs"]
mod guard;
#[path = "demo/ledger.rs"]
mod ledger;
#[path = "demo/operator.rs"]
mod operator;
#[path = "demo/page.rs"]
mod page;
#[path = "demo/program.rs"]
mod program;
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

use page::Page;
use scene::Scene;
use stage::Stage;

fn main() -> anyhow::Result<ExitCode> {
    if program::is_called() {
        return Ok(program::run());
    }
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(demo())
}

async fn demo() -> anyhow::Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (mut page, mut stage) = (Page::new(), Stage::set()?);
    let is_right = match arguments.as_slice() {
        [] => story(stage, page, false).await?,
        [one] if one == "--once" => story(stage, page, true).await?,
        [one] if one == "--empty" => {
            empty::open(&mut stage, &mut page).await?;
            true
        }
        _ => {
            page.line("usage: demo [--once | --empty]");
            return Ok(ExitCode::from(2));
        }
    };
    Ok(if is_right {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Tells the whole story, and says whether all was right.
async fn story(stage: Stage, mut page: Page, once: bool) -> anyhow::Result<bool> {
    stage.introduce(&mut page);
    let ready = operator::set_up(&stage, &mut page).await;
    if ready.is_err() {
        page.end_part(ready);
        return Ok(false);
    }
    let mut scene = Scene::open(stage, page).await?;
    tell(&mut scene).await;
    let all_right = scene.page.all_right();
    if !once && all_right {
        console::invite(&mut scene).await?;
        console::stay(&mut scene.stage, &mut scene.page).await?;
    }
    scene.tollgate.end().await?;
    Ok(all_right)
}

/// Tells what happens once Tollgate runs. A part that cannot go on is wrong, and the next one is told all the same.
async fn tell(scene: &mut Scene) {
    let told = operator::look_again(scene).await;
    scene.page.end_part(told);
    let told = guard::tell(scene).await;
    scene.page.end_part(told);
    let told = buyer::tell(scene).await;
    scene.page.end_part(told);
    let told = trouble::tell(scene).await;
    scene.page.end_part(told);
    let told = operator::reconcile(scene).await;
    scene.page.end_part(told);
    let told = ledger::tell(scene).await;
    scene.page.end_part(told);
    scene.page.line(if scene.page.all_right() {
        "\nEvery answer was the expected one."
    } else {
        "\nSomething went wrong."
    });
}
