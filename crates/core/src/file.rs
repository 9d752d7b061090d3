//! Files that are whole or absent.

use crate::{Error, Result};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// Writes `path` through a temporary file beside it that is renamed at the end, so that a reader never sees half a
/// file and an error or a kill leaves the old file (or none) in place.
///
/// The parent folder must exist. The writer is buffered and flushed to disk before the rename.
pub fn write_atomic<T>(path: &Path, write: impl FnOnce(&mut BufWriter<File>) -> Result<T>) -> Result<T> {
    let name =
        path.file_name().ok_or_else(|| Error::input("output file", path.display(), "name a file, not a folder"))?;
    let mut temporary = name.to_os_string();
    temporary.push(format!(".{}.part", std::process::id()));
    let guard = Remove(path.with_file_name(temporary));
    let at = |source| Error::io(path, source);
    let mut out = BufWriter::with_capacity(1 << 18, File::create(&guard.0).map_err(at)?);
    let value = write(&mut out)?;
    out.flush().map_err(at)?;
    out.get_ref().sync_all().map_err(at)?;
    std::fs::rename(&guard.0, path).map_err(at)?;
    std::mem::forget(guard);
    Ok(value)
}

/// [`write_atomic`] for content that is already in memory.
pub fn write_atomic_bytes(path: &Path, bytes: &[u8]) -> Result<()> {
    write_atomic(path, |out| out.write_all(bytes).map_err(|e| Error::io(path, e)))
}

/// Removes the temporary file unless it was renamed.
struct Remove(PathBuf);

impl Drop for Remove {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_file_and_no_other() {
        let folder = std::env::temp_dir().join(format!("quadrat-file-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("out.txt");
        write_atomic_bytes(&path, b"old").unwrap();
        let failed = write_atomic(&path, |out| {
            out.write_all(b"half").map_err(|e| Error::io(&path, e))?;
            Err::<(), _>(Error::Cancelled)
        });
        assert!(matches!(failed, Err(Error::Cancelled)));
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
        assert!(write_atomic_bytes(&folder.join("no/such/folder"), b"x").is_err());
        assert!(write_atomic_bytes(Path::new("/"), b"x").is_err());
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
