//! JSON: one object a line, or an array of objects.
//!
//! As with CSV the file stays in memory as it is, with the place of each object. Opening looks at every one once, so that
//! a malformed one is found before any work is done, and every key becomes a column even when it comes late. Where lines
//! are long it also notes where each value starts, so that a question about one key does not search the texts of the
//! others again.

use crate::cell::Codes;
use crate::delimited::{line_of, parts};
use crate::encoding::{self, Charset};
use crate::json::{self, Malformed, Value, unescape};
use crate::shape::{self, Shape};
use crate::source::{Form, Source, Visit};
use crate::{Column, ColumnType, Format, Reading};
use arrow_array::ArrayRef;
use arrow_array::builder::{
    BooleanBuilder, FixedSizeListBuilder, Float64Builder, Int64Builder, LargeStringBuilder, ListBuilder,
};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use quadrat_core::{Error, Progress, Result, checkpoint};
use rayon::prelude::*;
use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

pub(crate) struct Jsonl {
    file: String,
    text: String,
    charset: Charset,
    codes: Codes,
    shape: Shape,
    columns: Vec<Column>,
    schema: SchemaRef,
    parts: Vec<Range<usize>>,
    /// One a part; `None` where looking again is cheaper than remembering.
    places: Vec<Option<Places>>,
}

/// Where the values of a part's lines start.
#[derive(Default)]
struct Places {
    /// Of each line its first member, and at last the number of members.
    lines: Vec<u32>,
    /// The column of each member and where in the line its value starts. A key that a line repeats is one member.
    members: Vec<(u32, u32)>,
}

/// Places may take this share of the text's bytes, one in so many: with shorter values, reading them is most of the
/// work and finding them little.
const PLACES_SHARE: usize = 8;

/// Parts of about this many bytes are decoded at a time: they stay in a core's cache.
const PART_BYTES: usize = 1 << 18;

/// The keys with what their values look like, and the places of each part.
type Inferred = (Vec<(String, Seen)>, Vec<Option<Places>>);

impl Jsonl {
    /// Finds the lines, checks that each is an object, and infers the types of its keys.
    pub(crate) fn parse(
        file: &str,
        bytes: Vec<u8>,
        format: Format,
        reading: &Reading,
        notes: &mut Vec<String>,
        progress: &dyn Progress,
    ) -> Result<Self> {
        let (text, charset) = encoding::decode(file, bytes, reading.encoding.as_deref(), notes)?;
        let at = if text.starts_with('\u{feff}') { 3 } else { 0 };
        let shape = Shape::of(&text, at, format == Format::Jsonl).map_err(|Malformed { at, why }| {
            let start = text[..at].rfind('\n').map_or(0, |end| end + 1);
            let why = format!("not JSON: {why} (at character {})", text[start..at].chars().count() + 1);
            Error::data(file, line_of(&text, at), why)
        })?;
        if shape.starts.len() < 2 {
            return Err(Error::data(file, None, "the file is empty: there must be one JSON object a row"));
        }
        if let Some(member) = &shape.member {
            notes.push(format!("{file}: its rows are the objects in `{member}`"));
        } else if shape.starts.len() == 2
            && (shape.form == shape::Form::Objects || format == Format::Json)
            && shape.form != shape::Form::Array
        {
            let what = "it is one object, read as one row; a table is one object a line or an array of objects";
            notes.push(format!("{file}: {what}"));
        }
        let parts = parts(&shape.starts, PART_BYTES);
        let (schema, codes) = (Arc::new(Schema::empty()), Codes::new(&reading.missing_codes));
        let (columns, places) = (Vec::new(), Vec::new());
        let mut jsonl = Jsonl { file: file.to_owned(), text, charset, codes, shape, columns, schema, parts, places };
        let (keys, places) = jsonl.infer(progress)?;
        jsonl.places = places;
        for (name, seen) in keys {
            let kind = reading.types.iter().find(|(n, _)| *n == name).map_or_else(|| seen.kind(), |(_, kind)| *kind);
            jsonl.columns.push(Column { name, kind });
        }
        if jsonl.columns.is_empty() {
            return Err(Error::data(file, 1, "the objects have no keys: each key is a column, and there is none"));
        }
        let fields: Vec<Field> = jsonl.columns.iter().map(|c| Field::new(&c.name, data_type(c.kind), true)).collect();
        jsonl.schema = Arc::new(Schema::new(fields));
        Ok(jsonl)
    }

    pub(crate) fn columns(&self) -> &[Column] {
        &self.columns
    }

    pub(crate) fn charset(&self) -> Charset {
        self.charset
    }

    /// The object's own bytes.
    pub(crate) fn row(&self, row: usize) -> &str {
        self.shape.row(&self.text, row)
    }

    /// [`Format::Jsonl`] for an object a line.
    pub(crate) fn format(&self) -> Format {
        if self.shape.form == shape::Form::Lines { Format::Jsonl } else { Format::Json }
    }

    /// What stands around the rows of an array, and between them: before the first, between two, after the last.
    pub(crate) fn frame(&self) -> [&str; 3] {
        let (text, starts) = (self.text.as_str(), &self.shape.starts);
        let end = |row: usize| starts[row] + self.row(row).len();
        let last = starts.len() - 2;
        let between = if last > 0 { &text[end(0)..starts[1]] } else { ",\n" };
        match self.shape.form {
            shape::Form::Array => [&text[..starts[0]], between, &text[end(last)..]],
            _ => ["[\n", ",\n", "\n]\n"],
        }
    }

    /// Every key, in the order of first appearance, with what its values look like, and the places of each part.
    fn infer(&self, progress: &dyn Progress) -> Result<Inferred> {
        progress.begin("looking at the lines", Some(self.parts.len() as u64));
        let look = |part: &Range<usize>| {
            checkpoint(progress)?;
            progress.advance(1);
            self.look_at(part.clone())
        };
        let looked: Vec<Result<(Keys, Option<Places>)>> = self.parts.par_iter().map(look).collect();
        let mut keys: Vec<(String, Seen)> = Vec::new();
        let mut column: HashMap<Cow<str>, u32> = HashMap::new();
        let mut all_places = Vec::with_capacity(looked.len());
        for part in looked {
            let (part, mut places) = part?;
            let mut columns = Vec::with_capacity(part.len());
            for (key, seen) in part {
                match column.get(&key) {
                    Some(&at) => keys[at as usize].1.merge(seen),
                    None => {
                        column.insert(key.clone(), keys.len() as u32);
                        keys.push((key.to_string(), seen));
                    }
                }
                columns.push(column[&key]);
            }
            for (key, _) in places.iter_mut().flat_map(|places| &mut places.members) {
                *key = columns[*key as usize];
            }
            all_places.push(places);
        }
        Ok((keys, all_places))
    }

    /// The keys of a part's lines and the places of their values, by the key's number in this part.
    fn look_at(&self, rows: Range<usize>) -> Result<(Keys<'_>, Option<Places>)> {
        let mut order = Order::default();
        let mut seen: Vec<Seen> = Vec::new();
        // The line that each key was last seen in, counted from 1.
        let mut last: Vec<u32> = Vec::new();
        let mut places = Places::default();
        for (line, row) in (1..).zip(rows.clone()) {
            order.next = 0;
            let first = places.members.len();
            places.lines.push(first as u32);
            self.members(row, &mut |raw, start, value| {
                let at = order.number(raw)?;
                if at == seen.len() {
                    seen.push(Seen::default());
                    last.push(0);
                }
                seen[at].add(value, &self.codes);
                let member = (at as u32, start as u32);
                if last[at] == line {
                    places.members[first..].iter_mut().filter(|m| m.0 == member.0).for_each(|m| *m = member);
                } else {
                    places.members.push(member);
                    last[at] = line;
                }
                Ok(())
            })?;
        }
        places.lines.push(places.members.len() as u32);
        let bytes = self.shape.starts[rows.end] - self.shape.starts[rows.start];
        let size = 4 * places.lines.len() + 8 * places.members.len();
        let short = size <= bytes / PLACES_SHARE && u32::try_from(bytes).is_ok();
        let places = short.then(|| {
            places.members.shrink_to_fit();
            places
        });
        Ok((order.keys.into_iter().zip(seen).collect(), places))
    }

    fn members<'a>(
        &'a self,
        row: usize,
        visit: &mut dyn FnMut(&'a str, usize, Value<'a>) -> std::result::Result<(), Malformed>,
    ) -> Result<()> {
        json::members(self.row(row), visit).map_err(|Malformed { at, why }| {
            Error::data(&self.file, self.line(row), format!("not a JSON object: {why} (at character {})", at + 1))
        })
    }

    /// Hands out the values of `columns` row by row, null where a row lacks the key: `each` gets the row's number.
    fn values<'a>(
        &'a self,
        part: usize,
        rows: Option<&[usize]>,
        columns: &[usize],
        each: &mut dyn FnMut(usize, &[Value<'a>]) -> Result<()>,
    ) -> Result<()> {
        let mut of_column: Vec<Option<usize>> = vec![None; self.columns.len()];
        columns.iter().enumerate().for_each(|(at, &column)| of_column[column] = Some(at));
        let of_name = columns.iter().enumerate().map(|(at, &c)| (self.columns[c].name.as_str(), at)).collect();
        let mut finder = Finder { jsonl: self, of_column, of_name, order: Order::default(), of_key: Vec::new() };
        let mut values = vec![Value::Null; columns.len()];
        let span = self.parts[part].clone();
        let mut one = |row: usize| {
            values.fill(Value::Null);
            match &self.places[part] {
                Some(places) => finder.look_up(row, places, row - span.start, &mut values),
                None => finder.search(row, &mut values)?,
            }
            each(row, &values)
        };
        match rows {
            Some(rows) => rows.iter().try_for_each(|&row| one(row)),
            None => span.clone().try_for_each(one),
        }
    }

    /// The texts of a column of a part: of each row the value's spelling, without the quotation marks and escapes of a
    /// text.
    pub(crate) fn texts(
        &self,
        part: usize,
        column: usize,
        each: &mut dyn FnMut(Option<Cow<str>>) -> Result<()>,
    ) -> Result<()> {
        self.values(part, None, &[column], &mut |row, values| {
            let text = spelling(values[0]);
            if text.is_none() && !is_null(values[0]) {
                return Err(self.wrong(row, column, values[0]));
            }
            each(text)
        })
    }

    fn wrong(&self, row: usize, column: usize, value: Value) -> Error {
        let Column { name, kind } = &self.columns[column];
        let shown: String = spelling(value).unwrap_or_default().chars().take(40).collect();
        let why = format!("column `{name}`: found `{shown}` where the type is {kind}; correct it or override the type");
        Error::data(&self.file, self.line(row), why)
    }
}

impl Source for Jsonl {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn parts(&self) -> &[Range<usize>] {
        &self.parts
    }

    fn read(&self, part: usize, rows: Option<&[usize]>, columns: &[usize], form: Form, visit: Visit) -> Result<()> {
        let mut builders: Vec<Builder> = columns.iter().map(|&c| Builder::new(self.columns[c].kind, form)).collect();
        self.values(part, rows, columns, &mut |row, values| {
            for ((&value, builder), &column) in values.iter().zip(&mut builders).zip(columns) {
                if !builder.push(value, &self.codes) {
                    return Err(self.wrong(row, column, value));
                }
            }
            Ok(())
        })?;
        visit(builders.into_iter().map(Builder::finish).collect())
    }

    fn line(&self, row: usize) -> u64 {
        line_of(&self.text, self.shape.starts[row])
    }
}

/// Finds the wanted values of a line.
struct Finder<'a> {
    jsonl: &'a Jsonl,
    /// The place among the wanted columns of each column, of each wanted name, and of each key met while searching.
    of_column: Vec<Option<usize>>,
    of_name: HashMap<&'a str, usize>,
    order: Order<'a>,
    of_key: Vec<Option<usize>>,
}

impl<'a> Finder<'a> {
    fn look_up(&self, row: usize, places: &Places, line: usize, values: &mut [Value<'a>]) {
        // Only the value is touched: the row's start and end are far ends of memory.
        let row = self.jsonl.shape.starts[row];
        let span = places.lines[line] as usize..places.lines[line + 1] as usize;
        for &(column, start) in &places.members[span] {
            if let Some(at) = self.of_column[column as usize] {
                // The line has been scanned, so there is a value.
                values[at] = json::value_at(&self.jsonl.text[row + start as usize..]).unwrap_or(Value::Null);
            }
        }
    }

    fn search(&mut self, row: usize, values: &mut [Value<'a>]) -> Result<()> {
        let Finder { jsonl, of_name, order, of_key, .. } = self;
        order.next = 0;
        jsonl.members(row, &mut |raw, _, value| {
            let key = order.number(raw)?;
            if key == of_key.len() {
                of_key.push(of_name.get(order.keys[key].as_ref()).copied());
            }
            if let Some(at) = of_key[key] {
                values[at] = value;
            }
            Ok(())
        })
    }
}

fn data_type(kind: ColumnType) -> DataType {
    match kind {
        ColumnType::Integer => DataType::Int64,
        ColumnType::Float => DataType::Float64,
        ColumnType::Boolean => DataType::Boolean,
        ColumnType::Tags => DataType::new_list(DataType::LargeUtf8, true),
        ColumnType::Embedding(width) => {
            DataType::new_fixed_size_list(DataType::Float64, i32::try_from(width).unwrap_or(0), true)
        }
        ColumnType::Text | ColumnType::Category | ColumnType::Other => DataType::LargeUtf8,
    }
}

/// Keys numbered in the order of first appearance. Lines mostly have the same keys in the same order, so that the key
/// after the last one seen is tried before the map.
#[derive(Default)]
struct Order<'a> {
    keys: Vec<Cow<'a, str>>,
    /// The keys as they were first spelt, escapes and all.
    spelt: Vec<&'a str>,
    place: HashMap<Cow<'a, str>, usize>,
    /// The number of the next key if this line is like the others; 0 at the start of a line.
    next: usize,
}

impl<'a> Order<'a> {
    fn number(&mut self, raw: &'a str) -> std::result::Result<usize, Malformed> {
        let mut at = self.next;
        if self.spelt.get(at) != Some(&raw) {
            let key = unescape(raw).ok_or(Malformed { at: 0, why: "a key with half a surrogate pair" })?;
            at = *self.place.entry(key.clone()).or_insert(self.keys.len());
            if at == self.keys.len() {
                self.keys.push(key);
                self.spelt.push(raw);
            }
        }
        self.next = at + 1;
        Ok(at)
    }
}

/// Keys in the order of first appearance, with what their values looked like.
type Keys<'a> = Vec<(Cow<'a, str>, Seen)>;

/// What the values of a key looked like.
#[derive(Debug, Clone, Default)]
struct Seen {
    integer: bool,
    float: bool,
    boolean: bool,
    text: bool,
    /// Lists of texts, of numbers, of anything else; and the width that all lists had so far.
    texts: bool,
    numbers: bool,
    mixed: bool,
    width: Option<usize>,
    /// Lists of different widths.
    ragged: bool,
    object: bool,
}

impl Seen {
    fn add(&mut self, value: Value, codes: &Codes) {
        match value {
            Value::Null | Value::Number("NaN") => {}
            Value::Boolean(_) => self.boolean = true,
            Value::Number(n) if n.parse::<i64>().is_ok() => self.integer = true,
            Value::Number(_) => self.float = true,
            Value::Text(_) if self.text => {}
            Value::Text(text) => self.text = !unescape(text).is_some_and(|text| codes.mean_missing(&text)),
            Value::Object(_) => self.object = true,
            Value::Array(array) => {
                let mut width = 0;
                // The line has been scanned, so this scan cannot fail.
                let _ = json::elements(array, &mut |element| {
                    width += 1;
                    match element {
                        Value::Text(_) => self.texts = true,
                        Value::Number(_) => self.numbers = true,
                        _ => self.mixed = true,
                    }
                    Ok(())
                });
                self.ragged |= self.width.is_some_and(|w| w != width);
                self.width = Some(width);
            }
        }
    }

    fn merge(&mut self, other: Seen) {
        self.integer |= other.integer;
        self.float |= other.float;
        self.boolean |= other.boolean;
        self.text |= other.text;
        self.texts |= other.texts;
        self.numbers |= other.numbers;
        self.mixed |= other.mixed;
        self.ragged |= other.ragged || matches!((self.width, other.width), (Some(a), Some(b)) if a != b);
        self.width = self.width.or(other.width);
        self.object |= other.object;
    }

    fn kind(&self) -> ColumnType {
        let scalar = self.integer || self.float || self.boolean || self.text;
        match self {
            Seen { object: true, .. } | Seen { mixed: true, .. } => ColumnType::Other,
            Seen { width: Some(_), .. } if scalar => ColumnType::Other,
            Seen { width: Some(width @ 1..), ragged: false, texts: false, .. } => ColumnType::Embedding(*width),
            Seen { width: Some(_), .. } => ColumnType::Tags,
            Seen { text: true, .. } => ColumnType::Text,
            Seen { boolean: true, integer: false, float: false, .. } => ColumnType::Boolean,
            Seen { boolean: true, .. } => ColumnType::Text,
            Seen { float: true, .. } => ColumnType::Float,
            Seen { integer: true, .. } => ColumnType::Integer,
            _ => ColumnType::Text,
        }
    }
}

/// A value as text: texts without quotation marks and escapes, all else as it is spelt. `None` for null, and for a text
/// with half a surrogate pair.
fn spelling(value: Value) -> Option<Cow<str>> {
    match value {
        Value::Null | Value::Number("NaN") => None,
        Value::Boolean(true) => Some(Cow::Borrowed("true")),
        Value::Boolean(false) => Some(Cow::Borrowed("false")),
        Value::Number(raw) | Value::Array(raw) | Value::Object(raw) => Some(Cow::Borrowed(raw)),
        Value::Text(raw) => unescape(raw),
    }
}

fn is_null(value: Value) -> bool {
    matches!(value, Value::Null | Value::Number("NaN"))
}

enum Builder {
    Integer(Int64Builder),
    Float(Float64Builder),
    Boolean(BooleanBuilder),
    Text(LargeStringBuilder),
    Tags(ListBuilder<LargeStringBuilder>),
    Embedding(FixedSizeListBuilder<Float64Builder>, usize),
}

impl Builder {
    fn new(kind: ColumnType, form: Form) -> Self {
        match kind {
            _ if form == Form::Text => Builder::Text(LargeStringBuilder::new()),
            ColumnType::Integer => Builder::Integer(Int64Builder::new()),
            ColumnType::Float => Builder::Float(Float64Builder::new()),
            ColumnType::Boolean => Builder::Boolean(BooleanBuilder::new()),
            ColumnType::Tags => Builder::Tags(ListBuilder::new(LargeStringBuilder::new())),
            ColumnType::Embedding(width) => {
                let list = FixedSizeListBuilder::new(Float64Builder::new(), i32::try_from(width).unwrap_or(0));
                Builder::Embedding(list, width)
            }
            ColumnType::Text | ColumnType::Category | ColumnType::Other => Builder::Text(LargeStringBuilder::new()),
        }
    }

    /// Appends a value; `false` when it does not fit.
    fn push(&mut self, value: Value, codes: &Codes) -> bool {
        if let (Builder::Float(b), Value::Number(raw)) = (&mut *self, value)
            && let Some(v) = raw.parse().ok().filter(|v: &f64| !v.is_nan())
        {
            b.append_value(v);
            return true;
        }
        let mut text = spelling(value);
        if text.is_none() && !is_null(value) {
            return false;
        }
        if matches!(value, Value::Text(_)) && !matches!(self, Builder::Text(_)) {
            text = text.filter(|text| !codes.mean_missing(text));
        }
        match (self, &text) {
            (Builder::Text(b), text) => b.append_option(text.as_deref()),
            (Builder::Integer(b), None) => b.append_null(),
            (Builder::Float(b), None) => b.append_null(),
            (Builder::Boolean(b), None) => b.append_null(),
            (Builder::Tags(b), None) => b.append_null(),
            (Builder::Embedding(b, width), None) => {
                b.values().append_nulls(*width);
                b.append(false);
            }
            (Builder::Integer(b), Some(text)) => match text.trim().parse() {
                Ok(v) => b.append_value(v),
                Err(_) => return false,
            },
            (Builder::Float(b), Some(text)) => match text.trim().parse() {
                Ok(v) => b.append_value(v),
                Err(_) => return false,
            },
            (Builder::Boolean(b), Some(text)) => match crate::cell::parse_boolean(text.trim()) {
                Some(v) => b.append_value(v),
                None => return false,
            },
            (Builder::Tags(b), Some(text)) => match json::labels(text) {
                Some(labels) => b.append_value(labels.into_iter().map(Some)),
                None => return false,
            },
            (Builder::Embedding(b, width), Some(text)) => match json::numbers(text).filter(|v| v.len() == *width) {
                Some(vector) => {
                    b.values().append_slice(&vector);
                    b.append(true);
                }
                None => return false,
            },
        }
        true
    }

    fn finish(self) -> ArrayRef {
        match self {
            Builder::Integer(mut b) => Arc::new(b.finish()),
            Builder::Float(mut b) => Arc::new(b.finish()),
            Builder::Boolean(mut b) => Arc::new(b.finish()),
            Builder::Text(mut b) => Arc::new(b.finish()),
            Builder::Tags(mut b) => Arc::new(b.finish()),
            Builder::Embedding(mut b, _) => Arc::new(b.finish()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Missing, Table};
    use proptest::prelude::*;

    /// Lines as they might come: few keys, some missing, some twice, values of every kind.
    fn lines() -> impl Strategy<Value = Vec<Vec<(&'static str, String)>>> {
        let value = prop_oneof![
            Just("null".to_owned()),
            Just("NaN".to_owned()),
            "-?[1-9][0-9]{0,3}(\\.[0-9]{1,3})?",
            "true|false",
            r#""([a-zé☃ ]|\\["\\n/]|\\u00e9|\\ud83d\\ude00){0,6}""#,
            r#"\[("a"|1|null|\{"k":"a"\})\]"#,
        ];
        let key = prop::sample::select(vec!["a", "b", "a\\u0062", "\\u0063"]);
        prop::collection::vec(prop::collection::vec((key, value), 1..5), 1..30)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        // The same values among short lines, whose places are hardly ever kept, and among long ones, whose places are.
        #[test]
        fn places_change_no_answer(rows in lines()) {
            let text = |filler: usize| -> String {
                let filler = format!("\"filler\":\"{}\"", "f\\\"".repeat(filler));
                let line = |members: &Vec<(&str, String)>| {
                    let members: Vec<String> = members.iter().map(|(key, value)| format!("\"{key}\" : {value}")).collect();
                    format!("{{{filler}, {}}}\n", members.join(","))
                };
                rows.iter().map(line).collect()
            };
            let parse = |filler| Jsonl::parse("a.jsonl", text(filler).into_bytes(), Format::Jsonl, &Reading::default(), &mut Vec::new(), &quadrat_core::Silent).unwrap();
            prop_assert!(parse(300).places[0].is_some());
            let (short, long) = [0, 300]
                .map(|filler| Table::from_bytes("a.jsonl", text(filler).into_bytes(), &[]).unwrap())
                .into();
            prop_assert_eq!(short.columns(), long.columns());
            let shown = |r: Result<Vec<String>>| r.map_err(|e| e.to_string());
            for name in short.column_names().into_iter().skip(1) {
                prop_assert_eq!(shown(short.strings(name)), shown(long.strings(name)));
                let numbers = |t: &Table| t.numeric(&[name], Missing::Keep).map(|x| format!("{x}")).map_err(|e| e.to_string());
                prop_assert_eq!(numbers(&short), numbers(&long));
                // Of a key that a line repeats the last value counts; the last spelling of a key is as good as any.
                let decoded = |key: &str| unescape(key).unwrap().into_owned();
                let last = |row: &Vec<(&str, String)>| {
                    row.iter().rev().find(|(key, _)| decoded(key) == name).map_or(String::new(), |(_, v)| v.clone())
                };
                let Ok(found) = short.strings(name) else { continue };
                for (row, found) in rows.iter().zip(found) {
                    let spelt = last(row);
                    let wanted = match serde_json::from_str::<serde_json::Value>(&spelt) {
                        Ok(serde_json::Value::String(text)) => text,
                        Ok(serde_json::Value::Null) | Err(_) => String::new(),
                        Ok(_) => spelt,
                    };
                    prop_assert_eq!(found, wanted);
                }
            }
        }
    }
}
