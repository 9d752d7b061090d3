//! Files and folders that are whole or absent.

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

/// Makes the folder `path` through a temporary folder beside it that is renamed once `fill` has filled it, so that an
/// error or a kill leaves no half-filled folder under that name. The parent folder must exist.
///
/// # Errors
/// As [`check_vacant`]; whatever `fill` says; the operating system's refusal.
pub fn write_atomic_folder<T>(path: &Path, fill: impl FnOnce(&Path) -> Result<T>) -> Result<T> {
    check_vacant(path)?;
    let mut temporary = path.file_name().unwrap_or_default().to_os_string();
    temporary.push(format!(".{}.part", std::process::id()));
    let guard = Remove(path.with_file_name(temporary));
    let at = |source| Error::io(path, source);
    std::fs::create_dir(&guard.0).map_err(at)?;
    let value = fill(&guard.0)?;
    if path.is_dir() {
        std::fs::remove_dir(path).map_err(at)?;
    }
    std::fs::rename(&guard.0, path).map_err(at)?;
    std::mem::forget(guard);
    Ok(value)
}

/// An error unless a folder can be made at `path`: nothing is there yet, or an empty folder.
pub fn check_vacant(path: &Path) -> Result<()> {
    if path.file_name().is_none() {
        return Err(Error::input("output folder", path.display(), "name a folder to be made"));
    }
    match std::fs::read_dir(path) {
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) => {
                let want = "it is not empty: name a new one, or empty it first";
                Err(Error::input("output folder", path.display(), want))
            }
        },
        Err(_) if path.symlink_metadata().is_ok() => {
            Err(Error::input("output folder", path.display(), "a file of that name exists: name a folder to be made"))
        }
        Err(_) => {
            let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
            std::fs::metadata(parent).map(drop).map_err(|e| Error::io(parent, e))
        }
    }
}

/// Removes the temporary file or folder unless it was renamed.
struct Remove(PathBuf);

impl Drop for Remove {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
        let _ = std::fs::remove_dir_all(&self.0);
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

    #[test]
    fn folders_are_whole_or_absent() {
        let folder = std::env::temp_dir().join(format!("quadrat-folder-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("splits");
        let fill = |inside: &Path| write_atomic_bytes(&inside.join("a.txt"), b"a");
        let failed = write_atomic_folder(&path, |inside| {
            fill(inside)?;
            Err::<(), _>(Error::Cancelled)
        });
        assert!(matches!(failed, Err(Error::Cancelled)));
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0, "nothing is left behind");
        write_atomic_folder(&path, fill).unwrap();
        assert_eq!(std::fs::read(path.join("a.txt")).unwrap(), b"a");
        assert!(write_atomic_folder(&path, fill).unwrap_err().to_string().contains("not empty"));
        std::fs::remove_file(path.join("a.txt")).unwrap();
        write_atomic_folder(&path, fill).unwrap();
        for (bad, part) in [
            (path.join("a.txt"), "a file of that name"),
            (folder.join("no/such"), "No such file"),
            (PathBuf::from("/"), "name a folder"),
        ] {
            let message = write_atomic_folder(&bad, fill).unwrap_err().to_string();
            assert!(message.contains(part), "{message}");
        }
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
