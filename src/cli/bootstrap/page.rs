//! How the plan and what became of it are shown: lines like a diff, or JSON.

use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;

use super::mend::Problem;
use super::plan::{Api, Change, Present};
use crate::cli::wanted::Wanted;
use crate::config::Reported;
use crate::types::Secret;

/// One change, for programs.
#[derive(Debug, Serialize)]
pub(super) struct Line {
    what: String,
    /// Each part of it, as the plan shows it.
    lines: Vec<String>,
    /// `null`: not tried.
    done: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mend: Option<String>,
}

impl Line {
    /// A change, and what became of it.
    pub(super) fn of(change: &Change, outcome: Option<&Result<(), Problem>>) -> Self {
        let problem = outcome.and_then(|outcome| outcome.as_ref().err());
        Self {
            what: what(change),
            lines: lines(change),
            done: outcome.map(Result::is_ok),
            error: problem.map(|problem| problem.error.clone()),
            mend: problem.map(|problem| problem.mend.clone()),
        }
    }
}

/// What went wrong apart from a change, for programs.
#[derive(Debug, Serialize)]
pub(super) struct Trouble {
    what: String,
    error: String,
    mend: String,
}

impl From<&Problem> for Trouble {
    fn from(problem: &Problem) -> Self {
        Self {
            what: problem.what.clone(),
            error: problem.error.clone(),
            mend: problem.mend.clone(),
        }
    }
}

/// What `--json` prints. There is no `Debug`: it may hold a secret.
#[derive(Default, Serialize)]
pub(super) struct Answer {
    /// Whether the exit status is 0.
    pub(super) ok: bool,
    /// None: with mistakes in the config nothing is looked at, and they are told alone.
    pub(super) errors: [Reported; 0],
    pub(super) changes: Vec<Line>,
    pub(super) problems: Vec<Trouble>,
    pub(super) notes: Vec<String>,
    /// The signing secret of a new endpoint, this once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) webhook_secret: Option<String>,
    /// Where it was written instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) secret_file: Option<String>,
}

/// What a change is about, in a few words.
pub(super) fn what(change: &Change) -> String {
    match change {
        Change::MakeApi { identifier, .. } | Change::ExtendApi { identifier, .. } => {
            format!("API {identifier}")
        }
        Change::MakeRole { name } => format!("role {name}"),
        Change::Permit { role, .. } => format!("permissions of role {role}"),
        Change::MakeEndpoint { url, .. } | Change::ExtendEndpoint { url, .. } => {
            format!("webhook endpoint {url}")
        }
    }
}

/// Whether `change` is what one of the `planned` ones was to bring about, or a part of it.
pub(super) fn is_of(change: &Change, planned: &[Change]) -> bool {
    let (its_name, its_lines) = (what(change), lines(change));
    planned.iter().any(|planned| match planned {
        Change::MakeApi { .. } | Change::MakeEndpoint { .. } => what(planned) == its_name,
        Change::ExtendApi { .. }
        | Change::MakeRole { .. }
        | Change::Permit { .. }
        | Change::ExtendEndpoint { .. } => {
            let planned = lines(planned);
            its_lines.iter().any(|line| planned.contains(line))
        }
    })
}

/// The lines of a change: `+` is made, `~` is changed.
fn lines(change: &Change) -> Vec<String> {
    match change {
        Change::MakeApi {
            identifier,
            permissions,
        } => {
            let mut lines = vec![format!("+ API {identifier}, with RBAC on")];
            lines.extend(on_api(permissions, identifier));
            lines
        }
        Change::ExtendApi {
            identifier,
            add,
            rbac,
            dialect,
        } => {
            let mut lines: Vec<String> = on_api(add, identifier).collect();
            if *rbac {
                lines.push(format!("~ RBAC on for API {identifier}"));
            }
            if let Some(dialect) = dialect {
                lines.push(format!(
                    "~ permissions in the access tokens of API {identifier} (token dialect {dialect})"
                ));
            }
            lines
        }
        Change::MakeRole { name } => vec![format!("+ role {name}")],
        Change::Permit { role, add } => add
            .iter()
            .map(|one| {
                format!(
                    "+ permission {} for role {role} on API {}",
                    one.name, one.resource_server
                )
            })
            .collect(),
        Change::MakeEndpoint { url, events } => {
            vec![format!(
                "+ webhook endpoint {url} ({} events)",
                events.len()
            )]
        }
        Change::ExtendEndpoint {
            url, add, enable, ..
        } => {
            let on = enable.then(|| format!("~ webhook endpoint {url} switched on"));
            let events = add.iter();
            on.into_iter()
                .chain(events.map(|event| format!("+ event {event} for webhook endpoint {url}")))
                .collect()
        }
    }
}

fn on_api(permissions: &[String], identifier: &str) -> impl Iterator<Item = String> {
    permissions
        .iter()
        .map(move |name| format!("+ permission {name} on API {identifier}"))
}

/// What is wanted and there already, though something may be added to it.
fn there(wanted: &Wanted, present: &Present) -> Vec<String> {
    let mut lines = Vec::new();
    for (identifier, api) in &present.apis {
        if matches!(api, Api::There(_)) {
            lines.push(format!("API {identifier}"));
        }
    }
    for there in present.roles.iter().flatten() {
        lines.push(format!("role {}", there.role.name));
    }
    if let (Some(webhook), Some(endpoints)) = (&wanted.webhook, &present.endpoints)
        && webhook.best(endpoints).is_some()
    {
        lines.push(format!("webhook endpoint {}", webhook.url));
    }
    lines
}

/// The plan: what is there already, and then every change.
pub(super) fn print_plan(
    wanted: &Wanted,
    present: &Present,
    plan: &[Change],
    out: &mut dyn Write,
) -> io::Result<()> {
    for line in there(wanted, present) {
        writeln!(out, "  {line}")?;
    }
    for line in plan.iter().flat_map(lines) {
        writeln!(out, "{line}")?;
    }
    Ok(())
}

/// What could not be looked at or done, with what helps.
pub(super) fn print_problem(word: &str, problem: &Problem, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{word} {}: {}", problem.what, problem.error)?;
    writeln!(out, "       {}", problem.mend)
}

/// Where the secret of a new endpoint is; `names_it` when the config leads there, else it knows so many `others`.
pub(super) fn print_secret_file(
    file: &Path,
    names_it: bool,
    others: usize,
    out: &mut dyn Write,
) -> io::Result<()> {
    if names_it {
        return writeln!(
            out,
            "\nThe signing secret of the new endpoint is in the file {}, which the config names already. `tollgate doctor` \
             looks at all of it.\n",
            file.display()
        );
    }
    // Another process reads it from another folder.
    let file = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    writeln!(
        out,
        "\nThe signing secret of the new endpoint is in the file. In the config{}:\n\n  \
         stripe: {{ webhook: {{ secrets: [\"${{file:{}}}\"] }} }}\n",
        beside(others),
        file.display()
    )
}

/// The secret of a new endpoint. What the config names and is not there is `unset`, each as it stands in `${...}`; beside that
/// it knows so many `others`.
pub(super) fn print_secret(
    secret: &Secret,
    unset: &[String],
    others: usize,
    out: &mut dyn Write,
) -> io::Result<()> {
    writeln!(
        out,
        "\nThe signing secret of the new endpoint, shown this once:\n\n  {}\n",
        secret.expose()
    )?;
    if let Some(name) = unset.first() {
        let place = if let Some(file) = name.strip_prefix("file:") {
            format!("Write it to the file {file}")
        } else {
            let name = name.split(":-").next().unwrap_or_default();
            format!("Set {name}=... (shown above)")
        };
        return writeln!(
            out,
            "{place}, as the config names it already, then run `tollgate doctor`.\n"
        );
    }
    writeln!(
        out,
        "Set it as the variable or the file that stripe.webhook.secrets names{}; for example with\n\n  \
         stripe: {{ webhook: {{ secrets: [\"${{STRIPE_WEBHOOK_SECRET}}\"] }} }}\n",
        beside(others)
    )
}

fn beside(others: usize) -> &'static str {
    if others == 0 {
        ""
    } else {
        ", beside those that are there"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(unset: &[&str]) -> String {
        let unset: Vec<String> = unset.iter().map(ToString::to_string).collect();
        let mut out = Vec::new();
        print_secret(&Secret::new("whsec_a".into()), &unset, 0, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_place_that_the_config_names_already_is_told_and_no_line_for_the_config() {
        let text = printed(&["STRIPE_WEBHOOK_SECRET"]);
        assert!(
            text.contains("Set STRIPE_WEBHOOK_SECRET=... (shown above)"),
            "{text}"
        );
        assert!(!text.contains("stripe: {"), "{text}");
        let text = printed(&["file:/run/secret"]);
        assert!(text.contains("to the file /run/secret"), "{text}");
        assert!(printed(&[]).contains("stripe: { webhook"));
    }

    #[test]
    fn what_was_planned_is_told_from_what_was_not() {
        let role = |name: &str| Change::MakeRole { name: name.into() };
        let extend = |add: &[&str]| Change::ExtendEndpoint {
            id: "we_1".into(),
            url: "u".into(),
            add: add.iter().map(ToString::to_string).collect(),
            enable: false,
        };
        let made = Change::MakeEndpoint {
            url: "u".into(),
            events: Vec::new(),
        };
        assert!(is_of(&role("a"), &[role("a")]) && !is_of(&role("b"), &[role("a")]));
        assert!(is_of(&extend(&["x"]), &[made]));
        assert!(is_of(&extend(&["x", "y"]), &[extend(&["y"])]));
        assert!(!is_of(&extend(&["x"]), &[extend(&["y"])]));
    }
}
