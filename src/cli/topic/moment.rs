//! Times as people type them.

use crate::clock::Millis;
use std::time::Duration;

/// A time, or how long ago one was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    At(Millis),
    Ago(Duration),
}

pub const FORMS: &str = "a time is written 2026-02-03T04:05:06Z, 2026-02-03, 90s, 10m, 2h or 7d for so long ago, or \
     @MILLISECONDS since 1970";

impl Moment {
    /// None where the text is none of the forms.
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(millis) = text.strip_prefix('@') {
            let millis: u64 = number(millis)?;
            return i64::try_from(millis).ok().map(|_| Self::At(Millis(millis)));
        }
        if let Some(ago) = ago(text) {
            return Some(Self::Ago(ago));
        }
        date_and_time(text).map(Self::At)
    }

    /// In milliseconds since 1970.
    pub fn millis(self, now: Millis) -> i64 {
        let millis = match self {
            Self::At(at) => at.0,
            Self::Ago(ago) => now.0.saturating_sub(ago.as_millis() as u64),
        };
        i64::try_from(millis).unwrap_or(i64::MAX)
    }
}

fn ago(text: &str) -> Option<Duration> {
    let unit = text.chars().next_back()?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return None,
    };
    let count: u64 = number(&text[..text.len() - 1])?;
    count.checked_mul(seconds).map(Duration::from_secs)
}

/// `2026-02-03`, then `T04:05` or `T04:05:06` or with parts of a second, then
/// `Z` or `+01:00`; without either it is UTC.
fn date_and_time(text: &str) -> Option<Millis> {
    let (date, time) = match text.split_once('T') {
        Some((date, time)) => (date, Some(time)),
        None => (text, None),
    };
    let mut parts = date.split('-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || year.len() != 4 || month.len() != 2 || day.len() != 2 {
        return None;
    }
    let days = days_since_1970(number(year)?, number(month)?, number(day)?)?;
    let millis = days.checked_mul(86_400_000)?;
    match time {
        None => Some(Millis(millis)),
        Some(time) => {
            let behind = i64::try_from(millis)
                .ok()?
                .checked_add(time_of_day(time)?)?;
            u64::try_from(behind).ok().map(Millis)
        }
    }
}

/// In milliseconds; less than none where the zone is east of Greenwich.
fn time_of_day(text: &str) -> Option<i64> {
    let (clock, zone) = match text.find(['Z', '+', '-']) {
        Some(at) => text.split_at(at),
        None => (text, "Z"),
    };
    let mut parts = clock.split(':');
    let (hour, minute) = (two(parts.next()?, 24)?, two(parts.next()?, 60)?);
    let seconds_ms = match parts.next() {
        None => 0,
        Some(seconds) => seconds_ms(seconds)?,
    };
    if parts.next().is_some() {
        return None;
    }
    let east = match zone.split_at(1) {
        ("Z", "") => 0,
        (sign, zone) => {
            let (hours, minutes) = zone.split_once(':')?;
            let minutes = two(hours, 24)? * 60 + two(minutes, 60)?;
            if sign == "-" { -minutes } else { minutes }
        }
    };
    Some((hour * 60 + minute - east) * 60_000 + seconds_ms)
}

fn seconds_ms(text: &str) -> Option<i64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let thousandths: String = part.chars().chain("00".chars()).take(3).collect();
    if part.is_empty() || !part.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(two(whole, 60)? * 1000 + i64::from(number::<u16>(&thousandths)?))
}

fn two(text: &str, below: i64) -> Option<i64> {
    let value: i64 = number(text)?;
    (text.len() == 2 && value < below).then_some(value)
}

/// Digits alone: no sign.
fn number<T: std::str::FromStr>(text: &str) -> Option<T> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_number)
}

/// The other way round than `Millis` shows itself: years are counted from March,
/// in eras of 400 years.
fn days_since_1970(year: u64, month: u64, day: u64) -> Option<u64> {
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let last = match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if year < 1970 || !(1..=last).contains(&day) {
        return None;
    }
    let march_year = year - u64::from(month <= 2);
    let (era, year_of_era) = (march_year / 400, march_year % 400);
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(era * 146_097 + day_of_era - 719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Option<u64> {
        match Moment::parse(text)? {
            Moment::At(at) => Some(at.0),
            Moment::Ago(_) => None,
        }
    }

    #[test]
    fn a_time_is_read_as_it_is_shown() {
        for seconds in [0, 951_782_399, 951_782_400, 1_709_251_199, 4_107_542_400] {
            let shown = Millis(seconds * 1000).to_string();
            assert_eq!(at(&shown), Some(seconds * 1000), "{shown}");
        }
        for day in 0..60_000 {
            let shown = Millis(day * 86_400_000).to_string();
            assert_eq!(at(&shown[..10]), Some(day * 86_400_000), "{shown}");
        }
    }

    #[test]
    fn what_is_left_out_is_midnight_in_utc() {
        let noon = 1_770_120_000_000;
        for text in [
            "2026-02-03T12:00",
            "2026-02-03T12:00:00",
            "2026-02-03T12:00Z",
            "2026-02-03T12:00:00.000Z",
            "2026-02-03T13:30+01:30",
            "2026-02-03T00:00-12:00",
            "@1770120000000",
        ] {
            assert_eq!(at(text), Some(noon), "{text}");
        }
        assert_eq!(at("2026-02-03T12:00:00.25"), Some(noon + 250));
        assert_eq!(at("2026-02-03"), Some(noon - 43_200_000));
    }

    #[test]
    fn how_long_ago_is_counted_from_now() {
        let now = Millis(1_000_000_000);
        for (text, millis) in [
            ("90s", 999_910_000),
            ("10m", 999_400_000),
            ("2h", 992_800_000),
            ("7d", 395_200_000),
            ("9999d", 0),
        ] {
            assert_eq!(Moment::parse(text).unwrap().millis(now), millis, "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in [
            "",
            "m",
            "10",
            "-10m",
            "+1h",
            "@",
            "@-5",
            "@99999999999999999999",
            "2026-13-01",
            "2026-02-30",
            "2026-2-3",
            "1969-12-31",
            "2026-02-03T",
            "2026-02-03T24:00",
            "2026-02-03T12:60",
            "2026-02-03T12:00:60",
            "2026-02-03T12:00:00.Z",
            "2026-02-03T12:00:00:00",
            "2026-02-03T12:00+1",
            "1970-01-01T00:00+01:00",
            "99999999999999999999d",
            "é",
        ] {
            assert_eq!(Moment::parse(text), None, "{text}");
        }
    }
}
