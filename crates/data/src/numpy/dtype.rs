//! What numpy calls the elements of an array.

use arrow_schema::{DataType, TimeUnit};

/// The type of an element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    F2,
    F4,
    F8,
    I1,
    I2,
    I4,
    I8,
    U1,
    U2,
    U4,
    U8,
    Bool,
    /// Text of at most this many characters, four bytes each.
    Unicode(usize),
    /// Text of at most this many bytes.
    Ascii(usize),
    /// A day or an instant since 1970 in some unit.
    Datetime(Unit),
    /// A time between two instants.
    Timedelta(Unit),
}

/// Numpy's units of time, from weeks down to what Arrow has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Week,
    Day,
    Hour,
    Minute,
    Second,
    Milli,
    Micro,
    Nano,
}

/// A type, and whether its bytes stand with the highest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) kind: Kind,
    pub(super) big: bool,
}

/// A field of a structured type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) item: Item,
    /// How many numbers it holds, if it is an array itself.
    pub(super) width: Option<usize>,
    /// Where in the element it starts.
    pub(super) offset: usize,
}

/// All elements' type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Dtype {
    Plain(Item),
    Structured(Vec<Field>, usize),
}

impl Dtype {
    pub(super) fn bytes(&self) -> usize {
        match self {
            Dtype::Plain(item) => item.kind.bytes(),
            Dtype::Structured(_, bytes) => *bytes,
        }
    }
}

impl Unit {
    const NAMES: [(Unit, &str); 8] = [
        (Unit::Week, "W"),
        (Unit::Day, "D"),
        (Unit::Hour, "h"),
        (Unit::Minute, "m"),
        (Unit::Second, "s"),
        (Unit::Milli, "ms"),
        (Unit::Micro, "us"),
        (Unit::Nano, "ns"),
    ];

    fn name(self) -> &'static str {
        Unit::NAMES.iter().find(|(unit, _)| *unit == self).map_or("", |(_, name)| name)
    }

    /// The unit that Arrow has for it, and how many of those it is.
    pub(super) fn in_arrow(self) -> (TimeUnit, i64) {
        match self {
            Unit::Week => (TimeUnit::Second, 7 * 86_400),
            Unit::Day => (TimeUnit::Second, 86_400),
            Unit::Hour => (TimeUnit::Second, 3600),
            Unit::Minute => (TimeUnit::Second, 60),
            Unit::Second => (TimeUnit::Second, 1),
            Unit::Milli => (TimeUnit::Millisecond, 1),
            Unit::Micro => (TimeUnit::Microsecond, 1),
            Unit::Nano => (TimeUnit::Nanosecond, 1),
        }
    }

    fn of(unit: &TimeUnit) -> Unit {
        match unit {
            TimeUnit::Second => Unit::Second,
            TimeUnit::Millisecond => Unit::Milli,
            TimeUnit::Microsecond => Unit::Micro,
            TimeUnit::Nanosecond => Unit::Nano,
        }
    }
}

impl Item {
    /// Reads a name such as `<f8`; the error says what to do about types that no table has.
    pub(super) fn parse(name: &str) -> Result<Item, String> {
        let (order, rest) = match name.split_at_checked(1) {
            Some((order @ ("<" | ">" | "|" | "="), rest)) => (order, rest),
            _ => ("|", name),
        };
        let unknown = |what: &str| Err(format!("elements of type '{name}': {what}"));
        let (letter, size) = rest.split_at_checked(1).unwrap_or(("", ""));
        let kind = match (letter, size) {
            ("f", "2") => Kind::F2,
            ("f", "4") => Kind::F4,
            ("f", "8") => Kind::F8,
            ("i", "1") => Kind::I1,
            ("i", "2") => Kind::I2,
            ("i", "4") => Kind::I4,
            ("i", "8") => Kind::I8,
            ("u", "1") => Kind::U1,
            ("u", "2") => Kind::U2,
            ("u", "4") => Kind::U4,
            ("u", "8") => Kind::U8,
            ("b", "1") | ("?", "") => Kind::Bool,
            ("U", length) if length.parse::<usize>().is_ok() => Kind::Unicode(length.parse().unwrap_or(0)),
            ("S", length) if length.parse::<usize>().is_ok() => Kind::Ascii(length.parse().unwrap_or(0)),
            ("M" | "m", size) => {
                let unit = size.strip_prefix("8[").and_then(|unit| unit.strip_suffix(']'));
                let Some((unit, _)) = Unit::NAMES.into_iter().find(|(_, name)| Some(*name) == unit) else {
                    return unknown("times are read in units from W to ns: a.astype('M8[D]') for days");
                };
                if letter == "M" { Kind::Datetime(unit) } else { Kind::Timedelta(unit) }
            }
            ("O", _) => {
                return unknown(
                    "Python objects, which numpy pickles; save numbers or texts: a.astype(float), a.astype(str)",
                );
            }
            ("c", _) => return unknown("complex numbers; save a.real and a.imag as two columns"),
            ("f", _) => return unknown("use a.astype('f8')"),
            ("V", _) => return unknown("raw bytes; view them as numbers first"),
            _ => return unknown("use f2, f4, f8, i1 to i8, u1 to u8, bool, texts (U, S) or times (M8, m8)"),
        };
        Ok(Item { kind, big: order == ">" })
    }
}

impl Kind {
    /// The type for cells of an Arrow type; texts are another matter.
    pub(super) fn of(data_type: &DataType) -> Option<Kind> {
        Some(match data_type {
            DataType::Float16 => Kind::F2,
            DataType::Float32 => Kind::F4,
            DataType::Float64 => Kind::F8,
            DataType::Int8 => Kind::I1,
            DataType::Int16 => Kind::I2,
            DataType::Int32 => Kind::I4,
            DataType::Int64 => Kind::I8,
            DataType::UInt8 => Kind::U1,
            DataType::UInt16 => Kind::U2,
            DataType::UInt32 => Kind::U4,
            DataType::UInt64 => Kind::U8,
            DataType::Boolean => Kind::Bool,
            DataType::Date32 => Kind::Datetime(Unit::Day),
            DataType::Date64 => Kind::Datetime(Unit::Milli),
            DataType::Timestamp(unit, None) => Kind::Datetime(Unit::of(unit)),
            DataType::Duration(unit) => Kind::Timedelta(Unit::of(unit)),
            _ => return None,
        })
    }

    pub(super) fn data_type(self) -> DataType {
        match self {
            Kind::F2 => DataType::Float16,
            Kind::F4 => DataType::Float32,
            Kind::F8 => DataType::Float64,
            Kind::I1 => DataType::Int8,
            Kind::I2 => DataType::Int16,
            Kind::I4 => DataType::Int32,
            Kind::I8 => DataType::Int64,
            Kind::U1 => DataType::UInt8,
            Kind::U2 => DataType::UInt16,
            Kind::U4 => DataType::UInt32,
            Kind::U8 => DataType::UInt64,
            Kind::Bool => DataType::Boolean,
            Kind::Unicode(_) | Kind::Ascii(_) => DataType::LargeUtf8,
            Kind::Datetime(Unit::Week | Unit::Day) => DataType::Date32,
            Kind::Datetime(unit) => DataType::Timestamp(unit.in_arrow().0, None),
            Kind::Timedelta(unit) => DataType::Duration(unit.in_arrow().0),
        }
    }

    pub(super) fn is_number(self) -> bool {
        !matches!(self, Kind::Unicode(_) | Kind::Ascii(_) | Kind::Datetime(_) | Kind::Timedelta(_))
    }

    pub(super) fn bytes(self) -> usize {
        match self {
            Kind::I1 | Kind::U1 | Kind::Bool => 1,
            Kind::F2 | Kind::I2 | Kind::U2 => 2,
            Kind::F4 | Kind::I4 | Kind::U4 => 4,
            Kind::F8 | Kind::I8 | Kind::U8 | Kind::Datetime(_) | Kind::Timedelta(_) => 8,
            Kind::Unicode(length) => length.saturating_mul(4),
            Kind::Ascii(length) => length,
        }
    }

    /// Its name with the lowest byte first.
    pub(super) fn name(self) -> String {
        match self {
            Kind::F2 => "<f2".to_owned(),
            Kind::F4 => "<f4".to_owned(),
            Kind::F8 => "<f8".to_owned(),
            Kind::I1 => "|i1".to_owned(),
            Kind::I2 => "<i2".to_owned(),
            Kind::I4 => "<i4".to_owned(),
            Kind::I8 => "<i8".to_owned(),
            Kind::U1 => "|u1".to_owned(),
            Kind::U2 => "<u2".to_owned(),
            Kind::U4 => "<u4".to_owned(),
            Kind::U8 => "<u8".to_owned(),
            Kind::Bool => "|b1".to_owned(),
            Kind::Unicode(length) => format!("<U{length}"),
            Kind::Ascii(length) => format!("|S{length}"),
            Kind::Datetime(unit) => format!("<M8[{}]", unit.name()),
            Kind::Timedelta(unit) => format!("<m8[{}]", unit.name()),
        }
    }
}

/// A header: the dictionary that numpy writes before an array's bytes.
#[derive(Debug, PartialEq)]
pub(super) struct Header {
    pub(super) dtype: Dtype,
    pub(super) fortran: bool,
    pub(super) shape: Vec<usize>,
}

/// As much of Python as headers use.
#[derive(Debug, Clone, PartialEq)]
enum Literal {
    Text(String),
    Number(usize),
    Truth(bool),
    Several(Vec<Literal>),
    Pairs(Vec<(Literal, Literal)>),
}

impl Header {
    pub(super) fn parse(text: &str) -> Result<Header, String> {
        let mut reader = Reader { text, depth: 0 };
        let damaged = || "damaged header".to_owned();
        let Some(Literal::Pairs(entries)) = reader.literal() else { return Err(damaged()) };
        let entry = |key: &str| {
            let found = entries.iter().find(|(name, _)| *name == Literal::Text(key.to_owned()));
            found.map(|(_, value)| value).ok_or_else(damaged)
        };
        let Literal::Truth(fortran) = entry("fortran_order")? else { return Err(damaged()) };
        let shape = sides(entry("shape")?).ok_or_else(damaged)?;
        let dtype = match entry("descr")? {
            Literal::Text(name) => Dtype::Plain(Item::parse(name)?),
            Literal::Several(fields) => structured(fields)?,
            _ => return Err(damaged()),
        };
        Ok(Header { dtype, fortran: *fortran, shape })
    }
}

fn sides(literal: &Literal) -> Option<Vec<usize>> {
    let Literal::Several(sides) = literal else { return None };
    sides.iter().map(|side| if let Literal::Number(n) = side { Some(*n) } else { None }).collect()
}

fn structured(fields: &[Literal]) -> Result<Dtype, String> {
    let mut named = Vec::new();
    let mut offset = 0usize;
    for field in fields {
        let Literal::Several(parts) = field else { return Err("damaged header".to_owned()) };
        // A field may have a title before its name.
        let name = match parts.first() {
            Some(Literal::Text(name)) => name.clone(),
            Some(Literal::Several(names)) => match names.last() {
                Some(Literal::Text(name)) => name.clone(),
                _ => return Err("damaged header".to_owned()),
            },
            _ => return Err("damaged header".to_owned()),
        };
        let Some(Literal::Text(descr)) = parts.get(1) else {
            return Err(format!("field `{name}` is structured itself; save its fields one by one"));
        };
        // Bytes between fields have no name.
        if let (true, Some(gap)) = (name.is_empty(), descr.strip_prefix("|V").and_then(|n| n.parse::<usize>().ok())) {
            offset = offset.saturating_add(gap);
            continue;
        }
        let item = Item::parse(descr).map_err(|why| format!("field `{name}`: {why}"))?;
        let width = match parts.get(2) {
            None => None,
            Some(Literal::Number(n)) => Some(*n),
            Some(shape) => Some(sides(shape).ok_or("damaged header")?.iter().fold(1usize, |n, s| n.saturating_mul(*s))),
        };
        if width == Some(0) || item.kind.bytes() == 0 {
            return Err(format!("field `{name}` holds nothing"));
        }
        named.push(Field { name, item, width, offset });
        offset = offset.saturating_add(item.kind.bytes().saturating_mul(width.unwrap_or(1)));
    }
    Ok(Dtype::Structured(named, offset))
}

struct Reader<'a> {
    text: &'a str,
    depth: usize,
}

impl Reader<'_> {
    fn next(&mut self, wanted: char) -> Option<()> {
        self.text = self.text.trim_start();
        self.text = self.text.strip_prefix(wanted)?;
        Some(())
    }

    fn literal(&mut self) -> Option<Literal> {
        self.text = self.text.trim_start();
        self.depth += 1;
        if self.depth > 16 {
            return None;
        }
        let literal = match self.text.chars().next()? {
            quote @ ('\'' | '"') => {
                let (text, rest) = self.text[1..].split_once(quote)?;
                self.text = rest;
                // Names with escapes are no names of columns that a table has.
                (!text.contains('\\')).then(|| Literal::Text(text.to_owned()))?
            }
            '(' => self.several('(', ')')?,
            '[' => self.several('[', ']')?,
            '{' => {
                self.next('{')?;
                let mut pairs = Vec::new();
                while self.next('}').is_none() {
                    let key = self.literal()?;
                    self.next(':')?;
                    pairs.push((key, self.literal()?));
                    if self.next(',').is_none() {
                        self.next('}')?;
                        break;
                    }
                }
                Literal::Pairs(pairs)
            }
            '0'..='9' => {
                let end = self.text.find(|c: char| !c.is_ascii_digit()).unwrap_or(self.text.len());
                let (digits, rest) = self.text.split_at(end);
                // Old versions of Python wrote long numbers with an L.
                self.text = rest.strip_prefix('L').unwrap_or(rest);
                Literal::Number(digits.parse().ok()?)
            }
            _ => match (self.text.strip_prefix("True"), self.text.strip_prefix("False")) {
                (Some(rest), _) => {
                    self.text = rest;
                    Literal::Truth(true)
                }
                (_, Some(rest)) => {
                    self.text = rest;
                    Literal::Truth(false)
                }
                _ => return None,
            },
        };
        self.depth -= 1;
        Some(literal)
    }

    fn several(&mut self, open: char, close: char) -> Option<Literal> {
        self.next(open)?;
        let mut items = Vec::new();
        while self.next(close).is_none() {
            items.push(self.literal()?);
            if self.next(',').is_none() {
                self.next(close)?;
                break;
            }
        }
        Some(Literal::Several(items))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_what_numpy_writes() {
        let plain = Header::parse("{'descr': '>f8', 'fortran_order': True, 'shape': (3, 2), }").unwrap();
        let big = Item { kind: Kind::F8, big: true };
        assert_eq!(plain, Header { dtype: Dtype::Plain(big), fortran: true, shape: vec![3, 2] });
        // numpy.zeros(5, numpy.dtype({'names': ['a', 'b', 'c'], 'formats': ['i1', '(2,)f4', 'U3']}, align=True))
        let text = "{'descr': [('a', '|i1'), ('', '|V3'), ('b', '<f4', (2,)), ('c', '<U3')], 'fortran_order': False, \
                    'shape': (5,), }";
        let Dtype::Structured(fields, bytes) = Header::parse(text).unwrap().dtype else { panic!("structured") };
        let places: Vec<(&str, usize, Option<usize>)> =
            fields.iter().map(|f| (f.name.as_str(), f.offset, f.width)).collect();
        assert_eq!((places, bytes), (vec![("a", 0, None), ("b", 4, Some(2)), ("c", 12, None)], 24));
        for damaged in
            ["", "{", "{'descr': '<f8'}", "{'descr': 7, 'fortran_order': True, 'shape': ()}", "[[[[[[[[[[[[[[[[[["]
        {
            assert_eq!(Header::parse(damaged).unwrap_err(), "damaged header");
        }
    }

    #[test]
    fn types_have_names_and_what_is_no_table_is_refused_with_the_remedy() {
        for name in
            ["<f2", "<f4", "<f8", "|i1", "<i8", "|u1", "<u8", "|b1", "<U7", "|S3", "<M8[D]", "<M8[ns]", "<m8[s]"]
        {
            assert_eq!(Item::parse(name).unwrap().kind.name(), name);
        }
        assert!(Item::parse(">i4").unwrap().big && !Item::parse("<i4").unwrap().big);
        for (name, expected) in [
            ("|O", "astype(float)"),
            ("<c16", "a.real"),
            ("<f16", "astype('f8')"),
            ("<M8[Y]", "astype('M8[D]')"),
            ("<M8", "astype('M8[D]')"),
            ("|V8", "raw bytes"),
            ("<i3", "use f2"),
            ("", "use f2"),
        ] {
            let error = Item::parse(name).unwrap_err();
            assert!(error.contains(expected), "{name}: {error}");
        }
    }
}
