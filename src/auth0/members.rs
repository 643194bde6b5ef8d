//! Who holds a role, page by page.
//!
//! Auth0 pages by number up to 1000 users, and by checkpoint (`from`, `take`) beyond. We ask by checkpoint from the
//! start, and go over to numbers where the answer shows that checkpoints are not known.

use http::Method;
use serde_json::Value;

use super::api::{Api, Call, Endpoint};
use super::error::{Error, Kind};
use super::pages::Page;
use super::{Members, read};

const LIST: Endpoint = Endpoint {
    method: Method::GET,
    name: "GET /roles/{id}/users",
    scopes: "read:users read:roles read:role_members",
};
/// Auth0's most, for both ways.
const MAX_LIMIT: u32 = 100;
/// How many users come when nobody says how many.
const DEFAULT_PAGE: usize = 50;

/// Where to go on: what [`Members::next`] says, parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Position {
    /// At the beginning.
    Start,
    /// After a checkpoint of Auth0's.
    Checkpoint(String),
    /// At the page of this number, each with so many users; the page before it began with the user `after`, where that is
    /// worth knowing.
    Page {
        number: usize,
        size: usize,
        after: Option<String>,
    },
}

impl Position {
    fn parse(text: Option<&str>) -> Option<Self> {
        let Some(text) = text else {
            return Some(Self::Start);
        };
        let (way, rest) = text.split_once(':')?;
        match way {
            "from" if !rest.is_empty() => Some(Self::Checkpoint(rest.to_owned())),
            "page" => {
                let mut rest = rest.splitn(3, ':');
                let (number, size) = (rest.next()?.parse().ok()?, rest.next()?.parse().ok()?);
                let after = rest.next().map(str::to_owned);
                // The product is computed below.
                let sane = number < 1_000_000 && (1..=100).contains(&size);
                sane.then_some(Self::Page {
                    number,
                    size,
                    after,
                })
            }
            _ => None,
        }
    }

    /// As text, for [`Members::next`].
    fn write(&self) -> Option<String> {
        match self {
            Self::Start => None,
            Self::Checkpoint(from) => Some(format!("from:{from}")),
            Self::Page {
                number,
                size,
                after: None,
            } => Some(format!("page:{number}:{size}")),
            Self::Page {
                number,
                size,
                after: Some(after),
            } => Some(format!("page:{number}:{size}:{after}")),
        }
    }
}

/// What an answer to a question by checkpoint says about what follows.
#[derive(Debug, PartialEq, Eq)]
enum Following {
    Nothing,
    Checkpoint(String),
    /// Checkpoints are not known there: ask by number.
    Unknown,
}

/// Up to `limit` users who hold the role whose encoded id is `role`.
pub(super) async fn list(
    api: &Api,
    role: &str,
    from: Option<&str>,
    limit: u32,
) -> Result<Members, Error> {
    let limit = limit.clamp(1, MAX_LIMIT);
    let path = format!("roles/{role}/users");
    let size = usize::try_from(limit).unwrap_or(DEFAULT_PAGE);
    // 400 is what Auth0 answers to a checkpoint that is none.
    let invalid = || Error::new(Kind::Invalid(400), LIST.name);
    match Position::parse(from).ok_or_else(invalid)? {
        Position::Page {
            number,
            size,
            after,
        } => {
            let page = by_number(api, &path, (number, size), after.as_deref()).await;
            // Numbers reach a thousand users; what is cut off there must not be taken for a place that is none.
            page.map_err(|error| {
                if error.kind == Kind::Invalid(400) {
                    error.but(Kind::Unreadable)
                } else {
                    error
                }
            })
        }
        Position::Checkpoint(from) => {
            let call = Call::new(&LIST, &path).with("from", &from);
            let answer = api.read(&call.with("take", &limit)).await?;
            match following(&answer, size) {
                Following::Checkpoint(next) => members(&answer, Some(&Position::Checkpoint(next))),
                Following::Nothing | Following::Unknown => members(&answer, None),
            }
        }
        Position::Start => from_start(api, &path, size).await,
    }
}

/// The first users, and how to go on.
async fn from_start(api: &Api, path: &str, size: usize) -> Result<Members, Error> {
    let call = Call::new(&LIST, path).with("take", &size);
    let answer = match api.read(&call).await {
        Err(error) if error.kind == Kind::Invalid(400) => {
            return by_number(api, path, (0, size), None).await;
        }
        done => done?,
    };
    match following(&answer, size) {
        Following::Nothing => members(&answer, None),
        Following::Checkpoint(next) => members(&answer, Some(&Position::Checkpoint(next))),
        Following::Unknown => by_number(api, path, (0, size), None).await,
    }
}

/// What follows an answer to `take=size`.
fn following(answer: &Value, size: usize) -> Following {
    if let Some(next) = answer["next"].as_str().filter(|next| !next.is_empty()) {
        return Following::Checkpoint(next.to_owned());
    }
    let Some(page) = Page::read(answer, "users") else {
        return Following::Nothing;
    };
    let shown = page.items.len();
    let cut_short = match page.total {
        Some(total) => shown < total,
        // A list alone: `take` may have been passed over, and what came be the first page of the usual size.
        None => answer.is_array() && shown >= size.min(DEFAULT_PAGE),
    };
    if cut_short {
        Following::Unknown
    } else {
        Following::Nothing
    }
}

/// The page of this number, each with so many users. `after` is whom the page before began with: one that begins alike is
/// the same again, of somebody who knows no pages.
async fn by_number(
    api: &Api,
    path: &str,
    (number, size): (usize, usize),
    after: Option<&str>,
) -> Result<Members, Error> {
    let call = Call::new(&LIST, path)
        .with("page", &number)
        .with("per_page", &size)
        .with("include_totals", &true);
    let answer = api.read(&call).await?;
    let mut members = members(&answer, None)?;
    let first = members.users.first().map(|user| user.id.clone());
    if first.is_some() && first.as_deref() == after {
        members.users.clear();
        return Ok(members);
    }
    let page = Page::read(&answer, "users").filter(|page| !page.is_last(number * size, size, 1));
    members.next = page.and_then(|page| {
        let next = Position::Page {
            number: number + 1,
            size,
            // A total says where the list ends.
            after: first.filter(|_| page.total.is_none()),
        };
        next.write()
    });
    Ok(members)
}

fn members(answer: &Value, next: Option<&Position>) -> Result<Members, Error> {
    let unreadable = || Error::new(Kind::Unreadable, LIST.name);
    let page = Page::read(answer, "users").ok_or_else(unreadable)?;
    let users = page.items.iter().map(read::user).collect::<Option<_>>();
    Ok(Members {
        users: users.ok_or_else(unreadable)?,
        next: next.and_then(Position::write),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_position_is_read_as_it_was_written() {
        for position in [
            Position::Start,
            Position::Checkpoint("a:b|c".into()),
            Position::Page {
                number: 3,
                size: 50,
                after: None,
            },
            Position::Page {
                number: 3,
                size: 50,
                after: Some("auth0|a:b".into()),
            },
        ] {
            let text = position.write();
            assert_eq!(Position::parse(text.as_deref()), Some(position));
        }
        for text in [
            "",
            "x",
            "from:",
            "page:1",
            "page:-1:50",
            "page:0:0",
            "page:0:101",
            "to:1",
        ] {
            assert_eq!(Position::parse(Some(text)), None, "{text}");
        }
    }

    #[test]
    fn what_follows_is_read_from_every_shape() {
        let some = |n: usize| Value::from(vec![json!({ "user_id": "u" }); n]);
        for (answer, expected) in [
            (
                json!({ "users": some(2), "next": "x" }),
                Following::Checkpoint("x".into()),
            ),
            (
                json!({ "users": some(2), "next": null }),
                Following::Nothing,
            ),
            (json!({ "users": some(2), "next": "" }), Following::Nothing),
            (json!({ "users": some(2) }), Following::Nothing),
            (json!({ "users": some(2), "total": 2 }), Following::Nothing),
            (json!({ "users": some(2), "total": 3 }), Following::Unknown),
            (some(49), Following::Nothing),
            (some(50), Following::Unknown),
            (some(0), Following::Nothing),
        ] {
            assert_eq!(following(&answer, 100), expected, "{answer}");
        }
        assert_eq!(following(&some(2), 2), Following::Unknown);
    }
}
