//! As much of the zip format as npz files use: entries stored or deflated, read from memory and written stored.
//!
//! This is our own because it is little: `flate2` has the compression and the sums, and what is left are some fields at
//! fixed places. A library for archives brings dates, attributes, encryption and other compressions, which no table needs.

use crate::refused;
use flate2::Crc;
use flate2::read::DeflateDecoder;
use quadrat_core::{Error, Result};
use std::io::{Read, Write};

/// Why bytes are no zip we can read.
type Scan<T> = std::result::Result<T, String>;

/// A file in the zip.
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) content: Vec<u8>,
}

/// All entries, in the order of the zip's directory.
pub(crate) fn read(zip: &[u8]) -> Scan<Vec<Entry>> {
    // The end record is last but for a comment of up to 65,535 bytes.
    let tail = zip.len().saturating_sub(22 + 65_535);
    let end =
        memchr::memmem::rfind(&zip[tail..], b"PK\x05\x06").map(|at| tail + at).ok_or("the zip has no end record")?;
    if zip.len() < end + 22 {
        return Err("the zip is cut short".to_owned());
    }
    let mut count = u64::from(u16_at(zip, end + 10)?);
    let mut at = u64::from(u32_at(zip, end + 16)?);
    if count == 0xffff || at == 0xffff_ffff {
        let locator =
            end.checked_sub(20).filter(|l| zip[*l..].starts_with(b"PK\x06\x07")).ok_or("damaged end record")?;
        let large = usize::try_from(u64_at(zip, locator + 8)?).map_err(|_| "damaged end record")?;
        count = u64_at(zip, large.saturating_add(32))?;
        at = u64_at(zip, large.saturating_add(48))?;
    }
    let mut at = usize::try_from(at).map_err(|_| "damaged end record")?;
    let mut entries = Vec::new();
    for _ in 0..count {
        let header = zip.get(at..).filter(|h| h.starts_with(b"PK\x01\x02")).ok_or("the zip's directory is damaged")?;
        let (method, crc) = (u16_at(header, 10)?, u32_at(header, 16)?);
        let mut sizes =
            [u64::from(u32_at(header, 24)?), u64::from(u32_at(header, 20)?), u64::from(u32_at(header, 42)?)];
        let [name, extra, comment] = [28, 30, 32].map(|at| u16_at(header, at).map(usize::from));
        let (name, extra, comment) = (name?, extra?, comment?);
        large_sizes(header.get(46 + name..46 + name + extra).ok_or("the zip's directory is damaged")?, &mut sizes)?;
        let [plain, packed, offset] = sizes.map(|n| usize::try_from(n).unwrap_or(usize::MAX));
        let name_bytes = header.get(46..46 + name).ok_or("the zip's directory is damaged")?;
        let name_text = String::from_utf8_lossy(name_bytes).into_owned();
        let content =
            unpack(zip, method, offset, packed, plain).map_err(|why| format!("entry `{name_text}`: {why}"))?;
        let mut sum = Crc::new();
        sum.update(&content);
        if sum.sum() != crc {
            return Err(format!("entry `{name_text}`: the checksum does not fit the content"));
        }
        entries.push(Entry { name: name_text, content });
        at = at.saturating_add(46 + name + extra + comment);
    }
    Ok(entries)
}

/// Sizes that don't fit 32 bits stand in an extra field, those that do not being left out of it.
fn large_sizes(mut extra: &[u8], sizes: &mut [u64; 3]) -> Scan<()> {
    while extra.len() >= 4 {
        let (id, length) = (u16_at(extra, 0)?, usize::from(u16_at(extra, 2)?));
        let body = extra.get(4..4 + length).ok_or("damaged extra field")?;
        if id == 1 {
            let mut at = 0;
            for size in sizes.iter_mut().filter(|s| **s == 0xffff_ffff) {
                *size = u64_at(body, at)?;
                at += 8;
            }
        }
        extra = &extra[4 + length..];
    }
    Ok(())
}

fn unpack(zip: &[u8], method: u16, offset: usize, packed: usize, plain: usize) -> Scan<Vec<u8>> {
    let local = zip.get(offset..).filter(|h| h.starts_with(b"PK\x03\x04")).ok_or("its header is damaged")?;
    let start = 30 + usize::from(u16_at(local, 26)?) + usize::from(u16_at(local, 28)?);
    let end = start.checked_add(packed).ok_or("its size is damaged")?;
    let body = local.get(start..end).ok_or("it is cut short")?;
    let mut content = Vec::new();
    match method {
        0 => content.extend_from_slice(body),
        8 => {
            let limit = (plain as u64).saturating_add(1);
            let inflated = DeflateDecoder::new(body).take(limit).read_to_end(&mut content);
            inflated.map_err(|e| format!("damaged compression: {e}"))?;
        }
        _ => return Err(format!("compression method {method} is not one that numpy writes")),
    }
    if content.len() == plain { Ok(content) } else { Err("its size is not the declared one".to_owned()) }
}

/// The name and content of the one file in a zip; nothing if its files are numpy's arrays.
pub(crate) fn only_file(name: &str, zip: &[u8]) -> Result<Option<(String, Vec<u8>)>> {
    let mut entries = read(zip).map_err(|why| Error::data(name, None, why))?;
    refused::by_entries(name, entries.iter().map(|entry| entry.name.as_str()))?;
    entries.retain(|entry| !entry.name.ends_with('/') && !entry.name.starts_with("__MACOSX/"));
    if entries.iter().all(|entry| entry.name.ends_with(".npy")) {
        return Ok(None);
    }
    match entries.pop().filter(|_| entries.is_empty()) {
        Some(entry) => Ok(Some((entry.name, entry.content))),
        None => {
            let why = format!("the zip holds several files; take one out first: unzip '{name}'");
            Err(Error::data(name, None, why))
        }
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Scan<u16> {
    let end = at.checked_add(2).ok_or("damaged zip")?;
    let field: Option<[u8; 2]> = bytes.get(at..end).and_then(|b| b.try_into().ok());
    Ok(u16::from_le_bytes(field.ok_or("the zip is cut short")?))
}

fn u32_at(bytes: &[u8], at: usize) -> Scan<u32> {
    Ok(u32::from(u16_at(bytes, at)?) | u32::from(u16_at(bytes, at.saturating_add(2))?) << 16)
}

fn u64_at(bytes: &[u8], at: usize) -> Scan<u64> {
    Ok(u64::from(u32_at(bytes, at)?) | u64::from(u32_at(bytes, at.saturating_add(4))?) << 32)
}

/// Writes the entries one after the other, then the directory.
pub(crate) fn write(out: &mut impl Write, entries: &[Entry]) -> std::io::Result<()> {
    let too_large =
        || std::io::Error::new(std::io::ErrorKind::FileTooLarge, "npz holds at most 4 GiB here; write Parquet");
    let small = |n: usize| u32::try_from(n).map_err(|_| too_large());
    let mut directory = Vec::new();
    let mut offset = 0usize;
    for Entry { name, content } in entries {
        let mut sum = Crc::new();
        sum.update(content);
        // Version 2.0, UTF-8 names, stored, 1 January 1980 at midnight: the same arrays give the same bytes.
        let mut common = Vec::new();
        for field in [20u16, 0x0800, 0, 0, 0x0021] {
            common.extend_from_slice(&field.to_le_bytes());
        }
        for field in [sum.sum(), small(content.len())?, small(content.len())?] {
            common.extend_from_slice(&field.to_le_bytes());
        }
        let name_length = u16::try_from(name.len()).map_err(|_| too_large())?;
        common.extend_from_slice(&name_length.to_le_bytes());
        common.extend_from_slice(&[0, 0]);
        out.write_all(b"PK\x03\x04")?;
        out.write_all(&common)?;
        out.write_all(name.as_bytes())?;
        out.write_all(content)?;
        directory.extend_from_slice(b"PK\x01\x02\x14\x00");
        directory.extend_from_slice(&common);
        directory.extend_from_slice(&[0; 10]);
        directory.extend_from_slice(&small(offset)?.to_le_bytes());
        directory.extend_from_slice(name.as_bytes());
        offset += 30 + name.len() + content.len();
    }
    let count = u16::try_from(entries.len()).map_err(|_| too_large())?.to_le_bytes();
    out.write_all(&directory)?;
    out.write_all(b"PK\x05\x06\0\0\0\0")?;
    out.write_all(&count)?;
    out.write_all(&count)?;
    out.write_all(&small(directory.len())?.to_le_bytes())?;
    out.write_all(&small(offset)?.to_le_bytes())?;
    out.write_all(&[0, 0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_damage_is_noticed() {
        let entries = [("a.npy", b"first".to_vec()), ("empty", Vec::new())];
        let entries = entries.map(|(name, content)| Entry { name: name.to_owned(), content });
        let mut zip = Vec::new();
        write(&mut zip, &entries).unwrap();
        let back = read(&zip).unwrap();
        assert_eq!(
            back.iter().map(|e| (e.name.as_str(), e.content.as_slice())).collect::<Vec<_>>(),
            [("a.npy", b"first".as_slice()), ("empty", b"".as_slice())]
        );
        for cut in 0..zip.len() {
            assert!(read(&zip[..cut]).is_err(), "{cut}");
        }
        let at = memchr::memmem::find(&zip, b"first").unwrap();
        zip[at] ^= 1;
        assert!(read(&zip).err().unwrap().contains("checksum"));
    }
}
