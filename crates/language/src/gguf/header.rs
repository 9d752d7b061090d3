//! Reading a header from its bytes, never beyond them.

use super::value::{Kind, Value};

/// The bytes of a header, and how far they have been read.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Reader { bytes, at: 0 }
    }

    /// Bytes read so far.
    pub fn at(&self) -> usize {
        self.at
    }

    /// The next bytes of what an error would call `what`.
    pub fn take(&mut self, length: usize, what: &str) -> Result<&'a [u8], String> {
        let rest = &self.bytes[self.at..];
        let Some(found) = rest.get(..length) else {
            return Err(format!("the file ends within {what}: {length} bytes are promised, {} are there", rest.len()));
        };
        self.at += length;
        Ok(found)
    }

    fn array<const N: usize>(&mut self, what: &str) -> Result<[u8; N], String> {
        self.take(N, what)?.try_into().map_err(|_| format!("the file ends within {what}"))
    }

    pub fn u32(&mut self, what: &str) -> Result<u32, String> {
        self.array(what).map(u32::from_le_bytes)
    }

    pub fn u64(&mut self, what: &str) -> Result<u64, String> {
        self.array(what).map(u64::from_le_bytes)
    }

    /// A length, then so many bytes of UTF-8.
    pub fn text(&mut self, what: &str, longest: u64) -> Result<String, String> {
        let length = self.u64(what)?;
        if length > longest.min(self.bytes.len() as u64) {
            return Err(format!("{what} has {length} bytes, which is more than there can be"));
        }
        let bytes = self.take(length as usize, what)?;
        String::from_utf8(bytes.to_vec()).map_err(|_| format!("{what} is no UTF-8"))
    }

    /// The type and the value of a setting.
    pub fn value(&mut self, key: &str) -> Result<Value, String> {
        let kind = self.kind(key)?;
        if !matches!(kind, Kind::List) {
            return self.of_kind(kind, key);
        }
        let kind = self.kind(key)?;
        if matches!(kind, Kind::List) {
            return Err(format!("`{key}` is a list of lists, which is not read"));
        }
        let length = self.u64(key)?;
        if length > (self.bytes.len() - self.at) as u64 {
            return Err(format!("`{key}` is a list of {length} values, more than there are bytes"));
        }
        let values: Result<Vec<Value>, String> = (0..length).map(|_| self.of_kind(kind, key)).collect();
        values.map(Value::List)
    }

    fn kind(&mut self, key: &str) -> Result<Kind, String> {
        let number = self.u32(key)?;
        Kind::of(number).ok_or_else(|| format!("`{key}` is of type {number}: types 0 to 12 are known"))
    }

    fn of_kind(&mut self, kind: Kind, key: &str) -> Result<Value, String> {
        Ok(match kind {
            Kind::U8 => Value::Whole(i128::from(self.array::<1>(key)?[0])),
            Kind::I8 => Value::Whole(i128::from(i8::from_le_bytes(self.array(key)?))),
            Kind::U16 => Value::Whole(i128::from(u16::from_le_bytes(self.array(key)?))),
            Kind::I16 => Value::Whole(i128::from(i16::from_le_bytes(self.array(key)?))),
            Kind::U32 => Value::Whole(i128::from(self.u32(key)?)),
            Kind::I32 => Value::Whole(i128::from(i32::from_le_bytes(self.array(key)?))),
            Kind::U64 => Value::Whole(i128::from(self.u64(key)?)),
            Kind::I64 => Value::Whole(i128::from(i64::from_le_bytes(self.array(key)?))),
            Kind::F32 => Value::Real(f64::from(f32::from_le_bytes(self.array(key)?))),
            Kind::F64 => Value::Real(f64::from_le_bytes(self.array(key)?)),
            Kind::Flag => match self.array::<1>(key)?[0] {
                0 => Value::Flag(false),
                1 => Value::Flag(true),
                other => return Err(format!("`{key}` is {other}, where yes is 1 and no is 0")),
            },
            Kind::Text => Value::Text(self.text(&format!("`{key}`"), u64::MAX)?),
            Kind::List => return Err(format!("`{key}` is a list of lists, which is not read")),
        })
    }
}
