//! Whether and when a call is tried again (Stripe's documentation, "Advanced error handling").

use std::time::Duration;

use http::{HeaderMap, StatusCode};

/// The first wait, which doubles.
pub(super) const BASE: Duration = Duration::from_millis(500);

/// The longest wait of our own making.
const MAX_BACKOFF: Duration = Duration::from_secs(4);

/// The longest wait that Stripe may ask for while somebody waits for the answer; beyond it the caller decides.
const MAX_ASKED: Duration = Duration::from_secs(5);

/// How long a caller is told to wait at most, whatever Stripe says.
const MAX_TOLD: Duration = Duration::from_secs(60 * 60);

/// How often and how patiently.
pub(super) struct Patience {
    /// Attempts after the first.
    pub(super) retries: u32,
    /// The first wait.
    pub(super) base: Duration,
}

impl Patience {
    /// How long to wait before the next attempt, after `tried` retries; `None` when there is none. `luck`, from 0 to
    /// 1, spreads those who failed together.
    pub(super) fn wait(&self, tried: u32, asked: Option<Duration>, luck: f64) -> Option<Duration> {
        let asked = asked.unwrap_or_default();
        if tried >= self.retries || asked > MAX_ASKED {
            return None;
        }
        // 2^16 of any base that is not zero is beyond the longest wait.
        let backoff = self
            .base
            .saturating_mul(1 << tried.min(16))
            .min(MAX_BACKOFF);
        Some(backoff.mul_f64(luck.clamp(0.0, 1.0)).max(asked))
    }
}

/// Whether an answer of this status invites another attempt: Stripe's own word first.
pub(super) fn invited(status: StatusCode, headers: &HeaderMap) -> bool {
    match headers
        .get("stripe-should-retry")
        .map(http::HeaderValue::as_bytes)
    {
        Some(b"true") => true,
        Some(b"false") => false,
        Some(_) | None => {
            status.is_server_error()
                || [StatusCode::CONFLICT, StatusCode::TOO_MANY_REQUESTS].contains(&status)
        }
    }
}

/// `Retry-After` in seconds, which is how Stripe writes it.
pub(super) fn asked(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(http::header::RETRY_AFTER)?.to_str().ok()?;
    let seconds = text.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(MAX_TOLD))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Patience = Patience {
        retries: 6,
        base: BASE,
    };

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let field = |&(name, value): &(&'static str, &'static str)| {
            (
                http::HeaderName::from_static(name),
                http::HeaderValue::from_static(value),
            )
        };
        fields.iter().map(field).collect()
    }

    #[test]
    fn waits_double_up_to_a_cap_and_are_spread() {
        let waits: Vec<u128> = (0..6)
            .filter_map(|tried| PATIENCE.wait(tried, None, 1.0))
            .map(|wait| wait.as_millis())
            .collect();
        assert_eq!(waits, [500, 1000, 2000, 4000, 4000, 4000]);
        assert_eq!(PATIENCE.wait(0, None, 0.0), Some(Duration::ZERO));
        assert_eq!(
            PATIENCE.wait(1, None, 0.25),
            Some(Duration::from_millis(250))
        );
        assert_eq!(PATIENCE.wait(6, None, 0.5), None);
        let endless = Patience {
            retries: u32::MAX,
            base: Duration::MAX,
        };
        assert_eq!(endless.wait(u32::MAX - 1, None, 1.0), Some(MAX_BACKOFF));
    }

    #[test]
    fn what_stripe_asks_for_is_kept_or_left_to_the_caller() {
        let asked = |seconds| PATIENCE.wait(0, Some(Duration::from_secs(seconds)), 1.0);
        assert_eq!(asked(0), Some(BASE));
        assert_eq!(asked(2), Some(Duration::from_secs(2)));
        assert_eq!(asked(5), Some(Duration::from_secs(5)));
        assert_eq!(asked(6), None);
    }

    #[test]
    fn stripes_own_word_goes_before_the_status() {
        for (status, by_status) in [
            (200, false),
            (400, false),
            (401, false),
            (402, false),
            (404, false),
            (409, true),
            (429, true),
            (500, true),
            (503, true),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(invited(status, &headers(&[])), by_status, "{status}");
            let unclear = headers(&[("stripe-should-retry", "maybe")]);
            assert_eq!(invited(status, &unclear), by_status, "{status}");
            for (word, verdict) in [("true", true), ("false", false)] {
                let said = headers(&[("stripe-should-retry", word)]);
                assert_eq!(invited(status, &said), verdict, "{status}");
            }
        }
    }

    #[test]
    fn retry_after_is_whole_seconds_and_bounded() {
        for (text, seconds) in [
            ("0", Some(0)),
            ("7", Some(7)),
            (" 7 ", Some(7)),
            ("99999999999", Some(3600)),
            ("-1", None),
            ("soon", None),
            ("Wed, 21 Oct 2026 07:28:00 GMT", None),
        ] {
            let asked = asked(&headers(&[("retry-after", text)]));
            assert_eq!(asked, seconds.map(Duration::from_secs), "{text}");
        }
        assert_eq!(asked(&headers(&[])), None);
    }
}
