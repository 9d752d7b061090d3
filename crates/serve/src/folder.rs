//! Which files the page may touch: those below the served folder, whatever links say.

use crate::problem::{Answer, Problem};
use axum::http::StatusCode;
use quadrat::data::Format;
use quadrat::{Error, Result};
use std::path::{Component, Path, PathBuf};

/// Files that are offered by name, at most, and how many folders deep they may lie.
const MOST_FILES: usize = 500;
const DEEPEST: usize = 3;
/// Entries of a folder that is given as an input, at most.
const MOST_ENTRIES: usize = 100_000;

/// The served folder and the folder of runs, with all links resolved.
#[derive(Debug)]
pub struct Folder {
    root: PathBuf,
    runs: PathBuf,
}

impl Folder {
    /// The folder of runs is made if need be.
    ///
    /// # Errors
    /// A folder that is not there or cannot be made.
    pub fn open(root: &Path, runs: &Path) -> Result<Self> {
        let whole = |path: &Path| path.canonicalize().map_err(|e| Error::io(path, e));
        let root = whole(root)?;
        std::fs::create_dir_all(runs).map_err(|e| Error::io(runs, e))?;
        Ok(Folder { root, runs: whole(runs)? })
    }

    /// The served folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folder of runs.
    pub fn runs(&self) -> &Path {
        &self.runs
    }

    /// A path as it would be typed in the served folder.
    pub fn typed(&self, path: &Path) -> String {
        path.strip_prefix(&self.root).unwrap_or(path).display().to_string()
    }

    /// Where a typed path leads, which is below the folder.
    pub fn inside(&self, typed: &str) -> Answer<PathBuf> {
        let outside = || {
            let text = format!("`{typed}` is not below the folder that is served: choose a file there, or upload it");
            Problem::new(StatusCode::FORBIDDEN, text)
        };
        let path = self.root.join(typed);
        let mut known = path.as_path();
        // What is not there yet is judged by the folder that it would be in.
        let real = loop {
            match known.canonicalize() {
                Ok(real) => break real,
                Err(_) => known = known.parent().ok_or_else(outside)?,
            }
        };
        let rest = path.strip_prefix(known).unwrap_or(Path::new(""));
        let plain = rest.components().all(|part| matches!(part, Component::Normal(_)));
        let next = rest.components().next().map(|part| known.join(part));
        let link = next.is_some_and(|next| next.is_symlink());
        let below = real.starts_with(&self.root) || real.starts_with(&self.runs);
        if below && plain && !link { Ok(path) } else { Err(outside()) }
    }

    /// [`Folder::inside`] for an input: it exists, it is a file, or a folder from which no link leads elsewhere.
    pub fn input(&self, typed: &str) -> Answer<PathBuf> {
        let path = self.inside(typed)?;
        let mut waiting = vec![path.clone()];
        let mut seen = 0;
        while let Some(at) = waiting.pop() {
            let found = std::fs::metadata(&at).map_err(|_| Problem::missing(format!("`{typed}`")))?;
            if at.symlink_metadata().is_ok_and(|entry| entry.is_symlink()) {
                self.inside(&at.display().to_string())?;
            }
            seen += 1;
            if found.is_dir() && seen < MOST_ENTRIES {
                let entries = std::fs::read_dir(&at).map_err(|e| Error::io(&at, e))?;
                waiting.extend(entries.flatten().map(|entry| entry.path()));
            } else if !found.is_dir() && !found.is_file() || seen >= MOST_ENTRIES {
                let text = format!("`{typed}` is neither a file nor a folder of a reasonable size");
                return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, text));
            }
        }
        Ok(path)
    }

    /// Files below the folder that look like data, as they would be typed.
    pub fn data_files(&self) -> Vec<String> {
        let mut found = Vec::new();
        self.collect(&self.root, DEEPEST, &mut found);
        found.sort();
        found
    }

    fn collect(&self, folder: &Path, deeper: usize, found: &mut Vec<String>) {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        for entry in entries.filter(|entry| !entry.file_name().to_string_lossy().starts_with('.')) {
            let (path, kind) = (entry.path(), entry.file_type());
            let is = |test: fn(&std::fs::FileType) -> bool| kind.as_ref().is_ok_and(test);
            if found.len() >= MOST_FILES {
                return;
            }
            if is(std::fs::FileType::is_dir) && deeper > 0 && path != self.runs {
                self.collect(&path, deeper - 1, found);
            } else if is(std::fs::FileType::is_file) && Format::of_path(&path).is_ok() {
                found.push(self.typed(&path));
            }
        }
    }
}

/// A file name that is nothing else: its last part, without what a shell or a system would read into it.
pub fn safe_name(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let kept: String =
        last.chars().map(|c| if c.is_alphanumeric() || "._- ()+".contains(c) { c } else { '_' }).take(120).collect();
    let kept = kept.trim().trim_start_matches(['.', '-']).trim_end_matches(['.', ' ']);
    if kept.is_empty() { "file".to_owned() } else { kept.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_made_safe() {
        for (name, safe) in [
            ("train.csv", "train.csv"),
            ("../../etc/passwd", "passwd"),
            ("..", "file"),
            ("C:\\x\\my data.csv", "my data.csv"),
            ("-rf", "rf"),
            (".hidden", "hidden"),
            ("a;b|c\n.csv", "a_b_c_.csv"),
            ("größe.csv", "größe.csv"),
            ("", "file"),
        ] {
            assert_eq!(safe_name(name), safe);
        }
        assert!(safe_name(&"x".repeat(1000)).len() <= 120);
    }

    #[test]
    #[cfg(unix)]
    fn nothing_outside_is_reached() {
        use std::os::unix::fs::symlink;
        let outside = tempfile::tempdir().unwrap();
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        std::fs::write(outside.path().join("secret.csv"), "a\n1\n").unwrap();
        std::fs::create_dir_all(at("sub/deep")).unwrap();
        std::fs::create_dir(at("links")).unwrap();
        std::fs::write(at("sub/data.csv"), "a\n1\n").unwrap();
        symlink(outside.path(), at("way")).unwrap();
        symlink(outside.path().join("secret.csv"), at("links/secret.csv")).unwrap();
        symlink(outside.path().join("new.csv"), at("dangling.csv")).unwrap();
        symlink(at("sub/data.csv"), at("good.csv")).unwrap();
        let folder = Folder::open(root.path(), &at("runs")).unwrap();
        for typed in ["sub/data.csv", "good.csv", "sub", "sub/../sub/data.csv"] {
            assert!(folder.input(typed).is_ok(), "{typed}");
        }
        let absolute = outside.path().join("secret.csv").display().to_string();
        for typed in
            ["..", "../x.csv", "way/secret.csv", "links/secret.csv", "links", "dangling.csv", "/etc/passwd", &absolute]
        {
            assert!(folder.input(typed).is_err(), "{typed}");
        }
        for typed in ["way/new.csv", "dangling.csv", "no/../../new.csv", "../new.csv", "/new.csv"] {
            assert!(folder.inside(typed).is_err(), "{typed}");
        }
        assert!(folder.inside("sub/new.csv").is_ok());
        assert!(folder.input("sub/new.csv").is_err());
        assert_eq!(folder.data_files(), ["sub/data.csv"]);
    }
}
