//! Dates, times and durations as numbers.

use crate::spell::{self, Spelt};
use crate::{ColumnType, Table};
use arrow_array::{ArrayRef, Float64Array};
use chrono::{NaiveDate, NaiveTime, Timelike};
use quadrat_core::{Error, Result};

/// What the numbers of a column of dates, times or durations count: [`Table::numeric`] reads such columns too.
///
/// Texts are read where they are ISO 8601 (`2024-07-01`, `2024-07-01T09:30:00+02:00`, `09:30:00`, `PT90.5S`), with a
/// space for the `T` or `/` for the `-` if need be, or a duration as pandas writes it (`1 days 02:30:00`). Days first or
/// months first cannot be told apart, so that other orders are no dates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Dates, with the time of day or without: days since 1970-01-01.
    Local,
    /// Times with a zone: days since 1970-01-01 in UTC.
    Instant,
    /// Times of day: seconds since midnight.
    Clock,
    /// Durations: seconds.
    Duration,
}

impl Moment {
    /// What is counted.
    pub fn unit(self) -> &'static str {
        match self {
            Moment::Local => "days since 1970-01-01",
            Moment::Instant => "days since 1970-01-01 UTC",
            Moment::Clock => "seconds since midnight",
            Moment::Duration => "seconds",
        }
    }

    /// A cell in words and as one would write it.
    fn example(self) -> &'static str {
        match self {
            Moment::Local => "date without a zone, such as 2024-07-01 or 2024-07-01T09:30:00",
            Moment::Instant => "time with its zone, such as 2024-07-01T09:30:00Z",
            Moment::Clock => "time of day, such as 09:30:00",
            Moment::Duration => "duration, such as PT90.5S",
        }
    }

    /// A cell as a number, and what that counts.
    pub(crate) fn parse(cell: &str) -> Option<(Moment, f64)> {
        let cell = cell.trim();
        if let Some(seconds) = iso_duration(cell).or_else(|| pandas_duration(cell)) {
            return Some((Moment::Duration, seconds));
        }
        if let Some(seconds) = clock(cell) {
            return Some((Moment::Clock, seconds));
        }
        let (date, rest) = match cell.find(['T', 't', ' ']) {
            Some(at) => (&cell[..at], Some(cell[at + 1..].trim_start())),
            None => (cell, None),
        };
        let date = ["%Y-%m-%d", "%Y/%m/%d"].iter().find_map(|form| NaiveDate::parse_from_str(date, form).ok())?;
        let days = date.signed_duration_since(NaiveDate::default()).num_days() as f64;
        let Some(rest) = rest else { return Some((Moment::Local, days)) };
        let (time, offset) = match rest.find(['Z', 'z', '+', '-']) {
            Some(at) => (rest[..at].trim_end(), Some(offset(&rest[at..])?)),
            None => (rest, None),
        };
        let seconds = clock(time)? - offset.unwrap_or(0.0);
        Some((if offset.is_some() { Moment::Instant } else { Moment::Local }, days + seconds / DAY))
    }
}

const DAY: f64 = 86_400.0;

/// Seconds since midnight.
fn clock(text: &str) -> Option<f64> {
    let forms = ["%H:%M:%S%.f", "%H:%M"];
    let time = forms.iter().find_map(|form| NaiveTime::parse_from_str(text, form).ok())?;
    Some(f64::from(time.num_seconds_from_midnight()) + f64::from(time.nanosecond()) * 1e-9)
}

/// Seconds east of Greenwich of `Z`, `+02`, `+02:00` or `-0330`.
fn offset(text: &str) -> Option<f64> {
    let (sign, digits) = match text.split_at_checked(1)? {
        ("Z" | "z", "") => return Some(0.0),
        ("+", digits) => (1.0, digits),
        ("-", digits) => (-1.0, digits),
        _ => return None,
    };
    let digits: String = digits.chars().filter(|c| *c != ':').collect();
    if !matches!(digits.len(), 2 | 4) || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let (hours, minutes) = digits.split_at(2);
    let minutes: f64 = if minutes.is_empty() { 0.0 } else { minutes.parse().ok()? };
    Some(sign * (3600.0 * hours.parse::<f64>().ok()? + 60.0 * minutes))
}

/// Seconds of `P1DT2H30M5.5S`; months and years differ in length and are none.
fn iso_duration(text: &str) -> Option<f64> {
    let (sign, text) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    let mut rest = text.strip_prefix('P')?;
    let (mut seconds, mut parts, mut in_day) = (0.0, 0, false);
    while !rest.is_empty() {
        if let Some(time) = rest.strip_prefix('T').filter(|_| !in_day) {
            (rest, in_day) = (time, true);
            continue;
        }
        let end = rest.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == '-'))?;
        let unit = match (rest.as_bytes()[end], in_day) {
            (b'W', false) => 7.0 * DAY,
            (b'D', false) => DAY,
            (b'H', true) => 3600.0,
            (b'M', true) => 60.0,
            (b'S', true) => 1.0,
            _ => return None,
        };
        seconds += rest[..end].parse::<f64>().ok()? * unit;
        parts += 1;
        rest = &rest[end + 1..];
    }
    (parts > 0).then_some(sign * seconds)
}

/// Seconds of `1 days 02:30:00` or `-1 days +23:00:00`.
fn pandas_duration(text: &str) -> Option<f64> {
    let (days, rest) = text.split_once(" day")?;
    let rest = rest.strip_prefix('s').unwrap_or(rest).trim_start();
    let time = if rest.is_empty() { 0.0 } else { clock(rest.strip_prefix('+').unwrap_or(rest))? };
    Some(days.trim().parse::<i64>().ok()? as f64 * DAY + time)
}

/// Cells that a look at a column is worth.
const LOOKED_AT: usize = 32;

impl Table {
    /// What the numbers of a column of dates, times or durations count, judged by its first cells: texts, or a type that
    /// is spelt like them. `None` for other columns.
    ///
    /// # Errors
    /// An unknown column.
    pub fn moment(&self, name: &str) -> Result<Option<Moment>> {
        if !matches!(self.column(name)?.kind, ColumnType::Text | ColumnType::Other) {
            return Ok(None);
        }
        let head: Vec<usize> = (0..self.rows().min(LOOKED_AT)).collect();
        let cells = self.of_rows(&head)?.first_cells(name).or_else(|| self.first_cells(name)).unwrap_or_default();
        let found: Option<Vec<Moment>> = cells.iter().map(|cell| Some(Moment::parse(cell)?.0)).collect();
        let all_alike = |found: &Vec<Moment>| found.windows(2).all(|pair| pair[0] == pair[1]);
        Ok(found.filter(all_alike).and_then(|found| found.first().copied()))
    }

    /// Some of a column's cells that are not missing; none if there is none, or none that can be spelt.
    fn first_cells(&self, name: &str) -> Option<Vec<String>> {
        let parts = self.each_part(name, |cells: &mut Vec<String>, _, text| {
            let text = text.filter(|text| cells.len() < LOOKED_AT && !self.codes.mean_missing(text));
            cells.extend(text.map(|text| text.into_owned()));
            Ok(())
        });
        let cells: Vec<String> = parts.ok()?.into_iter().flatten().take(LOOKED_AT).collect();
        (!cells.is_empty()).then_some(cells)
    }

    /// A decoded batch of such a column as numbers.
    pub(crate) fn moments(
        &self,
        array: &ArrayRef,
        first: usize,
        column: usize,
        wanted: Moment,
    ) -> Result<Float64Array> {
        let mut numbers = Vec::with_capacity(array.len());
        let mut wrong = None;
        let spelt: Spelt<()> = spell::texts(array, &mut |text| {
            let text = text.filter(|text| !self.codes.mean_missing(text));
            let number = text.and_then(Moment::parse).filter(|(found, _)| *found == wanted);
            if let (Some(text), None, None) = (text, number, &wrong) {
                wrong = Some((numbers.len(), text.to_owned()));
            }
            numbers.push(number.map(|(_, number)| number));
        });
        let at = |row: usize, why: String| {
            Error::data(self.name(), self.line(first + row), format!("column `{}`: {why}", self.columns()[column].name))
        };
        spelt.map_err(|why| at(0, why))?;
        match wrong {
            Some((row, text)) => Err(at(row, format!("`{text}` is no {}, as the cells before", wanted.example()))),
            None => Ok(numbers.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Missing;

    #[test]
    fn cells_count_days_and_seconds() {
        use Moment::*;
        for (cell, expected) in [
            ("1970-01-02", Some((Local, 1.0))),
            ("1969-12-31", Some((Local, -1.0))),
            ("2024/07/01", Some((Local, 19_905.0))),
            ("2024-07-01T12:00:00", Some((Local, 19_905.5))),
            ("2024-07-01 06:00", Some((Local, 19_905.25))),
            ("2024-07-01T12:00:00Z", Some((Instant, 19_905.5))),
            ("2024-07-01 14:00:00+02:00", Some((Instant, 19_905.5))),
            ("2024-07-01T08:30:00.000-0330", Some((Instant, 19_905.5))),
            ("09:30:00", Some((Clock, 34_200.0))),
            ("00:00:00.25", Some((Clock, 0.25))),
            ("PT90.5S", Some((Duration, 90.5))),
            ("-PT0.5S", Some((Duration, -0.5))),
            ("P1DT2H30M", Some((Duration, 95_400.0))),
            ("P2W", Some((Duration, 14.0 * DAY))),
            ("1 days 02:30:00", Some((Duration, 95_400.0))),
            ("-1 days +23:00:00", Some((Duration, -3600.0))),
            ("1 day", Some((Duration, DAY))),
            ("P1M", None),
            ("PT", None),
            ("P", None),
            ("01/07/2024", None),
            ("2024-02-30", None),
            ("2024-07-01T25:00:00", None),
            ("2024-07-01T12:00:00+2", None),
            ("2024", None),
            ("P1é", None),
            ("é days", None),
            ("2024-07-01Té", None),
            ("", None),
        ] {
            assert_eq!(Moment::parse(cell), expected, "{cell}");
        }
    }

    #[test]
    fn columns_of_dates_are_numbers_where_they_are_asked_for() {
        let of = |csv: &str| Table::from_bytes("t.csv", csv.as_bytes().to_vec(), &[]).unwrap();
        let table = of("d,n,t\n1970-01-03,1,x\n,2,y\n1970-01-01T12:00:00,3,z\n");
        assert_eq!(table.moment("d").unwrap(), Some(Moment::Local));
        assert_eq!((table.moment("n").unwrap(), table.moment("t").unwrap()), (None, None));
        let read = table.numeric(&["n", "d"], Missing::Keep).unwrap();
        assert_eq!((read[[0, 1]], read[[2, 1]], read[[2, 0]]), (2.0, 0.5, 3.0));
        assert!(read[[1, 1]].is_nan() && table.numeric(&["d"], Missing::Error).is_err());
        assert!(table.numeric(&["t"], Missing::Keep).is_err());
        // What counts otherwise, or does not count, is named with its line.
        let dates: String = (1..=40).map(|day| format!("2024-01-{:02}\n", day % 28 + 1)).collect();
        for cell in ["2024-01-01T00:00:00Z", "soon", "01/02/2024"] {
            let error = of(&format!("d\n{dates}{cell}\n")).numeric(&["d"], Missing::Keep).unwrap_err().to_string();
            assert!(error.contains("t.csv:42") && error.contains(cell) && error.contains("2024-07-01"), "{error}");
        }
        // The first value may come late.
        let late = of(&format!("d,n\n{}PT1M,1\n", ",1\n".repeat(100)));
        assert_eq!(late.numeric(&["d"], Missing::Keep).unwrap()[[100, 0]], 60.0);
    }
}
