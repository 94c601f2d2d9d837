//! Places in a topic as people type them.

use super::moment::{FORMS, Moment};
use super::offsets::{self, EARLIEST, LATEST};
use super::shape::Shape;
use crate::cli::Failure;
use crate::cli::kafka::Cluster;
use crate::clock::{Clock, MachineClock};
use std::collections::BTreeMap;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    First,
    /// Behind the last record.
    Last,
    /// So many before the last, or the first where there are fewer.
    BeforeLast(i64),
    Offset(i64),
    /// The first record of this time or of a later one.
    Time(Moment),
}

impl Point {
    pub fn parse(text: &str) -> Result<Self, String> {
        let offset = |text: &str| text.parse::<i64>().ok().filter(|offset| *offset >= 0);
        let point = match text {
            "first" => Some(Self::First),
            "last" => Some(Self::Last),
            _ => match text.strip_prefix("last-") {
                Some(count) => offset(count).map(Self::BeforeLast),
                None => offset(text)
                    .map(Self::Offset)
                    .or_else(|| Moment::parse(text).map(Self::Time)),
            },
        };
        point.ok_or_else(|| format!("it is first, last, last-10, an offset or a time; {FORMS}"))
    }

    /// The offset of each partition. An offset must be one that is there, or
    /// the next to come.
    pub fn find(
        self,
        cluster: &mut Cluster,
        shape: &Shape,
        numbers: &[i32],
        is_stable: bool,
    ) -> Result<BTreeMap<i32, i64>, Failure> {
        let topic = &*shape.name;
        let mut all = |at| offsets::all(cluster, topic, numbers, at, is_stable);
        let found = match self {
            Self::First => return all(EARLIEST),
            Self::Last => return all(LATEST),
            Self::Time(moment) => {
                let found = all(moment.millis(MachineClock::new().now()))?;
                if found.values().all(|offset| *offset >= 0) {
                    return Ok(found);
                }
                found
            }
            Self::BeforeLast(_) | Self::Offset(_) => all(EARLIEST)?,
        };
        let ends = all(LATEST)?;
        let within = |(number, found): (i32, i64)| {
            let end = ends.get(&number).copied().unwrap_or(found);
            Ok((number, self.within(topic, number, found, end)?))
        };
        found.into_iter().map(within).collect()
    }

    /// `found` is the first offset, or the one of a time.
    fn within(self, topic: &str, number: i32, found: i64, end: i64) -> Result<i64, Failure> {
        match self {
            Self::First => Ok(found),
            Self::Last => Ok(end),
            // Nothing is of that time or of a later one.
            Self::Time(_) if found < 0 => Ok(end),
            Self::Time(_) => Ok(found),
            Self::BeforeLast(count) => Ok(end.saturating_sub(count).max(found)),
            Self::Offset(offset) if (found..=end).contains(&offset) => Ok(offset),
            Self::Offset(offset) => Err(Failure::failed(format!(
                "{topic}, partition {number}: there is no offset {offset}, it has those from \
                 {found} to below {end}"
            ))),
        }
    }
}

/// An offset means something in one partition alone.
pub fn check_one_partition(points: &[Option<Point>], numbers: &[i32]) -> Result<(), Failure> {
    let names_offset = points
        .iter()
        .any(|point| matches!(point, Some(Point::Offset(_))));
    match names_offset && numbers.len() != 1 {
        true => Err(Failure::wrong_usage(
            "an offset is one of a partition: say which with --partition",
        )),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_point_is_a_word_an_offset_or_a_time() {
        for (text, point) in [
            ("first", Point::First),
            ("last", Point::Last),
            ("last-10", Point::BeforeLast(10)),
            ("0", Point::Offset(0)),
            ("120", Point::Offset(120)),
            ("10m", Point::Time(Moment::Ago(Duration::from_secs(600)))),
        ] {
            assert_eq!(Point::parse(text), Ok(point), "{text}");
        }
        for bad in ["", "begin", "-1", "last-", "last--1", "1.5"] {
            let why = Point::parse(bad).unwrap_err();
            assert!(why.starts_with("it is first, last"), "{why}");
        }
        assert!(Point::parse("2026-02-03").is_ok());
    }

    #[test]
    fn a_point_lies_within_its_partition() {
        let check = |point: Point, found, end, offset: Result<i64, &str>| {
            let within = point.within("t", 0, found, end);
            let within = within.map_err(|failure| failure.message);
            match offset {
                Ok(offset) => assert_eq!(within, Ok(offset), "{point:?}"),
                Err(says) => assert!(within.unwrap_err().contains(says), "{point:?}"),
            }
        };
        let time = Point::Time(Moment::Ago(Duration::ZERO));
        check(time, 7, 9, Ok(7));
        check(time, -1, 9, Ok(9));
        check(Point::BeforeLast(3), 0, 9, Ok(6));
        check(Point::BeforeLast(10), 4, 9, Ok(4));
        check(Point::BeforeLast(i64::MAX), 0, 9, Ok(0));
        check(Point::Offset(4), 4, 9, Ok(4));
        check(Point::Offset(9), 4, 9, Ok(9));
        check(Point::Offset(3), 4, 9, Err("no offset 3"));
        check(Point::Offset(10), 4, 9, Err("from 4 to below 9"));
    }

    #[test]
    fn an_offset_needs_its_partition() {
        let one = Some(Point::Offset(1));
        assert!(check_one_partition(&[one, None], &[0]).is_ok());
        assert!(check_one_partition(&[None, one], &[0, 1]).is_err());
        assert!(check_one_partition(&[Some(Point::Last), None], &[0, 1]).is_ok());
    }
}
