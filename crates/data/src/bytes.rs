//! A file's bytes in memory.

use bzip2::read::MultiBzDecoder;
use flate2::read::MultiGzDecoder;
use lzma_rust2::XzReader;
use quadrat_core::{Error, Progress, Result, checkpoint};
use rayon::prelude::*;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// The name of standard input and output.
pub(crate) const STANDARD: &str = "-";

/// Bytes between two looks at the progress.
pub(crate) const BLOCK: usize = 1 << 24;

/// The whole content of a file, read block by block by all threads: most of the time goes into touching the memory for
/// the first time, which they share.
pub(crate) fn read(path: &Path, progress: &dyn Progress) -> Result<Vec<u8>> {
    let io = |e| Error::io(path, e);
    if path == Path::new(STANDARD) {
        return read_on(std::io::stdin().lock(), "reading", progress)?.map_err(io);
    }
    let about = std::fs::metadata(path).map_err(io)?;
    // A pipe or a device does not know its length; a long file that there is no memory for is left to `read` to refuse.
    let room = usize::try_from(about.len()).ok().filter(|length| about.is_file() && *length > BLOCK).and_then(zeros);
    let Some(mut bytes) = room else { return std::fs::read(path).map_err(io) };
    progress.begin("reading", Some(bytes.len().div_ceil(BLOCK) as u64));
    bytes.par_chunks_mut(BLOCK).enumerate().try_for_each(|(i, block)| {
        checkpoint(progress)?;
        let mut file = File::open(path).map_err(io)?;
        file.seek(SeekFrom::Start((i * BLOCK) as u64)).map_err(io)?;
        file.read_exact(block).map_err(io)?;
        progress.advance(1);
        Ok(())
    })?;
    Ok(bytes)
}

/// Takes the compression off, which the content's first bytes tell, whatever the name says.
pub(crate) fn decompress(name: &str, bytes: Vec<u8>, progress: &dyn Progress) -> Result<Vec<u8>> {
    let damaged = |e| Error::data(name, None, format!("damaged compression: {e}"));
    let from: Box<dyn Read> = match bytes.as_slice() {
        [0x1f, 0x8b, ..] => Box::new(MultiGzDecoder::new(bytes.as_slice())),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Box::new(zstd::stream::read::Decoder::new(bytes.as_slice()).map_err(damaged)?),
        [b'B', b'Z', b'h', b'1'..=b'9', ..] => Box::new(MultiBzDecoder::new(bytes.as_slice())),
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Box::new(XzReader::new_mem_limit(bytes.as_slice(), true, XZ_MEMORY)),
        _ => return Ok(bytes),
    };
    read_on(from, "decompressing", progress)?.map_err(damaged)
}

/// A damaged xz file may ask for a window of 4 GB; the highest setting of xz has one of 64 MiB.
const XZ_MEMORY: u32 = 1 << 18;

/// All there is to read, with a look at the progress between blocks.
fn read_on(mut from: impl Read, what: &str, progress: &dyn Progress) -> Result<std::io::Result<Vec<u8>>> {
    progress.begin(what, None);
    let mut all = Vec::new();
    loop {
        checkpoint(progress)?;
        match from.by_ref().take(BLOCK as u64).read_to_end(&mut all) {
            Ok(0) => return Ok(Ok(all)),
            Ok(_) => progress.advance(1),
            Err(e) => return Ok(Err(e)),
        }
    }
}

/// `n` zeros, or nothing when there is no such memory: a damaged file may declare any size, and asking for it outright
/// would end the process.
///
/// All threads write them. Touching memory for the first time takes longer than filling it, and `vec![0; n]` does that in
/// one thread where the allocator does not know its memory to be zero.
pub(crate) fn zeros<T: Copy + Default + Send + Sync>(n: usize) -> Option<Vec<T>> {
    const PAGE: usize = 512;
    room_for::<T>(n.checked_next_multiple_of(PAGE)?).then(|| {
        let pages: Vec<[T; PAGE]> = rayon::iter::repeat_n([T::default(); PAGE], n.div_ceil(PAGE)).collect();
        let mut values = pages.into_flattened();
        values.truncate(n);
        values
    })
}

/// Whether there is memory for so many values.
pub(crate) fn room_for<T>(n: usize) -> bool {
    let mut trial: Vec<T> = Vec::new();
    let there_is = trial.try_reserve_exact(n).is_ok();
    std::hint::black_box(&trial);
    there_is
}

#[cfg(test)]
mod tests {
    use super::*;
    use quadrat_core::Silent;
    use std::io::Write;

    #[test]
    fn long_files_come_whole_and_in_order() {
        let folder = std::env::temp_dir().join(format!("quadrat-bytes-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("long");
        let content: Vec<u8> = (0..2 * BLOCK + 12345).map(|i| (i * 31 % 251) as u8).collect();
        File::create(&path).unwrap().write_all(&content).unwrap();
        assert!(read(&path, &Silent).unwrap() == content);
        let packed = zstd::stream::encode_all(content.as_slice(), 1).unwrap();
        assert!(decompress("long", packed, &Silent).unwrap() == content);
        std::fs::remove_dir_all(&folder).unwrap();
        assert!(matches!(read(&path, &Silent), Err(Error::Io { .. })));
    }
}
