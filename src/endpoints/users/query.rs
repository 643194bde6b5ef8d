//! Which users are asked for.

use super::page::Cursor;
use crate::endpoints::failure::Failure;
use crate::entitlement::{Catalog, Plan};

/// The most that may be asked for at a time.
const MAX_LIMIT: usize = 1000;

/// `?plan=…&limit=…&cursor=…`, each optional; of one that comes twice, the last counts.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Query {
    plan: Option<String>,
    pub(super) limit: Option<usize>,
    pub(super) cursor: Option<Cursor>,
}

impl Query {
    pub(super) fn parse(text: &str, catalog: &Catalog) -> Result<Self, Failure> {
        let mut query = Self::default();
        for pair in text.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            match name {
                "plan" => query.plan = Some(plan(&decode(value), catalog)?),
                "limit" => query.limit = Some(limit(&decode(value))?),
                "cursor" => {
                    let cursor = Cursor::read(&decode(value));
                    query.cursor = Some(cursor.ok_or(Failure::Cursor)?);
                }
                _ => {}
            }
        }
        Ok(query)
    }

    /// The plans whose members are listed, lowest first.
    pub(super) fn plans<'a>(&self, catalog: &'a Catalog) -> Vec<&'a Plan> {
        let is_asked_for = |plan: &&Plan| self.plan.as_ref().is_none_or(|name| *name == plan.name);
        sold(catalog).filter(is_asked_for).collect()
    }

    /// Whether the client wants to go on with a cursor.
    pub(super) fn is_for_a_part(&self) -> bool {
        self.limit.is_some() || self.cursor.is_some()
    }
}

fn sold(catalog: &Catalog) -> impl Iterator<Item = &Plan> {
    catalog.plans().iter().filter(|plan| plan.sale.is_some())
}

fn plan(name: &str, catalog: &Catalog) -> Result<String, Failure> {
    if sold(catalog).any(|plan| plan.name == name) {
        return Ok(name.to_owned());
    }
    let names: Vec<&str> = sold(catalog).map(|plan| plan.name.as_str()).collect();
    Err(Failure::Field {
        name: "plan",
        expected: format!("one of {}", names.join(", ")),
    })
}

fn limit(text: &str) -> Result<usize, Failure> {
    let number = text.parse().ok();
    let number = number.filter(|number| (1..=MAX_LIMIT).contains(number));
    number.ok_or_else(|| Failure::Field {
        name: "limit",
        expected: format!("a whole number from 1 to {MAX_LIMIT}"),
    })
}

/// Percent-decoded; what is no UTF-8 then fits nothing.
fn decode(text: &str) -> String {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let hex = |at: usize| char::from(*after.get(at)?).to_digit(16);
        if let (b'%', Some(high), Some(low)) = (byte, hex(0), hex(1)) {
            decoded.extend(u8::try_from(high * 16 + low));
            rest = &after[2..];
        } else {
            decoded.push(byte);
            rest = after;
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoints::testing::catalog;

    #[test]
    fn the_query_is_read_and_what_is_wrong_is_named() {
        let parse = |text: &str| Query::parse(text, &catalog());
        let asked = parse("plan=%6donthly&limit=10&x=1").unwrap();
        assert_eq!(
            (asked.plan.as_deref(), asked.limit),
            (Some("monthly"), Some(10))
        );
        assert_eq!(parse("").unwrap(), Query::default());
        let cursor = Cursor::start_of("lifetime");
        let asked = parse(&format!("cursor={}", cursor.write())).unwrap();
        assert!(asked.is_for_a_part() && asked.cursor == Some(cursor));
        for (text, status, detail) in [
            ("plan=free", 422, "`plan` must be one of monthly, lifetime"),
            ("plan=", 422, "`plan` must be one of monthly, lifetime"),
            (
                "limit=0",
                422,
                "`limit` must be a whole number from 1 to 1000",
            ),
            (
                "limit=1001",
                422,
                "`limit` must be a whole number from 1 to 1000",
            ),
            (
                "limit",
                422,
                "`limit` must be a whole number from 1 to 1000",
            ),
            (
                "cursor=zzz",
                400,
                "`cursor` is not one that an earlier answer gave",
            ),
        ] {
            let problem = parse(text).unwrap_err().into_problem();
            assert_eq!(
                (problem.status.as_u16(), problem.detail.as_str()),
                (status, detail)
            );
        }
    }

    #[test]
    fn without_a_plan_all_that_are_sold_are_listed() {
        let names = |text: &str| {
            let catalog = catalog();
            let query = Query::parse(text, &catalog).unwrap();
            let plans = query.plans(&catalog);
            plans
                .iter()
                .map(|plan| plan.name.clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(names(""), ["monthly", "lifetime"]);
        assert_eq!(names("plan=lifetime"), ["lifetime"]);
    }

    #[test]
    fn percent_signs_that_encode_nothing_stay() {
        assert_eq!(decode("a%2Fb%zz%4"), "a/b%zz%4");
        assert_eq!(decode("%c3%28"), "\u{fffd}(");
    }
}
