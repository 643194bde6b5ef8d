//! The decision: a pure function of the requirement and the credential.
//!
//! A [`Permit`] can only be made here, and forwarding takes one by value: a request that was not decided on
//! cannot be forwarded.

use std::sync::Arc;

use super::principal::Principal;
use super::table::{Fallback, Found, Requirement};

/// What the request brought along to prove who sent it. `E` says what is wrong with a token.
#[derive(Clone, Debug)]
pub enum Credential<E> {
    /// No token, or one that this requirement does not ask for.
    None,
    /// A token that does not verify.
    Invalid(E),
    /// A token that verifies.
    Valid(Arc<Principal>),
}

/// Leave to forward one request.
#[derive(Debug)]
pub struct Permit {
    principal: Option<Arc<Principal>>,
    drop_authorization: bool,
    needed: bool,
}

impl Permit {
    /// Who the request speaks for; `None` is anonymous.
    #[must_use]
    pub fn principal(&self) -> Option<&Arc<Principal>> {
        self.principal.as_ref()
    }

    /// Who had to be known for this permit; a tunnel or event stream ends when that principal's token does.
    #[must_use]
    pub fn needed(&self) -> Option<&Principal> {
        self.principal.as_deref().filter(|_| self.needed)
    }

    /// Whether the upstream must not see `Authorization`: it held a token that does not verify.
    #[must_use]
    pub fn drop_authorization(&self) -> bool {
        self.drop_authorization
    }
}

/// Why a request is not forwarded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal<E> {
    /// No route names the path, and the default is to deny.
    Denied,
    /// A route names the path, none the method.
    MethodNotAllowed {
        /// Value of `Allow`.
        allow: String,
    },
    /// A token is needed, and there is none.
    NoToken,
    /// A token is needed, and this one does not verify.
    InvalidToken(E),
    /// The token verifies but does not hold what the route needs.
    Insufficient {
        /// All that is missing; one of these would do where `any` is set.
        missing: Vec<String>,
        /// Whether one of `missing` is enough.
        any: bool,
    },
}

/// Whether the request may be forwarded.
///
/// # Errors
///
/// A [`Refusal`] that says why not.
pub fn decide<E>(found: &Found<'_>, credential: Credential<E>) -> Result<Permit, Refusal<E>> {
    match *found {
        Found::Route { requirement, .. } | Found::Fallback(Fallback::Apply(requirement)) => {
            meet(requirement, credential)
        }
        Found::Fallback(Fallback::Deny) => Err(Refusal::Denied),
        Found::MethodNotAllowed { allow, .. } => Err(Refusal::MethodNotAllowed {
            allow: allow.to_owned(),
        }),
    }
}

/// Whether a browser's preflight may be forwarded to a backend that answers preflights itself: on every path that
/// may be asked for at all, because a preflight carries no token (the Fetch standard, section 3.2.2).
///
/// # Errors
///
/// [`Refusal::Denied`] for a path that is open to nobody.
pub fn decide_preflight<E>(found: &Found<'_>) -> Result<Permit, Refusal<E>> {
    match found {
        Found::Fallback(Fallback::Deny) => Err(Refusal::Denied),
        Found::Route { .. }
        | Found::MethodNotAllowed { .. }
        | Found::Fallback(Fallback::Apply(_)) => Ok(anonymous(true)),
    }
}

fn meet<E>(requirement: &Requirement, credential: Credential<E>) -> Result<Permit, Refusal<E>> {
    match requirement {
        Requirement::Public => Ok(anonymous(false)),
        Requirement::Optional => Ok(match credential {
            Credential::None => anonymous(false),
            Credential::Invalid(_) => anonymous(true),
            Credential::Valid(principal) => Permit {
                principal: Some(principal),
                drop_authorization: false,
                needed: false,
            },
        }),
        Requirement::Authenticated => principal(credential).map(permit),
        Requirement::AllOf(needed) => {
            let principal = principal(credential)?;
            let missing = absent(needed, &principal);
            if missing.is_empty() {
                Ok(permit(principal))
            } else {
                Err(Refusal::Insufficient {
                    missing,
                    any: false,
                })
            }
        }
        Requirement::AnyOf(needed) => {
            let principal = principal(credential)?;
            let missing = absent(needed, &principal);
            // An empty list can be met by nobody.
            if missing.len() < needed.len() {
                Ok(permit(principal))
            } else {
                Err(Refusal::Insufficient { missing, any: true })
            }
        }
    }
}

fn anonymous(drop_authorization: bool) -> Permit {
    Permit {
        principal: None,
        drop_authorization,
        needed: false,
    }
}

fn permit(principal: Arc<Principal>) -> Permit {
    Permit {
        principal: Some(principal),
        drop_authorization: false,
        needed: true,
    }
}

fn principal<E>(credential: Credential<E>) -> Result<Arc<Principal>, Refusal<E>> {
    match credential {
        Credential::None => Err(Refusal::NoToken),
        Credential::Invalid(error) => Err(Refusal::InvalidToken(error)),
        Credential::Valid(principal) => Ok(principal),
    }
}

fn absent(needed: &[String], principal: &Principal) -> Vec<String> {
    needed
        .iter()
        .filter(|name| !principal.permissions.contains(name))
        .cloned()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::Permissions;
    use super::*;

    type Outcome = Result<Permit, Refusal<&'static str>>;

    fn holding(permissions: &[&'static str]) -> Credential<&'static str> {
        Credential::Valid(Arc::new(Principal {
            subject: "auth0|1".into(),
            permissions: Permissions::new(permissions.iter().copied()),
            issued_at: None,
            expires_at: 0,
        }))
    }

    fn ask(requirement: &Requirement, credential: Credential<&'static str>) -> Outcome {
        decide(
            &Found::Fallback(&Fallback::Apply(requirement.clone())),
            credential,
        )
    }

    #[test]
    fn public_reads_no_token() {
        let permit = ask(&Requirement::Public, Credential::Invalid("bad")).unwrap();
        assert!(permit.principal().is_none() && !permit.drop_authorization());
    }

    #[test]
    fn optional_forwards_an_invalid_token_as_anonymous_without_authorization() {
        let permit = ask(&Requirement::Optional, Credential::Invalid("bad")).unwrap();
        assert!(permit.principal().is_none() && permit.drop_authorization());
        assert!(
            ask(&Requirement::Optional, holding(&[]))
                .unwrap()
                .principal()
                .is_some()
        );
        assert!(
            !ask(&Requirement::Optional, Credential::None)
                .unwrap()
                .drop_authorization()
        );
    }

    #[test]
    fn authenticated_needs_a_token_that_verifies() {
        assert_eq!(
            ask(&Requirement::Authenticated, Credential::None).unwrap_err(),
            Refusal::NoToken
        );
        assert_eq!(
            ask(&Requirement::Authenticated, Credential::Invalid("bad")).unwrap_err(),
            Refusal::InvalidToken("bad")
        );
        assert!(ask(&Requirement::Authenticated, holding(&[])).is_ok());
    }

    #[test]
    fn permissions_must_all_be_held() {
        let both = Requirement::AllOf(vec!["a".into(), "b".into()]);
        assert!(ask(&both, holding(&["b", "c", "a"])).is_ok());
        let missing = vec!["b".to_owned()];
        assert_eq!(
            ask(&both, holding(&["a", "ab"])).unwrap_err(),
            Refusal::Insufficient {
                missing,
                any: false
            }
        );
        assert_eq!(ask(&both, Credential::None).unwrap_err(), Refusal::NoToken);
    }

    #[test]
    fn any_permission_needs_one() {
        let either = Requirement::AnyOf(vec!["a".into(), "b".into()]);
        assert!(ask(&either, holding(&["b"])).is_ok());
        let missing = vec!["a".to_owned(), "b".to_owned()];
        assert_eq!(
            ask(&either, holding(&["c"])).unwrap_err(),
            Refusal::Insufficient { missing, any: true }
        );
        assert!(ask(&Requirement::AnyOf(vec![]), holding(&["a"])).is_err());
    }

    #[test]
    fn a_path_that_no_route_names_is_denied_with_or_without_a_token() {
        for credential in [
            Credential::None,
            Credential::Invalid("bad"),
            holding(&["a"]),
        ] {
            assert_eq!(
                decide(&Found::Fallback(&Fallback::Deny), credential).unwrap_err(),
                Refusal::Denied
            );
        }
    }
}
