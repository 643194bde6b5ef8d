//! What the frontend may know of the payments before anybody signs in.

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::Full;
use serde_json::{Map, Value, json};

use super::Endpoints;
use crate::entitlement::Catalog;
use crate::reply::json;

/// Plans that the frontend asks for by name, sold or not.
const ASKED_FOR: [&str; 2] = ["monthly", "lifetime"];

impl Endpoints {
    /// `GET /stripe/config`.
    pub(super) fn settings(&self) -> Response<Full<Bytes>> {
        let terms = self.parts.terms.load();
        let settings = settings(&self.config.publishable_key, &terms.catalog);
        json(StatusCode::OK, &settings)
    }
}

fn settings(publishable_key: &str, catalog: &Catalog) -> Map<String, Value> {
    let sold = |name: &str| {
        let plan = catalog.plan(name);
        plan.is_some_and(|plan| plan.sale.is_some())
    };
    let on_sale = catalog.plans().iter().filter(|plan| plan.sale.is_some());
    let names = on_sale.map(|plan| plan.name.as_str()).chain(ASKED_FOR);
    let mut settings: Map<String, Value> = names
        .map(|name| (format!("has_{name}_plan"), json!(sold(name))))
        .collect();
    let key = Some(publishable_key).filter(|key| !key.is_empty());
    settings.insert("publishable_key".into(), json!(key));
    settings.insert("enabled".into(), json!(key.is_some()));
    settings
}

#[cfg(test)]
mod tests {
    use super::super::testing::catalog;
    use super::*;

    #[test]
    fn it_says_what_is_sold_and_nothing_else() {
        let expected = json!({
            "publishable_key": "pk_test_1", "enabled": true, "has_monthly_plan": true, "has_lifetime_plan": true,
        });
        assert_eq!(Value::Object(settings("pk_test_1", &catalog())), expected);
        let expected = json!({
            "publishable_key": null, "enabled": false, "has_monthly_plan": false, "has_lifetime_plan": false,
        });
        assert_eq!(Value::Object(settings("", &Catalog::default())), expected);
    }
}
