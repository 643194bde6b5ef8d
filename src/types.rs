//! Small values that every layer uses: secrets, sizes, rates, durations.
//!
//! They know how they are written in the config file and nothing else.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

/// A value that must never be printed. `Debug` shows `[redacted]`; there is no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps `value`.
    #[must_use]
    pub fn new(value: String) -> Self {
        Self(value)
    }

    /// The value itself. Call it where the value leaves the process, and nowhere else.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// A size in bytes, written `512`, `64KiB`, `10MiB`, `1GiB`, or with `KB`, `MB`, `GB` for powers of 1000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

/// A rate, written `10/s`, `300/m` or `1000/h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many in one `period`.
    pub count: NonZeroU32,
    /// One second, minute or hour.
    pub period: Duration,
}

/// What a value written in the wrong way should have looked like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormError {
    /// Not a duration.
    #[error("write a duration as a whole number and a unit: `500ms`, `10s`, `5m`, `24h`, `7d`")]
    Duration,
    /// Not a size.
    #[error("write a size as a whole number and a unit: `512`, `64KiB`, `10MiB`, `1GiB`")]
    Size,
    /// Not a rate.
    #[error("write a rate as a whole number above 0 and a period: `10/s`, `300/m`, `1000/h`")]
    Rate,
}

/// Reads a duration such as `500ms`, `10s`, `5m`, `24h`, `7d`.
///
/// # Errors
///
/// [`FormError::Duration`] when `text` is written in another way, or does not fit.
pub fn parse_duration(text: &str) -> Result<Duration, FormError> {
    let (number, unit) = split_number(text).ok_or(FormError::Duration)?;
    let seconds = |factor: u64| number.checked_mul(factor).map(Duration::from_secs);
    match unit {
        "ms" => Some(Duration::from_millis(number)),
        "s" => seconds(1),
        "m" => seconds(60),
        "h" => seconds(60 * 60),
        "d" => seconds(24 * 60 * 60),
        _ => None,
    }
    // A hundred years: beyond it the arithmetic of instants could overflow.
    .filter(|d| d.as_secs() < 100 * 365 * 24 * 60 * 60)
    .ok_or(FormError::Duration)
}

/// Writes a duration as [`parse_duration`] reads it, in the largest unit that fits exactly.
#[must_use]
pub fn format_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if duration.subsec_nanos() != 0 {
        return format!("{}ms", duration.as_millis());
    }
    for (unit, factor) in [("d", 86_400), ("h", 3_600), ("m", 60)] {
        if seconds != 0 && seconds.is_multiple_of(factor) {
            return format!("{}{unit}", seconds / factor);
        }
    }
    format!("{seconds}s")
}

impl FromStr for ByteSize {
    type Err = FormError;

    fn from_str(text: &str) -> Result<Self, FormError> {
        let (number, unit) = split_number(text).ok_or(FormError::Size)?;
        let factor = match unit {
            "" | "B" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            "KB" | "kB" => 1_000,
            "MB" => 1_000_000,
            "GB" => 1_000_000_000,
            _ => return Err(FormError::Size),
        };
        number.checked_mul(factor).map(Self).ok_or(FormError::Size)
    }
}

impl FromStr for Rate {
    type Err = FormError;

    fn from_str(text: &str) -> Result<Self, FormError> {
        let (count, period) = text.split_once('/').ok_or(FormError::Rate)?;
        let count = count.trim().parse().map_err(|_| FormError::Rate)?;
        let seconds = match period.trim() {
            "s" => 1,
            "m" => 60,
            "h" => 60 * 60,
            _ => return Err(FormError::Rate),
        };
        Ok(Self {
            count,
            period: Duration::from_secs(seconds),
        })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let period = match self.period.as_secs() {
            1 => "s",
            60 => "m",
            _ => "h",
        };
        write!(f, "{}/{period}", self.count)
    }
}

/// Splits `10MiB` into its digits and its unit; one space between them is allowed.
fn split_number(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    Some((digits.parse().ok()?, unit.trim_start()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_are_a_number_and_a_unit() {
        for (text, seconds) in [
            ("10s", 10),
            ("5m", 300),
            ("24h", 86_400),
            ("7d", 604_800),
            (" 1 s ", 1),
        ] {
            assert_eq!(
                parse_duration(text),
                Ok(Duration::from_secs(seconds)),
                "{text}"
            );
        }
        assert_eq!(parse_duration("250ms"), Ok(Duration::from_millis(250)));
        for text in [
            "",
            "10",
            "s",
            "-1s",
            "1.5s",
            "10 sec",
            "99999999999999999999s",
            "999999999d",
        ] {
            assert_eq!(parse_duration(text), Err(FormError::Duration), "{text}");
        }
    }

    #[test]
    fn sizes_are_a_number_and_a_unit() {
        for (text, bytes) in [
            ("512", 512),
            ("64KiB", 65_536),
            ("10MiB", 10_485_760),
            ("1GiB", 1 << 30),
            ("2MB", 2_000_000),
        ] {
            assert_eq!(text.parse(), Ok(ByteSize(bytes)), "{text}");
        }
        for text in ["", "10XB", "1.5MiB", "-1", "99999999999GiB"] {
            assert_eq!(text.parse::<ByteSize>(), Err(FormError::Size), "{text}");
        }
    }

    #[test]
    fn rates_are_a_count_and_a_period() {
        let rate: Rate = "300/m".parse().unwrap();
        assert_eq!(
            (rate.count.get(), rate.period),
            (300, Duration::from_secs(60))
        );
        for text in ["", "10", "0/s", "-1/s", "10/d", "10 per s"] {
            assert_eq!(text.parse::<Rate>(), Err(FormError::Rate), "{text}");
        }
    }

    #[test]
    fn a_secret_does_not_show_in_debug_output() {
        assert_eq!(
            format!("{:?}", Some(Secret::new("sk_live_1".into()))),
            "Some([redacted])"
        );
    }

    proptest! {
        #[test]
        fn a_duration_is_read_as_it_was_written(seconds in 0u64..1_000_000_000) {
            let duration = Duration::from_secs(seconds);
            prop_assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
        }
    }
}
