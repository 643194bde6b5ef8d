//! `cors`, `rate_limits`, `default`, `routes` and `tests`.

use std::time::Duration;

use http::{HeaderName, Method};

use crate::config::read::{List, OneOrMany};
use crate::config::section::{default, optional, required, section};
use crate::config::test_case::Expect;
use crate::config::values::{AllowedHeader, Origin, Permission};
use crate::config::within::Within;
use crate::config::words::choice;
use crate::gate::Per;
use crate::policy::{Pattern, Requirement};
use crate::types::Rate;

section! {
    /// Cross-origin requests.
    Cors {
        /// Origins that may read answers, `https://app.example.com`, or `*`.
        allowed_origins: OneOrMany<Origin> = required(),
        /// Whether cookies and `Authorization` may be sent along.
        allow_credentials: bool = default("false"),
        /// Request headers allowed; `*` for whichever are asked for.
        allowed_headers: OneOrMany<AllowedHeader> = default("[\"*\"]"),
        /// Methods allowed.
        allowed_methods: OneOrMany<Method> = default("[GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS]"),
        /// Response headers that a page may read.
        exposed_headers: List<HeaderName> = default("[]"),
        /// How long a browser may remember the answer to a preflight.
        max_age: Duration = default("10m"),
    }
}

section! {
    /// One rate limit.
    RateLimit {
        /// Paths it counts.
        path: Pattern = required(),
        /// What is counted by itself.
        per: Per = required(),
        /// How fast the bucket fills.
        rate: Rate = required(),
        /// How many may come at once; without it as many as the rate says.
        burst: Within<u32, 0, 1_000_000> = optional(),
        /// Paths it does not count.
        except: List<Pattern> = default("[]"),
    }
}

section! {
    /// One route: a path, and exactly one of `access`, `permissions` and `any_permission`.
    Route {
        /// `/reports/{id}` names one segment, `/admin/{*rest}` everything below `/admin` and itself.
        path: Pattern = required(),
        /// Methods; without it all. `HEAD` follows `GET`.
        methods: OneOrMany<Method> = optional(),
        /// `public`, `optional` (a valid token is passed on as an identity) or `authenticated`.
        access: Access = optional(),
        /// A token that holds all of these.
        permissions: OneOrMany<Permission> = optional(),
        /// A token that holds one of these.
        any_permission: OneOrMany<Permission> = optional(),
    }
    one of access | permissions | any_permission
}

section! {
    /// A request, and what must become of it.
    Test {
        /// Its method.
        method: Method = default("GET"),
        /// Its path, as a client would send it, base path included.
        path: String = required(),
        /// What its token holds; `[]` is a token without any, no key no token.
        permissions: List<Permission> = optional(),
        /// `allow`, or the status of the refusal.
        expect: Expect = required(),
    }
}

/// The word of a route's `access`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Public,
    Optional,
    Authenticated,
}

impl From<Access> for Requirement {
    fn from(access: Access) -> Self {
        match access {
            Access::Public => Self::Public,
            Access::Optional => Self::Optional,
            Access::Authenticated => Self::Authenticated,
        }
    }
}

choice!(Access {
    "public" => Access::Public,
    "optional" => Access::Optional,
    "authenticated" => Access::Authenticated,
});

/// The word of `default`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DefaultAccess {
    Deny,
    Access(Access),
}

choice!(DefaultAccess {
    "deny" => DefaultAccess::Deny,
    "public" => DefaultAccess::Access(Access::Public),
    "optional" => DefaultAccess::Access(Access::Optional),
    "authenticated" => DefaultAccess::Access(Access::Authenticated),
});

choice!(Per { "client" => Per::Client, "subject" => Per::Subject });
