//! A file's bytes in memory.

use flate2::read::MultiGzDecoder;
use quadrat_core::{Error, Progress, Result, checkpoint};
use rayon::prelude::*;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// Bytes between two looks at the progress.
const BLOCK: usize = 1 << 24;

/// The whole content of a file, read block by block by all threads: most of the time goes into touching the memory for
/// the first time, which they share.
pub(crate) fn read(path: &Path, progress: &dyn Progress) -> Result<Vec<u8>> {
    let io = |e| Error::io(path, e);
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
    let mut from: Box<dyn Read> = match bytes.as_slice() {
        [0x1f, 0x8b, ..] => Box::new(MultiGzDecoder::new(bytes.as_slice())),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Box::new(zstd::stream::read::Decoder::new(bytes.as_slice()).map_err(damaged)?),
        _ => return Ok(bytes),
    };
    progress.begin("decompressing", None);
    let mut plain = Vec::new();
    loop {
        checkpoint(progress)?;
        if from.by_ref().take(BLOCK as u64).read_to_end(&mut plain).map_err(damaged)? == 0 {
            return Ok(plain);
        }
        progress.advance(1);
    }
}

/// `n` zeros, or nothing when there is no such memory: a damaged file may declare any size, and asking for it outright
/// would end the process.
pub(crate) fn zeros<T: Clone + Default>(n: usize) -> Option<Vec<T>> {
    let mut trial: Vec<T> = Vec::new();
    let there_is = trial.try_reserve_exact(n).is_ok();
    std::hint::black_box(&trial);
    drop(trial);
    there_is.then(|| vec![T::default(); n])
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
