//! Files that are no tables to us, and the one line that makes a table of each.

use quadrat_core::{Error, Result};

/// An error for an address, or for a name whose ending says that something else reads it.
pub(crate) fn by_name(name: &str) -> Result<()> {
    let lower = name.to_lowercase();
    if let Some((scheme, _)) = lower.split_once("://")
        && scheme.len() > 1
        && scheme.bytes().all(|b| b.is_ascii_alphanumeric())
    {
        let file =
            name.split(['?', '#']).next().and_then(|path| path.rsplit('/').next()).filter(|file| !file.is_empty());
        let file = file.unwrap_or("data.csv");
        let fetch = match scheme {
            "s3" => format!("aws s3 cp {name} {file}"),
            "gs" => format!("gcloud storage cp {name} {file}"),
            "file" => return Err(refuse(name, "an address", &format!("--in {}", &name["file://".len()..]))),
            _ => format!("curl -L -o {file} '{name}'"),
        };
        return Err(refuse(name, "an address, and nothing is fetched here", &fetch));
    }
    match lower.rsplit_once('.').and_then(|(_, ending)| kind_of(ending)) {
        Some(kind) => Err(kind.refuse(name)),
        None => Ok(()),
    }
}

/// An error for content whose first bytes say that something else reads it.
pub(crate) fn by_content(name: &str, bytes: &[u8]) -> Result<()> {
    let kind = match bytes {
        [0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1, ..] => Kind::Spreadsheet,
        [0x80, 2..=5, ..] if bytes.ends_with(b".") => Kind::Pickle,
        [0x89, b'H', b'D', b'F', ..] => Kind::Pandas("hdf"),
        _ if bytes.starts_with(b"SQLite format 3\0") => Kind::Database,
        _ => return Ok(()),
    };
    Err(kind.refuse(name))
}

/// An error for a zip whose entries are those of a spreadsheet.
pub(crate) fn by_entries<'a>(name: &str, mut entries: impl Iterator<Item = &'a str>) -> Result<()> {
    let office = |entry: &str| matches!(entry, "[Content_Types].xml" | "content.xml");
    if entries.any(office) { Err(Kind::Spreadsheet.refuse(name)) } else { Ok(()) }
}

enum Kind {
    Spreadsheet,
    Database,
    Pickle,
    /// What pandas reads with `read_` and this.
    Pandas(&'static str),
}

fn kind_of(ending: &str) -> Option<Kind> {
    Some(match ending {
        "xlsx" | "xls" | "xlsm" | "xlsb" | "ods" => Kind::Spreadsheet,
        "db" | "sqlite" | "sqlite3" | "db3" => Kind::Database,
        "pkl" | "pickle" => Kind::Pickle,
        "sav" => Kind::Pandas("spss"),
        "dta" => Kind::Pandas("stata"),
        "sas7bdat" | "xpt" => Kind::Pandas("sas"),
        "h5" | "hdf5" | "hdf" => Kind::Pandas("hdf"),
        "orc" => Kind::Pandas("orc"),
        "xml" => Kind::Pandas("xml"),
        _ => return None,
    })
}

impl Kind {
    fn refuse(self, name: &str) -> Error {
        let pandas = |read: &str| {
            format!("python3 -c \"import pandas; pandas.read_{read}('{name}').to_parquet('{name}.parquet')\"")
        };
        match self {
            Kind::Spreadsheet => {
                refuse(name, "a spreadsheet", &format!("libreoffice --headless --convert-to csv '{name}'"))
            }
            Kind::Database => {
                let line = format!("sqlite3 -header -csv '{name}' \"select * from TABLE\" > table.csv");
                refuse(name, "a database", &line)
            }
            Kind::Pickle => refuse(name, "a pickle, which runs code when it is opened", &pandas("pickle")),
            Kind::Pandas(read) => refuse(name, "of a kind that is not read here", &pandas(read)),
        }
    }
}

fn refuse(name: &str, what: &str, line: &str) -> Error {
    Error::input("input file", format!("`{name}`"), format!("it is {what}; make a table of it first: {line}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_refused_with_its_line() {
        for (name, line) in [
            ("https://example.org/a/data.csv?x=1", "curl -L -o data.csv 'https://example.org/a/data.csv?x=1'"),
            ("s3://bucket/a.parquet", "aws s3 cp s3://bucket/a.parquet a.parquet"),
            ("file:///tmp/a.csv", "--in /tmp/a.csv"),
            ("A.XLSX", "libreoffice --headless --convert-to csv 'A.XLSX'"),
            ("a.ods", "libreoffice"),
            ("a.sqlite", "sqlite3 -header -csv 'a.sqlite'"),
            ("a.pkl", "pandas.read_pickle('a.pkl')"),
            ("a.dta", "pandas.read_stata"),
        ] {
            let e = by_name(name).unwrap_err().to_string();
            assert!(e.contains(line), "{e}");
        }
        for name in ["a.csv", "a", "a.b/c", "builtin:iris", "C://x", "://"] {
            assert!(by_name(name).is_ok(), "{name}");
        }
        for (bytes, word) in [
            (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1".as_slice(), "spreadsheet"),
            (b"SQLite format 3\0 ", "database"),
            (b"\x80\x04\x95K.", "pickle"),
        ] {
            assert!(by_content("a.csv", bytes).unwrap_err().to_string().contains(word));
        }
        assert!(by_content("a.csv", b"a,b\n").is_ok());
        assert!(by_entries("a.csv", ["x", "[Content_Types].xml"].into_iter()).is_err());
    }
}
