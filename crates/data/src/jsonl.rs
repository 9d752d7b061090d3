//! JSON Lines: one object a line.
//!
//! As with CSV the file stays in memory as it is, with the place of each line, and keys are found again when they are
//! asked for. Opening looks at every line once, so that a malformed one is found before any work is done, and every
//! key becomes a column even when it comes late.

use crate::delimited::{content, line_of, parts, utf8};
use crate::json::{self, Malformed, Value, unescape};
use crate::source::{Form, Source, Visit};
use crate::{Column, ColumnType};
use arrow_array::ArrayRef;
use arrow_array::builder::{
    BooleanBuilder, FixedSizeListBuilder, Float64Builder, Int64Builder, LargeStringBuilder, ListBuilder,
};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use memchr::memchr;
use quadrat_core::{Error, Result};
use rayon::prelude::*;
use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

pub(crate) struct Jsonl {
    file: String,
    text: String,
    /// Where each line starts, then the end of the text.
    starts: Vec<usize>,
    columns: Vec<Column>,
    schema: SchemaRef,
    parts: Vec<Range<usize>>,
}

/// Parts of about this many bytes are decoded at a time: they stay in a core's cache.
const PART_BYTES: usize = 1 << 18;

impl Jsonl {
    /// Finds the lines, checks that each is an object, and infers the types of its keys.
    pub(crate) fn parse(file: &str, bytes: Vec<u8>, overrides: &[(String, ColumnType)]) -> Result<Self> {
        let text = utf8(file, bytes)?;
        let starts = find_lines(&text);
        if starts.len() < 2 {
            return Err(Error::data(file, None, "the file is empty: there must be one JSON object a line"));
        }
        let parts = parts(&starts, PART_BYTES);
        let schema = Arc::new(Schema::empty());
        let mut jsonl = Jsonl { file: file.to_owned(), text, starts, columns: Vec::new(), schema, parts };
        for (name, seen) in jsonl.infer()? {
            let kind = overrides.iter().find(|(n, _)| *n == name).map_or_else(|| seen.kind(), |(_, kind)| *kind);
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

    /// The line's own bytes without the line end.
    pub(crate) fn row(&self, row: usize) -> &str {
        content(&self.text[self.starts[row]..self.starts[row + 1]])
    }

    /// Every key, in the order of first appearance, with what its values look like.
    fn infer(&self) -> Result<Vec<(String, Seen)>> {
        let looked: Vec<Result<Keys>> = self.parts.par_iter().map(|part| self.look_at(part.clone())).collect();
        let mut keys: Vec<(String, Seen)> = Vec::new();
        let mut place: HashMap<Cow<str>, usize> = HashMap::new();
        for part in looked {
            for (key, seen) in part? {
                match place.get(&key) {
                    Some(&at) => keys[at].1.merge(seen),
                    None => {
                        keys.push((key.to_string(), seen));
                        place.insert(key, keys.len() - 1);
                    }
                }
            }
        }
        Ok(keys)
    }

    fn look_at(&self, rows: Range<usize>) -> Result<Keys<'_>> {
        let mut order = Order::default();
        let mut seen: Vec<Seen> = Vec::new();
        for row in rows {
            order.next = 0;
            self.members(row, &mut |raw, value| {
                let at = order.number(raw)?;
                if at == seen.len() {
                    seen.push(Seen::default());
                }
                seen[at].add(value);
                Ok(())
            })?;
        }
        Ok(order.keys.into_iter().zip(seen).collect())
    }

    fn members<'a>(
        &'a self,
        row: usize,
        visit: &mut dyn FnMut(&'a str, Value<'a>) -> std::result::Result<(), Malformed>,
    ) -> Result<()> {
        json::members(self.row(row), visit).map_err(|Malformed { at, why }| {
            Error::data(&self.file, self.line(row), format!("not a JSON object: {why} (at character {})", at + 1))
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
        let place: HashMap<&str, usize> =
            columns.iter().enumerate().map(|(at, &c)| (self.columns[c].name.as_str(), at)).collect();
        let mut order = Order::default();
        // Which of the wanted columns each key is.
        let mut wanted: Vec<Option<usize>> = Vec::new();
        let mut values: Vec<Value> = vec![Value::Null; columns.len()];
        let mut read = |row: usize| -> Result<()> {
            values.fill(Value::Null);
            order.next = 0;
            self.members(row, &mut |raw, value| {
                let at = order.number(raw)?;
                if at == wanted.len() {
                    wanted.push(place.get(order.keys[at].as_ref()).copied());
                }
                if let Some(column) = wanted[at] {
                    values[column] = value;
                }
                Ok(())
            })?;
            for ((&value, builder), &column) in values.iter().zip(&mut builders).zip(columns) {
                if !builder.push(value) {
                    return Err(self.wrong(row, column, value));
                }
            }
            Ok(())
        };
        match rows {
            Some(rows) => rows.iter().try_for_each(|&row| read(row))?,
            None => self.parts[part].clone().try_for_each(read)?,
        }
        visit(builders.into_iter().map(Builder::finish).collect())
    }

    fn line(&self, row: usize) -> u64 {
        line_of(&self.text, self.starts[row])
    }
}

/// Where each line starts, then the end. Blank lines are no rows.
fn find_lines(text: &str) -> Vec<usize> {
    let bytes = text.as_bytes();
    let mut starts = Vec::new();
    let mut at = if text.starts_with('\u{feff}') { 3 } else { 0 };
    while at < bytes.len() {
        let end = memchr(b'\n', &bytes[at..]).map_or(bytes.len(), |n| at + n + 1);
        if !content(&text[at..end]).trim_start_matches([' ', '\t']).is_empty() {
            starts.push(at);
        }
        at = end;
    }
    starts.push(bytes.len());
    starts
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
    fn add(&mut self, value: Value) {
        match value {
            Value::Null | Value::Number("NaN") => {}
            Value::Boolean(_) => self.boolean = true,
            Value::Number(n) if n.parse::<i64>().is_ok() => self.integer = true,
            Value::Number(_) => self.float = true,
            Value::Text(_) => self.text = true,
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
    fn push(&mut self, value: Value) -> bool {
        let text = spelling(value);
        let null = matches!(value, Value::Null | Value::Number("NaN"));
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
        null || text.is_some()
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
