//! The forms of single values: durations, addresses, names; URLs have a file of their own.

mod url;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use http::{HeaderName, Method};
use ipnet::IpNet;
use jsonwebtoken::Algorithm;

pub(crate) use self::url::{HttpUrl, Origin, StoreUrl, UpstreamUrl};
use super::read::Form;
use super::words::nearest;
use crate::policy::Pattern;
use crate::types::{ByteSize, Rate, Secret, parse_duration};

impl Form for Duration {
    const EXPECTED: &'static str = "a duration such as `10s`";
    const PATTERN: Option<&'static str> = Some("[0-9]+ ?(ms|s|m|h|d)");

    fn parse(text: &str) -> Result<Self, String> {
        parse_duration(text).map_err(|error| error.to_string())
    }
}

/// A number of bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Size(pub(crate) u64);

impl Form for Size {
    const EXPECTED: &'static str = "a size such as `64KiB`";
    const PATTERN: Option<&'static str> = Some("[0-9]+ ?(B|KiB|MiB|GiB|KB|kB|MB|GB)?");
    const NUMBER: bool = true;

    fn parse(text: &str) -> Result<Self, String> {
        text.parse::<ByteSize>()
            .map(|size| Self(size.0))
            .map_err(|error| error.to_string())
    }
}

impl Form for Rate {
    const EXPECTED: &'static str = "a rate such as `10/s`";
    const PATTERN: Option<&'static str> = Some("[1-9][0-9]* ?/ ?[smh]");

    fn parse(text: &str) -> Result<Self, String> {
        text.parse()
            .map_err(|error: crate::types::FormError| error.to_string())
    }
}

impl Form for String {
    const EXPECTED: &'static str = "text";

    fn parse(text: &str) -> Result<Self, String> {
        tidy(text).map(str::to_owned)
    }
}

impl Form for PathBuf {
    const EXPECTED: &'static str = "the path of a file";

    fn parse(text: &str) -> Result<Self, String> {
        tidy(text).map(Self::from)
    }
}

impl Form for Secret {
    const EXPECTED: &'static str = "a secret";
    const SECRET: bool = true;

    fn parse(text: &str) -> Result<Self, String> {
        tidy(text).map(|text| Self::new(text.to_owned()))
    }
}

/// Text that is not blank and has no white space around it: the commonest slip with what comes from a file or
/// from the environment is a line break at its end.
fn tidy(text: &str) -> Result<&str, String> {
    if text.trim().is_empty() {
        return Err("it is blank: write its value, or take the key away".to_owned());
    }
    if text.trim() != text {
        return Err("it starts or ends with a space or a line break: take that away (`printf %s`, not `echo`)".to_owned());
    }
    Ok(text)
}

impl Form for SocketAddr {
    const EXPECTED: &'static str = "an address and a port";
    const PATTERN: Option<&'static str> = Some(r"[0-9.]+:[0-9]+|\[[0-9a-fA-F:.%]+\]:[0-9]+");

    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| "write an IP address and a port: `127.0.0.1:8001`, `[::1]:8001`, `0.0.0.0:8001` for all".to_owned())
    }
}

impl Form for IpNet {
    const EXPECTED: &'static str = "a network such as `10.0.0.0/8`";

    fn parse(text: &str) -> Result<Self, String> {
        text.parse()
            .or_else(|_| text.parse::<std::net::IpAddr>().map(Self::from))
            .map_err(|_| {
                "write an IP address or a network: `192.0.2.7`, `10.0.0.0/8`, `2001:db8::/32`"
                    .to_owned()
            })
    }
}

/// The name of an Auth0 tenant or custom domain.
#[derive(Clone, Debug)]
pub(crate) struct Domain(pub(crate) String);

impl Form for Domain {
    const EXPECTED: &'static str = "a domain such as `tenant.eu.auth0.com`";
    const PATTERN: Option<&'static str> = Some("[A-Za-z0-9.-]+");

    fn parse(text: &str) -> Result<Self, String> {
        let text = tidy(text)?;
        if text.contains(['/', ':']) {
            return Err(
                "write the name alone, or give a whole URL as `url:` in place of `domain:`"
                    .to_owned(),
            );
        }
        let labels = text.split('.').all(|label| {
            !label.is_empty() && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
        });
        if labels {
            Ok(Self(text.to_owned()))
        } else {
            Err("a domain has letters, digits, `-` and `.` alone".to_owned())
        }
    }
}

/// The part of the path that stands before every route.
#[derive(Clone, Debug)]
pub(crate) struct BasePath(pub(crate) String);

impl Form for BasePath {
    const EXPECTED: &'static str = "a path such as `/api`";
    const PATTERN: Option<&'static str> = Some("(/[A-Za-z0-9._~-]+)+");

    fn parse(text: &str) -> Result<Self, String> {
        let help = "start it with `/`, end it without, and use letters, digits and `-._~` alone; leave it out for none";
        let segments = text.strip_prefix('/').ok_or(help)?;
        let plain = |c: char| c.is_ascii_alphanumeric() || "-._~".contains(c);
        let valid =
            |segment: &str| !matches!(segment, "" | "." | "..") && segment.chars().all(plain);
        if segments.split('/').all(valid) {
            Ok(Self(text.to_owned()))
        } else {
            Err(help.to_owned())
        }
    }
}

impl Form for Pattern {
    const EXPECTED: &'static str = "a path such as `/reports/{id}`";
    const PATTERN: Option<&'static str> = Some("/[^?#]*");

    fn parse(text: &str) -> Result<Self, String> {
        Self::parse(text).map_err(|error| error.to_string())
    }
}

impl Form for Method {
    const EXPECTED: &'static str = "a method such as `GET`";
    const PATTERN: Option<&'static str> = Some("[A-Z]+");

    fn parse(text: &str) -> Result<Self, String> {
        const KNOWN: [Method; 8] = [
            Method::GET,
            Method::HEAD,
            Method::POST,
            Method::PUT,
            Method::PATCH,
            Method::DELETE,
            Method::OPTIONS,
            Method::TRACE,
        ];
        let known = || KNOWN.iter().map(Method::as_str);
        if let Some(method) = KNOWN.iter().find(|method| method.as_str() == text) {
            return Ok(method.clone());
        }
        // Methods are told apart by letter case (RFC 9110, section 9.1).
        let near = known().find(|method| method.eq_ignore_ascii_case(text));
        let near = near.or_else(|| {
            known()
                .min_by_key(|m| strsim::levenshtein(m, text))
                .filter(|m| strsim::levenshtein(m, text) < 3)
        });
        let meant = near
            .map(|method| format!("did you mean `{method}`? "))
            .unwrap_or_default();
        Err(format!(
            "{meant}known: {}",
            known().collect::<Vec<_>>().join(", ")
        ))
    }
}

impl Form for HeaderName {
    const EXPECTED: &'static str = "the name of a header";
    const PATTERN: Option<&'static str> = Some("[A-Za-z0-9!#$%&'*+.^_`|~-]+");

    fn parse(text: &str) -> Result<Self, String> {
        Self::from_bytes(text.as_bytes()).map_err(|_| "write letters, digits and `-`".to_owned())
    }
}

/// A header that a page may send, or `*` for whichever it asks for.
#[derive(Clone, Debug)]
pub(crate) enum AllowedHeader {
    Any,
    One(HeaderName),
}

impl Form for AllowedHeader {
    const EXPECTED: &'static str = "the name of a header, or `*`";

    fn parse(text: &str) -> Result<Self, String> {
        if text == "*" {
            Ok(Self::Any)
        } else {
            <HeaderName as Form>::parse(text).map(Self::One)
        }
    }
}

/// A permission, as access tokens name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Permission(pub(crate) String);

impl Form for Permission {
    const EXPECTED: &'static str = "a permission such as `read:reports`";
    const PATTERN: Option<&'static str> = Some("[!-~]+");

    fn parse(text: &str) -> Result<Self, String> {
        // They are sent on separated by spaces (`scope`, `X-Auth-Permissions`), so one must not hold any.
        if !text.is_empty() && text.chars().all(|c| c.is_ascii_graphic()) {
            return Ok(Self(text.to_owned()));
        }
        Err("write visible ASCII without spaces".to_owned())
    }
}

/// A signature algorithm that tokens may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SignedWith(pub(crate) Algorithm);

const ALGORITHMS: [(&str, Algorithm); 9] = [
    ("RS256", Algorithm::RS256),
    ("RS384", Algorithm::RS384),
    ("RS512", Algorithm::RS512),
    ("PS256", Algorithm::PS256),
    ("PS384", Algorithm::PS384),
    ("PS512", Algorithm::PS512),
    ("ES256", Algorithm::ES256),
    ("ES384", Algorithm::ES384),
    ("EdDSA", Algorithm::EdDSA),
];

impl Form for SignedWith {
    const EXPECTED: &'static str = "an asymmetric algorithm such as `RS256`";
    const PATTERN: Option<&'static str> =
        Some("RS256|RS384|RS512|PS256|PS384|PS512|ES256|ES384|EdDSA");

    fn parse(text: &str) -> Result<Self, String> {
        if let Some((_, algorithm)) = ALGORITHMS.iter().find(|(name, _)| *name == text) {
            return Ok(Self(*algorithm));
        }
        let names = ALGORITHMS.map(|(name, _)| name);
        if text.starts_with("HS") {
            return Err(format!(
                "with a shared secret, whoever can check a token can also make one, and a public key taken for the \
                 secret lets anybody in; allowed: {}",
                names.join(", ")
            ));
        }
        let near = nearest(text, names).map(|name| format!("did you mean `{name}`? "));
        Err(format!(
            "{}allowed: {}",
            near.unwrap_or_default(),
            names.join(", ")
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn accepts<T: Form>(right: &[&str], wrong: &[&str]) {
        for text in right {
            assert!(T::parse(text).is_ok(), "{text}");
        }
        for text in wrong {
            assert!(T::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_domain_is_a_name_alone() {
        accepts::<Domain>(
            &["tenant.eu.auth0.com", "login.example.com", "localhost"],
            &[
                "https://t.auth0.com",
                "t.auth0.com/",
                "t:80",
                "a..b",
                "",
                " t.auth0.com",
                "t.auth0.com\n",
            ],
        );
    }

    #[test]
    fn a_base_path_starts_with_a_slash_and_does_not_end_with_one() {
        accepts::<BasePath>(
            &["/api", "/a/b"],
            &["api", "/api/", "/", "", "/a//b", "/..", "/a b", "/%61"],
        );
    }

    #[test]
    fn a_bare_address_is_a_network_of_one() {
        assert_eq!(
            <IpNet as Form>::parse("192.0.2.7").unwrap().to_string(),
            "192.0.2.7/32"
        );
        assert_eq!(
            <IpNet as Form>::parse("2001:db8::1").unwrap().to_string(),
            "2001:db8::1/128"
        );
        accepts::<IpNet>(&["10.0.0.0/8"], &["10.0.0.0/33", "example.com", ""]);
    }

    #[test]
    fn a_permission_is_visible_ascii_without_spaces() {
        accepts::<Permission>(&["read:x", "a"], &["", "a b", "é", "a\n"]);
    }

    #[test]
    fn algorithms_with_a_shared_secret_are_refused_with_the_reason() {
        assert!(
            SignedWith::parse("HS256")
                .unwrap_err()
                .contains("shared secret")
        );
        assert!(SignedWith::parse("rs256").unwrap_err().contains("`RS256`"));
        assert!(SignedWith::parse("none").is_err());
    }

    #[test]
    fn a_secret_with_white_space_around_it_is_refused() {
        accepts::<Secret>(&["abc"], &["abc\n", " abc", "", "  "]);
    }

    #[test]
    fn a_method_is_told_apart_by_letter_case() {
        assert!(
            <Method as Form>::parse("get")
                .unwrap_err()
                .contains("`GET`")
        );
        assert!(
            <Method as Form>::parse("PSOT")
                .unwrap_err()
                .contains("`POST`")
        );
        accepts::<Method>(&["GET", "DELETE"], &["CONNECT", "", "FETCH"]);
    }
}
