//! RecBole's atomic files: tables whose head says of each column what it holds, as in `genre:token_seq`.
//!
//! Who liked what is in a file that ends in `.inter`, what is known of items and users in `.item` and `.user`. Fields stand between tabs and
//! are never quoted; the values of a sequence stand between spaces. They are tables like any other once they are opened with
//! [`reading`]; the names of their columns keep what stands behind the colon, which [`column()`] takes apart.

use crate::{Format, Reading};

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One name.
    Token,
    /// Names.
    Tokens,
    /// A number.
    Number,
    /// Numbers.
    Numbers,
}

/// Whether a file of this name is an atomic one.
pub fn is_atomic(name: &str) -> bool {
    [".inter", ".item", ".user", ".kg", ".link"].iter().any(|ending| name.ends_with(ending))
}

/// How atomic files are read.
pub fn reading() -> Reading {
    Reading {
        format: Some(Format::Tsv),
        separator: Some('\t'),
        // Nothing is quoted, and a title may begin with a quotation mark: a character that no text has stands for it.
        quote: Some('\u{1}'),
        header: Some(true),
        ..Reading::default()
    }
}

/// A column's name without its kind, and the kind; none for a name of another form.
///
/// ```
/// use quadrat_data::atomic::{Kind, column};
/// assert_eq!(column("genre:token_seq"), Some(("genre", Kind::Tokens)));
/// assert_eq!(column("genre"), None);
/// ```
pub fn column(name: &str) -> Option<(&str, Kind)> {
    let (name, kind) = name.rsplit_once(':')?;
    let kind = match kind {
        "token" => Kind::Token,
        "token_seq" => Kind::Tokens,
        "float" => Kind::Number,
        "float_seq" => Kind::Numbers,
        _ => return None,
    };
    Some((name, kind))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Table;
    use quadrat_core::Silent;
    use std::sync::Arc;

    #[test]
    fn an_atomic_file_is_a_table() {
        let path = std::env::temp_dir().join(format!("quadrat-atomic-{}.item", std::process::id()));
        let text = "item_id:token\ttitle:token_seq\tyear:float\n007\t\"M\" is here\t1995\n2\t\t1996.5\n";
        std::fs::write(&path, text).unwrap();
        let name = path.display().to_string();
        assert!(is_atomic(&name));
        let table = Table::open_with(&name, &reading(), Arc::new(Silent)).unwrap();
        assert_eq!(table.strings("item_id:token").unwrap(), ["007", "2"]);
        let titles = table.labels("title:token_seq", Some(" ")).unwrap();
        assert_eq!((titles.rows[0].len(), titles.rows[1].len()), (3, 0));
        assert_eq!(table.numeric(&["year:float"], crate::Missing::Error).unwrap()[[1, 0]], 1996.5);
        std::fs::remove_file(&path).unwrap();
    }
}
