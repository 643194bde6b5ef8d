//! The tenant's APIs, which Auth0 calls resource servers.

use std::time::Duration;

use http::Method;
use serde_json::{Map, Value, json};

use super::super::api::{Call, Endpoint};
use super::super::error::{Error, Kind};
use super::super::pages::List;
use super::super::read;
use super::{AUTHZ, Client, ResourceServer, make};

const API: Endpoint = Endpoint {
    method: Method::GET,
    name: "GET /resource-servers/{id}",
    scopes: "read:resource_servers",
};
const LIST: Endpoint = Endpoint {
    method: Method::GET,
    name: "GET /resource-servers",
    scopes: "read:resource_servers",
};
const CREATE: Endpoint = Endpoint {
    method: Method::POST,
    name: "POST /resource-servers",
    scopes: "create:resource_servers",
};
const UPDATE: Endpoint = Endpoint {
    method: Method::PATCH,
    name: "PATCH /resource-servers/{id}",
    scopes: "update:resource_servers",
};

/// Where they are.
const PATH: &str = "resource-servers";
/// An API may have a thousand permissions, about 100 bytes each: ten of these are a whole answer (1 MiB).
const PER_PAGE: usize = 10;

impl Client {
    /// The API with this identifier; `None` when there is none.
    ///
    /// # Errors
    ///
    /// See [`Kind`].
    pub async fn resource_server(&self, identifier: &str) -> Result<Option<ResourceServer>, Error> {
        // An identifier is an address as a rule, and not everything on the way lets its encoded slashes through.
        if let Some(found) = self.by_identifier(identifier).await? {
            return Ok(Some(found));
        }
        let item = |value: &Value| {
            if value["identifier"] == identifier {
                api(value, identifier).map(Some)
            } else {
                Some(None)
            }
        };
        let list = List::new(&LIST, PATH, "resource_servers", PER_PAGE);
        let apis = list.all(&self.api, item).await?;
        Ok(apis.into_iter().flatten().next())
    }

    /// Makes an API with these permissions; roles decide about them and its tokens list them. One that is there already
    /// is told as it is, which may be otherwise.
    ///
    /// # Errors
    ///
    /// See [`Kind`].
    pub async fn create_resource_server(
        &self,
        identifier: &str,
        name: &str,
        scopes: &[String],
    ) -> Result<ResourceServer, Error> {
        let scopes = scopes.iter().map(|scope| json!({ "value": scope }));
        let body = json!({
            "identifier": identifier,
            "name": name,
            "scopes": scopes.collect::<Vec<_>>(),
            "enforce_policies": true,
            "token_dialect": AUTHZ,
        });
        let call = Call::new(&CREATE, PATH).body(&body);
        // An answer without an id says nothing of what was made.
        let made = |answer: &Value| read::text(answer, "id").and_then(|_| api(answer, identifier));
        make::make(&self.api, &call, made, async || {
            self.resource_server(identifier).await
        })
        .await
    }

    /// Changes an API. `scopes` takes the place of all its permissions, so those that are there belong into it. `rbac`
    /// lets roles decide about permissions; `false` leaves that as it is, and so does `None` for the others.
    ///
    /// # Errors
    ///
    /// See [`Kind`].
    pub async fn update_resource_server(
        &self,
        id: &str,
        scopes: Option<&[(String, Option<String>)]>,
        rbac: bool,
        dialect: Option<&str>,
    ) -> Result<(), Error> {
        let mut body = Map::new();
        if let Some(scopes) = scopes {
            body.insert("scopes".into(), scopes.iter().map(written).collect());
        }
        if rbac {
            body.insert("enforce_policies".into(), true.into());
        }
        if let Some(dialect) = dialect {
            body.insert("token_dialect".into(), dialect.into());
        }
        if body.is_empty() {
            return Ok(());
        }
        let id = read::segment(id).ok_or_else(|| Error::new(Kind::Invalid(404), UPDATE.name))?;
        let (path, body) = (format!("{PATH}/{id}"), body.into());
        self.api
            .send(&Call::new(&UPDATE, &path).body(&body))
            .await?;
        Ok(())
    }

    /// The API, asked for by its identifier; `None` when it cannot be told that way.
    async fn by_identifier(&self, identifier: &str) -> Result<Option<ResourceServer>, Error> {
        let Some(id) = read::segment(identifier) else {
            return Ok(None);
        };
        let path = format!("{PATH}/{id}");
        let call = Call::new(&API, &path);
        match self.api.read(&call).await {
            Ok(answer) => {
                let found = api(&answer, identifier);
                Ok(found.filter(|found| found.identifier == identifier))
            }
            // 405 too: where an API can only be listed.
            Err(error) if matches!(error.kind, Kind::Invalid(_) | Kind::Unreadable) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// An API. All its permissions must be readable: what is not read would be lost when they are written.
fn api(value: &Value, identifier: &str) -> Option<ResourceServer> {
    value.as_object()?;
    let scopes = &value["scopes"];
    let scopes = if scopes.is_null() {
        Vec::new()
    } else {
        let list = scopes.as_array()?.iter();
        list.map(scope).collect::<Option<_>>()?
    };
    let identifier = read::text(value, "identifier").unwrap_or_else(|| identifier.to_owned());
    Some(ResourceServer {
        // Auth0 takes an identifier wherever it takes an id.
        id: read::text(value, "id").unwrap_or_else(|| identifier.clone()),
        identifier,
        scopes,
        enforce_policies: value["enforce_policies"] == true,
        token_dialect: read::text(value, "token_dialect"),
        signing_alg: read::text(value, "signing_alg"),
        token_lifetime: token_lifetime(value),
    })
}

/// The longer one of the two that an API has: tokens of some flows that end in a browser have their own.
fn token_lifetime(value: &Value) -> Option<Duration> {
    let names = ["token_lifetime", "token_lifetime_for_web"].into_iter();
    let seconds = names.filter_map(|name| value[name].as_u64()).max();
    seconds.map(Duration::from_secs)
}

fn scope(value: &Value) -> Option<(String, Option<String>)> {
    if let Some(name) = value.as_str() {
        return Some((name.to_owned(), None));
    }
    Some((
        read::text(value, "value")?,
        // An empty one too: it is written as it was read.
        value["description"].as_str().map(str::to_owned),
    ))
}

fn written((name, description): &(String, Option<String>)) -> Value {
    match description {
        Some(description) => json!({ "value": name, "description": description }),
        None => json!({ "value": name }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_api_is_read_with_what_is_there() {
        let bare = api(&json!({ "id": "1", "more": {} }), "https://a.test/").unwrap();
        assert_eq!(
            (bare.id.as_str(), bare.identifier.as_str()),
            ("1", "https://a.test/")
        );
        assert!(bare.scopes.is_empty() && !bare.enforce_policies && bare.token_dialect.is_none());
        let full = json!({
            "id": "1", "identifier": "b", "enforce_policies": true, "token_dialect": "access_token",
            "scopes": [{ "value": "x:y", "description": "Y" }, { "value": "z" }, "w"],
        });
        let full = api(&full, "a").unwrap();
        assert_eq!(
            (full.identifier.as_str(), full.enforce_policies),
            ("b", true)
        );
        let names: Vec<&str> = full.scopes.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["x:y", "z", "w"]);
        assert_eq!(full.scopes[0].1.as_deref(), Some("Y"));
    }

    #[test]
    fn how_tokens_are_signed_and_the_longer_of_both_lifetimes_are_read_where_they_are_told() {
        for (told, signed_with, seconds) in [
            (json!({}), None, None),
            (json!({ "signing_alg": "HS256" }), Some("HS256"), None),
            (json!({ "token_lifetime": 86_400 }), None, Some(86_400)),
            (
                json!({ "token_lifetime": 60, "token_lifetime_for_web": 7200 }),
                None,
                Some(7200),
            ),
            (
                json!({ "signing_alg": null, "token_lifetime": "long" }),
                None,
                None,
            ),
        ] {
            let api = api(&told, "a").unwrap();
            assert_eq!(api.signing_alg.as_deref(), signed_with, "{told}");
            let lifetime = seconds.map(Duration::from_secs);
            assert_eq!(api.token_lifetime, lifetime, "{told}");
        }
    }

    #[test]
    fn an_api_whose_permissions_cannot_all_be_read_is_not_read() {
        for scopes in [
            json!("x"),
            json!([7]),
            json!([{ "value": "" }]),
            json!([{ "name": "x" }]),
        ] {
            assert_eq!(
                api(&json!({ "id": "1", "scopes": scopes }), "a"),
                None,
                "{scopes}"
            );
        }
    }
}
