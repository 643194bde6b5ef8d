//! `tollgate explain`: what would become of a request, and why.

pub(super) mod token;

use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;

use super::check::{print_as_json, report_mistakes};
use crate::config::{self, Config};
use crate::gate::{Verdict, check_permissions, made_up, parse_method, verdict};
use crate::policy::Credential;

/// Who asks.
#[derive(Clone, Debug)]
pub(crate) enum Who {
    /// Nobody: no token.
    Anonymous,
    /// A made-up user with these permissions.
    Permissions(Vec<String>),
    /// Whoever this token speaks for; it is verified against the live key set.
    Token(String),
}

/// Explains one request: 0 it would be let through, 1 refused, 2 the question or the config is wrong.
///
/// # Errors
///
/// When `out` cannot be written to.
pub(crate) fn run(
    path: &Path,
    method: &str,
    target: &str,
    who: &Who,
    json: bool,
    out: &mut dyn Write,
) -> io::Result<u8> {
    let config = match config::load(path, &config::process_env) {
        Ok(config) => config,
        Err(report) => {
            report_mistakes(&report, json, out)?;
            return Ok(2);
        }
    };
    let question =
        parse_method(method).and_then(|method| Ok((method, credential_of(&config, who)?)));
    let (method, (credential, token)) = match question {
        Ok(question) => question,
        Err(message) if json => {
            print_as_json(&serde_json::json!({ "error": message }), out)?;
            return Ok(2);
        }
        Err(message) => {
            writeln!(out, "{message}")?;
            return Ok(2);
        }
    };
    let verdict = verdict(&config.gate, &method, target, credential);
    let status = u8::from(verdict.refused.is_some());
    let explanation = Explanation::new(&config, format!("{method} {target}"), token, verdict);
    if json {
        print_as_json(&explanation, out)?;
    } else {
        explanation.print(out)?;
    }
    Ok(status)
}

/// The credential, and what to say about it.
fn credential_of(config: &Config, who: &Who) -> Result<(Credential<String>, String), String> {
    match who {
        Who::Anonymous => Ok((Credential::None, "none".to_owned())),
        Who::Permissions(names) => {
            check_permissions(names)?;
            Ok((
                made_up(names),
                format!("made up, holds [{}]", names.join(", ")),
            ))
        }
        Who::Token(unverified_token) => token::verify(config, unverified_token),
    }
}

/// A verdict as it is shown.
#[derive(Serialize)]
struct Explanation {
    request: String,
    /// After normalisation.
    path: Option<String>,
    route: String,
    /// The route's line in the file.
    line: Option<usize>,
    requirement: Option<String>,
    token: String,
    missing: Vec<String>,
    upgrade: Vec<String>,
    allow: bool,
    /// Of the refusal.
    status: Option<u16>,
    why: String,
}

impl Explanation {
    fn new(config: &Config, request: String, token: String, verdict: Verdict) -> Self {
        let (route, line) = verdict.route(&config.gate, &config.route_lines);
        Self {
            request,
            path: verdict.path,
            route,
            line,
            requirement: verdict
                .requirement
                .map(|requirement| requirement.to_string()),
            token,
            missing: verdict.missing,
            upgrade: verdict.upgrade,
            allow: verdict.refused.is_none(),
            status: verdict.refused.map(|status| status.as_u16()),
            why: verdict.why,
        }
    }

    fn print(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "{}", self.request)?;
        let mut line = |name: &str, text: &str| writeln!(out, "  {name:8} {text}");
        if let Some(path) = &self.path {
            line("path", path)?;
        }
        match self.line {
            Some(number) => line("route", &format!("{} (line {number})", self.route))?,
            None => line("route", &self.route)?,
        }
        if let Some(requirement) = &self.requirement {
            line("needs", requirement)?;
        }
        line("token", &self.token)?;
        if !self.missing.is_empty() {
            line("missing", &self.missing.join(", "))?;
        }
        if !self.upgrade.is_empty() {
            line(
                "sold by",
                &format!("the plan {}", self.upgrade.join(" or ")),
            )?;
        }
        match self.status {
            None => writeln!(out, "ALLOW: {}", self.why),
            Some(status) => writeln!(out, "DENY {status}: {}", self.why),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "
server: { base_path: /api }
upstream: http://127.0.0.1:8002
auth0: { domain: t.auth0.com, audience: a }
plans:
  - { name: free, role: free-user }
  - { name: monthly, role: premium, price: price_1, mode: subscription }
roles: { free-user: [basic], premium: [basic, premium] }
routes:
  - { path: /, access: public }
  - { path: '/reports/{id}', methods: [GET], permissions: [premium] }
";

    fn explain(method: &str, target: &str, who: &Who) -> (u8, String) {
        explain_in(FILE, method, target, who)
    }

    fn explain_in(text: &str, method: &str, target: &str, who: &Who) -> (u8, String) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let mut out = Vec::new();
        let status = run(file.path(), method, target, who, false, &mut out).unwrap();
        (status, String::from_utf8(out).unwrap())
    }

    #[test]
    fn a_refusal_names_path_route_requirement_token_and_what_is_missing() {
        let (status, text) = explain(
            "get",
            "/api/%72eports/7?x=1",
            &Who::Permissions(vec!["basic".into()]),
        );
        let expected = "\
GET /api/%72eports/7?x=1
  path     /reports/7
  route    /reports/{id} (line 11)
  needs    permissions: [premium]
  token    made up, holds [basic]
  missing  premium
  sold by  the plan monthly
DENY 403: the token lacks premium
";
        assert_eq!((status, text.as_str()), (1, expected));
    }

    #[test]
    fn a_permit_has_status_0() {
        let (status, text) = explain(
            "GET",
            "/reports/7",
            &Who::Permissions(vec!["premium".into()]),
        );
        assert_eq!(status, 0);
        assert!(
            text.ends_with("ALLOW: forwarded as a signed-in user\n"),
            "{text}"
        );
        assert_eq!(explain("GET", "/", &Who::Anonymous).0, 0);
    }

    #[test]
    fn methods_defaults_and_bad_paths_are_explained() {
        for (method, target, end) in [
            (
                "PUT",
                "/reports/7",
                "DENY 405: the route names the path, but only for GET, HEAD\n",
            ),
            (
                "GET",
                "/reports",
                "DENY 403: no route names this path, and the default is to deny\n",
            ),
            (
                "GET",
                "/a%2fb",
                "DENY 400: The path has an encoded slash or backslash\n",
            ),
            (
                "GET",
                "/reports/7",
                "DENY 401: a token is needed, and there is none\n",
            ),
        ] {
            let (status, text) = explain(method, target, &Who::Anonymous);
            assert_eq!(status, 1);
            assert!(text.ends_with(end), "{text}");
        }
    }

    #[test]
    fn intercepted_paths_are_tollgates_own_in_every_spelling() {
        let stripe = "
stripe: { secret_key: sk_test_a, publishable_key: pk_test_a, webhook: { secrets: whsec_a }, frontend_url: 'http://f' }
store: { url: 'sqlite://t.db' }
";
        let management = "audience: a, management: { client_id: c, client_secret: s }";
        let text = format!("{}{stripe}", FILE.replace("audience: a", management));
        let user = Who::Permissions(vec![]);
        for (method, target, who, end) in [
            (
                "GET",
                "/stripe/config",
                &Who::Anonymous,
                "ALLOW: Tollgate answers it itself\n",
            ),
            (
                "POST",
                "/api/Stripe/Webhook/",
                &Who::Anonymous,
                "if Stripe's signature verifies\n",
            ),
            (
                "GET",
                "/stripe/webhook",
                &user,
                "DENY 405: this endpoint takes POST alone\n",
            ),
            (
                "GET",
                "/stripe/debug",
                &user,
                "forwards none below /stripe/\n",
            ),
            (
                "GET",
                "/auth/premium-status",
                &Who::Anonymous,
                "DENY 401: a token is needed, and there is none\n",
            ),
            (
                "GET",
                "/admin/premium-users",
                &user,
                "DENY 403: the token lacks access:admin-panel\n",
            ),
        ] {
            let (_, shown) = explain_in(&text, method, target, who);
            assert!(
                shown.contains("Tollgate itself") && shown.ends_with(end),
                "{shown}"
            );
        }
    }

    #[test]
    fn a_token_that_cannot_be_verified_for_want_of_keys_has_status_2() {
        let dead = "url: 'http://127.0.0.1:1/', jwks: { timeout: 50ms }";
        let text = FILE.replace("domain: t.auth0.com", dead);
        let (status, shown) = explain_in(&text, "GET", "/", &Who::Token("Bearer a.b.c".into()));
        assert_eq!(status, 2);
        assert!(
            shown.starts_with("no keys from http://127.0.0.1:1/.well-known/jwks.json"),
            "{shown}"
        );
    }

    #[test]
    fn a_question_that_makes_no_sense_has_status_2() {
        assert_eq!(explain("G ET", "/", &Who::Anonymous).0, 2);
        assert_eq!(
            explain("GET", "/", &Who::Permissions(vec!["a b".into()])).0,
            2
        );
    }
}
