//! Timestamps of the envelope: UTC, ISO 8601 without a zone, microseconds (wsx-protocol 2.3).

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A moment, in microseconds since 1970-01-01T00:00:00 UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(value_type = String, format = DateTime))]
pub struct Timestamp(i64);

impl Timestamp {
    /// From microseconds since the epoch; what lies outside the years -9999 to 9999 is brought to the nearer end.
    #[must_use]
    pub fn from_microseconds(microseconds: i64) -> Self {
        let (min, max) =
            (jiff::Timestamp::MIN.as_microsecond(), jiff::Timestamp::MAX.as_microsecond());
        Self(microseconds.clamp(min, max))
    }

    /// Microseconds since the epoch.
    #[must_use]
    pub fn as_microseconds(self) -> i64 {
        self.0
    }

    /// Reads the forms seen in the field: with or without a fraction, with or without a zone (UTC is then meant).
    /// Years before 0 have no form on the wire and are not read.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let parsed = text.parse::<jiff::Timestamp>().ok().or_else(|| {
            let civil = text.parse::<jiff::civil::DateTime>().ok()?;
            Some(civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp())
        });
        let year = |moment: &jiff::Timestamp| jiff::tz::Offset::UTC.to_datetime(*moment).year();
        parsed.filter(|moment| year(moment) >= 0).map(|moment| Self(moment.as_microsecond()))
    }

    /// The 26 characters `2024-03-04T10:20:30.123456`.
    #[must_use]
    pub fn to_iso(self) -> IsoTimestamp {
        let moment = jiff::Timestamp::from_microsecond(self.0).unwrap_or_default();
        let civil = jiff::tz::Offset::UTC.to_datetime(moment);
        let mut text = *b"0000-00-00T00:00:00.000000";
        let parts = [
            (0..4, i32::from(civil.year()).unsigned_abs()),
            (5..7, i32::from(civil.month()).unsigned_abs()),
            (8..10, i32::from(civil.day()).unsigned_abs()),
            (11..13, i32::from(civil.hour()).unsigned_abs()),
            (14..16, i32::from(civil.minute()).unsigned_abs()),
            (17..19, i32::from(civil.second()).unsigned_abs()),
            (20..26, civil.subsec_nanosecond().unsigned_abs() / 1000),
        ];
        for (range, mut value) in parts {
            for place in text.get_mut(range).into_iter().flatten().rev() {
                *place = b'0' + u8::try_from(value % 10).unwrap_or_default();
                value /= 10;
            }
        }
        IsoTimestamp(text)
    }
}

/// A timestamp as text, held inline.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct IsoTimestamp([u8; 26]);

impl IsoTimestamp {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Only ever made of ASCII digits and separators.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Debug for IsoTimestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.to_iso().as_str())
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.to_iso().as_str())
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            serde::de::Error::custom("expected a time such as 2024-03-04T10:20:30.123456")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_microseconds_without_a_zone() {
        let moment = Timestamp::parse("2024-03-04T10:20:30.123456").unwrap();
        assert_eq!(moment.to_string(), "2024-03-04T10:20:30.123456");
        assert_eq!(Timestamp::from_microseconds(0).to_string(), "1970-01-01T00:00:00.000000");
    }

    #[test]
    fn reads_what_clients_write() {
        let expected = Timestamp::parse("2024-03-04T10:20:30.123").unwrap();
        assert_eq!(Timestamp::parse("2024-03-04T10:20:30.123Z"), Some(expected));
        assert!(Timestamp::parse("2024-03-04T10:20:30").is_some());
        assert_eq!(Timestamp::parse("yesterday"), None);
    }
}
