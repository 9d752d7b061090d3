//! Errors that say what was given, what is allowed, and what to do.

use std::path::{Path, PathBuf};

/// What every fallible function of Quadrat returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error a user can act on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An argument does not fit.
    #[error("{what}: got {got}; {want}")]
    Input {
        /// The argument or property, as the user knows it ("budget", "row 17, column `age`").
        what: String,
        /// What was given.
        got: String,
        /// What is allowed, and what to do.
        want: String,
    },
    /// A file's content does not fit.
    #[error("{file}{}: {why}", .line.map(|l| format!(":{l}")).unwrap_or_default())]
    Data {
        /// The file, as the user named it.
        file: String,
        /// The line or row, counted from 1, where one can be named.
        line: Option<u64>,
        /// What was found and what is allowed.
        why: String,
    },
    /// The operating system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's own word.
        source: std::io::Error,
    },
    /// A computation could not be carried out on these numbers.
    #[error("{place}: {why}")]
    Numeric {
        /// The step of the computation.
        place: String,
        /// What went wrong and what to do.
        why: String,
    },
    /// A budget of answers is spent.
    #[error("{what}: no answer is left after {answered}: {todo}")]
    Exhausted {
        /// Whose budget.
        what: String,
        /// How many answers were given.
        answered: u64,
        /// What is used up, and what to do.
        todo: String,
    },
    /// The user stopped the job.
    #[error("cancelled")]
    Cancelled,
}

impl Error {
    /// An [`Error::Input`].
    pub fn input(what: impl Into<String>, got: impl std::fmt::Display, want: impl Into<String>) -> Self {
        Error::Input { what: what.into(), got: got.to_string(), want: want.into() }
    }

    /// An [`Error::Data`]; `line` counts from 1.
    pub fn data(file: impl Into<String>, line: impl Into<Option<u64>>, why: impl Into<String>) -> Self {
        Error::Data { file: file.into(), line: line.into(), why: why.into() }
    }

    /// An [`Error::Io`].
    pub fn io(path: impl AsRef<Path>, source: std::io::Error) -> Self {
        Error::Io { path: path.as_ref().to_path_buf(), source }
    }

    /// An [`Error::Numeric`].
    pub fn numeric(place: impl Into<String>, why: impl Into<String>) -> Self {
        Error::Numeric { place: place.into(), why: why.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_the_given_and_the_allowed() {
        let cases = [
            (Error::input("budget", 0, "use 1 to 150"), "budget: got 0; use 1 to 150"),
            (Error::data("a.csv", 3, "5 fields where the header has 4"), "a.csv:3: 5 fields where the header has 4"),
            (Error::data("a.npy", None, "not an npy file"), "a.npy: not an npy file"),
            (Error::numeric("k-means", "all points coincide"), "k-means: all points coincide"),
        ];
        for (error, text) in cases {
            assert_eq!(error.to_string(), text);
        }
    }
}
