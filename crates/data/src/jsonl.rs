//! JSON: one object a line, or an array of objects.
//!
//! As with CSV, opening looks at every object once and keeps where it starts, so that a malformed one is found before any
//! work is done, and every key becomes a column even when it comes late. Where lines are long it also notes where each
//! value starts, so that a question about one key does not search the texts of the others again. Objects a line stay on
//! disk; other shapes are known only from a look at the whole text and are in memory.

use crate::cell::Codes;
use crate::content::Content;
use crate::encoding::{self, Charset};
use crate::json::{self, Malformed, Value, unescape};
use crate::rows::{self, Lines, OneByOne, PART_BYTES, Part, Read, Rows, Wrong};
use crate::shape::Shape;
use crate::source::{Form, Source, Visit};
use crate::{Column, ColumnType, Format, Reading};
use arrow_array::ArrayRef;
use arrow_array::builder::{
    BooleanBuilder, FixedSizeListBuilder, Float64Builder, Int64Builder, LargeStringBuilder, ListBuilder,
};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use memchr::memchr;
use quadrat_core::{Error, Progress, Result, checkpoint};
use rayon::prelude::*;
use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

pub(crate) struct Jsonl {
    file: String,
    content: Content,
    charset: Charset,
    codes: Codes,
    shape: Shape,
    rows: Rows,
    frame: [String; 3],
    columns: Vec<Column>,
    schema: SchemaRef,
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

/// Where the lines of a piece start, then where the last one ends; and what they hold.
type Found = (Vec<u32>, Keys, Option<Places>);

/// Where the rows of a part are, and what they hold.
type Looked = (Part, Keys, Option<Places>);

impl Jsonl {
    /// Finds the lines, checks that each is an object, and infers the types of its keys, in
    /// parts of about `size` bytes.
    pub(crate) fn parse(
        file: &str,
        content: Content,
        format: Format,
        reading: &Reading,
        notes: &mut Vec<String>,
        progress: &dyn Progress,
        size: usize,
    ) -> Result<Self> {
        let (mut content, mut charset) = encoding::decode_rows(file, content, reading.encoding.as_deref(), notes)?;
        let at = if content.head().starts_with("\u{feff}".as_bytes()) { 3 } else { 0 };
        let shape = loop {
            let text = content.head_text();
            let whole = text.len() == content.len();
            match Shape::of(text, at, format == Format::Jsonl, whole) {
                Ok(Some(shape)) => break shape,
                Ok(None) => {
                    let memory = Content::Memory(content.into_memory(progress)?);
                    (content, charset) = encoding::decode_rows(file, memory, reading.encoding.as_deref(), notes)?;
                }
                Err(Malformed { at, why }) => {
                    let start = text[..at].rfind('\n').map_or(0, |end| end + 1);
                    let why = format!("not JSON: {why} (at character {})", text[start..at].chars().count() + 1);
                    return Err(Error::data(file, content.line_of(at), why));
                }
            }
        };
        let codes = Codes::new(&reading.missing_codes);
        let looked = match &shape {
            Shape::Lines => {
                let find = |lines: Lines| look_at_lines(lines, &codes).map(Some);
                let found = rows::scan(file, &content, at, size, progress, find)?;
                let part = |(at, (starts, keys, places))| (Part::new(at, starts, Vec::new()), keys, places);
                found.into_iter().map(part).collect()
            }
            Shape::Array { starts, .. } | Shape::Objects { starts } => {
                look_at_objects(file, &content, &shape, starts, &codes, progress)?
            }
        };
        let (rows, keys, places) = merge(looked);
        if rows.count() == 0 {
            return Err(Error::data(file, None, "the file is empty: there must be one JSON object a row"));
        }
        match &shape {
            Shape::Array { member: Some(member), .. } => {
                notes.push(format!("{file}: its rows are the objects in `{member}`"));
            }
            Shape::Array { .. } => {}
            Shape::Lines if format != Format::Json => {}
            Shape::Lines | Shape::Objects { .. } if rows.count() > 1 => {}
            Shape::Lines | Shape::Objects { .. } => {
                let what = "it is one object, read as one row; a table is one object a line or an array of objects";
                notes.push(format!("{file}: {what}"));
            }
        }
        let mut columns = Vec::with_capacity(keys.len());
        for (name, seen) in keys {
            let kind = reading.types.iter().find(|(n, _)| *n == name).map_or_else(|| seen.kind(), |(_, kind)| *kind);
            columns.push(Column { name, kind });
        }
        if columns.is_empty() {
            return Err(Error::data(file, 1, "the objects have no keys: each key is a column, and there is none"));
        }
        let fields: Vec<Field> = columns.iter().map(|c| Field::new(&c.name, data_type(c.kind), true)).collect();
        let (schema, frame) = (Arc::new(Schema::new(fields)), frame(&content, &shape));
        Ok(Jsonl { file: file.to_owned(), content, charset, codes, shape, rows, frame, columns, schema, places })
    }

    pub(crate) fn columns(&self) -> &[Column] {
        &self.columns
    }

    pub(crate) fn charset(&self) -> Charset {
        self.charset
    }

    /// The rows' own bytes, in any order; see [`Jsonl::object`] for their ends.
    pub(crate) fn one_by_one(&self) -> OneByOne<'_> {
        self.rows.one_by_one(&self.content)
    }

    /// The object's own bytes, in those up to the next one.
    pub(crate) fn object<'a>(&self, row: &'a str) -> &'a str {
        self.shape.object(row)
    }

    /// [`Format::Jsonl`] for an object a line.
    pub(crate) fn format(&self) -> Format {
        if self.shape == Shape::Lines { Format::Jsonl } else { Format::Json }
    }

    /// What stands around the rows of an array, and between them: before the first, between two, after the last.
    pub(crate) fn frame(&self) -> [&str; 3] {
        [&self.frame[0], &self.frame[1], &self.frame[2]]
    }

    /// Hands out the values of `columns` row by row, null where a row lacks the key: `each` gets the row's number.
    fn values(
        &self,
        part: usize,
        rows: Option<&[usize]>,
        columns: &[usize],
        each: &mut dyn FnMut(usize, &[Value]) -> Result<()>,
    ) -> Result<()> {
        let mut of_column: Vec<Option<usize>> = vec![None; self.columns.len()];
        columns.iter().enumerate().for_each(|(at, &column)| of_column[column] = Some(at));
        let of_name = columns.iter().enumerate().map(|(at, &c)| (self.columns[c].name.as_str(), at)).collect();
        let span = self.rows.spans()[part].clone();
        self.rows.read(&self.content, part, rows, |read| {
            let (order, of_key) = (Order::default(), Vec::new());
            let mut finder = Finder { jsonl: self, read, of_column, of_name, order, of_key };
            let mut values = vec![Value::Null; columns.len()];
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
        })
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
        self.rows.spans()
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
        self.content.line_of(self.rows.place(row).start)
    }
}

/// The lines of a piece of the text, and what they hold.
fn look_at_lines(lines: Lines, codes: &Codes) -> std::result::Result<(usize, Found), Wrong> {
    let bytes = lines.text.as_bytes();
    let (mut starts, mut at) = (Vec::new(), 0);
    while at < lines.limit.min(bytes.len()) {
        let end = memchr(b'\n', &bytes[at..]).map_or(bytes.len(), |n| at + n + 1);
        if !lines.text[at..end].trim_matches([' ', '\t', '\n', '\r']).is_empty() {
            starts.push(at as u32);
        }
        at = end;
    }
    starts.push(at as u32);
    let (keys, places) = look(&starts, |row| Shape::Lines.object(row), lines.text, codes)?;
    Ok((at, (starts, keys, places)))
}

/// The objects that start at `starts`, and what they hold.
fn look_at_objects(
    file: &str,
    content: &Content,
    shape: &Shape,
    starts: &[usize],
    codes: &Codes,
    progress: &dyn Progress,
) -> Result<Vec<Looked>> {
    let mut parts = Vec::new();
    let mut first = 0;
    for row in 1..starts.len() {
        if starts[row] - starts[first] >= PART_BYTES || row + 1 == starts.len() {
            parts.push(&starts[first..=row]);
            first = row;
        }
    }
    progress.begin("looking at the rows", Some(parts.len() as u64));
    let look = |starts: &&[usize]| -> Result<Looked> {
        checkpoint(progress)?;
        progress.advance(1);
        let (at, end) = (starts[0], starts[starts.len() - 1]);
        if u32::try_from(end - at).is_err() {
            return Err(Wrong::new(at, rows::TOO_LONG).error(file, content));
        }
        let local: Vec<u32> = starts.iter().map(|start| (start - at) as u32).collect();
        content.with(at..end, |bytes| {
            let (keys, places) = look(&local, |row| shape.object(row), rows::text(bytes)?, codes)
                .map_err(|wrong| Wrong { at: at + wrong.at, ..wrong }.error(file, content))?;
            Ok((Part::new(at, local.clone(), Vec::new()), keys, places))
        })
    };
    let looked: Vec<Result<Looked>> = parts.par_iter().map(look).collect();
    looked.into_iter().collect()
}

/// The keys of rows and the places of their values, by the key's number among these.
fn look<'a>(
    starts: &[u32],
    object: impl Fn(&'a str) -> &'a str,
    text: &'a str,
    codes: &Codes,
) -> std::result::Result<(Keys, Option<Places>), Wrong> {
    let mut order = Order::default();
    let mut seen: Vec<Seen> = Vec::new();
    // The line that each key was last seen in, counted from 1.
    let mut last: Vec<u32> = Vec::new();
    let mut places = Places::default();
    for (line, span) in (1..).zip(starts.windows(2)) {
        order.next = 0;
        let first = places.members.len();
        places.lines.push(first as u32);
        let row = object(&text[span[0] as usize..span[1] as usize]);
        json::members(row, &mut |raw, start, value| {
            let at = order.number(raw)?;
            if at == seen.len() {
                seen.push(Seen::default());
                last.push(0);
            }
            seen[at].add(value, codes);
            let member = (at as u32, start as u32);
            if last[at] == line {
                places.members[first..].iter_mut().filter(|m| m.0 == member.0).for_each(|m| *m = member);
            } else {
                places.members.push(member);
                last[at] = line;
            }
            Ok(())
        })
        .map_err(|malformed| Wrong::new(span[0] as usize, malformed.no_object()))?;
    }
    places.lines.push(places.members.len() as u32);
    let size = 4 * places.lines.len() + 8 * places.members.len();
    let places = (size <= text.len() / PLACES_SHARE).then(|| {
        places.members.shrink_to_fit();
        places
    });
    Ok((order.keys.into_iter().map(Cow::into_owned).zip(seen).collect(), places))
}

/// All rows, every key in the order of first appearance with what its values look like, and the places of each part.
fn merge(looked: Vec<Looked>) -> (Rows, Keys, Vec<Option<Places>>) {
    let (mut keys, mut all_places, mut parts): (Keys, _, _) = (Vec::new(), Vec::new(), Vec::new());
    let mut column: HashMap<String, u32> = HashMap::new();
    for (part, of_part, mut places) in looked {
        let mut columns = Vec::with_capacity(of_part.len());
        for (key, seen) in of_part {
            let next = keys.len() as u32;
            let at = *column.entry(key.clone()).or_insert(next);
            if at == next {
                keys.push((key, seen))
            } else {
                keys[at as usize].1.merge(seen)
            }
            columns.push(at);
        }
        for (key, _) in places.iter_mut().flat_map(|places| &mut places.members) {
            *key = columns[*key as usize];
        }
        if part.rows() > 0 {
            all_places.push(places);
            parts.push(part);
        }
    }
    (Rows::new(parts), keys, all_places)
}

/// What stands around the rows of an array, and between them.
fn frame(content: &Content, shape: &Shape) -> [String; 3] {
    let (Shape::Array { starts, .. }, Content::Memory(bytes)) = (shape, content) else {
        return ["[\n", ",\n", "\n]\n"].map(str::to_owned);
    };
    let text = std::str::from_utf8(bytes).unwrap_or_default();
    let end = |row: usize| starts[row] + shape.object(&text[starts[row]..starts[row + 1]]).len();
    let last = starts.len() - 2;
    let between = if last > 0 { &text[end(0)..starts[1]] } else { ",\n" };
    [&text[..starts[0]], between, &text[end(last)..]].map(str::to_owned)
}

/// Finds the wanted values of a line.
struct Finder<'a> {
    jsonl: &'a Jsonl,
    read: Read<'a>,
    /// The place among the wanted columns of each column, of each wanted name, and of each key met while searching.
    of_column: Vec<Option<usize>>,
    of_name: HashMap<&'a str, usize>,
    order: Order<'a>,
    of_key: Vec<Option<usize>>,
}

impl<'a> Finder<'a> {
    fn look_up(&self, row: usize, places: &Places, line: usize, values: &mut [Value<'a>]) {
        let row = self.read.row(row);
        let span = places.lines[line] as usize..places.lines[line + 1] as usize;
        for &(column, start) in &places.members[span] {
            if let Some(at) = self.of_column[column as usize] {
                // The line has been scanned, so there is a value.
                values[at] = row.get(start as usize..).and_then(json::value_at).unwrap_or(Value::Null);
            }
        }
    }

    fn search(&mut self, row: usize, values: &mut [Value<'a>]) -> Result<()> {
        let Finder { jsonl, read, of_name, order, of_key, .. } = self;
        order.next = 0;
        json::members(jsonl.object(read.row(row)), &mut |raw, _, value| {
            let key = order.number(raw)?;
            if key == of_key.len() {
                of_key.push(of_name.get(order.keys[key].as_ref()).copied());
            }
            if let Some(at) = of_key[key] {
                values[at] = value;
            }
            Ok(())
        })
        .map_err(|malformed| Error::data(&jsonl.file, jsonl.line(row), malformed.no_object()))
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
type Keys = Vec<(String, Seen)>;

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
    use crate::content::tests::on_disk;
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

    /// All that a reader says of a text: columns, rows, spellings, lines; or the error.
    fn read(input: Content, size: usize) -> std::result::Result<String, String> {
        let mut notes = Vec::new();
        let reading = Reading::default();
        let jsonl = Jsonl::parse("a", input, Format::Jsonl, &reading, &mut notes, &quadrat_core::Silent, size);
        let jsonl = jsonl.map_err(|e| e.to_string())?;
        let mut said = format!("{notes:?} {:?}", jsonl.columns);
        let mut rows = jsonl.one_by_one();
        for row in (0..jsonl.rows.count()).rev() {
            said += &format!("{:?} {}", jsonl.object(rows.row(row).unwrap()), jsonl.line(row));
        }
        for (column, part) in (0..jsonl.columns.len()).flat_map(|c| (0..jsonl.parts().len()).map(move |p| (c, p))) {
            let take = &mut |text: Option<Cow<str>>| {
                said += &format!("{text:?}");
                Ok(())
            };
            jsonl.texts(part, column, take).map_err(|e| e.to_string())?;
        }
        Ok(said)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        #[test]
        fn parts_change_no_answer(rows in lines(), size in 1..120_usize, odd in "( \n|\n|\r\n|\\{\n|☃\n){0,2}") {
            let line = |members: &Vec<(&str, String)>| {
                let members: Vec<String> = members.iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
                format!("{{{}}}\n", members.join(","))
            };
            let text = rows.iter().map(line).collect::<String>() + &odd + &line(&rows[0]);
            let whole = read(Content::Memory(text.clone().into_bytes()), text.len());
            prop_assert_eq!(&whole, &read(Content::Memory(text.clone().into_bytes()), size));
            let (_folder, disk) = on_disk(text.trim_end().as_bytes(), text.trim_end().len() - 1);
            prop_assert_eq!(whole, read(disk, size));
        }

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
            let parse = |filler| Jsonl::parse("a.jsonl", Content::Memory(text(filler).into_bytes()), Format::Jsonl, &Reading::default(), &mut Vec::new(), &quadrat_core::Silent, PART_BYTES).unwrap();
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
