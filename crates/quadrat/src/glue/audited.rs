//! A labelled file as an audit sees it: gaps, names, copies and all.

use super::columns::{ColumnUse, Part, Wish};
use super::missing::without_gaps;
use super::target::Target;
use crate::Result;
use crate::data::{Categories, Missing, Table};
use crate::robust::{Cells, Field, NO_NAME, Records};

/// A file to audit.
pub struct Audited {
    /// The rows that have a label.
    pub table: Table,
    /// Their numbers in the whole table, counted from 0.
    pub rows: Vec<usize>,
    /// What the columns are used as.
    pub uses: ColumnUse,
    /// The rows and columns that are looked at.
    pub records: Records,
    /// How the target was taken.
    pub target: Target,
    /// What a user should know of the rows.
    pub notes: Vec<String>,
}

impl Audited {
    /// Reads the columns of a table beside its target: numbers and names with their gaps. Rows without a label are left
    /// out, and a note counts them.
    ///
    /// # Errors
    /// An unknown column; a target of quantities unless `as_classes`; no row with a label; a file that cannot be read.
    pub fn read(table: &Table, target: &str, features: &[String], as_classes: bool) -> Result<Audited> {
        let gaps = table.gaps(&[target])?;
        let rows = (0..table.rows()).filter(|row| !gaps.rows[*row]).collect();
        let (table, notes) = without_gaps(table, &[target])?;
        let target = Target::classes(&table, target, as_classes)?;
        let wish = Wish {
            parts: vec![(&target.name, Part::Target)],
            features,
            numbers: true,
            nominal_truth: true,
            ..Wish::default()
        };
        let mut uses = ColumnUse::choose(&table, &wish)?.in_file_order(&table);
        uses.count_levels(&target.name, target.classes.names.len());
        let numbers = table.numeric(&uses.names(Part::Number), Missing::Keep)?;
        let mut numbers = numbers.columns().into_iter();
        let mut fields = Vec::new();
        for used in &uses.used {
            let cells = match used.part {
                Part::Number => numbers.next().map(|column| Cells::Numbers(column.to_vec())),
                Part::Category => {
                    let Categories { mut codes, names } = table.categories(&used.name, Missing::Keep)?;
                    if let Some(missing) = names.iter().position(String::is_empty) {
                        codes.iter_mut().filter(|code| **code as usize == missing).for_each(|code| *code = NO_NAME);
                    }
                    Some(Cells::Names(codes))
                }
                _ => None,
            };
            fields.extend(cells.map(|cells| Field { name: used.name.clone(), cells }));
        }
        let identifiers = uses.left_out.iter().filter(|out| out.is_identifier()).map(|out| out.name.clone()).collect();
        let Categories { codes: y, names: classes } = target.classes.clone();
        Ok(Audited { records: Records { fields, identifiers, y, classes }, table, rows, uses, target, notes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_stay_and_rows_without_a_label_go() {
        let csv = "key,age,city,all,y\na,1,Rome,x,p\nb,,,x,q\nc,3,Oslo,x,\nd,4,Rome,x,q\ne,5,Rome,x,p\n";
        let table = Table::from_bytes("t.csv", csv.as_bytes().to_vec(), &[]).unwrap();
        let audited = Audited::read(&table, "y", &[], false).unwrap();
        let records = &audited.records;
        assert_eq!((records.rows(), records.classes.clone()), (4, vec!["p".to_owned(), "q".to_owned()]));
        assert!(audited.notes[0].contains("1 of 5 rows lacks a value in `y`"), "{:?}", audited.notes);
        assert_eq!(records.identifiers, ["key"]);
        assert_eq!(records.fields.iter().map(|f| f.name.as_str()).collect::<Vec<_>>(), ["age", "city", "all"]);
        let lacks: Vec<bool> = records.fields.iter().map(|field| field.lacks(1)).collect();
        assert_eq!(lacks, [true, true, false]);
        assert_eq!(audited.table.line(2), 5);
        assert!(Audited::read(&table, "nothing", &[], false).is_err());
    }

    #[test]
    fn quantities_are_no_classes_unless_asked() {
        let rows: String = (0..60).map(|i| format!("{},{}.5\n", i % 7, i)).collect();
        let table = Table::from_bytes("t.csv", format!("x,y\n{rows}").into_bytes(), &[]).unwrap();
        let error = Audited::read(&table, "y", &[], false).err().unwrap().to_string();
        assert!(error.contains("--classes"), "{error}");
        assert!(Audited::read(&table, "y", &[], true).is_ok());
    }
}
