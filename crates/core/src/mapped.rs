//! Files that are read where they lie, page by page as they are needed.
#![allow(unsafe_code)]

use crate::{Error, Result};
use std::fs::File;
use std::ops::Deref;
use std::path::Path;

/// The bytes of a file, mapped into memory.
///
/// For files that nobody changes in place: those that are written by [`write_atomic`](crate::write_atomic), where a new
/// version is another file. What a mapped file holds after another program has cut or overwritten it is undefined.
#[derive(Debug)]
pub struct Mapped(Option<memmap2::Mmap>);

impl Mapped {
    /// Maps `path`.
    ///
    /// # Errors
    /// The operating system's refusal.
    pub fn open(path: &Path) -> Result<Mapped> {
        let at = |source| Error::io(path, source);
        let file = File::open(path).map_err(at)?;
        // An empty file cannot be mapped.
        if file.metadata().map_err(at)?.len() == 0 {
            return Ok(Mapped(None));
        }
        // SAFETY: the file is opened for reading and, by what this type is for, not changed while it is mapped.
        unsafe { memmap2::Mmap::map(&file) }.map(|map| Mapped(Some(map))).map_err(at)
    }
}

impl Deref for Mapped {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0.as_deref().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_what_is_there() {
        let path = std::env::temp_dir().join(format!("quadrat-mapped-{}", std::process::id()));
        for content in [&b"some bytes"[..], b""] {
            std::fs::write(&path, content).unwrap();
            assert_eq!(&*Mapped::open(&path).unwrap(), content);
        }
        std::fs::remove_file(&path).unwrap();
        assert!(Mapped::open(&path).is_err());
    }
}
