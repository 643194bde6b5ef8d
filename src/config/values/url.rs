//! The forms of URLs.

use http::Uri;
use http::uri::{Authority, Scheme};

use super::tidy;
use crate::config::read::Form;
use crate::store::{Postgres, Sqlite, StoreError};
use crate::types::Secret;

/// An absolute `http` or `https` URL without user, query or fragment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HttpUrl {
    pub(crate) text: String,
    pub(crate) scheme: Scheme,
    pub(crate) authority: Authority,
    pub(crate) path: String,
}

impl Form for HttpUrl {
    const EXPECTED: &'static str = "a URL such as `https://example.com/`";
    const PATTERN: Option<&'static str> = Some("https?://[^ ?#@]+");

    fn parse(text: &str) -> Result<Self, String> {
        let text = tidy(text)?;
        if text.contains('#') {
            return Err("end the URL before `#`".to_owned());
        }
        let uri: Uri = text
            .parse()
            .map_err(|error| format!("it cannot be read as a URL: {error}"))?;
        let parts = uri.into_parts();
        let (Some(scheme), Some(authority)) = (parts.scheme, parts.authority) else {
            return Err("start it with `http://` or `https://`".to_owned());
        };
        if scheme != Scheme::HTTP && scheme != Scheme::HTTPS {
            return Err("start it with `http://` or `https://`".to_owned());
        }
        if authority.as_str().contains('@') {
            return Err("take the user and the password out of the URL".to_owned());
        }
        if authority.host().is_empty()
            || (authority.as_str() != authority.host() && authority.port_u16().is_none())
        {
            return Err("write a host, and a port from 0 to 65535 where one is needed".to_owned());
        }
        let path = parts.path_and_query.as_ref();
        if path.is_some_and(|path| path.query().is_some()) {
            return Err("end the URL before `?`".to_owned());
        }
        let path = path.map_or("/", |path| path.path()).to_owned();
        Ok(Self {
            text: text.to_owned(),
            scheme,
            authority,
            path,
        })
    }
}

/// Where the backend is: a URL without a path.
#[derive(Clone, Debug)]
pub(crate) struct UpstreamUrl(pub(crate) HttpUrl);

impl Form for UpstreamUrl {
    const EXPECTED: &'static str = "a URL such as `http://127.0.0.1:8002`";
    const PATTERN: Option<&'static str> = Some("https?://[^ /?#@]+/?");

    fn parse(text: &str) -> Result<Self, String> {
        let url = HttpUrl::parse(text)?;
        if url.path != "/" {
            let origin = format!("{}://{}", url.scheme, url.authority);
            return Err(format!(
                "write `{origin}`: paths are forwarded as they are matched, none is put before them"
            ));
        }
        Ok(Self(url))
    }
}

/// An origin that may read answers, or `*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Any,
    One(String),
}

impl Form for Origin {
    const EXPECTED: &'static str = "an origin such as `https://app.example.com`";
    const PATTERN: Option<&'static str> = Some(r"\*|https?://[^ /?#@]+");

    fn parse(text: &str) -> Result<Self, String> {
        if text == "*" {
            return Ok(Self::Any);
        }
        let url = HttpUrl::parse(text)?;
        // Browsers send an origin in lower case, without a path and without the scheme's own port; it is compared exactly.
        let authority = url.authority.as_str().to_ascii_lowercase();
        let port = if url.scheme == Scheme::HTTPS {
            ":443"
        } else {
            ":80"
        };
        let origin = format!(
            "{}://{}",
            url.scheme,
            authority.strip_suffix(port).unwrap_or(&authority)
        );
        if origin == text {
            Ok(Self::One(origin))
        } else {
            Err(format!("write it as browsers send it: `{origin}`"))
        }
    }
}

/// Where the ledger is. A URL of `PostgreSQL` holds a password.
#[derive(Clone, Debug)]
pub(crate) struct StoreUrl(pub(crate) Secret);

impl Form for StoreUrl {
    const EXPECTED: &'static str = "the URL of a database";
    const PATTERN: Option<&'static str> = Some("(sqlite|postgres|postgresql)://.+");
    const SECRET: bool = true;

    fn parse(text: &str) -> Result<Self, String> {
        let text = tidy(text)?;
        let checked = if text.starts_with("sqlite://") {
            Sqlite::check_url(text)
        } else if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            Postgres::check_url(text)
        } else {
            return Err(
                "write `sqlite://tollgate.db` or `postgres://user:password@host/database`"
                    .to_owned(),
            );
        };
        match checked {
            Ok(()) => Ok(Self(Secret::new(text.to_owned()))),
            Err(StoreError::Url(what)) => Err(what),
            Err(other) => Err(other.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::accepts;
    use super::*;

    #[test]
    fn an_upstream_url_is_http_without_path_query_or_credentials() {
        accepts::<UpstreamUrl>(
            &[
                "http://127.0.0.1:8002",
                "https://backend/",
                "http://[::1]:80",
            ],
            &[
                "127.0.0.1:8002",
                "ftp://x",
                "http://x/api",
                "http://x?a",
                "http://u:p@x",
                "http://x:99999",
                "http://",
                "/x",
                "http://x#a",
            ],
        );
    }

    #[test]
    fn an_origin_is_written_as_browsers_send_it() {
        accepts::<Origin>(
            &[
                "*",
                "https://localhost:8443",
                "http://a.example",
                "https://a.example:80",
            ],
            &[
                "https://a.example/",
                "https://a.example/x",
                "a.example",
                "https://A.example",
                "https://a.example:443",
                "http://a:80",
                "null",
            ],
        );
    }

    #[test]
    fn the_store_is_sqlite_or_postgres() {
        accepts::<StoreUrl>(
            &["sqlite://t.db", "postgres://u:p@h/d", "postgresql://h/d"],
            &[
                "mysql://h/d",
                "sqlite://",
                "t.db",
                "sqlite:///x.db?mode=ro",
                "postgres://u@h:99999/d",
                "postgres://u@h/d?sslmod=require",
                "postgres://u@h/d?sslmode=nope",
                "postgres://u:a/b@h/d",
            ],
        );
    }
}
