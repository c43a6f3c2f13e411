//! Points in time and spans of it, in whole seconds. Nothing here reads a clock: `now` is always an argument.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A point in time: seconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The point `seconds` after the Unix epoch.
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds)
    }

    /// Seconds since the Unix epoch.
    pub const fn seconds(self) -> i64 {
        self.0
    }

    /// This point and `lifetime` later; stops at the largest representable point.
    #[must_use]
    pub const fn plus(self, lifetime: Lifetime) -> Self {
        Self(self.0.saturating_add(lifetime.seconds()))
    }

    /// This point and `lifetime` earlier.
    #[must_use]
    pub const fn minus(self, lifetime: Lifetime) -> Self {
        Self(self.0.saturating_sub(lifetime.seconds()))
    }

    /// Seconds from `earlier` to this point; negative when `earlier` is later.
    pub const fn seconds_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// A span of time in whole seconds, at most [`Lifetime::MAX`]. Written `90s`, `10m`, `12h`, `14d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lifetime(u32);

/// Why a text is not a [`Lifetime`].
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a span of time is a whole number and a unit, such as 90s, 10m, 12h or 14d, ten years at most; `{0}` is not"
)]
pub struct LifetimeError(String);

impl Lifetime {
    /// Ten years.
    pub const MAX: Self = Self::days(3653);

    /// A span of seconds.
    pub const fn from_seconds(seconds: u32) -> Self {
        Self(seconds)
    }

    /// A span of minutes.
    pub const fn minutes(minutes: u32) -> Self {
        Self(minutes * 60)
    }

    /// A span of hours.
    pub const fn hours(hours: u32) -> Self {
        Self(hours * 3600)
    }

    /// A span of days.
    pub const fn days(days: u32) -> Self {
        Self(days * 86_400)
    }

    /// The span in seconds.
    pub const fn seconds(self) -> i64 {
        self.0 as i64
    }

    /// Reads `90s`, `10m`, `12h`, `14d`.
    pub fn parse(text: &str) -> Result<Self, LifetimeError> {
        let refuse = || LifetimeError(text.chars().take(40).collect());
        let unit = text.chars().next_back().ok_or_else(refuse)?;
        let scale: u32 = match unit {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 86_400,
            _ => return Err(refuse()),
        };
        let digits = text.strip_suffix(unit).ok_or_else(refuse)?;
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(refuse());
        }
        let seconds = digits
            .parse::<u32>()
            .ok()
            .and_then(|count| count.checked_mul(scale))
            .ok_or_else(refuse)?;
        let lifetime = Self(seconds);
        if seconds == 0 || lifetime > Self::MAX {
            Err(refuse())
        } else {
            Ok(lifetime)
        }
    }
}

impl std::fmt::Display for Lifetime {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (count, unit) = [(86_400, 'd'), (3600, 'h'), (60, 'm')]
            .into_iter()
            .find(|(scale, _)| self.0.is_multiple_of(*scale) && self.0 != 0)
            .map_or((self.0, 's'), |(scale, unit)| (self.0 / scale, unit));
        write!(formatter, "{count}{unit}")
    }
}

impl Serialize for Lifetime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Lifetime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lifetime_reads_back_what_it_prints() {
        for text in ["1s", "90s", "10m", "12h", "14d", "3653d"] {
            assert_eq!(Lifetime::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Lifetime::parse("3600s").unwrap().to_string(), "1h");
    }

    #[test]
    fn a_lifetime_without_unit_or_out_of_bounds_is_refused() {
        for text in [
            "",
            "10",
            "m",
            "-5m",
            "+5m",
            "1.5h",
            "10 m",
            "0s",
            "3654d",
            "99999999999d",
            "10M",
            "١٠m",
            "10é",
        ] {
            assert!(Lifetime::parse(text).is_err(), "{text}");
        }
    }
}
