//! What a user has a right to: plans and what they bring. Pure: no async, no I/O, no clock.

mod catalog;

pub use catalog::{Catalog, Mode, Plan};
