//! The file as it is written. Each section is declared once: its keys, their types, their defaults and what the
//! JSON Schema says of them. What the values mean together is checked in [`build`](super::build).

pub(crate) mod auth0;
pub(crate) mod billing;
pub(crate) mod routes;
pub(crate) mod server;
pub(crate) mod telemetry;
pub(crate) mod upstream;

use self::auth0::Auth0;
use self::billing::{Plan, Reconcile, Store, Stripe, Sync};
use self::routes::{Cors, DefaultAccess, RateLimit, Route, Test};
use self::server::{Admin, Paths, Server};
use self::telemetry::{Log, Telemetry};
use self::upstream::{OrUrl, Upstream};
use super::read::{List, Named};
use super::section::{default, defaults, optional, required, section};
use super::values::Permission;

section! {
    /// The configuration of Tollgate. Durations are written `10s`, `5m`, `24h`; sizes `64KiB`, `10MiB`; rates
    /// `10/s`. `${NAME}`, `${NAME:-default}` and `${file:/run/secrets/x}` are replaced in every value.
    Document {
        /// Where to listen, and what a client may cost.
        server: Server = defaults(),
        /// How paths are read.
        paths: Paths = defaults(),
        /// The second listener: `/livez`, `/readyz`, `/metrics` and the console. Never public.
        admin: Admin = defaults(),
        /// The backend; a URL alone is enough.
        upstream: OrUrl<Upstream> = required(),
        /// Cross-origin requests. Without it preflights go to the backend.
        cors: Cors = optional(),
        /// Whose access tokens are accepted.
        auth0: Auth0 = optional(),
        /// Payments. Without it Tollgate is a gate alone.
        stripe: Stripe = optional(),
        /// What can be bought, lowest first.
        plans: List<Plan> = optional(),
        /// What each role may do.
        roles: Named<List<Permission>> = optional(),
        /// The ledger.
        store: Store = optional(),
        /// The workers behind the ledger.
        sync: Sync = defaults(),
        /// A look at all users now and then.
        reconcile: Reconcile = optional(),
        /// How often a client or a user may ask. Every limit that fits a request counts it.
        rate_limits: List<RateLimit> = default("[]"),
        /// What holds for a path that no route names.
        default: DefaultAccess = default("deny"),
        /// What each path needs. The most specific path wins, in whichever order they stand.
        routes: List<Route> = default("[]"),
        /// Requests and what must become of them; `tollgate check` runs them.
        tests: List<Test> = default("[]"),
        /// What is logged, and how.
        log: Log = defaults(),
        /// Where traces go.
        telemetry: Telemetry = defaults(),
    }
}
