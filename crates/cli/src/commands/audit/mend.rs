//! The command that mends a trouble.

use super::Audit;
use crate::reading::Reading;
use crate::report::quoted;
use quadrat::Audited;
use quadrat::robust::{Cells, Finding, Trouble};

/// The training method against wrong labels.
const AGAINST_WRONG_LABELS: &str = "elr --suspects suspects.csv";

/// Rows a class must have more of than SMOTE has neighbours.
const NEIGHBOURS: usize = 5;

/// Commands on the audited file.
pub struct Mends<'a> {
    pub args: &'a Audit,
    pub audited: &'a Audited,
}

impl Mends<'_> {
    /// The command, to be typed as it stands; none where a look at the rows must decide.
    pub fn of(&self, finding: &Finding) -> Option<String> {
        let gaps = if self.holed() { " --missing impute" } else { "" };
        let named =
            || finding.columns.iter().map(|c| self.audited.records.fields[*c].name.as_str()).collect::<Vec<_>>();
        let (numbers, names) = self.kinds();
        match finding.trouble {
            Trouble::Imbalance => {
                let method = match (numbers, names) {
                    _ if finding.count <= NEIGHBOURS => "random-over-sampling",
                    (true, true) => "smote-nc --scale standard",
                    (true, false) => "smote --scale standard",
                    _ => "smote-n",
                };
                // Repeating rows reads no column but the class.
                let gaps = if finding.count <= NEIGHBOURS { "" } else { gaps };
                Some(format!("{} --method {method}{gaps} --out balanced.csv", self.on("balance")))
            }
            Trouble::WrongLabels => Some(format!("{} --method {AGAINST_WRONG_LABELS}{gaps}", self.on("train"))),
            Trouble::HolesByClass => Some(format!("{} --missing impute --impute indicator", self.on("train"))),
            Trouble::Holes => Some(format!("{} --missing impute", self.on("train"))),
            Trouble::CopiesAcrossLabels if numbers => {
                Some(format!("{} --method tomek-links --strategy all{gaps} --out cleaned.csv", self.on("balance")))
            }
            Trouble::Copies | Trouble::NearCopies if numbers => {
                let left = self.audited.records.rows() - finding.count;
                Some(format!("{} --method k-center --budget {left}{gaps} --out distinct.csv", self.on("select")))
            }
            Trouble::Leak | Trouble::Constant => Some(format!("{}{gaps}", self.without("train", &named()))),
            Trouble::Identifier => {
                let names: Vec<&str> = self.audited.records.identifiers.iter().map(String::as_str).collect();
                Some(format!("{}{gaps}", self.without("train", &names)))
            }
            Trouble::CopiesAcrossLabels | Trouble::Copies | Trouble::NearCopies | Trouble::Outliers => None,
        }
    }

    /// What is to be done about sound rows.
    pub fn nothing(&self) -> String {
        self.on("train")
    }

    fn holed(&self) -> bool {
        let fields = &self.audited.records.fields;
        fields.iter().any(|field| (0..field.len()).any(|row| field.lacks(row)))
    }

    /// Whether there are columns of numbers, and of names.
    fn kinds(&self) -> (bool, bool) {
        let numbers = |cells: &Cells| matches!(cells, Cells::Numbers(_));
        let fields = &self.audited.records.fields;
        (fields.iter().any(|f| numbers(&f.cells)), fields.iter().any(|f| !numbers(&f.cells)))
    }

    fn on(&self, verb: &str) -> String {
        self.without(verb, &[])
    }

    /// A verb on the file, read as it was read here, without some columns.
    fn without(&self, verb: &str, columns: &[&str]) -> String {
        let Audit { input, target, classes, reading, .. } = self.args;
        let mut words = vec!["quadrat".to_owned(), verb.to_owned(), "--in".to_owned(), quoted(input)];
        words.extend(["--target".to_owned(), quoted(target)]);
        // Selectors take any target as classes.
        words.extend((*classes && verb != "select").then(|| "--classes".to_owned()));
        let excluded: Vec<String> =
            reading.exclude.iter().cloned().chain(columns.iter().map(|name| listed(name))).collect();
        words.extend(read(reading));
        if !excluded.is_empty() {
            words.extend(["--exclude".to_owned(), quoted(&excluded.join(","))]);
        }
        words.join(" ")
    }
}

/// A name in a list: in quotation marks if it holds a comma.
fn listed(name: &str) -> String {
    if name.contains([',', '"']) { format!("\"{}\"", name.replace('"', "\"\"")) } else { name.to_owned() }
}

/// The options that say how a file is read, as they were given, but those about columns left out and gaps.
fn read(reading: &Reading) -> Vec<String> {
    let character = |c: Option<char>| c.map(String::from);
    let given: [(&str, Option<String>); 9] = [
        ("--types", (!reading.types.is_empty()).then(|| reading.types.join(","))),
        ("--format", reading.format.clone()),
        ("--separator", reading.separator.clone()),
        ("--decimal", character(reading.decimal)),
        ("--thousands", character(reading.thousands)),
        ("--quote", character(reading.quote)),
        ("--comment", reading.comment.clone()),
        ("--encoding", reading.encoding.clone()),
        ("--missing-codes", (!reading.missing_codes.is_empty()).then(|| reading.missing_codes.join(","))),
    ];
    let flags = [(reading.no_header, "--no-header"), (reading.header, "--header")];
    let given = given.into_iter().filter_map(|(option, value)| Some([option.to_owned(), quoted(&value?)])).flatten();
    given.chain(flags.into_iter().filter(|(on, _)| *on).map(|(_, flag)| flag.to_owned())).collect()
}
