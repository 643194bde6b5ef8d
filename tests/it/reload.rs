//! A change of the file takes effect without dropping a connection (DESIGN.md, "Config").

use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::gate::{Certificate, Gate, Setup, World, launch, request};
use crate::shop::{ANN, Shop};
use crate::support::auth0::Auth0;
use crate::support::backend::Backend;
use crate::support::raw::DEADLINE;
use crate::support::stripe::PRICE_MONTHLY;

const SHUT: &str = "routes:\n  - { path: /pub/x, permissions: [some:thing] }\n";
const OPEN: &str = "routes:\n  - { path: /pub/x, access: public }\n";

/// How often a condition that nobody announces is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// Waits until `path` answers `status`.
async fn until_status(gate: &Gate, path: &str, status: u16) {
    let mut look = tokio::time::interval(LOOK);
    let reached = tokio::time::timeout(DEADLINE, async {
        while gate.get(path).await.status != status {
            look.tick().await;
        }
    });
    assert!(
        reached.await.is_ok(),
        "{path} never was {status}\n{}",
        gate.log.text()
    );
}

async fn start() -> (World, Setup) {
    let (auth0, backend) = (Auth0::start(), Backend::start());
    let setup = Setup::new(&auth0, &backend.url()).routes(OPEN);
    let gate = setup.clone().start().await;
    (
        World {
            auth0,
            backend,
            gate,
        },
        setup,
    )
}

#[tokio::test]
async fn sighup_reloads_the_routes_and_keeps_connections() {
    let (world, setup) = start().await;
    let mut wire = world.gate.wire().await;
    wire.send(request("GET", "/pub/x", &[], "")).await;
    assert_eq!(wire.reply().await.status, 200);
    world.gate.rewrite_config(&setup.routes(SHUT));
    world.gate.signal("HUP");
    world
        .gate
        .until_metric("tollgate_config_reloads_total", &[("result", "ok")], 1.0)
        .await;
    wire.send(request("GET", "/pub/x", &[], "")).await;
    assert_eq!(
        wire.reply().await.status,
        401,
        "the same connection, the new rule"
    );
}

#[tokio::test]
async fn a_change_of_the_file_is_noticed() {
    let (world, setup) = start().await;
    assert_eq!(world.gate.get("/pub/x").await.status, 200);
    world.gate.rewrite_config(&setup.routes(SHUT));
    until_status(&world.gate, "/pub/x", 401).await;
}

#[tokio::test]
async fn a_file_that_does_not_validate_keeps_the_running_config_and_is_counted() {
    let (world, setup) = start().await;
    world
        .gate
        .rewrite_config(&setup.clone().section("nonsense: 1").routes(SHUT));
    world.gate.signal("HUP");
    world
        .gate
        .until_metric("tollgate_config_reloads_total", &[("result", "error")], 1.0)
        .await;
    assert_eq!(world.gate.get("/pub/x").await.status, 200);
    let is_why = |event: &Value| event.to_string().contains("nonsense");
    world.gate.log.until("why", 1, is_why).await;
    world.gate.rewrite_config(&setup.routes(SHUT));
    until_status(&world.gate, "/pub/x", 401).await;
}

#[tokio::test]
async fn a_file_that_is_gone_keeps_the_running_config() {
    let (mut world, setup) = start().await;
    let file = world.gate.folder.path().join("tollgate.yaml");
    std::fs::remove_file(&file).expect("removed");
    world.gate.signal("HUP");
    world
        .gate
        .until_metric("tollgate_config_reloads_total", &[("result", "error")], 1.0)
        .await;
    assert!(world.gate.is_running());
    assert_eq!(world.gate.get("/pub/x").await.status, 200);
    world.gate.rewrite_config(&setup.routes(SHUT));
    until_status(&world.gate, "/pub/x", 401).await;
}

#[tokio::test]
async fn a_mounted_config_map_changes_by_a_symbolic_link() {
    let (auth0, backend) = (Auth0::start(), Backend::start());
    let setup = Setup::new(&auth0, &backend.url());
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path().to_owned();
    // As Kubernetes lays it out: tollgate.yaml -> ..data/tollgate.yaml, ..data -> ..VERSION
    let version = |name: &str, routes: &str| {
        std::fs::create_dir(root.join(name)).expect("a folder");
        std::fs::write(
            root.join(name).join("tollgate.yaml"),
            setup.clone().routes(routes).yaml_in(&root),
        )
        .expect("a file");
    };
    version("..one", OPEN);
    symlink("..one", root.join("..data")).expect("a link");
    symlink(
        Path::new("..data").join("tollgate.yaml"),
        root.join("tollgate.yaml"),
    )
    .expect("a link");
    let gate = launch(folder, &root.join("tollgate.yaml"), false).await;
    gate.until_readyz(200).await;
    assert_eq!(gate.get("/pub/x").await.status, 200);
    version("..two", SHUT);
    symlink("..two", root.join("..data_tmp")).expect("a link");
    std::fs::rename(root.join("..data_tmp"), root.join("..data")).expect("renamed");
    until_status(&gate, "/pub/x", 401).await;
}

#[tokio::test]
async fn certificates_are_reloaded() {
    let (old, new) = (Certificate::new(), Certificate::new());
    let world = World::with(|setup| setup.tls(&old)).await;
    let mut wire = crate::support::raw::Wire::over(world.gate.tls(&old, &[]).await.expect("TLS"));
    assert!(world.gate.tls(&new, &[]).await.is_err());
    let folder = world.gate.folder.path();
    std::fs::write(folder.join("tls.crt"), &new.chain).expect("written");
    std::fs::write(folder.join("tls.key"), &new.key).expect("written");
    world.gate.signal("HUP");
    world
        .gate
        .until_metric("tollgate_config_reloads_total", &[("result", "ok")], 1.0)
        .await;
    assert!(world.gate.tls(&new, &[]).await.is_ok());
    wire.send(request("GET", "/pub/x", &[], "")).await;
    assert_eq!(
        wire.reply().await.status,
        200,
        "the old connection lives on"
    );
}

#[tokio::test]
async fn a_change_of_the_certificate_alone_is_noticed() {
    let (old, new) = (Certificate::new(), Certificate::new());
    let world = World::with(|setup| setup.tls(&old)).await;
    let folder = world.gate.folder.path();
    std::fs::write(folder.join("tls.crt"), &new.chain).expect("written");
    std::fs::write(folder.join("tls.key"), &new.key).expect("written");
    let mut look = tokio::time::interval(LOOK);
    let reached = tokio::time::timeout(DEADLINE, async {
        while world.gate.tls(&new, &[]).await.is_err() {
            look.tick().await;
        }
    });
    let log = &world.gate.log;
    assert!(reached.await.is_ok(), "{}", log.text());
}

#[tokio::test]
async fn a_change_of_the_file_reloads_cors_and_rate_limits() {
    const ORIGIN: &str = "https://app.test";
    let (world, setup) = start().await;
    let open_to = async || {
        let origin = [("Origin", ORIGIN)];
        let reply = world.gate.send("GET", "/pub/x", &origin, "").await;
        let open = reply.header("access-control-allow-origin");
        (reply.status, open.map(str::to_owned))
    };
    for _ in 0..3 {
        assert_eq!(open_to().await, (200, None));
    }
    let cors = format!("cors: {{ allowed_origins: [\"{ORIGIN}\"] }}");
    let limits = "rate_limits:\n  - { path: /pub/x, per: client, rate: 1/h, burst: 1 }";
    world
        .gate
        .rewrite_config(&setup.clone().section(&cors).section(limits));
    until_status(&world.gate, "/pub/x", 429).await;
    assert_eq!(open_to().await, (429, Some(ORIGIN.to_owned())));
    world.gate.rewrite_config(&setup);
    until_status(&world.gate, "/pub/x", 200).await;
    for _ in 0..3 {
        assert_eq!(open_to().await, (200, None));
    }
}

#[tokio::test]
async fn a_reload_that_takes_tls_out_leaves_the_listener_and_its_certificate_until_the_next_start()
{
    let certificate = Certificate::new();
    let world = World::with(|setup| setup.tls(&certificate)).await;
    let plain = Setup::new(&world.auth0, &world.backend.url()).routes(SHUT);
    world.gate.rewrite_config(&plain);
    world.gate.signal("HUP");
    world
        .gate
        .until_metric("tollgate_config_reloads_total", &[("result", "ok")], 1.0)
        .await;
    let tls = world.gate.tls(&certificate, &[]).await;
    let mut wire = crate::support::raw::Wire::over(tls.expect("TLS"));
    wire.send(request("GET", "/pub/x", &[], "")).await;
    assert_eq!(wire.reply().await.status, 401, "the new rules count");
}

#[tokio::test]
async fn a_certificate_without_its_key_keeps_the_old_one() {
    let (old, new) = (Certificate::new(), Certificate::new());
    let world = World::with(|setup| setup.tls(&old)).await;
    std::fs::write(world.gate.folder.path().join("tls.crt"), &new.chain).expect("written");
    world.gate.signal("HUP");
    world
        .gate
        .until_metric("tollgate_config_reloads_total", &[("result", "error")], 1.0)
        .await;
    assert!(world.gate.tls(&old, &[]).await.is_ok());
}

#[tokio::test]
async fn a_reload_of_the_plans_looks_at_every_user_again() {
    let shop = Shop::open().await;
    shop.stripe.new_price("price_yearly", 9_900, true);
    let customer = shop
        .stripe
        .new_customer("a@b.test", &json!({ "auth0_user_id": ANN }));
    shop.stripe
        .create_subscription_by_hand(&customer, &["price_yearly"]);
    let oddity = [("kind", "price")];
    shop.gate
        .until_metric("tollgate_entitlement_oddities_total", &oddity, 1.0)
        .await;
    assert_eq!(shop.auth0.roles_of(ANN), ["free-user"], "no plan sells it");
    let file = shop.gate.folder.path().join("tollgate.yaml");
    let yaml = std::fs::read_to_string(&file).expect("the config");
    let both = format!("prices: [{PRICE_MONTHLY}, price_yearly]");
    let yaml = yaml.replace(&format!("price: {PRICE_MONTHLY}"), &both);
    std::fs::write(&file, yaml).expect("the config");
    shop.gate.signal("HUP");
    shop.auth0.until_roles(ANN, &["premium-monthly"]).await;
}

#[tokio::test]
async fn a_reload_that_drops_stripe_keeps_its_paths_and_its_refusals_until_the_restart() {
    let shop = Shop::open().await;
    let session = shop.buy(ANN, "lifetime").await;
    let premium = shop.token(ANN);
    shop.stripe.refund(&session);
    shop.until("/premium", &premium, 403).await;
    let file = shop.gate.folder.path().join("tollgate.yaml");
    let yaml = std::fs::read_to_string(&file).expect("the config");
    let (before, after) = yaml.split_once("stripe:\n").expect("the section");
    let routes = after.find("\ndefault:").expect("the routes");
    std::fs::write(&file, format!("{before}{}", &after[routes..])).expect("the config");
    shop.gate.signal("HUP");
    let reloaded = [("result", "ok")];
    shop.gate
        .until_metric("tollgate_config_reloads_total", &reloaded, 1.0)
        .await;
    assert_eq!(shop.get("/premium", &premium).await.status, 403);
    assert_eq!(shop.gate.get("/stripe/config").await.status, 200);
    assert_eq!(shop.gate.get("/stripe/debug").await.status, 404);
}
