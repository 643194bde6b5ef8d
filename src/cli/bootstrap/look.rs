//! Looks at what is there: reads alone.

use std::sync::Arc;
use std::time::Duration;

use super::mend::{Problem, of_auth0, of_list};
use super::plan::{Api, Present, PresentRole};
use super::stop::PATIENCE;
use super::wait::told;
use crate::cli::wanted::Wanted;
use crate::clock::SystemClock;
use crate::config::Billing;
use crate::telemetry::Metrics;
use crate::{auth0, stripe};

/// For so long one call to Auth0 is repeated while the tenant's rate limit is used up.
const CALL: Duration = Duration::from_secs(30);

/// Both sides.
pub(super) struct Clients {
    pub(super) auth0: auth0::Client,
    pub(super) stripe: stripe::Client,
}

impl Clients {
    pub(super) fn of(billing: &Billing) -> anyhow::Result<Self> {
        let metrics = Arc::new(Metrics::new()?);
        let clock = Arc::new(SystemClock);
        let auth0 = auth0::Client::new(billing.auth0.clone(), clock, Arc::clone(&metrics))?;
        Ok(Self {
            auth0: auth0.patient(CALL),
            stripe: stripe::Client::new(billing.stripe.clone(), metrics)?,
        })
    }
}

/// What is there, and what could not be seen; nothing when it takes too long.
pub(super) async fn look_in_time(wanted: &Wanted, clients: &Clients) -> (Present, Vec<Problem>) {
    let seen = tokio::time::timeout(PATIENCE, look(wanted, clients)).await;
    seen.unwrap_or_else(|_| {
        let unseen = |identifier: &String| (identifier.clone(), Api::Unseen);
        let present = Present {
            apis: wanted.apis.iter().map(unseen).collect(),
            roles: None,
            endpoints: None,
        };
        let error = "together they took too long to answer";
        let problem = Problem::new("Auth0 and Stripe", error, "run this again later");
        (present, vec![problem])
    })
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
            told(
                "Auth0",
                api(identifier, wanted, &clients.auth0, &mut problems),
            )
            .await
        } else {
            Api::Unseen
        };
        is_there = problems.last().is_none_or(|problem| !problem.is_everywhere);
        present.apis.push((identifier.clone(), api));
    }
    if is_there {
        present.roles = told("Auth0", roles(wanted, &clients.auth0, &mut problems)).await;
    }
    if wanted.webhook.is_some() {
        match told("Stripe", clients.stripe.webhook_endpoints()).await {
            Ok(endpoints) => present.endpoints = Some(endpoints),
            Err(error) => problems.push(of_list("the webhook endpoints".to_owned(), &error)),
        }
    }
    (present, problems)
}

async fn api(
    identifier: &str,
    wanted: &Wanted,
    auth0: &auth0::Client,
    problems: &mut Vec<Problem>,
) -> Api {
    match auth0.resource_server(identifier).await {
        Ok(Some(api)) => Api::There(api),
        Ok(None) => Api::Missing,
        Err(error) => {
            let problem = of_auth0(format!("API {identifier}"), &error);
            problems.push(with_roles(problem, wanted));
            Api::Unseen
        }
    }
}

/// Says too what roles are not given while the API cannot be seen.
fn with_roles(problem: Problem, wanted: &Wanted) -> Problem {
    let count: usize = wanted.roles.iter().map(|role| role.permissions.len()).sum();
    if count == 0 {
        return problem;
    }
    let mend = format!(
        "{}; until then nothing is done about the {count} permissions that roles are to give on it",
        problem.mend
    );
    Problem { mend, ..problem }
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
