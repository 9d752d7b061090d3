//! Cells of a delimited file becoming a column.

use crate::ColumnType;
use crate::cell::{self, Codes, Marks};
use crate::dialect::{Fields, unquoted};
use crate::source::Form;
use arrow_array::ArrayRef;
use arrow_array::builder::{BooleanBuilder, Float64Builder, Int64Builder, LargeStringBuilder};
use std::borrow::Cow;
use std::sync::Arc;

/// A column being decoded.
pub(crate) struct Cells<'a> {
    pub(crate) builder: Builder,
    pub(crate) quote: u8,
    pub(crate) marks: Option<Marks>,
    pub(crate) codes: &'a Codes,
}

pub(crate) enum Builder {
    Integer(Int64Builder),
    Float(Float64Builder),
    Boolean(BooleanBuilder),
    Text(LargeStringBuilder),
    /// The spelling of a number or boolean.
    Spelling(LargeStringBuilder),
}

impl Cells<'_> {
    /// Appends the next field, if it is a number for this column that is spelt plainly.
    #[inline]
    pub(crate) fn push_plain(&mut self, fields: &mut Fields) -> bool {
        if self.marks.is_some() || !matches!(self.builder, Builder::Float(_) | Builder::Integer(_)) {
            return false;
        }
        let Some(number) = fields.plain() else { return false };
        let fits = match &mut self.builder {
            Builder::Float(b) => number.float().map(|value| b.append_value(value)),
            Builder::Integer(b) => number.integer().map(|value| b.append_value(value)),
            _ => None,
        };
        if fits.is_some() {
            fields.pass(&number);
        }
        fits.is_some()
    }

    /// Appends a field; the error is the cell that does not fit.
    pub(crate) fn push<'a>(&mut self, field: &'a str) -> std::result::Result<(), Cow<'a, str>> {
        let cell = unquoted(field, self.quote);
        if let Builder::Text(b) = &mut self.builder {
            // `""` is an empty text, nothing at all is a missing one.
            b.append_option((!field.is_empty()).then_some(&cell));
            return Ok(());
        }
        let trimmed = cell.trim_matches([' ', '\t']);
        let missing = cell::is_missing(trimmed);
        let plain = match self.marks {
            Some(marks) if !missing => marks.plain(trimmed).unwrap_or_default(),
            _ => Cow::Borrowed(trimmed),
        };
        let fits = match &mut self.builder {
            Builder::Integer(b) => fit(missing, plain.parse().ok(), |v| b.append_option(v)),
            Builder::Float(b) => fit(missing, cell::parse_float(&plain), |v| b.append_option(v)),
            Builder::Boolean(b) => fit(missing, cell::parse_boolean(trimmed), |v| b.append_option(v)),
            Builder::Spelling(b) => fit(missing, Some(trimmed), |v| b.append_option(v)),
            Builder::Text(_) => true,
        };
        if fits {
            return Ok(());
        }
        if !self.codes.has(trimmed) {
            return Err(cell);
        }
        self.builder.push_missing();
        Ok(())
    }
}

impl Builder {
    pub(crate) fn new(kind: ColumnType, form: Form, rows: usize) -> Self {
        match kind {
            ColumnType::Integer | ColumnType::Float | ColumnType::Boolean if form == Form::Text => {
                Builder::Spelling(LargeStringBuilder::new())
            }
            ColumnType::Integer => Builder::Integer(Int64Builder::with_capacity(rows)),
            ColumnType::Float => Builder::Float(Float64Builder::with_capacity(rows)),
            ColumnType::Boolean => Builder::Boolean(BooleanBuilder::new()),
            _ => Builder::Text(LargeStringBuilder::new()),
        }
    }

    fn push_missing(&mut self) {
        match self {
            Builder::Integer(b) => b.append_null(),
            Builder::Float(b) => b.append_null(),
            Builder::Boolean(b) => b.append_null(),
            Builder::Text(b) | Builder::Spelling(b) => b.append_null(),
        }
    }

    pub(crate) fn finish(self) -> ArrayRef {
        match self {
            Builder::Integer(mut b) => Arc::new(b.finish()),
            Builder::Float(mut b) => Arc::new(b.finish()),
            Builder::Boolean(mut b) => Arc::new(b.finish()),
            Builder::Text(mut b) | Builder::Spelling(mut b) => Arc::new(b.finish()),
        }
    }
}

/// Appends a parsed value or a missing one; false when there is neither.
fn fit<T>(missing: bool, value: Option<T>, mut append: impl FnMut(Option<T>)) -> bool {
    let fits = missing || value.is_some();
    if fits {
        append(value.filter(|_| !missing));
    }
    fits
}
