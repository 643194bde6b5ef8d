//! What becomes of one request, worked out without sending it. `check`, `explain` and the console ask.

use std::sync::Arc;

use http::{Method, StatusCode};

use super::Config;
use super::intercept::{Claim, claim};
use crate::policy::{
    Credential, Fallback, Found, NormalPath, PathError, Permissions, Principal, Refusal,
    Requirement, decide,
};

/// What becomes of a request, and why.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// The path that is matched; `None` when it is refused before.
    pub path: Option<String>,
    /// What answers for the path.
    pub matched: Matched,
    /// What it asks for, where a route or the default says so.
    pub requirement: Option<Requirement>,
    /// The status of the refusal; `None` is let through.
    pub refused: Option<StatusCode>,
    /// One sentence.
    pub why: String,
    /// Permissions that are missing.
    pub missing: Vec<String>,
    /// Plans on sale that bring them.
    pub upgrade: Vec<String>,
}

/// What answers for a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Matched {
    /// Nothing: the path is refused.
    Nothing,
    /// Tollgate itself.
    Tollgate,
    /// A route, by its index in the table.
    Route(usize),
    /// The default.
    Default,
}

impl Verdict {
    /// What answers for the path, in words, and its line, given the line of each route of the table.
    #[must_use]
    pub fn route(&self, config: &Config, lines: &[usize]) -> (String, Option<usize>) {
        match self.matched {
            Matched::Nothing => ("none: it is refused before routing".to_owned(), None),
            Matched::Tollgate => (
                "Tollgate itself, since the file has a `stripe` section".to_owned(),
                None,
            ),
            Matched::Route(index) => {
                let route = config.table.routes().get(index);
                let pattern = route.map(|route| route.pattern.to_string());
                (pattern.unwrap_or_default(), lines.get(index).copied())
            }
            Matched::Default => (
                format!("none; `default: {}`", config.table.fallback()),
                None,
            ),
        }
    }
}

/// The credential of a made-up user who holds `permissions`.
#[must_use]
pub fn made_up(permissions: &[String]) -> Credential<String> {
    Credential::Valid(Arc::new(Principal {
        subject: "a signed-in user".into(),
        permissions: Permissions::new(permissions.iter().map(String::as_str)),
        issued_at: None,
        expires_at: i64::MAX,
    }))
}

/// The method that `text` names, in whichever letter case.
///
/// # Errors
///
/// One sentence.
pub fn parse_method(text: &str) -> Result<Method, String> {
    let upper = text.to_ascii_uppercase();
    Method::from_bytes(upper.as_bytes())
        .map_err(|_| format!("`{text}` is no method: write GET, POST, …"))
}

/// Says no to the first of `names` that can be no permission.
///
/// # Errors
///
/// One sentence.
pub fn check_permissions(names: &[String]) -> Result<(), String> {
    let is_permission =
        |name: &String| !name.is_empty() && name.chars().all(|c| c.is_ascii_graphic());
    match names.iter().find(|name| !is_permission(name)) {
        None => Ok(()),
        Some(name) => Err(format!(
            "`{name}` is no permission: write visible ASCII without spaces, commas between"
        )),
    }
}

/// What becomes of `method` and `target`, a path with or without a query, sent with `credential`.
#[must_use]
pub fn verdict(
    config: &Config,
    method: &Method,
    target: &str,
    credential: Credential<String>,
) -> Verdict {
    if *method == Method::CONNECT {
        return connect();
    }
    // The query never takes part.
    let raw = target.split_once('?').map_or(target, |(path, _)| path);
    let path = match NormalPath::parse(raw, &config.paths) {
        Ok(path) => path,
        Err(error) => return bad_path(error),
    };
    let mut verdict = match claim(&path, method) {
        claimed if config.billing && claimed != Claim::None => own(claimed, credential),
        _ => routed(config, method, &path, credential),
    };
    verdict.path = Some(path.as_str().to_owned());
    verdict.upgrade = match (verdict.missing.as_slice(), &verdict.requirement) {
        ([], _) => Vec::new(),
        (missing, Some(Requirement::AnyOf(_))) => config.catalog.sold_with_any(missing),
        (missing, _) => config.catalog.sold_with(missing),
    };
    verdict
}

/// No route is asked: this is no forward proxy.
fn connect() -> Verdict {
    Verdict {
        path: None,
        matched: Matched::Nothing,
        requirement: None,
        refused: Some(StatusCode::METHOD_NOT_ALLOWED),
        why: "CONNECT is not supported".to_owned(),
        missing: Vec::new(),
        upgrade: Vec::new(),
    }
}

fn bad_path(error: PathError) -> Verdict {
    Verdict {
        path: None,
        matched: Matched::Nothing,
        requirement: None,
        refused: Some(StatusCode::BAD_REQUEST),
        why: error.to_string(),
        missing: Vec::new(),
        upgrade: Vec::new(),
    }
}

fn routed(
    config: &Config,
    method: &Method,
    path: &NormalPath<'_>,
    credential: Credential<String>,
) -> Verdict {
    let found = config.table.find(path, method);
    let (matched, requirement) = match found {
        Found::Route { index, requirement } => (Matched::Route(index), Some(requirement.clone())),
        Found::MethodNotAllowed { index, .. } => (Matched::Route(index), None),
        Found::Fallback(Fallback::Apply(requirement)) => {
            (Matched::Default, Some(requirement.clone()))
        }
        Found::Fallback(Fallback::Deny) => (Matched::Default, None),
    };
    decided(matched, requirement, &found, credential)
}

/// One of Tollgate's own paths. None of them is ever forwarded, in whichever spelling.
fn own(claimed: Claim, credential: Credential<String>) -> Verdict {
    let endpoint = match claimed {
        Claim::Endpoint(endpoint) => endpoint,
        Claim::WrongMethod(endpoint) => {
            let why = format!("this endpoint takes {} alone", endpoint.allow());
            return answered(Some(StatusCode::METHOD_NOT_ALLOWED), &why);
        }
        Claim::Unknown | Claim::None => {
            let why = "Tollgate has no such endpoint, and forwards none below /stripe/";
            return answered(Some(StatusCode::NOT_FOUND), why);
        }
    };
    let Some(requirement) = endpoint.requirement.clone() else {
        return answered(None, "Tollgate answers it, if Stripe's signature verifies");
    };
    let fallback = Fallback::Apply(requirement.clone());
    let mut verdict = decided(
        Matched::Tollgate,
        Some(requirement),
        &Found::Fallback(&fallback),
        credential,
    );
    if verdict.refused.is_none() {
        "Tollgate answers it itself".clone_into(&mut verdict.why);
    }
    verdict
}

fn answered(refused: Option<StatusCode>, why: &str) -> Verdict {
    Verdict {
        path: None,
        matched: Matched::Tollgate,
        requirement: None,
        refused,
        why: why.to_owned(),
        missing: Vec::new(),
        upgrade: Vec::new(),
    }
}

fn decided(
    matched: Matched,
    requirement: Option<Requirement>,
    found: &Found<'_>,
    credential: Credential<String>,
) -> Verdict {
    let (refused, why, missing) = match decide(found, credential) {
        Ok(permit) => (None, permitted(&permit), Vec::new()),
        Err(refusal) => refused(refusal),
    };
    Verdict {
        path: None,
        matched,
        requirement,
        refused,
        why,
        missing,
        upgrade: Vec::new(),
    }
}

fn permitted(permit: &crate::policy::Permit) -> String {
    match permit.principal() {
        Some(principal) => format!("forwarded as {}", principal.subject),
        None if permit.drop_authorization() => {
            "forwarded as anonymous, without the token, which does not verify".to_owned()
        }
        None => "forwarded as anonymous".to_owned(),
    }
}

fn refused(refusal: Refusal<String>) -> (Option<StatusCode>, String, Vec<String>) {
    let (status, why, missing) = match refusal {
        Refusal::Denied => (
            StatusCode::FORBIDDEN,
            "no route names this path, and the default is to deny".to_owned(),
            Vec::new(),
        ),
        Refusal::MethodNotAllowed { allow } => (
            StatusCode::METHOD_NOT_ALLOWED,
            format!("the route names the path, but only for {allow}"),
            Vec::new(),
        ),
        Refusal::NoToken => (
            StatusCode::UNAUTHORIZED,
            "a token is needed, and there is none".to_owned(),
            Vec::new(),
        ),
        Refusal::InvalidToken(error) => (StatusCode::UNAUTHORIZED, error, Vec::new()),
        Refusal::Insufficient { missing, any } => {
            let which = if any { "one of " } else { "" };
            (
                StatusCode::FORBIDDEN,
                format!("the token lacks {which}{}", missing.join(", ")),
                missing,
            )
        }
    };
    (Some(status), why, missing)
}
