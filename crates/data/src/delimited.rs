//! CSV and TSV (RFC 4180, and the dialects that people use).
//!
//! Opening looks at every cell once and keeps where each row starts; cells are found again when they are asked for. That
//! way a selection copies the user's own bytes, and a column nobody asks for is never decoded. Finding rows is a search
//! for line feeds (`memchr`) except in lines with a quotation mark, which are walked field by field; a general-purpose
//! CSV crate would do the same work but hand out unescaped fields instead of the spans we need.

use crate::cell::{self, Codes, Look, Marks};
use crate::cells::{Builder, Cells};
use crate::content::Content;
use crate::dialect::{Dialect, Fields, content, named_separator, row_end, unquoted};
use crate::encoding::{self, Charset};
use crate::infer::{self, Seen};
use crate::rows::{self, Lines, OneByOne, PART_BYTES, Part, Rows, Wrong};
use crate::source::{Form, Source, Visit};
use crate::{Column, ColumnType, Format, Reading};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use memchr::memchr;
use quadrat_core::{Error, Progress, Result};
use std::ops::Range;
use std::sync::Arc;

pub(crate) struct Delimited {
    file: String,
    content: Content,
    charset: Charset,
    dialect: Dialect,
    /// What stands before the rows: a byte-order mark, comments, the header without its line end.
    head: String,
    line_end: &'static str,
    rows: Rows,
    columns: Vec<Column>,
    /// The marks in each column's numbers where they are not spelt plainly.
    marks: Vec<Option<Marks>>,
    codes: Codes,
    schema: SchemaRef,
}

/// Cells are looked at column by column in so many rows at a time. In a row a field's start is known only when the one
/// before has been looked at; other rows need not wait for that.
const SIDE_BY_SIDE: usize = 16;

impl Delimited {
    /// Finds the rows, checks that each has as many fields as the header, and infers the types, in
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
        let told = told_marks(reading)?;
        let (mut content, charset) = encoding::decode_rows(file, content, reading.encoding.as_deref(), notes)?;
        if let Content::Memory(text) = &mut content
            && memchr(b'\n', text).is_none()
            && memchr(b'\r', text).is_some()
        {
            notes.push(format!("{file}: its lines end in carriage returns alone; they are written with line feeds"));
            text.iter_mut().filter(|byte| **byte == b'\r').for_each(|byte| *byte = b'\n');
        }
        let head = content.head_text();
        let start = if head.starts_with('\u{feff}') { 3 } else { 0 };
        let (at, named) = named_separator(head, start);
        let reading = &Reading { separator: reading.separator.or(named), ..reading.clone() };
        let dialect = Dialect::of(file, head, at, format, reading, notes)?;
        let first = First::of(file, &content, &dialect, at)?;
        let (names, from): (Vec<String>, usize) = if dialect.header {
            (header_names(file, content.line_of(first.start), &first.row, &dialect, notes)?, first.end)
        } else {
            ((1..=Fields::new(&first.row, &dialect).count()).map(|n| format!("column {n}")).collect(), first.start)
        };
        let head_end = first.start + if dialect.header { first.row.len() } else { 0 };
        let text_of = |span: Range<usize>| content.with(span, |bytes| Ok(String::from_utf8_lossy(bytes).into_owned()));
        let mut csv = Delimited {
            file: file.to_owned(),
            head: text_of(0..head_end)?,
            line_end: content.with_lines(head_end, head_end + 1, |bytes, _| {
                Ok(if bytes.ends_with(b"\r\n") { "\r\n" } else { "\n" })
            })?,
            content,
            charset,
            dialect,
            rows: Rows::default(),
            columns: names.iter().map(|name| Column { name: name.clone(), kind: ColumnType::Text }).collect(),
            marks: vec![told; names.len()],
            codes: Codes::new(&reading.missing_codes),
            schema: Arc::new(Schema::empty()),
        };
        let one_column = names.len() == 1;
        let find = |lines: Lines| csv.find(lines, one_column, told);
        let found = rows::scan(file, &csv.content, from, size, progress, find)?;
        let mut seen = vec![Seen::default(); names.len()];
        let (mut blank, mut comments) = (Apart::default(), first.comments);
        let mut parts = Vec::with_capacity(found.len());
        for (at, part) in found {
            seen.iter_mut().zip(part.seen).for_each(|(seen, part)| seen.merge(part));
            blank.merge(part.blank, at);
            comments.merge(part.comments, at);
            parts.push(Part::new(at, part.starts, part.ends));
        }
        csv.rows = Rows::new(parts);
        if csv.rows.count() == 0 {
            let why = "there is a header but no row under it";
            return Err(Error::data(file, csv.content.line_of(first.start), why));
        }
        notes.extend(blank.said(file, &csv.content, if one_column { BLANK_IS_MISSING } else { BLANK_IS_SKIPPED }));
        notes.extend(comments.said(file, &csv.content, COMMENT_IS_SKIPPED));
        let separator = csv.dialect.separator;
        let settled = infer::settle(file, &names, &seen, separator, told, &reading.types, notes);
        for (column, (kind, marks)) in settled.into_iter().enumerate() {
            csv.columns[column].kind = kind;
            csv.marks[column] = marks;
        }
        let fields: Vec<Field> = csv.columns.iter().map(|c| Field::new(&c.name, data_type(c.kind), true)).collect();
        csv.schema = Arc::new(Schema::new(fields));
        Ok(csv)
    }

    pub(crate) fn columns(&self) -> &[Column] {
        &self.columns
    }

    pub(crate) fn dialect(&self) -> &Dialect {
        &self.dialect
    }

    pub(crate) fn charset(&self) -> Charset {
        self.charset
    }

    /// The decimal sign of a column's numbers; where it has none, of the file's.
    pub(crate) fn decimal(&self, column: Option<usize>) -> char {
        let of = |marks: &Option<Marks>| marks.map(|marks| marks.decimal);
        let own = column.filter(|&c| self.columns[c].kind == ColumnType::Float);
        match own {
            Some(column) => of(&self.marks[column]).unwrap_or('.'),
            None if self.marks.iter().any(|marks| of(marks) == Some(',')) => ',',
            None => self.marks.first().and_then(of).unwrap_or('.'),
        }
    }

    /// Whether all numbers are spelt plainly.
    pub(crate) fn is_plain(&self) -> bool {
        self.marks.iter().all(Option::is_none)
    }

    /// What stands before the rows as it is, a byte-order mark included; of a header all but the line end.
    pub(crate) fn head(&self) -> &str {
        &self.head
    }

    /// The rows' own bytes, in any order; see [`content`] for their ends.
    pub(crate) fn one_by_one(&self) -> OneByOne<'_> {
        self.rows.one_by_one(&self.content)
    }

    /// The line end that the file uses.
    pub(crate) fn line_end(&self) -> &'static str {
        self.line_end
    }

    /// Finds the rows in a piece of the text and looks at their cells. Blank lines are no rows, except under the header
    /// of one column, where each is a row without a value.
    fn find(
        &self,
        lines: Lines,
        one_column: bool,
        told: Option<Marks>,
    ) -> std::result::Result<Option<(usize, Found)>, Wrong> {
        let Lines { text, limit, whole } = lines;
        let (bytes, comment) = (text.as_bytes(), self.dialect.comment.as_deref());
        let mut found = Found { seen: vec![Seen::default(); self.columns.len()], ..Found::default() };
        let mut quote = memchr(self.dialect.quote, bytes).unwrap_or(bytes.len());
        let (mut at, mut broken) = (0, None);
        while at < limit.min(bytes.len()) {
            let start = at;
            let line_end = memchr(b'\n', &bytes[start..]).map_or(bytes.len(), |n| start + n + 1);
            at = line_end;
            if comment.is_some_and(|comment| text[start..].starts_with(comment)) {
                found.comments.add(start);
                continue;
            }
            if quote < start {
                quote = memchr(self.dialect.quote, &bytes[start..]).map_or(bytes.len(), |n| start + n);
            }
            if quote < line_end {
                match row_end(bytes, &self.dialect, start, whole) {
                    Ok(Some(end)) => at = end,
                    Ok(None) => return Ok(None),
                    // What is wrong with a row before it is said first.
                    Err(wrong) => {
                        (broken, at) = (Some(wrong), start);
                        break;
                    }
                }
            }
            if content(&text[start..at]).is_empty() {
                found.blank.add(start);
                if !one_column {
                    continue;
                }
            }
            found.starts.push(start as u32);
            if comment.is_some() {
                found.ends.push(at as u32);
            }
        }
        found.starts.push(at as u32);
        let end = |row: usize| *found.ends.get(row).unwrap_or(&found.starts[row + 1]) as usize;
        let rows: Vec<&str> =
            (0..found.starts.len() - 1).map(|row| content(&text[found.starts[row] as usize..end(row)])).collect();
        for (block, rows) in rows.chunks(SIDE_BY_SIDE).enumerate() {
            if !self.look(rows, &mut found.seen, told) {
                let (at, why) =
                    rows.iter().enumerate().find_map(|(row, text)| Some((row, self.misfit(text)?))).unwrap_or_default();
                return Err(Wrong::new(found.starts[block * SIDE_BY_SIDE + at] as usize, why));
            }
        }
        broken.map_or(Ok(Some((at, found))), Err)
    }

    /// One look at every cell of some rows, column by column; false if a row has more fields than there are columns, or
    /// fewer.
    fn look(&self, rows: &[&str], seen: &mut [Seen], told: Option<Marks>) -> bool {
        let watch = self.dialect.separator != b',' && told.is_none();
        let usual = told.is_none() && !watch && self.codes.is_empty();
        let mut rows: Vec<Fields> = rows.iter().map(|row| Fields::new(row, &self.dialect)).collect();
        for seen in seen {
            for row in &mut rows {
                if usual && let Some(number) = row.plain() {
                    seen.add_plain(&number);
                    row.pass(&number);
                    continue;
                }
                let Some(field) = row.next() else { return false };
                if !seen.text {
                    let cell = unquoted(field, self.dialect.quote);
                    let look = match told {
                        _ if self.codes.has(&cell) => Look::Missing,
                        Some(marks) => marks.look(&cell),
                        None => cell::look(&cell),
                    };
                    seen.add(&cell, look, watch);
                }
            }
        }
        rows.iter().all(Fields::is_done)
    }

    /// What is wrong with a row that has not one field a column.
    fn misfit(&self, row: &str) -> Option<String> {
        let fields = Fields::new(row, &self.dialect).count();
        (fields != self.columns.len()).then(|| {
            format!(
                "{fields} field{} where the {} has {}; make the row complete, or quote a value that holds a separator",
                if fields == 1 { "" } else { "s" },
                if self.dialect.header { "header" } else { "first row" },
                self.columns.len()
            )
        })
    }

    fn wrong(&self, row: usize, column: usize, cell: &str) -> Error {
        let Column { name, kind } = &self.columns[column];
        let shown: String = cell.chars().take(40).collect();
        let why = format!(
            "column `{name}`: found `{shown}` where the type asked for is {kind}; correct it or override the type"
        );
        Error::data(&self.file, self.line(row), why)
    }
}

impl Source for Delimited {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn parts(&self) -> &[Range<usize>] {
        self.rows.spans()
    }

    fn read(&self, part: usize, rows: Option<&[usize]>, columns: &[usize], form: Form, visit: Visit) -> Result<()> {
        let wanted: Vec<usize> = rows.map_or_else(|| self.rows.spans()[part].clone().collect(), <[usize]>::to_vec);
        let cells = |&column: &usize| Cells {
            builder: Builder::new(self.columns[column].kind, form, wanted.len()),
            quote: self.dialect.quote,
            marks: self.marks[column].filter(|_| form == Form::Native),
            codes: &self.codes,
        };
        let mut builders: Vec<Cells> = columns.iter().map(cells).collect();
        self.rows.read(&self.content, part, rows, |read| {
            for block in wanted.chunks(SIDE_BY_SIDE) {
                let fields = |&row: &usize| (row, Fields::new(content(read.row(row)), &self.dialect));
                let mut side_by_side: Vec<(usize, Fields)> = block.iter().map(fields).collect();
                let mut next = 0;
                for (&column, cells) in columns.iter().zip(&mut builders) {
                    let skipped = column - std::mem::replace(&mut next, column + 1);
                    let after = self.columns.len() - next;
                    for (row, fields) in &mut side_by_side {
                        if skipped == 0 && cells.push_plain(fields) {
                            continue;
                        }
                        let field = fields.skip_to(skipped, after).ok_or_else(rows::changed)?;
                        cells.push(field).map_err(|cell| self.wrong(*row, column, &cell))?;
                    }
                }
            }
            Ok(())
        })?;
        visit(builders.into_iter().map(|cells| cells.builder.finish()).collect())
    }

    fn line(&self, row: usize) -> u64 {
        self.content.line_of(self.rows.place(row).start)
    }
}

/// The marks that the user says numbers have.
fn told_marks(reading: &Reading) -> Result<Option<Marks>> {
    let (decimal, thousands) = match (reading.decimal, reading.thousands) {
        (None, None) => return Ok(None),
        (Some(decimal), thousands) => (decimal, thousands),
        (None, Some('.')) => (',', Some('.')),
        (None, thousands) => ('.', thousands),
    };
    let number = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '+');
    if number(decimal) || thousands.is_some_and(number) || thousands == Some(decimal) {
        let want = "use two different marks that are no letter, digit or sign";
        let got = format!("`{decimal}` and `{}`", thousands.map(String::from).unwrap_or_default());
        return Err(Error::input("decimal and thousands", got, want));
    }
    Ok(Some(Marks { decimal, thousands }))
}

/// The first row, which may be the header.
struct First {
    /// Where it starts, and where the next one does.
    start: usize,
    end: usize,
    row: String,
    /// The lines before it.
    comments: Apart,
}

/// What a line from which the first row is looked for turns out to be, and where the next one starts.
enum Line {
    Comment(usize),
    Blank(usize),
    Row(usize),
    /// It ends within quotation marks.
    Open,
}

impl First {
    /// The first line that is neither blank nor a comment, and those after it that belong to its row.
    fn of(file: &str, whole: &Content, dialect: &Dialect, mut at: usize) -> Result<First> {
        let look = |bytes: &[u8], ends: bool| -> std::result::Result<Line, Wrong> {
            let text = rows::utf8(bytes)?;
            if dialect.comment.as_deref().is_some_and(|comment| text.starts_with(comment)) {
                return Ok(Line::Comment(bytes.len()));
            }
            if content(text).is_empty() {
                return Ok(Line::Blank(bytes.len()));
            }
            Ok(row_end(bytes, dialect, 0, ends)?.map_or(Line::Open, Line::Row))
        };
        let (mut comments, mut least) = (Apart::default(), 1);
        while at < whole.len() {
            let line = whole.with_lines(at, whole.len().min(at + least), |bytes, ends| {
                look(bytes, ends).map_err(|wrong| Wrong { at: at + wrong.at, ..wrong }.error(file, whole))
            })?;
            match line {
                Line::Comment(length) => {
                    comments.add(at);
                    at += length;
                }
                Line::Blank(length) => at += length,
                Line::Open => least = 2 * least + PART_BYTES,
                Line::Row(length) => {
                    let row = whole.with(at..at + length, |bytes| Ok(content(rows::text(bytes)?).to_owned()))?;
                    return Ok(First { start: at, end: at + length, row, comments });
                }
            }
        }
        let why = "the file is empty: there must be a first row with the columns' names, then one row a sample";
        Err(Error::data(file, None, why))
    }
}

/// What is found in a piece of the text.
#[derive(Default)]
struct Found {
    /// Where each row starts, then where the last one ends.
    starts: Vec<u32>,
    /// Where each row ends, in a file with comments.
    ends: Vec<u32>,
    seen: Vec<Seen>,
    blank: Apart,
    comments: Apart,
}

/// Lines that are no rows like others: how many, and where the first is.
#[derive(Default)]
struct Apart {
    count: usize,
    first: usize,
}

const BLANK_IS_MISSING: [&str; 2] =
    ["blank line is a row whose value is missing", "blank lines are rows whose value is missing"];
const BLANK_IS_SKIPPED: [&str; 2] = ["blank line was skipped", "blank lines were skipped"];
const COMMENT_IS_SKIPPED: [&str; 2] = ["comment line was skipped", "comment lines were skipped"];

impl Apart {
    fn add(&mut self, at: usize) {
        if self.count == 0 {
            self.first = at;
        }
        self.count += 1;
    }

    /// Takes in those of the next piece, which starts at `at`.
    fn merge(&mut self, next: Apart, at: usize) {
        if self.count == 0 {
            self.first = at + next.first;
        }
        self.count += next.count;
    }

    fn said(&self, file: &str, content: &Content, [one, many]: [&str; 2]) -> Option<String> {
        match self.count {
            0 => None,
            1 => Some(format!("{file}: 1 {one} (line {})", content.line_of(self.first))),
            n => Some(format!("{file}: {n} {many} (the first is line {})", content.line_of(self.first))),
        }
    }
}

fn header_names(
    file: &str,
    line: u64,
    header: &str,
    dialect: &Dialect,
    notes: &mut Vec<String>,
) -> Result<Vec<String>> {
    let mut names: Vec<String> = Vec::new();
    let mut unnamed: Vec<String> = Vec::new();
    for (column, field) in Fields::new(header, dialect).enumerate() {
        names.push(match unquoted(field, dialect.quote).trim() {
            "" => {
                let name = format!("column {}", column + 1);
                unnamed.push(format!("`{name}`"));
                name
            }
            name => name.to_owned(),
        });
    }
    let mut sorted: Vec<(&String, usize)> = names.iter().zip(1..).collect();
    sorted.sort_unstable();
    if let Some(twice) = sorted.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        let (name, first, second) = (twice[0].0, twice[0].1, twice[1].1);
        let why = format!(
            "two columns are called `{name}` (columns {first} and {second}); names must differ: rename one, or use \
             --no-header if the first row is data"
        );
        return Err(Error::data(file, line, why));
    }
    if !unnamed.is_empty() {
        let more = if unnamed.len() > 5 { ", ..." } else { "" };
        unnamed.truncate(5);
        notes.push(format!("{file}: a column without a name is called by its place: {}{more}", unnamed.join(", ")));
    }
    Ok(names)
}

fn data_type(kind: ColumnType) -> DataType {
    match kind {
        ColumnType::Integer => DataType::Int64,
        ColumnType::Float => DataType::Float64,
        ColumnType::Boolean => DataType::Boolean,
        _ => DataType::LargeUtf8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::tests::on_disk;
    use arrow_array::Array;
    use arrow_array::cast::AsArray;
    use proptest::prelude::*;
    use quadrat_core::Silent;

    /// All that a reader says of a text: notes, columns, rows, cells with their types, lines; or the error.
    fn read(input: Content, reading: &Reading, size: usize) -> std::result::Result<String, String> {
        let mut notes = Vec::new();
        let csv = Delimited::parse("a", input, Format::Csv, reading, &mut notes, &Silent, size);
        let csv = csv.map_err(|e| e.to_string())?;
        let mut said = format!("{notes:?} {:?} {:?} {:?} {:?}", csv.columns, csv.marks, csv.head(), csv.line_end());
        let mut rows = csv.one_by_one();
        let count = csv.rows.count();
        // There and back, so that rows are read from disk one by one and many at a time.
        for row in (0..count).chain((0..count).rev()) {
            said += &format!("{:?} {}", content(rows.row(row).unwrap()), csv.line(row));
        }
        for column in 0..csv.columns.len() {
            for form in [Form::Native, Form::Text] {
                let mut cells = Vec::new();
                for (part, span) in csv.parts().iter().enumerate() {
                    let some: Vec<usize> = span.clone().filter(|row| row % 3 == 1).collect();
                    for rows in std::iter::once(None).chain((!some.is_empty()).then_some(Some(some.as_slice()))) {
                        let mut take = |batch: Vec<arrow_array::ArrayRef>| {
                            let spelt = crate::spell::to_text(csv.schema.field(column), &batch[0]).unwrap();
                            let spelt = spelt.as_string::<i64>();
                            assert_eq!(spelt.len(), rows.map_or(span.len(), <[usize]>::len));
                            if rows.is_none() {
                                cells.extend(spelt.iter().map(|cell| cell.map(str::to_owned)));
                            }
                            Ok(())
                        };
                        if form == Form::Native || csv.columns[column].kind != ColumnType::Text {
                            csv.read(part, rows, &[column], form, &mut take).unwrap();
                        }
                    }
                }
                said += &format!("{cells:?}");
            }
        }
        Ok(said)
    }

    /// Two cells a row mostly, of every kind, some over several lines; blank lines, comments, and what is no row at all.
    fn texts() -> impl Strategy<Value = String> {
        let cell = prop_oneof![
            8 => "-?[0-9]{1,3}([.][0-9]{0,7})?",
            1 => "-?[0-9]{8,20}([.][0-9]{0,3})?|0[0-9]{2}|1e5| 7 |true|NA||1'234",
            2 => "\"([a-z☃\n,;]|\"\"|\r\n){0,8}\"",
            2 => "[a-zé☃][a-z\"#]{0,5}",
        ];
        let row = (cell.clone(), cell).prop_map(|(a, b)| format!("{a},{b}"));
        let line = prop_oneof![30 => row, 1 => Just(String::new()), 1 => "#[a-z,\"☃]{0,9}", 1 => "[a-z,\"☃\n]{0,6}"];
        let ended = (line, prop::sample::select(vec!["\n", "\n", "\n", "\r\n"])).prop_map(|(line, end)| line + end);
        (prop::collection::vec(ended, 0..40), any::<bool>(), any::<bool>()).prop_map(|(lines, mark, last)| {
            let text = format!("{}x,y\n{}", if mark { "\u{feff}" } else { "" }, lines.concat());
            if last { text } else { text.trim_end().to_owned() }
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        #[test]
        fn parts_change_no_answer(text in texts(), sizes in prop::collection::vec(1..80_usize, 3), header: bool, comment: bool) {
            let reading = Reading {
                separator: Some(','),
                header: Some(header),
                comment: Some(if comment { "#" } else { "//" }.to_owned()),
                ..Reading::default()
            };
            let memory = || Content::Memory(text.clone().into_bytes());
            let whole = read(memory(), &reading, text.len());
            for size in sizes {
                prop_assert_eq!(&whole, &read(memory(), &reading, size), "{}", size);
                let (_folder, disk) = on_disk(text.as_bytes(), text.len() - 1);
                prop_assert_eq!(&whole, &read(disk, &reading, size), "{} on disk", size);
            }
        }
    }

    #[test]
    fn every_border_is_found() {
        let text = "x,y\n1,\"a\n\"\"b\"\n\n2,\"\n,\"\r\n\"3\",é☃\n4,\",\"\n5,\"\n\n\n\n\n\n\"";
        let read_in = |size| read(Content::Memory(text.as_bytes().to_vec()), &Reading::default(), size);
        let whole = read_in(text.len()).unwrap();
        assert!(whole.contains("1 blank line was skipped (line 4)"), "{whole}");
        (1..text.len()).for_each(|size| assert_eq!(read_in(size).as_ref(), Ok(&whole), "{size}"));
        let unclosed = "x,y\n1,a\n2,\"b\n3,c\n4,d\n";
        for size in 1..unclosed.len() {
            let error = read(Content::Memory(unclosed.into()), &Reading::default(), size).unwrap_err();
            assert!(error.starts_with("a:3: a quotation mark opens"), "{error}");
        }
    }
}
