//! Texts in other encodings than UTF-8.
//!
//! A text file is decoded when it is opened and its rows are encoded again when they are written, so that they come out
//! byte for byte. UTF-16 is recognised by its mark or its zeros. Which of the dozens of one-byte encodings a file is in
//! cannot be told from its bytes, so that is asked for.

use crate::content::Content;
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};
use memchr::memchr_iter;
use quadrat_core::{Error, Result};
use std::borrow::Cow;
use std::io;

/// How the characters of a file are written as bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Charset(&'static Encoding);

impl Charset {
    pub(crate) const UTF8: Charset = Charset(UTF_8);

    /// UTF-8 text in this encoding.
    pub(crate) fn encode(self, utf8: &[u8]) -> io::Result<Cow<'_, [u8]>> {
        if self == Charset::UTF8 {
            return Ok(Cow::Borrowed(utf8));
        }
        let text = std::str::from_utf8(utf8).map_err(io::Error::other)?;
        let units = |bytes: fn(u16) -> [u8; 2]| Cow::Owned(text.encode_utf16().flat_map(bytes).collect());
        if self.0 == UTF_16LE {
            return Ok(units(u16::to_le_bytes));
        }
        if self.0 == UTF_16BE {
            return Ok(units(u16::to_be_bytes));
        }
        match self.0.encode(text) {
            (bytes, _, false) => Ok(Cow::Owned(bytes.into_owned())),
            (_, _, true) => Err(io::Error::other(format!(
                "a new value has a character that {}, the encoding of the input, does not have; convert the input to UTF-8 first",
                self.0.name()
            ))),
        }
    }
}

/// Whether a text is UTF-8 by what is said of it, unless its bytes show otherwise.
pub(crate) fn is_utf8(told: Option<&str>) -> bool {
    told.is_none_or(|label| Encoding::for_label(label.as_bytes()) == Some(UTF_8))
}

/// [`decode`] for a reader that takes its text piece by piece, in UTF-8: what is on disk stays there.
pub(crate) fn decode_rows(
    file: &str,
    content: Content,
    told: Option<&str>,
    notes: &mut Vec<String>,
) -> Result<(Content, Charset)> {
    match content {
        Content::Memory(bytes) => {
            let (text, charset) = decode(file, bytes, told, notes)?;
            Ok((Content::Memory(text.into_bytes()), charset))
        }
        disk => Ok((disk, Charset::UTF8)),
    }
}

/// The content as text and the encoding that writes it back. A byte-order mark stays in the text.
pub(crate) fn decode(
    file: &str,
    bytes: Vec<u8>,
    told: Option<&str>,
    notes: &mut Vec<String>,
) -> Result<(String, Charset)> {
    let named = |label: &str| {
        Encoding::for_label(label.as_bytes()).ok_or_else(|| {
            let want =
                "use a name of the WHATWG standard, such as utf-8, windows-1252, windows-1251, shift_jis, utf-16le";
            Error::input("encoding", format!("`{label}`"), want)
        })
    };
    let told = told.map(named).transpose()?;
    let seen = Encoding::for_bom(&bytes).map(|(encoding, _)| encoding).or_else(|| without_mark(&bytes));
    let encoding = seen.or(told).unwrap_or(UTF_8);
    if told.is_some_and(|told| told != encoding) {
        notes
            .push(format!("{file} starts as {} does and is read so, whatever encoding was asked for", encoding.name()));
    } else if told.is_none() && encoding != UTF_8 {
        notes.push(format!("{file} is read as {}; its rows are written in the same encoding", encoding.name()));
    }
    if encoding == UTF_8 {
        return Ok((utf8(file, bytes)?, Charset::UTF8));
    }
    let Some(text) = encoding.decode_without_bom_handling_and_without_replacement(&bytes) else {
        let why = format!("it is no text in {}; name another encoding (--encoding)", encoding.name());
        return Err(Error::data(file, None, why));
    };
    let text = text.into_owned();
    let charset = Charset(encoding);
    if charset.encode(text.as_bytes()).is_ok_and(|again| *again == *bytes) {
        return Ok((text, charset));
    }
    notes.push(format!(
        "{file}: some characters have several spellings in {}, so rows are written in UTF-8",
        encoding.name()
    ));
    Ok((text, Charset::UTF8))
}

/// UTF-16 without a byte-order mark: every other byte of its first characters is zero.
fn without_mark(bytes: &[u8]) -> Option<&'static Encoding> {
    let head = &bytes[..bytes.len().min(64) & !1];
    let zeros = |odd: usize| head.iter().skip(odd).step_by(2).filter(|b| **b == 0).count();
    match (zeros(0), zeros(1)) {
        (0, odd) if odd > 0 && 4 * odd >= head.len() => Some(UTF_16LE),
        (even, 0) if even > 0 && 4 * even >= head.len() => Some(UTF_16BE),
        _ => None,
    }
}

/// The content as text, or an error that names the first line that is not UTF-8.
fn utf8(file: &str, bytes: Vec<u8>) -> Result<String> {
    String::from_utf8(bytes).map_err(|e| {
        let at = e.utf8_error().valid_up_to();
        let line = memchr_iter(b'\n', &e.as_bytes()[..at]).count() as u64 + 1;
        Error::data(file, line, not_utf8(e.as_bytes()[at]))
    })
}

/// What is said of a byte that no text in UTF-8 has.
pub(crate) fn not_utf8(byte: u8) -> String {
    format!(
        "byte 0x{byte:02X} is not UTF-8; name the file's encoding: --encoding windows-1252 for most files of Western \
         Europe, windows-1250 for Central Europe, windows-1251 for Cyrillic, shift_jis, gbk, big5, euc-kr"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_go_back_to_their_own_bytes() {
        let utf16 =
            |text: &str, order: fn(u16) -> [u8; 2]| -> Vec<u8> { text.encode_utf16().flat_map(order).collect() };
        for (bytes, told, text, said) in [
            (b"a,\xe9\n".to_vec(), Some("latin1"), "a,é\n", 0),
            (b"\x81\x8d\x80".to_vec(), Some("windows-1252"), "\u{81}\u{8d}€", 0),
            (utf16("\u{feff}é,b\n", u16::to_le_bytes), None, "\u{feff}é,b\n", 1),
            (utf16("\u{feff}é,b\n", u16::to_be_bytes), Some("utf-16"), "\u{feff}é,b\n", 1),
            (utf16("name,b\n", u16::to_le_bytes), None, "name,b\n", 1),
            (utf16("name,b\n", u16::to_be_bytes), None, "name,b\n", 1),
            (b"\x82\xa0,\x93\xfa".to_vec(), Some("shift_jis"), "あ,日", 0),
            ("\u{feff}é".as_bytes().to_vec(), None, "\u{feff}é", 0),
        ] {
            let mut notes = Vec::new();
            let (decoded, charset) = decode("a.csv", bytes.clone(), told, &mut notes).unwrap();
            assert_eq!(decoded, text);
            assert_eq!(charset.encode(text.as_bytes()).unwrap(), bytes, "{text}");
            assert_eq!(notes.len(), said, "{notes:?}");
        }
        assert!(decode("a.csv", b"a".to_vec(), Some("klingon"), &mut Vec::new()).is_err());
        let e = decode("a.csv", b"a\nb\xe9".to_vec(), None, &mut Vec::new()).unwrap_err().to_string();
        assert!(e.starts_with("a.csv:2: byte 0xE9 is not UTF-8") && e.contains("--encoding windows-1252"), "{e}");
        let (_, latin) = decode("a.csv", b"\xe9".to_vec(), Some("latin1"), &mut Vec::new()).unwrap();
        assert!(latin.encode("☃".as_bytes()).unwrap_err().to_string().contains("windows-1252"));
    }
}
