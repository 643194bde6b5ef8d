//! The stand-in's own rules about APIs, roles and tokens, so that what passes here passes at Auth0.

use http::StatusCode;
use serde_json::{Value, json};

use crate::auth0_client::ANN;
use crate::support::auth0::{AUDIENCE, Auth0, CLIENT_ID, CLIENT_SECRET};

/// What `token` holds, unchecked.
fn claims(token: &str) -> Value {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let payload = token.split('.').nth(1).expect("a JWT");
    let payload = URL_SAFE_NO_PAD.decode(payload).expect("base64");
    serde_json::from_slice(&payload).expect("JSON")
}

/// Someone who asks without our client.
struct Asker {
    auth0: Auth0,
    http: reqwest::Client,
    token: String,
}

impl Asker {
    async fn start(auth0: Auth0) -> Self {
        auth0.grant_setup();
        let http = reqwest::Client::builder().build().expect("a client");
        let body = json!({ "grant_type": "client_credentials", "client_id": CLIENT_ID,
                           "client_secret": CLIENT_SECRET, "audience": format!("{}api/v2/", auth0.url()) });
        let mut asker = Self {
            auth0,
            http,
            token: String::new(),
        };
        let (_, answer) = asker.ask("POST", "oauth/token", &body).await;
        answer["access_token"]
            .as_str()
            .expect("a token")
            .clone_into(&mut asker.token);
        asker
    }

    async fn ask(&self, method: &str, path: &str, body: &Value) -> (StatusCode, Value) {
        let url = format!("{}{path}", self.auth0.url());
        let method = method.parse().expect("a method");
        let mut request = self.http.request(method, url).bearer_auth(&self.token);
        if !body.is_null() {
            request = request
                .header("content-type", "application/json")
                .body(body.to_string());
        }
        let answer = request.send().await.expect("an answer");
        let status = answer.status();
        let text = answer.text().await.expect("a body");
        (status, serde_json::from_str(&text).unwrap_or_default())
    }

    async fn status(&self, method: &str, path: &str, body: Value) -> u16 {
        self.ask(method, path, &body).await.0.as_u16()
    }

    /// The path of the API that tokens are for.
    fn api(&self) -> String {
        let api = self.auth0.api(AUDIENCE);
        format!(
            "api/v2/resource-servers/{}",
            api["id"].as_str().expect("an id")
        )
    }
}

#[tokio::test]
async fn an_empty_tenant_has_an_api_without_rbac_or_permissions_and_no_roles() {
    let asker = Asker::start(Auth0::start_empty()).await;
    let api = asker.auth0.api(AUDIENCE);
    assert_eq!(api["enforce_policies"], false);
    assert_eq!(api["token_dialect"], "access_token");
    assert_eq!(api.get("scopes"), None);
    let (_, roles) = asker.ask("GET", "api/v2/roles", &Value::Null).await;
    assert_eq!(roles, json!([]));
}

#[tokio::test]
async fn tokens_list_permissions_only_with_rbac_and_the_dialect_for_it() {
    let auth0 = Auth0::start();
    auth0.create_user(ANN, "ann@example.test", true);
    auth0.create_role("premium", &["read:premium"]);
    auth0.give_role(ANN, "premium");
    let listed = json!(["read:premium"]);
    for (on, dialect, expected) in [
        (true, "access_token_authz", Some(&listed)),
        (true, "rfc9068_profile_authz", Some(&listed)),
        (true, "access_token", None),
        (false, "access_token_authz", None),
    ] {
        auth0.set_rbac(on, dialect);
        let token = claims(&auth0.token_for(ANN));
        assert_eq!(token.get("permissions"), expected, "{on} {dialect}");
    }
    auth0.set_rbac(true, "access_token_authz");
    auth0.take_permission("premium", "read:premium");
    assert_eq!(claims(&auth0.token_for(ANN))["permissions"], json!([]));
}

#[tokio::test]
async fn scopes_are_replaced_as_a_whole_and_roles_lose_those_that_went() {
    let auth0 = Auth0::start();
    auth0.create_role("premium", &["read:premium", "write:premium"]);
    let asker = Asker::start(auth0).await;
    let scopes =
        json!({ "scopes": [{ "value": "write:premium", "description": "W" }, { "value": "x" }] });
    let (status, api) = asker.ask("PATCH", &asker.api(), &scopes).await;
    assert_eq!(
        (status, &api["scopes"]),
        (StatusCode::OK, &scopes["scopes"])
    );
    assert_eq!(api["enforce_policies"], true);
    assert_eq!(asker.auth0.role_permissions("premium"), ["write:premium"]);
}

#[tokio::test]
async fn what_auth0_refuses_of_an_api_is_refused() {
    let asker = Asker::start(Auth0::start()).await;
    let path = asker.api();
    for body in [
        json!({}),
        json!({ "identifier": "urn:other" }),
        json!({ "token_dialect": "jwt" }),
        json!({ "enforce_policies": "true" }),
        json!({ "scopes": ["a"] }),
        json!({ "scopes": [{ "value": "a" }, { "value": "a" }] }),
        json!({ "scopes": [{ "value": "a", "more": 1 }] }),
        json!({ "scopes": [{ "value": "a b" }] }),
        json!({ "unknown": 1 }),
    ] {
        let (status, answer) = asker.ask("PATCH", &path, &body).await;
        assert_eq!(status, 400, "{body}");
        assert_eq!(
            (&answer["statusCode"], &answer["errorCode"]),
            (&json!(400), &json!("invalid_body"))
        );
    }
    let own = format!("{}api/v2/", asker.auth0.url());
    let own = asker.auth0.api(&own)["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let own = format!("api/v2/resource-servers/{own}");
    let on = json!({ "enforce_policies": true });
    assert_eq!(asker.status("PATCH", &own, on.clone()).await, 400);
    assert_eq!(
        asker
            .status("PATCH", "api/v2/resource-servers/none", on)
            .await,
        404
    );
    let apis = "api/v2/resource-servers";
    assert_eq!(
        asker.status("POST", apis, json!({ "name": "a" })).await,
        400
    );
    let same = json!({ "identifier": AUDIENCE });
    assert_eq!(asker.status("POST", apis, same).await, 409);
    let new = json!({ "identifier": "urn:a", "name": "A" });
    assert_eq!(asker.status("POST", apis, new).await, 201);
    assert_eq!(asker.auth0.api("urn:a")["enforce_policies"], false);
    let unknown = format!("{apis}?name=x");
    assert_eq!(asker.status("GET", &unknown, Value::Null).await, 400);
}

#[tokio::test]
async fn what_auth0_refuses_of_roles_and_their_permissions_is_refused() {
    let auth0 = Auth0::start();
    let id = auth0.create_role("premium", &["read:premium"]);
    let asker = Asker::start(auth0).await;
    let roles = "api/v2/roles";
    assert_eq!(
        asker
            .status("POST", roles, json!({ "name": "premium" }))
            .await,
        409
    );
    assert_eq!(
        asker.status("POST", roles, json!({ "name": "" })).await,
        400
    );
    assert_eq!(
        asker
            .status("POST", roles, json!({ "description": "a" }))
            .await,
        400
    );
    assert_eq!(
        asker
            .status("POST", roles, json!({ "name": "a", "description": "b" }))
            .await,
        200
    );

    let path = format!("{roles}/{id}/permissions");
    let one = |api: &str, name: &str| json!({ "permissions": [{ "resource_server_identifier": api, "permission_name": name }] });
    let good = one(AUDIENCE, "read:premium");
    for (body, expected) in [
        (good.clone(), 201),
        (json!({ "permissions": [] }), 400),
        (json!({ "permissions": ["read:premium"] }), 400),
        (one(AUDIENCE, "read:nothing"), 400),
        (one("urn:none", "read:premium"), 404),
        (
            one(&asker.auth0.api(AUDIENCE)["id"].to_string(), "read:premium"),
            404,
        ),
    ] {
        assert_eq!(
            asker.status("POST", &path, body.clone()).await,
            expected,
            "{body}"
        );
    }
    assert_eq!(asker.auth0.role_permissions("premium"), ["read:premium"]);
    assert_eq!(asker.status("DELETE", &path, good.clone()).await, 204);
    assert_eq!(asker.auth0.role_permissions("premium"), [""; 0]);
    let missing = format!("{roles}/rol_none/permissions");
    for method in ["POST", "DELETE"] {
        assert_eq!(asker.status(method, &missing, good.clone()).await, 404);
    }
}
