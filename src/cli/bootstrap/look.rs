//! Looks at what is there: reads alone.

use std::sync::Arc;

use super::mend::{Problem, of_auth0, of_stripe};
use super::plan::{Api, Present, PresentRole};
use crate::cli::wanted::Wanted;
use crate::clock::SystemClock;
use crate::config::Billing;
use crate::telemetry::Metrics;
use crate::{auth0, stripe};

/// Both sides.
pub(super) struct Clients {
    pub(super) auth0: auth0::Client,
    pub(super) stripe: stripe::Client,
}

impl Clients {
    pub(super) fn of(billing: &Billing) -> anyhow::Result<Self> {
        let metrics = Arc::new(Metrics::new()?);
        let clock = Arc::new(SystemClock);
        Ok(Self {
            auth0: auth0::Client::new(billing.auth0.clone(), clock, Arc::clone(&metrics))?,
            stripe: stripe::Client::new(billing.stripe.clone(), metrics)?,
        })
    }
}

/// What is there, and what could not be seen.
pub(super) async fn look(wanted: &Wanted, clients: &Clients) -> (Present, Vec<Problem>) {
    let mut problems = Vec::new();
    let mut present = Present {
        apis: Vec::new(),
        roles: None,
        endpoints: None,
    };
    let mut is_there = true;
    for identifier in &wanted.apis {
        let api = if is_there {
            api(identifier, &clients.auth0, &mut problems).await
        } else {
            Api::Unseen
        };
        is_there = problems.last().is_none_or(|problem| !problem.is_everywhere);
        present.apis.push((identifier.clone(), api));
    }
    if is_there {
        present.roles = roles(wanted, &clients.auth0, &mut problems).await;
    }
    if wanted.webhook.is_some() {
        match clients.stripe.webhook_endpoints().await {
            Ok(endpoints) => present.endpoints = Some(endpoints),
            Err(error) => problems.push(of_stripe("the webhook endpoints".to_owned(), &error)),
        }
    }
    (present, problems)
}

async fn api(identifier: &str, auth0: &auth0::Client, problems: &mut Vec<Problem>) -> Api {
    match auth0.resource_server(identifier).await {
        Ok(Some(api)) => Api::There(api),
        Ok(None) => Api::Missing,
        Err(error) => {
            problems.push(of_auth0(format!("API {identifier}"), &error));
            Api::Unseen
        }
    }
}

/// The wanted roles that are there, each with what it permits.
async fn roles(
    wanted: &Wanted,
    auth0: &auth0::Client,
    problems: &mut Vec<Problem>,
) -> Option<Vec<PresentRole>> {
    let all = match auth0.all_roles().await {
        Ok(all) => all,
        Err(error) => {
            problems.push(of_auth0("the roles".to_owned(), &error));
            return None;
        }
    };
    let mut there = Vec::new();
    let is_wanted = |role: &auth0::Role| wanted.roles.iter().any(|one| one.name == role.name);
    for role in all.into_iter().filter(is_wanted) {
        let permissions = match auth0.permissions_of(&role).await {
            Ok(permissions) => Some(permissions),
            Err(error) => {
                let what = format!("the permissions of role {}", role.name);
                problems.push(of_auth0(what, &error));
                None
            }
        };
        there.push(PresentRole { role, permissions });
    }
    Some(there)
}
