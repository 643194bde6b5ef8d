//! The way to Stripe's customer portal, and back to the frontend alone.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::uri::{Authority, Scheme};
use http::{Response, StatusCode, Uri};
use http_body_util::Full;
use serde_json::json;

use super::allowance::Allowance;
use super::body::Fields;
use super::failure::Failure;
use super::{Endpoints, in_time};
use crate::reply;
use crate::stripe;

/// How long Stripe may take, retries included.
const DEADLINE: Duration = Duration::from_secs(15);
/// Portals that a user may open without a pause; then one in [`PERIOD`].
const BURST: u32 = 40;
const PERIOD: Duration = Duration::from_secs(3);
/// Longer than any address that a browser shows.
const MAX_URL: usize = 2048;

/// Scheme, host and port of a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Origin {
    scheme: Scheme,
    /// In lower case.
    host: String,
    port: u16,
}

impl Origin {
    /// The origin of `url`; `None` where two readers could take it for two different ones.
    pub(super) fn of(url: &str) -> Option<Self> {
        // Browsers take a backslash for a slash, and pass over tabs and line ends.
        let is_plain = url.bytes().all(|b| b.is_ascii_graphic() && b != b'\\');
        if !is_plain || url.len() > MAX_URL {
            return None;
        }
        let before_fragment = url.split('#').next()?;
        let parts = before_fragment.parse::<Uri>().ok()?.into_parts();
        let (scheme, authority) = (parts.scheme?, parts.authority?);
        let default = match scheme.as_str() {
            "http" => 80,
            "https" => 443,
            _ => return None,
        };
        Some(Self {
            port: port(&authority, default)?,
            host: authority.host().to_ascii_lowercase(),
            scheme,
        })
    }
}

/// The port; `None` where there is something beside host and port.
fn port(authority: &Authority, default: u16) -> Option<u16> {
    let (text, host) = (authority.as_str(), authority.host());
    if host.is_empty() || text.contains('@') {
        return None;
    }
    if text == host {
        return Some(default);
    }
    authority.port_u16()
}

/// How often a user may open the portal.
pub(super) fn allowance() -> Allowance {
    Allowance::new(BURST, PERIOD)
}

impl Endpoints {
    /// `POST /stripe/customer-portal`.
    pub(super) async fn customer_portal(
        &self,
        user: &str,
        body: &[u8],
    ) -> Result<Response<Full<Bytes>>, Failure> {
        let fields = Fields::parse_optional(body)?;
        let return_url = match fields.optional_text("return_url")? {
            Some(url) if self.is_of_frontend(url) => url.to_owned(),
            Some(_) => return Err(Failure::ReturnUrl),
            None => format!("{}/dashboard", self.config.frontend_url),
        };
        let customer = self.own_customer(user).await?.ok_or(Failure::NoCustomer)?;
        let turn = self.portals.take(user, Instant::now());
        turn.map_err(|retry_after| Failure::TooManyQuestions { retry_after })?;
        let call = self
            .parts
            .stripe
            .create_portal_session(&customer, &return_url);
        let session = match in_time(DEADLINE, "create_portal_session", call).await {
            Ok(session) => session,
            Err(error) if is_unconfigured(&error) => return Err(Failure::Portal),
            Err(error) => {
                self.forget_deleted(&customer, error).await?;
                return Err(Failure::NoCustomer);
            }
        };
        let answer = json!({
            "success": true, "portal_url": session.url, "portal_session_id": session.id, "customer_id": customer,
            "expires_at": null,
        });
        Ok(reply::json(StatusCode::CREATED, &answer))
    }

    fn is_of_frontend(&self, url: &str) -> bool {
        self.frontend.is_some() && Origin::of(url) == self.frontend
    }
}

/// Stripe has no code for it. What is wrong with the customer or the way back has a code, or names its parameter, and
/// nothing else is sent.
fn is_unconfigured(error: &stripe::Error) -> bool {
    match &error.kind {
        stripe::Kind::Invalid { portal: true, .. } => true,
        stripe::Kind::Invalid {
            status,
            code,
            param,
            portal: false,
        } => *status == 400 && code.is_none() && param.is_none(),
        stripe::Kind::Unreachable
        | stripe::Kind::Api(_)
        | stripe::Kind::RateLimited
        | stripe::Kind::Auth { .. }
        | stripe::Kind::Card { .. }
        | stripe::Kind::Idempotency
        | stripe::Kind::Missing { .. }
        | stripe::Kind::Unreadable => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pages_of_the_frontend_are_a_way_back() {
        let frontend = Origin::of("https://app.example.com").unwrap();
        for url in [
            "https://app.example.com",
            "https://app.example.com/",
            "https://app.example.com:443/settings?tab=billing#top",
            "HTTPS://APP.example.com/x",
            "https://app.example.com#/route",
            "https://app.example.com/a@b",
        ] {
            assert_eq!(Origin::of(url).as_ref(), Some(&frontend), "{url}");
        }
        for url in [
            "",
            "/dashboard",
            "//evil.example",
            "dashboard",
            "http://app.example.com/",
            "https://app.example.com:8443/",
            "https://app.example.com.evil.example/",
            "https://app.example.com@evil.example/",
            "https://app.example.com:443@evil.example/",
            "https://user@app.example.com/",
            "https://app.example.com:/",
            "https://app.example.com:x/",
            "https://app.example.com:99999/",
            "https://app.example.com./",
            "https://evil.example/https://app.example.com",
            "https://evil.example#https://app.example.com",
            "https:\\\\evil.example",
            "https://app.example.com\\@evil.example",
            "https:/app.example.com/",
            "https:app.example.com",
            "https:///evil.example",
            "https://evil.example\t/",
            "\thttps://app.example.com/",
            "https://app.example.com/\r\nx",
            "https://äpp.example.com/",
            "javascript:alert(1)",
            "data:text/html,x",
            "ftp://app.example.com/",
            &format!("https://app.example.com/{}", "a".repeat(2048)),
        ] {
            assert_ne!(Origin::of(url).as_ref(), Some(&frontend), "{url}");
        }
        let local = Origin::of("https://localhost:8443").unwrap();
        assert_eq!(
            Origin::of("https://localhost:8443/dashboard"),
            Some(local.clone())
        );
        assert_ne!(Origin::of("https://localhost/dashboard"), Some(local));
    }
}
