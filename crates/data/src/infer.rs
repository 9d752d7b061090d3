//! The type of a column of a delimited file, and the marks in its numbers, from a look at all its cells.
//!
//! A comma between digits may group thousands or start the fraction. One cell seldom tells (`1,234`), a column often
//! does (`1,5` beside it), else the rest of the file. What is concluded is said in a note; where the cells allow both,
//! the column stays text and the note names the options that decide.

use crate::ColumnType;
use crate::cell::{Dress, Look, Marks};
use crate::plain::Plain;

/// What the cells of a column looked like.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    integer: bool,
    big: bool,
    code: bool,
    float: bool,
    boolean: bool,
    pub(crate) text: bool,
    /// Four digits or more without a mark: thousands are not grouped.
    long: bool,
    /// Between groups of three digits.
    group: Option<char>,
    /// Different marks in one place.
    mixed: bool,
    decimal_comma: bool,
    decimal_point: bool,
    /// Three digits follow the only mark.
    comma_either: bool,
    point_either: bool,
}

impl Seen {
    /// Takes in a cell. With `watch` it also looks at decimal points, which matters where the decimal sign may be a
    /// comma.
    pub(crate) fn add(&mut self, cell: &str, look: Look, watch: bool) {
        match look {
            Look::Missing => {}
            Look::Integer => {
                self.integer = true;
                self.long |= cell.len() > 3 && cell.trim_matches([' ', '\t', '-', '+']).len() > 3;
            }
            Look::Big => self.big = true,
            Look::Code => self.code = true,
            Look::Float if watch && cell.contains('.') => {
                let either = Dress::of(cell.trim_matches([' ', '\t'])).is_some_and(|dress| dress.either.is_some());
                self.point_either |= either;
                self.decimal_point |= !either;
            }
            Look::Float => self.float = true,
            Look::Boolean => self.boolean = true,
            Look::Text => self.text = true,
            Look::Dressed(Dress { group, decimal, either }) => {
                self.mixed |= group.is_some() && self.group.is_some() && group != self.group;
                self.group = self.group.or(group);
                self.decimal_comma |= decimal == Some(',');
                self.decimal_point |= decimal == Some('.');
                self.comma_either |= either.is_some();
                // More digits than a whole number of 64 bits has.
                self.float |= cell.len() > 24;
            }
        }
    }

    /// [`Seen::add`] for a number that is spelt plainly, where decimal points need no watch.
    pub(crate) fn add_plain(&mut self, number: &Plain) {
        let float = number.look() == Look::Float;
        self.float |= float;
        self.integer |= !float;
        self.long |= number.is_long();
    }

    pub(crate) fn merge(&mut self, other: Seen) {
        self.integer |= other.integer;
        self.big |= other.big;
        self.code |= other.code;
        self.float |= other.float;
        self.boolean |= other.boolean;
        self.text |= other.text;
        self.long |= other.long;
        self.mixed |= other.mixed || self.group.is_some() && other.group.is_some() && self.group != other.group;
        self.group = self.group.or(other.group);
        self.decimal_comma |= other.decimal_comma;
        self.decimal_point |= other.decimal_point;
        self.comma_either |= other.comma_either;
        self.point_either |= other.point_either;
    }

    fn numbers(&self) -> bool {
        !self.text && !self.boolean && !self.code
    }

    /// The type where numbers are spelt plainly.
    fn kind(&self) -> ColumnType {
        let float = self.float || self.decimal_point || self.point_either;
        match self {
            Seen { text: true, .. } | Seen { code: true, .. } => ColumnType::Text,
            Seen { boolean: true, integer: false, big: false, .. } if !float => ColumnType::Boolean,
            Seen { boolean: true, .. } => ColumnType::Text,
            _ if float => ColumnType::Float,
            // Identifiers too long for 64 bits would lose their last digits as numbers.
            Seen { big: true, .. } => ColumnType::Text,
            Seen { integer: true, .. } => ColumnType::Integer,
            _ => ColumnType::Text,
        }
    }

    fn marks(&self, file: &File) -> Result<Marks, Remark> {
        let marks = |decimal, thousands| Ok(Marks { decimal, thousands });
        match self.group {
            _ if self.mixed => Err(Remark::Mixed),
            None | Some(',') if file.commas_separate && !self.decimal_comma => marks('.', Some(',')),
            _ if file.commas_separate && self.decimal_comma => Err(Remark::MaybeDecimal),
            // 1'234.50
            Some(group) if self.decimal_point && !self.decimal_comma && !self.comma_either => marks('.', Some(group)),
            Some(group) if file.commas_separate => Err(Remark::MaybeThousands(group)),
            group if self.decimal_comma => match (group, self.point_either) {
                _ if self.decimal_point => Err(Remark::Mixed),
                (None, true) => marks(',', Some('.')),
                (Some(','), _) => Err(Remark::Mixed),
                (Some(group), true) if group != '.' => Err(Remark::Mixed),
                (group, _) => marks(',', group),
            },
            Some(',') => marks('.', Some(',')),
            None if self.comma_either && self.decimal_point => marks('.', Some(',')),
            None if self.comma_either && (self.long || file.decimal == Some(',')) => marks(',', None),
            None if self.comma_either && file.decimal == Some('.') => marks('.', Some(',')),
            None if self.comma_either => Err(Remark::Either),
            Some(_) if self.comma_either => Err(Remark::Mixed),
            Some(group) if file.decimal == Some(',') => marks(',', Some(group)),
            Some(group) => Err(Remark::MaybeThousands(group)),
            // Only three digits after a point, in a file with decimal commas.
            None => marks(',', Some('.')),
        }
    }

    /// The type, the marks where numbers are not spelt plainly, and what is to be said about it.
    fn settle(&self, file: &File) -> (ColumnType, Option<Marks>, Option<Remark>) {
        if self.code && !self.text && !self.boolean {
            return (ColumnType::Text, None, Some(Remark::Codes));
        }
        let dressed = self.group.is_some() || self.decimal_comma || self.comma_either;
        let pointed = self.point_either && !self.decimal_point && file.decimal == Some(',');
        if !self.numbers() || !(dressed || pointed) {
            return (self.kind(), None, None);
        }
        match self.marks(file) {
            Ok(marks) => {
                let fraction = self.float || self.decimal_comma || self.decimal_point || self.big;
                let comma = marks.decimal == ',' && self.comma_either;
                let point = marks.decimal == '.' && self.point_either;
                let kind = if fraction || comma || point { ColumnType::Float } else { ColumnType::Integer };
                (kind, Some(marks), Some(Remark::Marks(marks)))
            }
            Err(remark) => (ColumnType::Text, None, Some(remark)),
        }
    }
}

/// What the columns of a file say together.
struct File {
    /// Commas separate fields, so that a decimal comma would be odd.
    commas_separate: bool,
    /// The decimal sign of the columns that leave no doubt, if they agree.
    decimal: Option<char>,
}

/// Each column's type and marks; what was concluded goes to `notes`. `told` marks hold for all columns.
pub(crate) fn settle(
    file: &str,
    names: &[String],
    seen: &[Seen],
    separator: u8,
    told: Option<Marks>,
    types: &[(String, ColumnType)],
    notes: &mut Vec<String>,
) -> Vec<(ColumnType, Option<Marks>)> {
    let any = |is: fn(&Seen) -> bool| seen.iter().any(|column| column.numbers() && is(column));
    let decimal = match (any(|c| c.decimal_comma && !c.decimal_point), any(|c| c.decimal_point && !c.decimal_comma)) {
        (true, false) => Some(','),
        (false, true) => Some('.'),
        _ => None,
    };
    let about = File { commas_separate: separator == b',', decimal };
    let mut remarks: Vec<(Remark, Vec<&str>)> = Vec::new();
    let mut settled = Vec::with_capacity(seen.len());
    for (name, seen) in names.iter().zip(seen) {
        let (inferred, mut marks, remark) = seen.settle(&about);
        let asked = types.iter().find(|(column, _)| column == name).map(|(_, kind)| *kind);
        if told.is_some() {
            marks = told;
        }
        settled.push((asked.unwrap_or(inferred), marks));
        if let Some(remark) = remark.filter(|_| asked.is_none()) {
            match remarks.iter_mut().find(|(other, _)| *other == remark) {
                Some((_, columns)) => columns.push(name),
                None => remarks.push((remark, vec![name])),
            }
        }
    }
    notes.extend(remarks.into_iter().map(|(remark, columns)| format!("{file}: {}", remark.about(&columns))));
    settled
}

/// What is to be said about a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Remark {
    Marks(Marks),
    Codes,
    Either,
    MaybeDecimal,
    MaybeThousands(char),
    Mixed,
}

impl Remark {
    fn about(self, columns: &[&str]) -> String {
        let mut names: Vec<String> = columns.iter().take(5).map(|name| format!("`{name}`")).collect();
        if columns.len() > 5 {
            names.push(format!("{} more", columns.len() - 5));
        }
        let names = names.join(", ");
        let first = columns.first().copied().unwrap_or_default();
        match self {
            Remark::Marks(Marks { decimal: ',', thousands: None }) => {
                format!("{names}: numbers with decimal commas; say otherwise with --decimal or --thousands")
            }
            Remark::Marks(Marks { decimal, thousands }) => format!(
                "{names}: numbers with thousands marked by `{}` and a decimal `{decimal}`; say otherwise with --decimal, \
                 --thousands or --types \"{first}=text\"",
                thousands.unwrap_or_default()
            ),
            Remark::Codes => format!(
                "{names}: read as text, because leading zeros make the digits a code; --types \"{first}=integer\" reads numbers"
            ),
            Remark::Either => format!(
                "{names}: read as text, because `1,234` may be a thousand or a fraction; say --decimal , or --thousands ,"
            ),
            Remark::MaybeDecimal => {
                format!("{names}: read as text; if these are numbers with decimal commas, use --decimal ,")
            }
            Remark::MaybeThousands(group) => format!(
                "{names}: read as text; if these are numbers with marked thousands, use --thousands {}",
                if group.is_ascii_punctuation() { group.to_string() } else { format!("\"{group}\"") }
            ),
            Remark::Mixed => format!(
                "{names}: read as text, because numbers in it are spelt in different ways (1,5 and 1.5); make them alike"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cell;

    fn settled(separator: u8, columns: &[&[&str]]) -> (Vec<(ColumnType, Option<Marks>)>, usize) {
        let seen: Vec<Seen> = columns
            .iter()
            .map(|cells| {
                let mut seen = Seen::default();
                cells.iter().for_each(|cell| seen.add(cell, cell::look(cell), separator != b','));
                seen
            })
            .collect();
        let names: Vec<String> = (0..columns.len()).map(|i| format!("c{i}")).collect();
        let mut notes = Vec::new();
        let settled = settle("a", &names, &seen, separator, None, &[], &mut notes);
        (settled, notes.len())
    }

    #[test]
    fn columns_say_what_their_marks_are() {
        use ColumnType::*;
        let marks = |decimal: char, thousands: char| Some(Marks { decimal, thousands: Some(thousands) });
        let comma = Some(Marks { decimal: ',', thousands: None });
        for (separator, cells, expected) in [
            (b',', &["1,234", "7", "?"] as &[&str], (Integer, marks('.', ','), 1)),
            (b',', &["1,234", "7.5"], (Float, marks('.', ','), 1)),
            (b',', &["1,234,567.5", "7"], (Float, marks('.', ','), 1)),
            (b',', &["1,5", "7"], (Text, None, 1)),
            (b',', &["1 234", "7"], (Text, None, 1)),
            (b',', &["1'234.50", "7"], (Float, marks('.', '\''), 1)),
            (b',', &["1,234", "x"], (Text, None, 0)),
            (b',', &["1,2,3", "7"], (Text, None, 0)),
            (b',', &["007", "12"], (Text, None, 1)),
            (b',', &["1.234", "7"], (Float, None, 0)),
            (b';', &["1,5", "7"], (Float, comma, 1)),
            (b';', &["1,234", "7"], (Text, None, 1)),
            (b';', &["1,234", "7777"], (Float, comma, 1)),
            (b';', &["1,234", "7.5"], (Float, marks('.', ','), 1)),
            (b';', &["1.234,5", "1.234"], (Float, marks(',', '.'), 1)),
            (b';', &["1,5", "1.5"], (Text, None, 1)),
            (b';', &["1.234.567", "3"], (Text, None, 1)),
            (b';', &["1\u{a0}234,5", "3"], (Float, marks(',', '\u{a0}'), 1)),
            (b';', &["1.234", "3"], (Float, None, 0)),
            (b';', &["1.5", "3"], (Float, None, 0)),
        ] {
            let (kinds, notes) = settled(separator, &[cells]);
            assert_eq!((kinds[0].0, kinds[0].1, notes), expected, "{separator} {cells:?}");
        }
        // Other columns of the file help.
        let (kinds, _) = settled(b';', &[&["1,5"], &["1.234"], &["1.234.567"], &["1,234"]]);
        let expected = [comma, marks(',', '.'), marks(',', '.'), comma];
        assert_eq!(kinds.iter().map(|(_, marks)| *marks).collect::<Vec<_>>(), expected);
        assert_eq!(kinds.iter().map(|(kind, _)| *kind).collect::<Vec<_>>(), [Float, Integer, Integer, Float]);
        let (kinds, _) = settled(b';', &[&["0.5"], &["1,234"], &["1.234"]]);
        assert_eq!(kinds.iter().map(|(_, marks)| *marks).collect::<Vec<_>>(), [None, marks('.', ','), None]);
    }
}
