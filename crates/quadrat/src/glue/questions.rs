//! A table of items as a game of twenty questions.

use super::columns::{ColumnUse, LeftOut, Part, UsedColumn};
use ndarray::Array2;
use quadrat_core::{Error, Result};
use quadrat_data::{Column, ColumnType, Missing, Table};
use std::collections::{HashMap, HashSet};

/// Values of a column beyond which it is free text or a measure, and no question.
const MOST_VALUES: usize = 12;

/// Items of a table against yes-or-no questions about its columns: what
/// [`AnswerTable`](quadrat_select::AnswerTable) takes.
///
/// A column of 0 and 1, of truth values, or of yes and no is one question; any other column of at most 12 values is one
/// question a value ("legs = 4?"), or one question in all if it has two values; fractions are measures and make none. Items with the same row are one item. A
/// missing value says yes half the time.
///
/// ```
/// use quadrat::prelude::*;
/// let zoo = quadrat::Questions::of(&Table::open("builtin:zoo", &[])?, None, &[])?;
/// assert_eq!(zoo.questions[0], "hair?");
/// assert!(zoo.items.iter().any(|names| names == "antelope, buffalo, deer, elephant, giraffe, oryx"));
/// # Ok::<(), quadrat::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Questions {
    /// The column that names the items; `None` where rows are called by their number.
    pub name: Option<String>,
    /// The items; names of those that cannot be told apart are joined by commas.
    pub items: Vec<String>,
    /// The questions, as they are asked.
    pub questions: Vec<String>,
    /// Probability of yes: items x questions.
    pub yes: Array2<f64>,
    /// The columns that questions are about, and those that make none, with the reason.
    pub columns: ColumnUse,
}

impl Questions {
    /// `name`: the column that names the items; by default the first column of texts without a repeated one, else the
    /// column of texts with the most different ones, if there is a different one for two rows. `columns`: those to ask
    /// about; by default all others.
    ///
    /// # Errors
    /// An unknown column; a named column that makes no question; fewer than two items that can be told apart.
    pub fn of(table: &Table, name: Option<&str>, columns: &[String]) -> Result<Self> {
        let name = match name {
            Some(name) => Some(table.column(name)?.name.clone()),
            None => names_column(table)?,
        };
        let about: Vec<&Column> = match columns {
            [] => table.columns().iter().filter(|c| Some(&c.name) != name.as_ref()).collect(),
            named => named.iter().map(|name| table.column(name)).collect::<Result<_>>()?,
        };
        let mut questions = Vec::new();
        let mut answers: Vec<Vec<f64>> = Vec::new();
        let mut uses = ColumnUse::default();
        let used = |name: &str, part| UsedColumn::new(name, part);
        uses.used.extend(name.iter().map(|name| used(name, Part::Name)));
        for column in about {
            let excluded = columns.is_empty() && table.excluded().contains(&column.name);
            let found = if excluded { Err("excluded".to_owned()) } else { column_questions(table, column)? };
            match found {
                Ok(asked) => {
                    uses.used.push(used(&column.name, Part::Category));
                    for (question, yes) in asked {
                        questions.push(question);
                        answers.push(yes);
                    }
                }
                Err(why) if columns.is_empty() => {
                    uses.left_out.push(LeftOut { name: column.name.clone(), why });
                }
                Err(why) => {
                    let want = format!("ask about columns of 2 to {MOST_VALUES} values, or leave this one out");
                    return Err(Error::input(format!("column `{}`", column.name), why, want));
                }
            }
        }
        if !columns.is_empty() {
            let named = |column: &&Column| columns.contains(&column.name) || Some(&column.name) == name.as_ref();
            let others = table.columns().iter().filter(|column| !named(column));
            uses.left_out.extend(others.map(|c| LeftOut { name: c.name.clone(), why: "not named".to_owned() }));
        }
        let names = item_names(table, name.as_deref())?;
        let mut places: HashMap<Vec<u64>, usize> = HashMap::new();
        let (mut items, mut rows): (Vec<String>, Vec<Vec<f64>>) = (Vec::new(), Vec::new());
        for (row, own) in names.into_iter().enumerate() {
            let yes: Vec<f64> = answers.iter().map(|column| column[row]).collect();
            let key = yes.iter().map(|p| p.to_bits()).collect();
            let place = *places.entry(key).or_insert(items.len());
            if place < items.len() {
                items[place].push_str(&format!(", {own}"));
            } else {
                items.push(own);
                rows.push(yes);
            }
        }
        if items.len() < 2 {
            let got = format!("{} questions that tell {} items apart", questions.len(), items.len());
            let want = format!("there must be two: add columns of 2 to {MOST_VALUES} values");
            return Err(Error::input(table.name(), got, want));
        }
        let yes = Array2::from_shape_fn((items.len(), questions.len()), |(item, question)| rows[item][question]);
        Ok(Questions { name, items, questions, yes, columns: uses })
    }
}

/// A question with the probability of yes of every row.
type Asked = (String, Vec<f64>);

/// The questions of a column, or why it makes none.
fn column_questions(table: &Table, column: &Column) -> Result<Result<Vec<Asked>, String>> {
    if !(column.kind.is_numeric() || matches!(column.kind, ColumnType::Text | ColumnType::Category)) {
        return Ok(Err(format!("values of type {}", column.kind)));
    }
    let values = table.categories(&column.name, Missing::Keep)?;
    let known: Vec<u32> = (0..).zip(&values.names).filter(|(_, name)| !name.is_empty()).map(|(code, _)| code).collect();
    if known.len() < 2 {
        return Ok(Err("the same value in all rows".into()));
    }
    if known.len() > 2 && column.kind == ColumnType::Float {
        return Ok(Err(format!("{} values that are not whole numbers", known.len())));
    }
    if known.len() > MOST_VALUES {
        return Ok(Err(format!("{} values", known.len())));
    }
    let says = |code: u32| {
        let missing = |c: &u32| values.names.get(*c as usize).is_none_or(String::is_empty);
        let yes = |c: &u32| if missing(c) { 0.5 } else { f64::from(u8::from(*c == code)) };
        values.codes.iter().map(yes).collect::<Vec<f64>>()
    };
    let name_of = |code: u32| values.names.get(code as usize).map_or("", String::as_str);
    if let [first, second] = known[..] {
        let asked = match yes_of(name_of(first), name_of(second)) {
            Some(true) => (format!("{}?", column.name), says(second)),
            Some(false) => (format!("{}?", column.name), says(first)),
            None => (format!("{} = {}?", column.name, name_of(second)), says(second)),
        };
        return Ok(Ok(vec![asked]));
    }
    Ok(Ok(known.into_iter().map(|code| (format!("{} = {}?", column.name, name_of(code)), says(code))).collect()))
}

/// Of two values, whether the second one means yes; `None` if they do not mean yes and no.
fn yes_of(first: &str, second: &str) -> Option<bool> {
    const PAIRS: [(&str, &str); 5] = [("0", "1"), ("false", "true"), ("no", "yes"), ("n", "y"), ("f", "t")];
    let (first, second) = (first.to_lowercase(), second.to_lowercase());
    let is = |no: &str, yes: &str| PAIRS.contains(&(no, yes));
    if is(&first, &second) { Some(true) } else { is(&second, &first).then_some(false) }
}

fn names_column(table: &Table) -> Result<Option<String>> {
    let mut best: Option<(usize, String)> = None;
    for column in table.columns().iter().filter(|c| matches!(c.kind, ColumnType::Text | ColumnType::Category)) {
        let texts = table.strings(&column.name)?;
        let different = texts.iter().collect::<HashSet<_>>().len();
        if 2 * different >= texts.len() && best.as_ref().is_none_or(|(most, _)| different > *most) {
            best = Some((different, column.name.clone()));
        }
    }
    Ok(best.map(|(_, name)| name))
}

/// A name for each row; one that repeats an earlier one has its row number beside it.
fn item_names(table: &Table, name: Option<&str>) -> Result<Vec<String>> {
    let Some(name) = name else { return Ok((1..=table.rows()).map(|row| format!("row {row}")).collect()) };
    let mut seen = HashSet::new();
    let texts = table.strings(name)?.into_iter().enumerate();
    let own = |(row, text): (usize, String)| match seen.insert(text.clone()) && !text.is_empty() {
        true => text,
        false => format!("{text} (row {})", row + 1).trim_start().to_owned(),
    };
    Ok(texts.map(own).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn questions(csv: &str, name: Option<&str>, columns: &[&str]) -> Result<Questions> {
        let columns: Vec<String> = columns.iter().map(|c| (*c).to_owned()).collect();
        Questions::of(&Table::from_bytes("t.csv", csv.as_bytes().to_vec(), &[])?, name, &columns)
    }

    #[test]
    fn columns_become_questions() {
        let csv = "thing,soft,colour,alive,size,same,weight\n\
                   moss,yes,green,True,small,1,0.1\n\
                   rock,no,grey,False,big,1,5\n\
                   fur,yes,brown,False,small,1,0.2\n\
                   fur,yes,brown,,small,1,0.3\n\
                   wool,yes,brown,False,small,1,0.4\n";
        let found = questions(csv, None, &["soft", "colour", "alive", "size"]).unwrap();
        assert_eq!(found.name.as_deref(), Some("thing"));
        let expected = ["soft?", "colour = brown?", "colour = green?", "colour = grey?", "alive?", "size = small?"];
        assert_eq!(found.questions, expected);
        assert_eq!(found.items, ["moss", "rock", "fur, wool", "fur (row 4)"]);
        assert_eq!(found.yes.row(0).to_vec(), [1.0, 0.0, 1.0, 0.0, 1.0, 1.0]);
        assert_eq!(found.yes.row(3)[4], 0.5, "missing");
        let all = questions(csv, Some("thing"), &[]).unwrap();
        let why: Vec<(&str, &str)> = all.columns.left_out.iter().map(|o| (o.name.as_str(), o.why.as_str())).collect();
        assert_eq!(why, [("same", "the same value in all rows"), ("weight", "5 values that are not whole numbers")]);
    }

    #[test]
    fn tables_that_make_no_game_are_refused() {
        let csv = "a,b\n1,x\n1,x\n1,x\n";
        for (csv, name, columns, part) in [
            (csv, None, vec![], "0 questions that tell 1 items apart"),
            (csv, Some("c"), vec![], "`c`"),
            (csv, None, vec!["a"], "the same value"),
            ("a\n1\n", None, vec![], "1 items"),
        ] {
            let message = questions(csv, name, &columns).unwrap_err().to_string();
            assert!(message.contains(part), "{message}");
        }
        let numbers: String = (0..20).map(|i| format!("{i},{}\n", i % 2)).collect();
        let found = questions(&format!("a,b\n{numbers}"), None, &[]).unwrap();
        assert_eq!((found.items.len(), found.columns.left_out.len(), found.name), (2, 1, None));
        assert!(found.items[0].starts_with("row 1, row 3"));
    }
}
