//! Whether our clock agrees with those of Auth0 and Stripe: tokens and signatures carry times.

use std::time::{Duration, UNIX_EPOCH};

use http::{HeaderMap, header};

use super::plain::Answer;
use super::report::Check;
use crate::clock::{Clock, SystemClock};

/// Below it nobody looks twice: answers are late, and `Date` counts whole seconds.
const NOTHING: Duration = Duration::from_secs(5);
const NAME: &str = "clock";
const MEND: &str = "Let this machine's clock be set by NTP.";

/// Compares our clock with that of whoever answers `asking`. `limit` is what the config forgives, `limited_by` its key.
pub(super) async fn check(
    whose: &str,
    asking: impl Future<Output = Result<Answer, String>>,
    limit: Duration,
    limited_by: &str,
) -> Check {
    let asked = SystemClock.since_epoch();
    let answer = match asking.await {
        Ok(answer) => answer,
        Err(reason) => {
            return Check::warn(
                NAME,
                format!("{whose} does not tell the time: {reason}"),
                format!("See to it that {whose} can be reached from here."),
            );
        }
    };
    let answered = SystemClock.since_epoch();
    match told_at(&answer.headers) {
        Some(date) => told(whose, skew(date, asked, answered), limit, limited_by),
        None => Check::warn(
            NAME,
            format!("the answer of {whose} has no usable Date, so the clocks cannot be compared"),
            MEND,
        ),
    }
}

/// What to say about a difference.
fn told(whose: &str, skew: Skew, limit: Duration, limited_by: &str) -> Check {
    let found = match skew {
        Skew::None => return Check::pass(NAME, format!("agrees with that of {whose}")),
        Skew::Ahead(by) => format!("{} s ahead of that of {whose}", by.as_secs()),
        Skew::Behind(by) => format!("{} s behind that of {whose}", by.as_secs()),
    };
    let by = skew.by();
    let forgiven = format!("{limited_by} forgives {} s", limit.as_secs());
    if by < NOTHING && by <= limit {
        Check::pass(NAME, found)
    } else if by <= limit.max(NOTHING) {
        Check::warn(NAME, format!("{found}; {forgiven}"), MEND)
    } else {
        Check::fail(NAME, format!("{found}, and {forgiven}"), MEND)
    }
}

/// How our clock differs for certain, whatever the answer's time on the way was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Skew {
    None,
    Ahead(Duration),
    Behind(Duration),
}

impl Skew {
    fn by(self) -> Duration {
        match self {
            Self::None => Duration::ZERO,
            Self::Ahead(by) | Self::Behind(by) => by,
        }
    }
}

/// `date` was written between `asked` and `answered`, and is up to a second too early.
fn skew(date: Duration, asked: Duration, answered: Duration) -> Skew {
    let latest = date + Duration::from_secs(1);
    if asked > latest {
        Skew::Ahead(asked.saturating_sub(latest))
    } else if date > answered {
        Skew::Behind(date.saturating_sub(answered))
    } else {
        Skew::None
    }
}

/// What the time was when the answer left for here: `Date` is when it was made, and a cache that kept it since says in `Age`
/// for how many seconds (RFC 9111, section 5.1).
fn told_at(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(header::DATE)?.to_str().ok()?;
    let date = httpdate::parse_http_date(text).ok()?;
    let date = date.duration_since(UNIX_EPOCH).ok()?;
    let age = headers.get(header::AGE).and_then(|age| age.to_str().ok());
    // One that cannot be read says nothing.
    let age = age.and_then(|age| age.trim().parse::<u32>().ok());
    Some(date + Duration::from_secs(age.unwrap_or_default().into()))
}

#[cfg(test)]
mod tests {
    use super::super::report::Status;
    use super::*;

    const fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn the_time_on_the_way_and_the_whole_second_count_for_nobody() {
        for (date, asked, answered, expected) in [
            (100, 100_000, 100_050, Skew::None),
            (100, 100_990, 101_000, Skew::None),
            (100, 98_000, 103_000, Skew::None),
            (100, 107_000, 107_500, Skew::Ahead(ms(6_000))),
            (100, 89_000, 90_000, Skew::Behind(ms(10_000))),
        ] {
            let found = skew(Duration::from_secs(date), ms(asked), ms(answered));
            assert_eq!(found, expected, "{asked} to {answered}");
        }
    }

    #[test]
    fn a_difference_weighs_as_much_as_the_config_forgives() {
        for (by, limit, expected) in [
            (4, 30, Status::Pass),
            (6, 30, Status::Warn),
            (30, 30, Status::Warn),
            (31, 30, Status::Fail),
            (3, 1, Status::Warn),
            (6, 1, Status::Fail),
        ] {
            let skew = Skew::Behind(Duration::from_secs(by));
            let check = told("Auth0", skew, Duration::from_secs(limit), "auth0.leeway");
            assert_eq!(check.status, expected, "{by} of {limit}");
        }
    }

    #[test]
    fn a_date_is_read_or_it_is_none() {
        let read = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::DATE, text.parse().unwrap());
            told_at(&headers)
        };
        let expected = Some(Duration::from_secs(784_111_777));
        assert_eq!(read("Sun, 06 Nov 1994 08:49:37 GMT"), expected);
        assert_eq!(read("yesterday"), None);
    }

    #[test]
    fn what_a_cache_kept_is_as_much_older_as_it_says() {
        for (age, expected) in [
            ("0", 784_111_777),
            ("600", 784_112_377),
            ("-1", 784_111_777),
            ("soon", 784_111_777),
            ("99999999999999999999", 784_111_777),
        ] {
            let mut headers = HeaderMap::new();
            let date = "Sun, 06 Nov 1994 08:49:37 GMT".parse().unwrap();
            headers.insert(header::DATE, date);
            headers.insert(header::AGE, age.parse().unwrap());
            let expected = Some(Duration::from_secs(expected));
            assert_eq!(told_at(&headers), expected, "{age}");
        }
    }
}
