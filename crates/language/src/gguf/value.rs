//! What settings are made of, and the numbers that stand for types.

use crate::matrix::Format;

/// A setting's value; numbers of all widths are of one type.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A whole number.
    Whole(i128),
    /// A number with a fraction.
    Real(f64),
    /// Yes or no.
    Flag(bool),
    /// A text.
    Text(String),
    /// Values of one type.
    List(Vec<Value>),
}

impl Value {
    /// In a few words.
    pub(super) fn told(&self) -> String {
        match self {
            Value::Whole(number) => number.to_string(),
            Value::Real(number) => number.to_string(),
            Value::Flag(flag) => flag.to_string(),
            Value::Text(text) => format!("{:?}", text.chars().take(40).collect::<String>()),
            Value::List(values) => format!("a list of {} values", values.len()),
        }
    }
}

impl TryFrom<&Value> for u32 {
    type Error = ();

    fn try_from(value: &Value) -> Result<u32, ()> {
        match value {
            Value::Whole(number) => u32::try_from(*number).map_err(|_| ()),
            _ => Err(()),
        }
    }
}

impl TryFrom<&Value> for usize {
    type Error = ();

    fn try_from(value: &Value) -> Result<usize, ()> {
        match value {
            Value::Whole(number) => usize::try_from(*number).map_err(|_| ()),
            _ => Err(()),
        }
    }
}

impl TryFrom<&Value> for f64 {
    type Error = ();

    fn try_from(value: &Value) -> Result<f64, ()> {
        match value {
            Value::Real(number) => Ok(*number),
            _ => Err(()),
        }
    }
}

impl TryFrom<&Value> for bool {
    type Error = ();

    fn try_from(value: &Value) -> Result<bool, ()> {
        match value {
            Value::Flag(flag) => Ok(*flag),
            _ => Err(()),
        }
    }
}

impl<'a> TryFrom<&'a Value> for &'a str {
    type Error = ();

    fn try_from(value: &'a Value) -> Result<&'a str, ()> {
        match value {
            Value::Text(text) => Ok(text),
            _ => Err(()),
        }
    }
}

impl<'a, T: TryFrom<&'a Value, Error = ()>> TryFrom<&'a Value> for Vec<T> {
    type Error = ();

    fn try_from(value: &'a Value) -> Result<Vec<T>, ()> {
        match value {
            Value::List(values) => values.iter().map(T::try_from).collect(),
            _ => Err(()),
        }
    }
}

/// The types of settings.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    F32,
    Flag,
    Text,
    List,
    U64,
    I64,
    F64,
}

impl Kind {
    pub fn of(number: u32) -> Option<Kind> {
        use Kind::{F32, F64, Flag, I8, I16, I32, I64, List, Text, U8, U16, U32, U64};
        const ALL: [Kind; 13] = [U8, I8, U16, I16, U32, I32, F32, Flag, Text, List, U64, I64, F64];
        ALL.get(number as usize).copied()
    }
}

/// The types of tensors by ggml's numbers; those without a format are known by name only.
const FORMATS: &[(u32, &str, Option<Format>)] = &[
    (0, "F32", Some(Format::F32)),
    (1, "F16", Some(Format::F16)),
    (2, "Q4_0", Some(Format::Q4_0)),
    (3, "Q4_1", Some(Format::Q4_1)),
    (6, "Q5_0", None),
    (7, "Q5_1", None),
    (8, "Q8_0", Some(Format::Q8_0)),
    (9, "Q8_1", None),
    (10, "Q2_K", None),
    (11, "Q3_K", None),
    (12, "Q4_K", Some(Format::Q4K)),
    (13, "Q5_K", None),
    (14, "Q6_K", Some(Format::Q6K)),
    (15, "Q8_K", None),
    (16, "IQ2_XXS", None),
    (17, "IQ2_XS", None),
    (18, "IQ3_XXS", None),
    (19, "IQ1_S", None),
    (20, "IQ4_NL", None),
    (21, "IQ3_S", None),
    (22, "IQ2_S", None),
    (23, "IQ4_XS", None),
    (24, "I8", None),
    (25, "I16", None),
    (26, "I32", None),
    (27, "I64", None),
    (28, "F64", None),
    (29, "IQ1_M", None),
    (30, "BF16", Some(Format::Bf16)),
    (34, "TQ1_0", None),
    (35, "TQ2_0", None),
    (39, "MXFP4", None),
];

/// The format of a number, or what is told of it.
pub(super) fn format(number: u32) -> Result<Format, String> {
    match FORMATS.iter().find(|(known, _, _)| *known == number) {
        Some((_, _, Some(format))) => Ok(*format),
        Some((_, name, None)) => Err((*name).to_owned()),
        None => Err(format!("type {number}")),
    }
}
