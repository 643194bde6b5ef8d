//! The route table, and what would become of a request.

use super::Visit;
use super::events::{field, input, option};
use super::form::Form;
use super::html::Html;
use super::page::{Page, Section};
use super::parts::{Tone, badge, fact, facts, or_dash, section, table};
use super::sources::{Answer, Question};

/// The methods to choose from.
const METHODS: [&str; 7] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];

/// The page.
pub(super) fn page(visit: &Visit<'_>) -> Page {
    let sources = &visit.console.sources;
    let question = question(&visit.query);
    let answer = question
        .as_ref()
        .map(|question| (sources.explain)(question));
    let lines = (sources.routes)();
    Page::new(Section::Routes, "Routes", |h| {
        section(h, "Explain a request", |h| {
            form(h, &visit.query);
            match (&question, &answer) {
                (Some(question), Some(Ok(answer))) => explain(h, question, answer),
                (_, Some(Err(why))) => {
                    h.line("p", &[("class", "notice bad"), ("role", "alert")], why);
                }
                (_, None) | (None, Some(Ok(_))) => {}
            }
        });
        section(h, "Route table", |h| {
            let text = "The most specific path wins: a literal over {param} over {*rest}.";
            h.line("p", &[("class", "hint")], text);
            let columns = &["Path", "Methods", "Needs", "Line"];
            table(h, columns, &lines, "There are no routes.", |row, line| {
                row.cell(|h| h.line("span", &[("class", "id")], &line.path));
                row.text(&line.methods.replace(',', ", "));
                row.text(&line.requirement);
                row.cell(|h| or_dash(h, line.line.map(|line| line.to_string()).as_deref()));
            });
        });
    })
}

fn question(query: &Form) -> Option<Question> {
    let permissions = || {
        let names = query.field("permissions").unwrap_or_default();
        let names = names.split([',', ' ']).filter(|name| !name.is_empty());
        names.map(str::to_owned).collect()
    };
    Some(Question {
        method: query.field("method").unwrap_or("GET").to_owned(),
        path: query.field("path")?.to_owned(),
        permissions: (query.field("as") == Some("user")).then(permissions),
    })
}

fn form(h: &mut Html, query: &Form) {
    let attributes = [
        ("method", "get"),
        ("action", "/routes"),
        ("class", "filter"),
    ];
    h.tag("form", &attributes, |h| {
        field(h, "Method", |h| {
            let chosen = query.field("method").unwrap_or("GET").to_ascii_uppercase();
            h.tag("select", &[("name", "method")], |h| {
                for method in METHODS {
                    option(h, method, method, chosen == method);
                }
                if !METHODS.contains(&chosen.as_str()) {
                    option(h, &chosen, &chosen, true);
                }
            });
        });
        h.tag("label", &[("class", "wide")], |h| {
            h.line("span", &[], "Path");
            input(
                h,
                "path",
                query.field("path").unwrap_or_default(),
                "/reports/7",
            );
        });
        field(h, "Asked by", |h| {
            let is_user = query.field("as") == Some("user");
            h.tag("select", &[("name", "as")], |h| {
                option(h, "anonymous", "nobody", !is_user);
                option(h, "user", "a signed-in user", is_user);
            });
        });
        h.tag("label", &[("class", "wide")], |h| {
            h.line("span", &[], "Permissions of the user");
            let names = query.field("permissions").unwrap_or_default();
            input(h, "permissions", names, "read:reports, write:reports");
        });
        h.line("button", &[], "Explain");
    });
}

fn explain(h: &mut Html, question: &Question, answer: &Answer) {
    let tone = if answer.status.is_none() {
        "good"
    } else {
        "bad"
    };
    let class = format!("verdict {tone}");
    h.tag("div", &[("class", &class), ("role", "status")], |h| {
        h.tag("p", &[], |h| {
            match answer.status {
                None => badge(h, Tone::Good, "ALLOW"),
                Some(status) => badge(h, Tone::Bad, &format!("DENY {status}")),
            }
            h.text(" ");
            h.line("b", &[], &answer.why);
        });
        facts(h, |h| {
            fact(h, "Request", |h| {
                h.text(&format!("{} {}", question.method, question.path));
            });
            if let Some(path) = &answer.path {
                fact(h, "Path that is matched", |h| {
                    h.line("span", &[("class", "id")], path);
                });
            }
            fact(h, "Route", |h| match answer.line {
                Some(line) => h.text(&format!("{} (line {line})", answer.route)),
                None => h.text(&answer.route),
            });
            if let Some(requirement) = &answer.requirement {
                fact(h, "Needs", |h| h.text(requirement));
            }
            if !answer.missing.is_empty() {
                fact(h, "Missing", |h| h.text(&answer.missing.join(", ")));
            }
            if !answer.upgrade.is_empty() {
                let plans = format!("the plan {}", answer.upgrade.join(" or "));
                fact(h, "Sold by", |h| h.text(&plans));
            }
        });
    });
}
