//! Which format a file has, and the compression around it.

use crate::bytes::STANDARD;
use bzip2::write::BzEncoder;
use flate2::write::GzEncoder;
use lzma_rust2::{XzOptions, XzWriter};
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
    /// A JSON array of objects, or an object around one.
    Json,
    /// Apache Parquet.
    Parquet,
    /// An Arrow IPC file, which is also a Feather file of version 2.
    Arrow,
    /// A stream of Arrow IPC messages.
    ArrowStream,
    /// One numpy array.
    Npy,
    /// A zip of numpy arrays.
    Npz,
    /// ARFF (Weka): attributes with their types, then rows.
    Arff,
    /// KEEL's .dat: ARFF with ranges of numbers and the target's name, and without quotation marks.
    Keel,
    /// libsvm's (svmlight's) rows of a label and numbered features.
    Libsvm,
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
    /// bzip2.
    Bzip2,
    /// xz.
    Xz,
}

const ALLOWED: &str = "use .csv, .tsv, .jsonl, .json, .parquet, .arrow, .feather, .arrows, .npy, .npz, .arff, .dat (KEEL's) \
                       or .libsvm (text formats also with .gz, .zst, .bz2 or .xz)";

impl Format {
    /// The format and compression that a file's name asks for.
    ///
    /// # Errors
    /// An ending that is none of csv, tsv, tab, jsonl, ndjson, json, parquet, pq, arrow, feather, ipc, arrows, npy, npz,
    /// arff, keel, dat, libsvm, svmlight, svm; compression around a format that compresses inside (Parquet, Arrow, npz).
    pub fn of_path(path: &Path) -> Result<(Format, Compression)> {
        let name = path.file_name().map(|n| n.to_string_lossy().to_lowercase()).unwrap_or_default();
        let (name, compression) = split_compression(&name);
        // Many files of other formats are called .dat, so that reading goes by the content; written, it is KEEL's.
        let keel = name.ends_with(".dat").then_some(Format::Keel);
        let format = by_ending(name).or(keel).ok_or_else(|| Error::input("file name", path.display(), ALLOWED))?;
        if compression != Compression::Plain && (format.keeps_levels() || format == Format::Npz) {
            return Err(Error::input(
                "file name",
                path.display(),
                "the format compresses inside: leave the ending of the compression out",
            ));
        }
        Ok((format, compression))
    }

    /// The usual ending of a file that is written from one of this format.
    pub fn ending(self) -> &'static str {
        match self {
            Format::Csv => "csv",
            Format::Tsv => "tsv",
            Format::Jsonl => "jsonl",
            Format::Json => "json",
            Format::Parquet => "parquet",
            Format::Arrow => "arrow",
            Format::ArrowStream => "arrows",
            Format::Npy => "npy",
            Format::Npz => "npz",
            Format::Arff => "arff",
            Format::Keel => "dat",
            Format::Libsvm => "libsvm",
        }
    }

    /// Whether a file of this name can be written: an ending of [`Format::of_path`]; or `-`, which is standard output in
    /// the input's own format (`-.jsonl.gz` in that of the ending).
    ///
    /// # Errors
    /// Any other name.
    pub fn check_output(path: &Path) -> Result<()> {
        if path == Path::new(STANDARD) { Ok(()) } else { Format::of_path(path).map(drop) }
    }

    /// The format that a name's ending promises.
    pub(crate) fn by_name(name: &str) -> Option<Format> {
        by_ending(split_compression(&name.to_lowercase()).0)
    }

    /// Whether it keeps the levels of categories, as do those that keep all of Arrow's types.
    pub(crate) fn keeps_levels(self) -> bool {
        matches!(self, Format::Parquet | Format::Arrow | Format::ArrowStream)
    }

    /// The format of content: by the name's ending, else by its first bytes.
    pub(crate) fn of_content(name: &str, bytes: &[u8]) -> Result<Format> {
        Format::by_name(name)
            .or_else(|| by_magic(bytes))
            .map(|format| if format == Format::Arff && is_keel(name) { Format::Keel } else { format })
            .or_else(|| is_text(name, bytes).then_some(Format::Csv))
            .ok_or_else(|| Error::input("file format", format!("`{name}`"), ALLOWED))
    }
}

/// A format by its usual ending: `csv`, `tsv`, `jsonl`, `parquet`, `npy`, `keel` and the like.
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
            Format::Json => "JSON",
            Format::Parquet => "Parquet",
            Format::Arrow => "Arrow",
            Format::ArrowStream => "Arrow stream",
            Format::Npy => "npy",
            Format::Npz => "npz",
            Format::Arff => "ARFF",
            Format::Keel => "KEEL",
            Format::Libsvm => "libsvm",
        })
    }
}

fn split_compression(name: &str) -> (&str, Compression) {
    const ENDINGS: [(&str, Compression); 4] = [
        (".gz", Compression::Gzip),
        (".zst", Compression::Zstd),
        (".bz2", Compression::Bzip2),
        (".xz", Compression::Xz),
    ];
    let stem = |(ending, compression)| Some((name.strip_suffix(ending)?, compression));
    ENDINGS.into_iter().find_map(stem).unwrap_or((name, Compression::Plain))
}

fn by_ending(name: &str) -> Option<Format> {
    match name.rsplit_once('.')?.1 {
        "csv" => Some(Format::Csv),
        "tsv" | "tab" => Some(Format::Tsv),
        "jsonl" | "ndjson" => Some(Format::Jsonl),
        "json" => Some(Format::Json),
        "parquet" | "pq" => Some(Format::Parquet),
        "arrow" | "feather" | "ipc" => Some(Format::Arrow),
        "arrows" => Some(Format::ArrowStream),
        "npy" => Some(Format::Npy),
        "npz" => Some(Format::Npz),
        "arff" => Some(Format::Arff),
        "keel" => Some(Format::Keel),
        "libsvm" | "svmlight" | "svm" => Some(Format::Libsvm),
        _ => None,
    }
}

/// Whether a file that is ARFF by its content is KEEL's by its name.
fn is_keel(name: &str) -> bool {
    split_compression(&name.to_lowercase()).0.ends_with(".dat")
}

fn by_magic(bytes: &[u8]) -> Option<Format> {
    match bytes {
        [b'P', b'A', b'R', b'1', ..] => Some(Format::Parquet),
        [b'A', b'R', b'R', b'O', b'W', b'1', ..] | [b'F', b'E', b'A', b'1', ..] => Some(Format::Arrow),
        [0xff, 0xff, 0xff, 0xff, ..] => Some(Format::ArrowStream),
        [0x93, b'N', b'U', b'M', b'P', b'Y', ..] => Some(Format::Npy),
        [b'P', b'K', 3, 4, ..] => Some(Format::Npz),
        _ => match bytes.trim_ascii_start().first() {
            Some(b'{' | b'[') => Some(Format::Json),
            Some(b'@') => Some(Format::Arff),
            Some(b'%') if memchr::memmem::find(bytes, b"@").is_some() => Some(Format::Arff),
            _ => None,
        },
    }
}

/// Whether content of a name that promises nothing (`-`, `data.txt`, `iris.data`) is text.
fn is_text(name: &str, bytes: &[u8]) -> bool {
    let lower = name.to_lowercase();
    let promises = split_compression(&lower).0.rsplit(['/', '\\']).next().and_then(|file| file.rsplit_once('.'));
    let head = &bytes[..bytes.len().min(1 << 12)];
    let control = |b: &u8| *b < b' ' && !matches!(b, b'\t' | b'\n' | b'\r');
    promises.is_none_or(|(_, ending)| matches!(ending, "txt" | "dat" | "data" | "asc" | "all-data" | "test"))
        && (encoding_rs::Encoding::for_bom(bytes).is_some() || !head.iter().any(control))
        && !bytes.is_empty()
}

/// A writer that compresses as the output's name asks.
pub(crate) enum Encoder<W: Write> {
    Plain(W),
    Gzip(GzEncoder<W>),
    Zstd(zstd::stream::write::Encoder<'static, W>),
    Bzip2(BzEncoder<W>),
    Xz(Box<XzWriter<W>>),
}

impl<W: Write> Encoder<W> {
    pub(crate) fn new(out: W, compression: Compression) -> std::io::Result<Self> {
        Ok(match compression {
            Compression::Plain => Encoder::Plain(out),
            Compression::Gzip => Encoder::Gzip(GzEncoder::new(out, flate2::Compression::default())),
            Compression::Zstd => Encoder::Zstd(zstd::stream::write::Encoder::new(out, 3)?),
            Compression::Bzip2 => Encoder::Bzip2(BzEncoder::new(out, bzip2::Compression::default())),
            Compression::Xz => Encoder::Xz(Box::new(XzWriter::new(out, XzOptions::with_preset(6))?)),
        })
    }

    pub(crate) fn finish(self) -> std::io::Result<()> {
        match self {
            Encoder::Plain(_) => Ok(()),
            Encoder::Gzip(encoder) => encoder.finish().map(drop),
            Encoder::Zstd(encoder) => encoder.finish().map(drop),
            Encoder::Bzip2(encoder) => encoder.finish().map(drop),
            Encoder::Xz(encoder) => encoder.finish().map(drop),
        }
    }
}

impl<W: Write> Write for Encoder<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self {
            Encoder::Plain(out) => out.write(bytes),
            Encoder::Gzip(encoder) => encoder.write(bytes),
            Encoder::Zstd(encoder) => encoder.write(bytes),
            Encoder::Bzip2(encoder) => encoder.write(bytes),
            Encoder::Xz(encoder) => encoder.write(bytes),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match self {
            Encoder::Plain(out) => out.flush(),
            Encoder::Gzip(encoder) => encoder.flush(),
            Encoder::Zstd(encoder) => encoder.flush(),
            Encoder::Bzip2(encoder) => encoder.flush(),
            Encoder::Xz(encoder) => encoder.flush(),
        }
    }
}
