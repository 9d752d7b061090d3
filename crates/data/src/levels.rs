//! The levels of category columns: all of them, in their order, whichever rows are written.
//!
//! A column of categories is a dictionary, and a file may have another one in every part. What is written has one: the
//! dictionaries of all parts joined, those levels first that came first, also the levels that no row has.

use crate::Table;
use crate::source::Form;
use crate::spell;
use arrow_array::cast::AsArray;
use arrow_array::types::*;
use arrow_array::{Array, ArrayRef, DictionaryArray, PrimitiveArray, UInt32Array};
use arrow_schema::{ArrowError, DataType, Field};
use arrow_select::concat::concat;
use arrow_select::take::take;
use quadrat_core::{Error, Result};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

/// The levels of a table's columns; `None` for a column of another kind.
pub(crate) struct Levels {
    file: String,
    columns: Vec<Option<Level>>,
}

struct Level {
    /// The key type, wide enough for all levels.
    key: DataType,
    values: ArrayRef,
    /// Each level's number by its text.
    places: HashMap<String, usize>,
    /// The dictionary of the last batch, and which level each of its values is.
    last: Option<(ArrayRef, Vec<Option<usize>>)>,
}

impl Levels {
    /// No levels to keep.
    pub(crate) fn none(table: &Table) -> Levels {
        Levels { file: table.name().to_owned(), columns: table.columns().iter().map(|_| None).collect() }
    }

    /// Reads the dictionaries of all category columns.
    pub(crate) fn of(table: &Table) -> Result<Levels> {
        let mut levels = Levels::none(table);
        for (column, field) in table.source().schema().fields().iter().enumerate() {
            if let DataType::Dictionary(key, value) = field.data_type() {
                levels.columns[column] = Some(level(table, column, key, value)?);
            }
        }
        Ok(levels)
    }

    /// The field as it is written.
    pub(crate) fn field(&self, column: usize, field: &Field) -> Field {
        match (&self.columns[column], field.data_type()) {
            (Some(level), DataType::Dictionary(_, value)) => {
                field.clone().with_data_type(DataType::Dictionary(Box::new(level.key.clone()), value.clone()))
            }
            _ => field.clone(),
        }
    }

    /// Gives the category columns of a batch their full dictionaries.
    pub(crate) fn apply(&mut self, batch: &mut [ArrayRef]) -> Result<()> {
        for (array, level) in batch.iter_mut().zip(&mut self.columns) {
            if let Some(level) = level {
                *array = level.apply(array).map_err(|why| Error::data(&self.file, None, why))?;
            }
        }
        Ok(())
    }
}

/// The dictionaries of a column's parts, joined.
fn level(table: &Table, column: usize, key: &DataType, value: &DataType) -> Result<Level> {
    let failed = |why: String| Error::data(table.name(), None, why);
    let parts = table.source().parts().len();
    // Of each part its different dictionaries. Parts are read in parallel; the order of levels follows the file.
    let found: Vec<Mutex<Vec<ArrayRef>>> = (0..parts).map(|_| Mutex::default()).collect();
    table.each_batch(column, Form::Native, |part, array| {
        let values = array.as_any_dictionary_opt().map(|dictionary| dictionary.values().clone());
        if let (Some(values), Ok(mut seen)) = (values, found[part].lock())
            && !seen.last().is_some_and(|last| same(last, &values))
        {
            seen.push(values);
        }
        Ok(())
    })?;
    let mut places = HashMap::new();
    let mut values: Vec<ArrayRef> = Vec::new();
    for dictionary in found.into_iter().flat_map(|part| part.into_inner().unwrap_or_default()) {
        let mut fresh: Vec<u32> = Vec::new();
        let mut row = 0;
        spell::texts(&dictionary, &mut |text| {
            if let Some(text) = text
                && !places.contains_key(text)
            {
                places.insert(text.to_owned(), places.len());
                fresh.push(row);
            }
            row += 1;
        })
        .map_err(failed)?;
        if !fresh.is_empty() {
            values.push(take(&dictionary, &UInt32Array::from(fresh), None).map_err(|e| failed(e.to_string()))?);
        }
    }
    let all: Vec<&dyn Array> = values.iter().map(|values| values.as_ref()).collect();
    let values = if all.is_empty() {
        arrow_array::new_empty_array(value)
    } else {
        concat(&all).map_err(|e| failed(e.to_string()))?
    };
    let key = if values.len() <= most(key) { key.clone() } else { DataType::Int32 };
    Ok(Level { key, values, places, last: None })
}

/// Whether two arrays are the same memory.
fn same(a: &ArrayRef, b: &ArrayRef) -> bool {
    a.to_data().ptr_eq(&b.to_data())
}

/// How many levels a type of keys can number.
fn most(key: &DataType) -> usize {
    match key {
        DataType::Int8 => 1 << 7,
        DataType::UInt8 => 1 << 8,
        DataType::Int16 => 1 << 15,
        DataType::UInt16 => 1 << 16,
        DataType::Int32 => 1 << 31,
        _ => usize::MAX,
    }
}

impl Level {
    /// The same cells with this dictionary.
    fn apply(&mut self, array: &ArrayRef) -> std::result::Result<ArrayRef, String> {
        let mut keys: Vec<Option<usize>> = Vec::with_capacity(array.len());
        let place = |text: Option<&str>| text.and_then(|text| self.places.get(text).copied());
        match array.as_any_dictionary_opt() {
            Some(dictionary) => {
                let values = dictionary.values();
                if !self.last.as_ref().is_some_and(|(last, _)| same(last, values)) {
                    let mut renamed = Vec::with_capacity(values.len());
                    spell::texts(values, &mut |text| renamed.push(place(text)))?;
                    self.last = Some((values.clone(), renamed));
                }
                let renamed = self.last.as_ref().map_or(&[][..], |(_, renamed)| renamed.as_slice());
                keys.extend((0..array.len()).map(|row| renamed.get(spell::key(dictionary.keys(), row)?).copied()?));
            }
            None => {
                let mut unknown = None;
                spell::texts(array, &mut |text| {
                    let key = place(text);
                    if let (Some(text), None) = (text, key) {
                        unknown.get_or_insert_with(|| text.to_owned());
                    }
                    keys.push(key);
                })?;
                if let Some(text) = unknown {
                    return Err(format!("`{text}` is none of the levels of its column"));
                }
            }
        }
        self.dictionary(&keys).map_err(|e| e.to_string())
    }

    fn dictionary(&self, keys: &[Option<usize>]) -> std::result::Result<ArrayRef, ArrowError> {
        macro_rules! of {
            ($t:ty, $n:ty) => {{
                let keys: PrimitiveArray<$t> = keys.iter().map(|key| key.map(|key| key as $n)).collect();
                Ok(Arc::new(DictionaryArray::try_new(keys, self.values.clone())?))
            }};
        }
        match self.key {
            DataType::Int8 => of!(Int8Type, i8),
            DataType::Int16 => of!(Int16Type, i16),
            DataType::Int64 => of!(Int64Type, i64),
            DataType::UInt8 => of!(UInt8Type, u8),
            DataType::UInt16 => of!(UInt16Type, u16),
            DataType::UInt32 => of!(UInt32Type, u32),
            DataType::UInt64 => of!(UInt64Type, u64),
            _ => of!(Int32Type, i32),
        }
    }
}
