//! Who may do what: paths, the route table, the decision. Pure: no async, no I/O, no clock.

mod decide;
mod path;
mod pattern;
mod principal;
mod table;

pub use decide::{Credential, Permit, Refusal, decide, decide_preflight};
pub use path::{NormalPath, PathError, PathRules, Semicolons};
pub use pattern::{Pattern, PatternError};
pub use principal::{Permissions, Principal};
pub use table::{Conflict, ConflictKind, Fallback, Found, Methods, Requirement, Route, Table};
