//! What the command says and its exit status, where it is neither a plain yes nor a plain no.

use http::Method;
use serde_json::json;
use tollgate::store::{JobKey, Store as _};

use super::{binary, ledger, run, run_json, subscribe, subscribe_as, until};
use crate::gate::Setup;
use crate::shop::{ANN, BOB, Shop};
use crate::support::auth0::{Fault as Auth0Fault, Trouble};
use crate::support::stripe::{Fault, SECRET};

/// Writes the config anew, with `from` replaced.
fn rewrite(shop: &Shop, from: &str, to: &str) {
    let config = shop.gate.folder.path().join("tollgate.yaml");
    let text = std::fs::read_to_string(&config).expect("a config");
    assert!(text.contains(from), "{from}: {text}");
    std::fs::write(&config, text.replace(from, to)).expect("a config");
}

#[tokio::test]
async fn where_there_is_no_ledger_a_look_keeps_nothing_and_mending_makes_it() {
    let shop = Shop::open().await;
    subscribe(&shop, ANN);
    rewrite(&shop, "/ledger.db", "/another.db");
    let path = shop.gate.folder.path().join("another.db");
    let place = path.display().to_string();
    let told = run_json(&shop, &[]).await;
    assert_eq!(told.status, Some(1), "{}{}", told.out, told.err);
    assert_eq!(told.kinds(), json!({ ANN: "missing" }));
    let notes = told.json()["notes"].to_string();
    assert!(notes.contains(&place), "{notes}");
    assert!(notes.contains("--fix makes it"), "{notes}");
    assert!(!path.exists(), "a look makes nothing");
    let fix = run_json(&shop, &["--fix"]).await;
    assert_eq!(fix.status, Some(0), "{}{}", fix.out, fix.err);
    assert!(fix.json()["notes"].to_string().contains("it was made"));
    assert!(path.exists());
    assert_eq!(shop.auth0.roles_of(ANN), ["premium-monthly"]);
}

#[tokio::test]
async fn a_ledger_whose_name_means_another_one_in_another_folder_is_not_made_by_mending() {
    let shop = Shop::open().await;
    subscribe(&shop, ANN);
    let own = format!("sqlite://{}/ledger.db", shop.gate.folder.path().display());
    rewrite(&shop, &own, "sqlite://never-made-here.db");
    let notes = run_json(&shop, &[]).await.json()["notes"].to_string();
    assert!(
        notes.contains("`tollgate serve` makes it") && !notes.contains("--fix makes it"),
        "{notes}"
    );
    let fix = run(&shop, &["--fix"]).await;
    assert_eq!(fix.status, Some(1), "{}", fix.out);
    for part in ["/never-made-here.db", "`tollgate serve` makes it"] {
        assert!(fix.err.contains(part), "{part}: {}", fix.err);
    }
    assert!(!std::path::Path::new("never-made-here.db").exists());
    assert_eq!(shop.auth0.roles_of(ANN), ["free-user"]);
}

#[tokio::test]
async fn a_wrong_config_is_told_of_as_json_too_with_status_2() {
    let shop = Shop::open().await;
    rewrite(&shop, "default: deny", "default: deny\nnonsense: 1");
    let told = run_json(&shop, &[]).await;
    assert_eq!(told.status, Some(2));
    assert_eq!(told.json()["ok"], false);
    let errors = told.json()["errors"].to_string();
    assert!(errors.contains("nonsense"), "{errors}");
}

#[tokio::test]
async fn a_config_that_sells_nothing_is_status_2() {
    let shop = Shop::open().await;
    let folder = shop.gate.folder.path();
    let alone = Setup::new(&shop.auth0, &shop.backend.url()).yaml_in(folder);
    std::fs::write(folder.join("tollgate.yaml"), alone).expect("a config");
    let told = run_json(&shop, &[]).await;
    assert_eq!(told.status, Some(2), "{}{}", told.out, told.err);
    let error = told.json()["error"].to_string();
    assert!(error.contains("no `stripe` section"), "{error}");
}

#[tokio::test]
async fn the_signing_secret_may_be_missing() {
    let shop = Shop::open().await;
    let secret = format!("[{SECRET}]");
    rewrite(&shop, &secret, "[\"${TOLLGATE_TEST_NOT_SET_YET}\"]");
    let told = run(&shop, &[]).await;
    assert_eq!(told.status, Some(0), "{}{}", told.out, told.err);
}

#[tokio::test]
async fn the_help_names_each_exit_status() {
    let mut command = std::process::Command::new(binary());
    command.args(["reconcile", "--help"]);
    let output = tokio::task::spawn_blocking(move || command.output());
    let output = output.await.expect("a thread").expect("the binary runs");
    let help = String::from_utf8_lossy(&output.stdout);
    let words = help.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in ["Exit status: 0 when", "1 when", "2 when"] {
        assert!(words.contains(part), "{part}: {words}");
    }
}

#[tokio::test]
async fn whose_job_has_failed_and_is_tried_on_differs_all_the_same_and_is_mended_once_it_can_be() {
    let shop = Shop::open().await;
    let session = shop.checkout(ANN, "monthly").await;
    let away = Trouble::Instead(Auth0Fault::Status(503));
    shop.auth0
        .trouble(Method::POST, "/api/v2/users/*/roles", away);
    shop.stripe.pay(&session);
    let store = ledger(&shop).await;
    until("the job has failed", async || {
        let job = store.job(&JobKey::User(ANN.to_owned())).await;
        let job = job.expect("a ledger");
        job.is_some_and(|job| job.attempts > 0 && job.error.is_some())
    })
    .await;
    let told = run_json(&shop, &[]).await;
    let answer = told.json();
    assert_eq!(told.status, Some(1), "{answer}");
    assert_eq!(told.kinds(), json!({ ANN: "missing" }));
    let why = answer["drift"][0]["why"].to_string();
    assert!(why.contains("its job fails, and is tried on"), "{why}");
    let page = run(&shop, &[]).await;
    assert!(page.out.contains(ANN));
    assert!(!page.out.contains("Auth0 says what Stripe says"));
    // What failed before is no reason to give up.
    shop.auth0.mend_all();
    let fix = run_json(&shop, &["--fix"]).await;
    assert_eq!(fix.status, Some(0), "{}{}", fix.out, fix.err);
    assert_eq!(shop.auth0.roles_of(ANN), ["premium-monthly"]);
}

#[tokio::test]
async fn at_the_pace_of_a_free_tenant_all_are_mended() {
    let mut shop = Shop::open().await;
    let users: Vec<String> = (0..4).map(|n| format!("auth0|payer{n}")).collect();
    for user in &users {
        shop.auth0.create_user(user, "payer@example.test", true);
        subscribe(&shop, user);
    }
    shop.gate.signal("KILL");
    shop.gate.exit().await;
    shop.auth0.limit(2, 2.0);
    let fix = run_json(&shop, &["--fix"]).await;
    assert_eq!(fix.status, Some(0), "{}{}", fix.out, fix.err);
    for user in &users {
        assert_eq!(shop.auth0.roles_of(user), ["premium-monthly"], "{user}");
    }
}

#[tokio::test]
async fn a_list_that_there_is_not_is_told_of_with_status_1_and_costs_nobody_a_role() {
    let lists = ["customers", "checkout/sessions"];
    for (list, status) in lists.into_iter().zip([404, 405]).chain([(lists[0], 405)]) {
        let shop = Shop::open().await;
        shop.auth0.give_role(BOB, "premium-lifetime");
        shop.stripe
            .fault("GET", &format!("/v1/{list}"), Fault::status(status));
        let told = run_json(&shop, &["--fix"]).await;
        assert_eq!(told.status, Some(1), "{}{}", told.out, told.err);
        let notes = told.json()["notes"].to_string();
        assert!(
            notes.contains("are not to be listed"),
            "{list}: {}",
            told.out
        );
        assert_eq!(shop.auth0.roles_of(BOB), ["free-user", "premium-lifetime"]);
        shop.auth0.take_role(BOB, "premium-lifetime");
        let told = run_json(&shop, &[]).await;
        assert_eq!((told.status, told.kinds()), (Some(1), json!({})));
    }
}

#[tokio::test]
async fn what_keeps_the_command_from_the_jobs_is_told() {
    let mut shop = Shop::open().await;
    shop.gate.signal("TERM");
    shop.gate.exit().await;
    subscribe(&shop, ANN);
    let lock = shop.gate.folder.path().join("ledger.db.lock");
    std::fs::remove_file(&lock).expect("the claim");
    std::fs::create_dir(&lock).expect("a folder instead");
    let told = run(&shop, &["--fix"]).await;
    assert_eq!(told.status, Some(1), "{}", told.out);
    assert!(told.err.contains("ledger.db.lock"), "{}", told.err);
}

#[tokio::test]
async fn fix_is_named_only_where_it_can_mend_something() {
    let shop = Shop::open().await;
    subscribe_as(&shop, &json!({}));
    let told = run(&shop, &[]).await;
    assert!(told.out.contains("1 unmatched"), "{}", told.out);
    assert!(!told.out.contains("--fix mends"), "{}", told.out);
    subscribe(&shop, ANN);
    shop.auth0.delete_user(ANN);
    let told = run(&shop, &[]).await;
    assert!(told.out.contains("1 missing"), "{}", told.out);
    assert!(!told.out.contains("--fix mends"), "{}", told.out);
    subscribe(&shop, BOB);
    let told = run(&shop, &[]).await;
    assert!(told.out.contains("--fix mends"), "{}", told.out);
}

#[tokio::test]
async fn that_a_user_is_gone_is_said_once_also_after_the_job_was_given_up() {
    let shop = Shop::open().await;
    subscribe(&shop, ANN);
    shop.auth0.delete_user(ANN);
    assert_eq!(run(&shop, &["--fix"]).await.status, Some(1));
    let why = run_json(&shop, &[]).await.why(ANN);
    let said = why.matches("does not exist in Auth0 any more").count();
    assert_eq!(said, 1, "{why}");
    assert!(!why.contains("given up"), "{why}");
}

#[tokio::test]
async fn who_holds_any_of_two_roles_of_one_name_is_looked_at() {
    let shop = Shop::open().await;
    shop.auth0.create_user("auth0|cy", "cy@example.test", true);
    shop.auth0.give_role("auth0|cy", "admin");
    let role = |name: &str, as_if: &str| json!({ "id": shop.auth0.role_id(name), "name": as_if });
    let roles = [
        role("premium-lifetime", "premium-lifetime"),
        role("admin", "premium-lifetime"),
        role("free-user", "free-user"),
        role("premium-monthly", "Premium-Monthly"),
    ];
    let body = json!({ "roles": roles, "start": 0, "limit": 100, "total": roles.len() });
    let listed = Trouble::Instead(Auth0Fault::Body(body.to_string()));
    shop.auth0
        .trouble_times(1, Method::GET, "/api/v2/roles", listed);
    let told = run_json(&shop, &[]).await;
    let answer = told.json();
    assert_eq!(answer["looked_at"], 3, "{answer}");
    let notes = answer["notes"].to_string();
    assert!(notes.contains("no role named premium-monthly"), "{notes}");
}

#[tokio::test]
async fn a_look_in_the_background_that_could_not_read_everything_is_no_all_clear_and_says_why() {
    let shop = Shop::with(|setup| setup.section("reconcile: { every: 1s }")).await;
    let refused = Fault::status(400);
    shop.stripe.fault("GET", "/v1/checkout/sessions", refused);
    let is_partial = |event: &serde_json::Value| {
        let notes = event["reconcile.notes"].as_str().unwrap_or_default();
        notes.contains("checkouts are not to be listed")
    };
    let told = shop.gate.log.until("the notes", 1, is_partial).await;
    assert_eq!(told[0]["level"], "WARN", "{}", told[0]);
    let message = told[0]["message"].as_str().unwrap_or_default();
    assert!(
        !message.contains("Auth0 says what Stripe says"),
        "{message}"
    );
}
