//! The route table as people read it: `check` prints it, the console shows it.

use serde::Serialize;

use super::Config;
use super::intercept::ENDPOINTS;
use crate::policy::{Requirement, Route};

/// One line of the route table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RouteLine {
    /// The path.
    pub path: String,
    /// The methods.
    pub methods: String,
    /// What a request needs.
    pub requirement: String,
    /// Its line in the file; none for what is not written there.
    pub line: Option<usize>,
}

/// The whole table, Tollgate's own paths and the default included, given the line of each of its routes in the file.
#[must_use]
pub fn route_lines(config: &Config, lines: &[usize]) -> Vec<RouteLine> {
    let written = |(route, line): (&Route, &usize)| RouteLine {
        path: route.pattern.to_string(),
        methods: route.methods.to_string(),
        requirement: route.requirement.to_string(),
        line: Some(*line),
    };
    let routes = config.table.routes().iter();
    let mut lines: Vec<_> = routes.zip(lines).map(written).collect();
    if config.billing {
        lines.extend(own_lines());
    }
    lines.push(RouteLine {
        path: "any other path".to_owned(),
        methods: "*".to_owned(),
        requirement: config.table.fallback().to_string(),
        line: None,
    });
    lines
}

/// The paths that Tollgate answers itself.
fn own_lines() -> Vec<RouteLine> {
    let line = |path: &str, methods: String, needs: String| RouteLine {
        path: path.to_owned(),
        methods,
        requirement: format!("{needs} (Tollgate itself)"),
        line: None,
    };
    let needs = |requirement: Option<&Requirement>| match requirement {
        Some(requirement) => requirement.to_string(),
        None => "Stripe's signature".to_owned(),
    };
    let mut lines: Vec<_> = ENDPOINTS
        .iter()
        .map(|own| {
            line(
                own.path.as_str(),
                own.method.to_string(),
                needs(own.requirement.as_ref()),
            )
        })
        .collect();
    lines.push(line("/stripe/{*rest}", "*".to_owned(), "404".to_owned()));
    lines
}
