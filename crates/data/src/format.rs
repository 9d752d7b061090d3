//! Which format a file has, and the compression around it.

use flate2::write::GzEncoder;
use quadrat_core::{Error, Result};
use std::io::Write;
use std::path::Path;

/// A file format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Comma-separated values.
    Csv,
    /// Tab-separated values.
    Tsv,
    /// One JSON object a line.
    Jsonl,
    /// Apache Parquet.
    Parquet,
    /// One numpy array.
    Npy,
    /// A zip of numpy arrays.
    Npz,
}

/// Compression around a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// None.
    Plain,
    /// gzip.
    Gzip,
    /// Zstandard.
    Zstd,
}

const ALLOWED: &str = "use .csv, .tsv, .jsonl, .parquet, .npy or .npz (text formats also with .gz or .zst)";

impl Format {
    /// The format and compression that a file's name asks for.
    ///
    /// # Errors
    /// An ending that is none of csv, tsv, tab, jsonl, ndjson, parquet, npy, npz; compression around a format that
    /// compresses inside (Parquet, npz).
    pub fn of_path(path: &Path) -> Result<(Format, Compression)> {
        let name = path.file_name().map(|n| n.to_string_lossy().to_lowercase()).unwrap_or_default();
        let (name, compression) = split_compression(&name);
        let format = by_ending(name).ok_or_else(|| Error::input("file name", path.display(), ALLOWED))?;
        if compression != Compression::Plain && matches!(format, Format::Parquet | Format::Npz) {
            return Err(Error::input(
                "file name",
                path.display(),
                "the format compresses inside: leave .gz or .zst out",
            ));
        }
        Ok((format, compression))
    }

    /// The format of content: by the name's ending, else by its first bytes.
    pub(crate) fn of_content(name: &str, bytes: &[u8]) -> Result<Format> {
        let lower = name.to_lowercase();
        let (stem, _) = split_compression(&lower);
        by_ending(stem)
            .or_else(|| by_magic(bytes))
            .ok_or_else(|| Error::input("file format", format!("`{name}`"), ALLOWED))
    }
}

/// A format by its usual ending: `csv`, `tsv`, `jsonl`, `parquet`, `npy`, `npz`.
impl std::str::FromStr for Format {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        by_ending(&format!(".{}", name.to_lowercase()))
            .ok_or_else(|| Error::input("format", format!("`{name}`"), ALLOWED))
    }
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Format::Csv => "CSV",
            Format::Tsv => "TSV",
            Format::Jsonl => "JSON Lines",
            Format::Parquet => "Parquet",
            Format::Npy => "npy",
            Format::Npz => "npz",
        })
    }
}

fn split_compression(name: &str) -> (&str, Compression) {
    if let Some(stem) = name.strip_suffix(".gz") {
        (stem, Compression::Gzip)
    } else if let Some(stem) = name.strip_suffix(".zst") {
        (stem, Compression::Zstd)
    } else {
        (name, Compression::Plain)
    }
}

fn by_ending(name: &str) -> Option<Format> {
    match name.rsplit_once('.')?.1 {
        "csv" => Some(Format::Csv),
        "tsv" | "tab" => Some(Format::Tsv),
        "jsonl" | "ndjson" => Some(Format::Jsonl),
        "parquet" | "pq" => Some(Format::Parquet),
        "npy" => Some(Format::Npy),
        "npz" => Some(Format::Npz),
        _ => None,
    }
}

fn by_magic(bytes: &[u8]) -> Option<Format> {
    match bytes {
        [b'P', b'A', b'R', b'1', ..] => Some(Format::Parquet),
        [0x93, b'N', b'U', b'M', b'P', b'Y', ..] => Some(Format::Npy),
        [b'P', b'K', 3, 4, ..] => Some(Format::Npz),
        [b'{', ..] => Some(Format::Jsonl),
        _ => None,
    }
}

/// A writer that compresses as the output's name asks.
pub(crate) enum Encoder<W: Write> {
    Plain(W),
    Gzip(GzEncoder<W>),
    Zstd(zstd::stream::write::Encoder<'static, W>),
}

impl<W: Write> Encoder<W> {
    pub(crate) fn new(out: W, compression: Compression) -> std::io::Result<Self> {
        Ok(match compression {
            Compression::Plain => Encoder::Plain(out),
            Compression::Gzip => Encoder::Gzip(GzEncoder::new(out, flate2::Compression::default())),
            Compression::Zstd => Encoder::Zstd(zstd::stream::write::Encoder::new(out, 3)?),
        })
    }

    pub(crate) fn finish(self) -> std::io::Result<()> {
        match self {
            Encoder::Plain(_) => Ok(()),
            Encoder::Gzip(encoder) => encoder.finish().map(drop),
            Encoder::Zstd(encoder) => encoder.finish().map(drop),
        }
    }
}

impl<W: Write> Write for Encoder<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self {
            Encoder::Plain(out) => out.write(bytes),
            Encoder::Gzip(encoder) => encoder.write(bytes),
            Encoder::Zstd(encoder) => encoder.write(bytes),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match self {
            Encoder::Plain(out) => out.flush(),
            Encoder::Gzip(encoder) => encoder.flush(),
            Encoder::Zstd(encoder) => encoder.flush(),
        }
    }
}
