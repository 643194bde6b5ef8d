//! The client of Auth0's Management API, against the stand-in tenant over real sockets.

mod broken;
mod lists;
mod pace;
mod patient;
mod setup;
mod token;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http::Method;
use serde_json::json;
use tollgate::auth0::{Client, Config, Error, Kind, Role};
use tollgate::clock::{Clock, SystemClock};
use tollgate::telemetry::Metrics;
use tollgate::types::Secret;

use crate::support::auth0::{Auth0, CLIENT_ID, CLIENT_SECRET};

/// Of one user; the pipe must arrive as `%7C`.
const ANN: &str = "auth0|ann";
const ROLES: &str = "/api/v2/users/*/roles";
const USERS: &str = "/api/v2/users/";

/// A tenant with one user and two roles, and a client of it.
struct Tenant {
    auth0: Auth0,
    client: Client,
    metrics: Arc<Metrics>,
}

fn config(auth0: &Auth0) -> Config {
    Config {
        url: auth0.url().to_owned(),
        client_id: CLIENT_ID.to_owned(),
        client_secret: Secret::new(CLIENT_SECRET.to_owned()),
        audience: format!("{}api/v2/", auth0.url()),
        timeout: Duration::from_secs(20),
        rate: "1000/s".parse().expect("a rate"),
    }
}

impl Tenant {
    fn start() -> Self {
        Self::with(|_| {}, SystemClock)
    }

    fn with(change: impl FnOnce(&mut Config), clock: impl Clock) -> Self {
        let auth0 = Auth0::start();
        auth0.create_user(ANN, "ann@example.test", true);
        auth0.create_role("premium", &["read:premium"]);
        auth0.create_role("premium-old", &[]);
        let metrics = Arc::new(Metrics::new().expect("metrics"));
        let mut config = config(&auth0);
        change(&mut config);
        let client = Client::new(config, Arc::new(clock), Arc::clone(&metrics));
        Self {
            auth0,
            client: client.expect("a client"),
            metrics,
        }
    }

    async fn role(&self, name: &str) -> Role {
        self.client.role(name).await.expect("a role")
    }

    /// Names of the roles that the API says the user has.
    async fn held(&self, user: &str) -> Vec<String> {
        let roles = self.client.roles_of(user).await.expect("roles");
        roles.into_iter().map(|role| role.name).collect()
    }

    /// How often a call was counted.
    fn counted(&self, endpoint: &str, status: &str) -> Option<u32> {
        let series = format!(
            "tollgate_auth0_requests_total{{endpoint=\"{endpoint}\",status=\"{status}\"}} "
        );
        let text = self.metrics.render(None);
        let line = text.lines().find_map(|line| line.strip_prefix(&series));
        line.and_then(|count| count.parse().ok())
    }
}

/// Why it failed.
fn kind<T>(result: Result<T, Error>) -> Option<Kind> {
    result.err().map(|error| error.kind)
}

/// Begins `future` and leaves it waiting until `there` holds.
async fn begin<T>(future: &mut Pin<Box<impl Future<Output = T>>>, there: impl Future<Output = ()>) {
    tokio::select! {
        biased;
        _ = future => panic!("it waits"),
        () = there => {}
    }
}

#[tokio::test]
async fn a_role_is_given_and_taken_and_the_pipe_of_the_id_is_encoded() {
    let tenant = Tenant::start();
    let premium = tenant.role("premium").await;
    for _ in 0..2 {
        tenant.client.add_role(ANN, &premium).await.expect("given");
    }
    assert_eq!(tenant.auth0.roles_of(ANN), ["premium"]);
    assert_eq!(tenant.held(ANN).await, ["premium"]);
    for _ in 0..2 {
        let taken = tenant.client.remove_role(ANN, &premium).await;
        taken.expect("taken");
    }
    assert_eq!(tenant.auth0.roles_of(ANN), [""; 0]);
    let seen = tenant.auth0.seen();
    let about_ann: Vec<_> = seen.iter().filter(|s| s.path.contains("ann")).collect();
    assert_eq!(about_ann.len(), 5);
    for seen in about_ann {
        assert_eq!(seen.path, "/api/v2/users/auth0%7Cann/roles");
        let changes = [Method::POST, Method::DELETE].contains(&seen.method);
        assert_eq!(changes, seen.body == json!({ "roles": [premium.id] }));
    }
    assert_eq!(tenant.counted("/users/{id}/roles", "204"), Some(4));
    assert_eq!(tenant.counted("/users/{id}/roles", "200"), Some(1));
    assert_eq!(tenant.counted("/oauth/token", "200"), Some(1));
}

#[tokio::test]
async fn an_id_cannot_lead_to_another_resource() {
    let tenant = Tenant::start();
    let premium = tenant.role("premium").await;
    let before = tenant.auth0.seen().len();
    for id in ["", ".", ".."] {
        assert_eq!(kind(tenant.client.roles_of(id).await), Some(Kind::NoUser));
        let added = tenant.client.add_role(id, &premium).await;
        assert_eq!(kind(added), Some(Kind::NoUser));
        assert_eq!(tenant.client.user(id).await.ok(), Some(None));
    }
    assert_eq!(tenant.auth0.seen().len(), before, "nothing was asked");
    let odd = "waad|a/../b?c=d#e%2F";
    tenant.auth0.create_user(odd, "odd@example.test", false);
    tenant.client.add_role(odd, &premium).await.expect("given");
    assert_eq!(tenant.auth0.roles_of(odd), ["premium"]);
}

#[tokio::test]
async fn metadata_is_merged_at_the_first_level_and_null_takes_a_key_away() {
    let tenant = Tenant::start();
    let theirs = json!({ "theme": "dark" });
    tenant
        .auth0
        .set_app_metadata(ANN, "settings", theirs.clone());
    let patch = json!({ "plan_type": "monthly", "role_assigned": "premium" });
    let patched = tenant.client.patch_app_metadata(ANN, &patch).await;
    patched.expect("patched");
    let patch = json!({ "plan_type": "free", "role_assigned": null });
    let patched = tenant.client.patch_app_metadata(ANN, &patch).await;
    patched.expect("patched");
    let expected = json!({ "settings": theirs, "plan_type": "free" });
    assert_eq!(json!(tenant.auth0.app_metadata(ANN)), expected);
}

#[tokio::test]
async fn a_user_is_read_with_whether_the_email_is_verified() {
    let tenant = Tenant::start();
    tenant
        .auth0
        .create_user("auth0|bob", "bob@example.test", false);
    for (id, email, verified) in [
        (ANN, "ann@example.test", true),
        ("auth0|bob", "bob@example.test", false),
    ] {
        let user = tenant.client.user(id).await.expect("an answer");
        let user = user.expect("a user");
        assert_eq!((user.id.as_str(), user.email_verified), (id, verified));
        assert_eq!(user.email.as_deref(), Some(email));
    }
}

#[tokio::test]
async fn a_user_deleted_in_auth0_is_told_from_everything_else() {
    let tenant = Tenant::start();
    let premium = tenant.role("premium").await;
    tenant.auth0.give_role(ANN, "premium");
    tenant.auth0.delete_user(ANN);
    let client = &tenant.client;
    assert_eq!(kind(client.roles_of(ANN).await), Some(Kind::NoUser));
    assert_eq!(
        kind(client.add_role(ANN, &premium).await),
        Some(Kind::NoUser)
    );
    assert_eq!(
        kind(client.remove_role(ANN, &premium).await),
        Some(Kind::NoUser)
    );
    let patched = client.patch_app_metadata(ANN, &json!({ "a": 1 })).await;
    assert!(patched.as_ref().is_err_and(|error| !error.is_retryable()));
    assert_eq!(kind(patched), Some(Kind::NoUser));
    assert_eq!(client.user(ANN).await.ok(), Some(None));
}

#[tokio::test]
async fn a_role_is_found_by_its_exact_name_and_remembered() {
    let tenant = Tenant::start();
    tenant.auth0.create_role("Premium", &[]);
    for _ in 0..3 {
        assert_eq!(tenant.role("premium").await.name, "premium");
    }
    assert_eq!(tenant.auth0.count(&Method::GET, "/api/v2/roles"), 1);
    // What is not there is looked for again.
    for _ in 0..2 {
        let missing = Some(Kind::NoRole("premi".to_owned()));
        assert_eq!(kind(tenant.client.role("premi").await), missing);
    }
    assert_eq!(tenant.auth0.count(&Method::GET, "/api/v2/roles"), 3);
    tenant.auth0.create_role("premi", &[]);
    assert_eq!(tenant.role("premi").await.name, "premi");
    let odd = "premium & more+100% ü";
    tenant.auth0.create_role(odd, &[]);
    assert_eq!(tenant.role(odd).await.name, odd);
    let asked = tenant.auth0.seen().pop().expect("a request").query;
    assert!(asked.contains("per_page=100&"), "{asked}");
    assert!(
        asked.ends_with("&name_filter=premium%20%26%20more%2B100%25%20%C3%BC"),
        "{asked}"
    );
}

#[tokio::test]
async fn a_role_made_anew_under_its_old_name_is_read_again() {
    let tenant = Tenant::start();
    let old = tenant.role("premium").await;
    tenant.auth0.delete_role("premium");
    let id = tenant.auth0.create_role("premium", &["read:premium"]);
    assert_ne!(old.id, id);
    tenant.client.add_role(ANN, &old).await.expect("given");
    assert_eq!(tenant.auth0.roles_of(ANN), ["premium"]);
    assert_eq!(tenant.role("premium").await.id, id);
}

#[tokio::test]
async fn a_role_deleted_in_auth0_is_missing_when_given_and_no_trouble_when_taken() {
    let tenant = Tenant::start();
    let premium = tenant.role("premium").await;
    tenant.auth0.delete_role("premium");
    let added = tenant.client.add_role(ANN, &premium).await;
    assert_eq!(kind(added), Some(Kind::NoRole("premium".to_owned())));
    let removed = tenant.client.remove_role(ANN, &premium).await;
    removed.expect("nobody holds it");
    let listed = tenant.client.members(&premium, None, 10).await;
    assert_eq!(kind(listed), Some(Kind::NoRole("premium".to_owned())));
}

#[tokio::test]
async fn a_missing_scope_is_named() {
    let tenant = Tenant::start();
    tenant.auth0.grant(&["read:roles", "read:users"]);
    let premium = tenant.role("premium").await;
    let added = tenant.client.add_role(ANN, &premium).await;
    let Err(error) = added else {
        panic!("refused");
    };
    assert!(matches!(error.kind, Kind::Scope(scopes) if scopes.contains("update:users")));
    assert!(error.is_retryable() && error.to_string().contains("update:users"));
    assert_eq!(tenant.auth0.count(&Method::POST, ROLES), 1);
}

#[tokio::test]
async fn a_user_with_as_many_roles_as_one_may_have_is_not_told_as_a_missing_role() {
    let tenant = Tenant::start();
    for n in 0..50 {
        let name = format!("role-{n:02}");
        tenant.auth0.create_role(&name, &[]);
        tenant.auth0.give_role(ANN, &name);
    }
    let premium = tenant.role("premium").await;
    let added = tenant.client.add_role(ANN, &premium).await;
    assert_eq!(kind(added), Some(Kind::Invalid(400)));
}
