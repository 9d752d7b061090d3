//! The `.ts` format, read line by line.

use super::{Series, SeriesSet};
use crate::moments::Moment;
use ndarray::Array2;
use quadrat_core::{Error, Result};
use std::io::BufRead;

/// What a header says; nothing where it says nothing.
#[derive(Default)]
struct Header {
    timestamps: bool,
    missing: Option<bool>,
    univariate: Option<bool>,
    dimensions: Option<usize>,
    equal_length: Option<bool>,
    length: Option<usize>,
    /// Whether rows end with a class.
    labelled: bool,
    classes: Vec<String>,
}

/// Why a line does not fit.
type Read<T> = std::result::Result<T, String>;

/// A time and what was measured at it.
type Point = (f64, f64);

impl SeriesSet {
    /// As [`SeriesSet::open_ts`], from text that is called `name`.
    ///
    /// ```
    /// use quadrat_data::series::SeriesSet;
    /// let text = "@timestamps false\n@univariate false\n@dimensions 2\n@classLabel true up down\n@data\n\
    ///             1,?,3:0,1,0:up\n3,2:1,NaN:down\n";
    /// let set = SeriesSet::read_ts("small.ts", text.as_bytes())?;
    /// assert_eq!((set.series.len(), set.channels.len(), set.longest()), (2, 2, 3));
    /// assert!(set.series[0].values[[1, 0]].is_nan() && set.series[1].class == Some(1));
    /// # Ok::<(), quadrat_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// As there.
    pub fn read_ts(name: &str, from: impl BufRead) -> Result<Self> {
        let (mut header, mut data, mut notes) = (Header::default(), false, Vec::new());
        let mut series: Vec<Series> = Vec::new();
        let mut holes_said = false;
        for (at, line) in (1..).zip(from.split(b'\n')) {
            let wrong = |why: String| Error::data(name, at, why);
            let line = line.map_err(|e| wrong(e.to_string()))?;
            let line = std::str::from_utf8(&line).map_err(|_| wrong("not UTF-8: convert the file first".into()))?;
            let line = line.trim_start_matches('\u{feff}').trim();
            if line.is_empty() || line.starts_with(['#', '%']) {
                continue;
            }
            if let Some(tag) = line.strip_prefix('@') {
                if data {
                    return Err(wrong(format!("`{line}` after @data: all tags come before it")));
                }
                data = header.take(tag, &mut notes).map_err(wrong)?;
                continue;
            }
            if !data {
                return Err(wrong(
                    "a row before @data: a .ts file begins with tags, the last of which is @data".into(),
                ));
            }
            let one = header.row(line, series.first()).map_err(wrong)?;
            if header.missing == Some(false) && !holes_said && one.values.iter().any(|v| v.is_nan()) {
                holes_said = true;
                notes.push(format!("line {at} has a missing value, which @missing false denies"));
            }
            series.push(Series { name: series.len().to_string(), ..one });
        }
        let Some(first) = series.first() else {
            let why = if data { "no row after @data" } else { "no @data: is it a .ts file?" };
            return Err(Error::data(name, None, why));
        };
        let channels = (0..first.values.ncols()).map(|c| format!("dim_{c}")).collect();
        let set = SeriesSet { name: name.to_owned(), channels, classes: header.classes, series, notes };
        Ok(set.with_notes())
    }
}

impl Header {
    /// One tag; whether it is the last.
    fn take(&mut self, tag: &str, notes: &mut Vec<String>) -> Read<bool> {
        let mut words = tag.split_whitespace();
        let key = words.next().unwrap_or_default();
        let words: Vec<&str> = words.collect();
        let truth = || match words.first().map(|word| word.to_ascii_lowercase()).as_deref() {
            Some("true") => Ok(true),
            Some("false") => Ok(false),
            _ => Err(format!("@{key} must say true or false")),
        };
        let number = || {
            let n = words.first().and_then(|word| word.parse::<usize>().ok()).filter(|n| *n > 0);
            n.ok_or_else(|| format!("@{key} must say a whole number of at least 1"))
        };
        match key.to_ascii_lowercase().as_str() {
            "data" if words.is_empty() => return Ok(true),
            "data" => return Err("@data stands alone on its line; rows follow below".into()),
            "problemname" | "relation" => {}
            "timestamps" => self.timestamps = truth()?,
            "missing" => self.missing = Some(truth()?),
            "univariate" => self.univariate = Some(truth()?),
            "dimension" | "dimensions" => self.dimensions = Some(number()?),
            "equallength" => self.equal_length = Some(truth()?),
            "serieslength" => self.length = Some(number()?),
            "classlabel" => {
                self.labelled = truth()?;
                self.classes = words[1..].iter().map(|word| (*word).to_owned()).collect();
                if self.labelled && self.classes.is_empty() {
                    return Err("@classLabel true must name the classes, such as @classLabel true 1 2".into());
                }
                if let Some(twice) = (1..self.classes.len()).find(|i| self.classes[..*i].contains(&self.classes[*i])) {
                    return Err(format!("@classLabel names `{}` twice", self.classes[twice]));
                }
            }
            "targetlabel" if !truth()? => {}
            "targetlabel" => {
                return Err("@targetLabel: the rows end with numbers; series are read with classes only".into());
            }
            _ => notes.push(format!("the tag @{key} is not known and was passed over")),
        }
        Ok(false)
    }

    /// One row: its channels, and its class at the end.
    fn row(&self, line: &str, first: Option<&Series>) -> Read<Series> {
        let (channels, label) = if self.timestamps { self.pairs(line)? } else { self.lists(line)? };
        let class = label.map(|label| self.class(label)).transpose()?;
        let known = self.dimensions.or(first.map(|first| first.values.ncols()));
        if let Some(known) = known.filter(|known| *known != channels.len()) {
            let source = if self.dimensions.is_some() { "@dimensions says" } else { "the first row has" };
            return Err(format!("{} channels where {source} {known}", channels.len()));
        }
        if self.univariate == Some(true) && channels.len() > 1 {
            return Err(format!("{} channels under @univariate true", channels.len()));
        }
        let mut times: Vec<f64> = channels.iter().flatten().map(|(time, _)| *time).collect();
        times.sort_by(f64::total_cmp);
        times.dedup();
        if times.is_empty() {
            return Err("a series without any time: leave it out".into());
        }
        let equal = self.length.or(first.filter(|_| self.equal_length == Some(true)).map(|first| first.times.len()));
        if let Some(length) = equal.filter(|length| *length != times.len()) {
            let source =
                if self.length.is_some() { "@seriesLength says" } else { "@equalLength is true and the first has" };
            return Err(format!("a series of {} times where {source} {length}", times.len()));
        }
        let mut values = Array2::from_elem((times.len(), channels.len()), f64::NAN);
        for (c, channel) in channels.iter().enumerate() {
            for (time, value) in channel {
                values[[times.partition_point(|t| t < time), c]] = *value;
            }
        }
        Ok(Series { name: String::new(), times, values, class })
    }

    fn class(&self, label: &str) -> Read<u32> {
        let place = self.classes.iter().position(|class| class == label);
        place
            .map(|place| place as u32)
            .ok_or_else(|| format!("class `{label}`; @classLabel names {}", self.classes.join(", ")))
    }

    /// A row of lists: `1,2,3:4,5,6:class`.
    fn lists<'a>(&self, line: &'a str) -> Read<(Vec<Vec<Point>>, Option<&'a str>)> {
        let (lists, label) = match self.labelled {
            true => {
                let (lists, label) = line.rsplit_once(':').ok_or("no class at the end of the row, after a `:`")?;
                (lists, Some(label.trim()))
            }
            false => (line, None),
        };
        let mut channels: Vec<Vec<Point>> = Vec::new();
        for list in lists.split(':') {
            if list.trim_start().starts_with('(') {
                return Err("pairs of time and value: the header must say @timestamps true".into());
            }
            let point = |(time, cell): (usize, &str)| Ok((time as f64, number(cell)?));
            let channel = list.split(',').enumerate().map(point).collect::<Read<Vec<Point>>>()?;
            if let Some(first) = channels.first().filter(|first| first.len() != channel.len()) {
                let (at, lengths) = (channels.len(), (channel.len(), first.len()));
                return Err(format!(
                    "channel {at} has {} values and channel 0 {}: without times all channels of a series must have as many",
                    lengths.0, lengths.1
                ));
            }
            channels.push(channel);
        }
        Ok((channels, label))
    }

    /// A row of pairs: `(0,1.5),(1,2.5):(0.5,3):class`; a time may hold colons and commas are only between its parts.
    fn pairs<'a>(&self, line: &'a str) -> Read<(Vec<Vec<Point>>, Option<&'a str>)> {
        let (mut channels, mut channel, mut rest) = (Vec::new(), Vec::<Point>::new(), line);
        loop {
            rest = rest.trim_start();
            if let Some(inner) = rest.strip_prefix('(') {
                let (pair, after) = inner.split_once(')').ok_or("a `(` without its `)`")?;
                let (time, value) = pair.rsplit_once(',').ok_or_else(|| format!("`({pair})` is no (time,value)"))?;
                let (time, value) = (moment(time)?, number(value)?);
                if let Some((before, _)) = channel.last().filter(|(before, _)| *before >= time) {
                    let at = channels.len();
                    return Err(format!("channel {at}: time {time} after {before}; times must rise strictly"));
                }
                channel.push((time, value));
                rest = after.trim_start();
                if let Some(more) = rest.strip_prefix(',') {
                    rest = more;
                    continue;
                }
            }
            match rest.strip_prefix(':') {
                Some(more) => rest = more,
                None if rest.is_empty() && !self.labelled => {
                    channels.push(channel);
                    return Ok((channels, None));
                }
                None if self.labelled && channel.is_empty() && !channels.is_empty() && !rest.contains(['(', ':']) => {
                    return Ok((channels, Some(rest)));
                }
                None if rest.is_empty() => return Err("no class at the end of the row, after a `:`".into()),
                None => {
                    return Err(format!(
                        "`{}` where (time,value) is needed",
                        rest.chars().take(20).collect::<String>()
                    ));
                }
            }
            channels.push(std::mem::take(&mut channel));
        }
    }
}

/// A value; NaN if it is missing.
fn number(cell: &str) -> Read<f64> {
    let cell = cell.trim();
    if matches!(cell, "" | "?") || cell.eq_ignore_ascii_case("nan") {
        return Ok(f64::NAN);
    }
    let value: Option<f64> = cell.parse().ok().filter(|v: &f64| v.is_finite());
    value.ok_or_else(|| format!("`{cell}` is no finite number; a missing value is `?` or NaN"))
}

/// A time: a number, or a date in days.
fn moment(cell: &str) -> Read<f64> {
    let cell = cell.trim();
    let number = cell.parse().ok().filter(|v: &f64| v.is_finite());
    let time = number.or_else(|| Moment::parse(cell).map(|(_, value)| value));
    time.ok_or_else(|| format!("`{cell}` is no time: a number, or a date such as 2024-07-01T09:30:00"))
}
