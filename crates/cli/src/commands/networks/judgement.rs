//! How good a model's outputs are: figures, class by class, and what a report shows of them.

use super::learned::Source;
use crate::output::{count, figure, table};
use crate::report::{Block, svg};
use ndarray::{Array2, ArrayView2};
use quadrat::nn::Targets;
use quadrat::numeric::calibration::{self, Scheme};
use quadrat::numeric::metrics::{self, ClassFigures};
use quadrat::{Encoder, Error, Plot, Result, Seed, Series, TargetScale, Wanted};
use serde_json::{Map, Value, json};

/// How good outputs are.
pub struct Judgement {
    /// Name and value.
    pub figures: Vec<(String, f64)>,
    /// Drawings and tables.
    pub blocks: Vec<(&'static str, Vec<Block>)>,
    /// What one must know to read the figures.
    pub notes: Vec<String>,
    /// Tables for people, below the figures.
    tables: String,
    /// What programs get beside the figures.
    details: Map<String, Value>,
}

/// More classes than these are not listed for people; programs get all.
const LISTED: usize = 30;
/// A confusion matrix of more classes is shown by its largest entries.
const SHOWN: usize = 12;
/// A confusion matrix of more classes is not given as a whole.
const WHOLE: usize = 1000;

impl Judgement {
    /// Compare outputs with what was wanted.
    pub fn of(outputs: &Array2<f32>, targets: &Targets, source: &Source) -> Result<Self> {
        match (targets, source) {
            (Targets::Classes { labels, .. }, _) => Judgement::of_classes(outputs, labels, source.class_names()?),
            (
                Targets::Values(wanted),
                Source::Table(Encoder { targets, wanted: Wanted::Numbers(scales), quantile, .. }),
            ) => Judgement::of_numbers(outputs, wanted, targets, scales, quantile.unwrap_or(0.5)),
            (Targets::Values(wanted), Source::Table(Encoder { wanted: Wanted::Labels(_), .. })) => {
                Ok(Judgement::of_labels(outputs, wanted))
            }
            _ => Err(Error::input("samples", "no classes", "labelled rows to compare with")),
        }
    }

    /// Compare scores of classes with the rows' classes.
    pub fn of_classes(outputs: &Array2<f32>, labels: &[u32], classes: &[String]) -> Result<Self> {
        let p = calibration::probabilities(outputs.view(), 1.0);
        let (said, odds) = (calibration::likeliest(p.view()), metrics::log_odds(outputs.view()));
        let by_class = metrics::by_class(labels, &said, classes.len())?;
        let auc = metrics::one_against_rest(labels, odds.view(), metrics::auc)?;
        let precision = metrics::one_against_rest(labels, odds.view(), metrics::average_precision)?;
        let (width, view) = (Scheme::EqualWidth, p.view());
        let figures = [
            ("balanced-accuracy", Some(metrics::balanced_accuracy(labels, &said)?)),
            ("accuracy", Some(metrics::accuracy(labels, &said)?)),
            ("majority", Some(metrics::majority_share(labels)?)),
            ("macro-f1", Some(metrics::macro_f1(labels, &said)?)),
            ("auc", mean(&auc)),
            ("average-precision", mean(&precision)),
            ("nll", Some(calibration::nll(view, labels)?)),
            ("brier", Some(calibration::brier(view, labels)?)),
            ("ece", Some(calibration::ece(view, labels, 15, width)?)),
            ("mce", Some(calibration::mce(view, labels, 15, width)?)),
            ("aurc", Some(calibration::aurc(view, labels)?)),
            ("excess-aurc", Some(calibration::excess_aurc(view, labels)?)),
        ];
        let figures = figures.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
        let rows: Vec<Class> = (classes.iter().zip(by_class).zip(auc.into_iter().zip(precision)))
            .map(|((name, figures), (auc, average_precision))| Class { name, figures, auc, average_precision })
            .collect();
        let mut notes = class_notes(&rows);
        let mut details = Map::from_iter([("classes".to_owned(), rows.iter().map(Class::json).collect())]);
        let listed = class_table(&rows);
        let mut tables = table(&listed, &CLASS_NUMBERS);
        if classes.len() > LISTED {
            let rest = classes.len() - LISTED;
            notes.push(format!("the {LISTED} classes with most rows are listed; {rest} more are in --json"));
        }
        let mut blocks = vec![("Class by class", vec![Block::Table { rows: listed, right: CLASS_NUMBERS.to_vec() }])];
        if classes.len() <= WHOLE {
            let counts = metrics::confusion(labels, &said, classes.len())?;
            details.insert("confusion".to_owned(), counts.outer_iter().map(|row| row.to_vec()).collect());
            let (rows, right) = confusion(counts.view(), classes);
            tables.push_str(&table(&rows, &right));
            blocks.push(("Confusion", vec![Block::Table { rows, right }]));
        }
        blocks.push(("Reliability", reliability(&p, labels)?));
        Ok(Judgement { figures, blocks, notes, tables, details })
    }

    /// Of each target; its name stands behind the figures' where there are several. The pinball loss is that of the
    /// quantile.
    fn of_numbers(
        outputs: &Array2<f32>,
        wanted: &Array2<f32>,
        targets: &[String],
        scales: &[TargetScale],
        quantile: f64,
    ) -> Result<Self> {
        let (mut figures, mut notes, mut left) = (Vec::new(), Vec::new(), Vec::new());
        for (k, (target, TargetScale { mean, deviation })) in targets.iter().zip(scales).enumerate() {
            let numbers = |all: &Array2<f32>| -> Vec<f64> {
                all.column(k).iter().map(|v| f64::from(*v) * deviation + mean).collect()
            };
            let (truth, said) = (numbers(wanted), numbers(outputs));
            for (name, value) in [
                ("rmse", metrics::root_mean_squared_error(&truth, &said)?),
                ("mae", metrics::mean_absolute_error(&truth, &said)?),
                ("r2", metrics::r2(&truth, &said)?),
                ("pinball", metrics::pinball(&truth, &said, quantile)?),
            ] {
                figures.push((if scales.len() > 1 { format!("{name} {target}") } else { name.to_owned() }, value));
            }
            if truth.iter().all(|v| *v == truth[0]) {
                let all = count(truth.len());
                notes.push(format!(
                    "all {all} rows have the same value of `{target}`: r2 is then 1 if all are right, else 0"
                ));
            }
            left.extend((scales.len() > 1).then(|| Block::Text(target.clone())));
            left.extend(residuals(&truth, &said)?);
        }
        Ok(Judgement {
            figures,
            blocks: vec![("What is left over", left)],
            notes,
            tables: String::new(),
            details: Map::from_iter([("quantile".to_owned(), json!(quantile))]),
        })
    }

    /// Labels are said from a probability of one half on.
    fn of_labels(outputs: &Array2<f32>, wanted: &Array2<f32>) -> Self {
        let (mut whole, mut right) = (0, 0);
        let mut counts = vec![[0.0; 3]; wanted.ncols()];
        for (said, truth) in outputs.outer_iter().zip(wanted.outer_iter()) {
            let hits = said.iter().zip(truth).filter(|(z, s)| (**z >= 0.0) == (**s == 1.0)).count();
            right += hits;
            whole += usize::from(hits == truth.len());
            for (count, (z, s)) in counts.iter_mut().zip(said.iter().zip(truth)) {
                let (z, s) = (f64::from(u8::from(*z >= 0.0)), f64::from(*s));
                *count = [count[0] + z * s, count[1] + z, count[2] + s];
            }
        }
        let f1 = |[hits, said, there]: [f64; 3]| if said + there > 0.0 { 2.0 * hits / (said + there) } else { 0.0 };
        let total = counts.iter().fold([0.0; 3], |t, c| [t[0] + c[0], t[1] + c[1], t[2] + c[2]]);
        let seen: Vec<f64> = counts.iter().filter(|c| c[1] + c[2] > 0.0).map(|c| f1(*c)).collect();
        let figures = [
            ("all-labels-right", whole as f64 / wanted.nrows().max(1) as f64),
            ("labels-right", right as f64 / wanted.len().max(1) as f64),
            ("micro-f1", f1(total)),
            ("macro-f1", seen.iter().sum::<f64>() / seen.len().max(1) as f64),
        ];
        Judgement {
            figures: figures.map(|(name, value)| (name.to_owned(), value)).to_vec(),
            blocks: Vec::new(),
            notes: Vec::new(),
            tables: String::new(),
            details: Map::new(),
        }
    }

    /// For people: figures, what to know of them, and tables.
    pub fn text(&self) -> String {
        let rows = self.figures.iter().map(|(name, value)| vec![name.clone(), figure(*value)]);
        let notes: String = self.notes.iter().map(|note| format!("note: {note}\n")).collect();
        table(&rows.collect::<Vec<_>>(), &[1]) + &notes + &self.tables
    }

    /// The figures for programs.
    pub fn json(&self) -> Value {
        self.figures.iter().map(|(name, value)| (name.clone(), json!(value))).collect()
    }

    /// Adds what programs get beside the figures: `classes` and `confusion`, or the `quantile` of the pinball loss;
    /// `notes`.
    pub fn add_details(&self, value: &mut Value) {
        self.details.iter().for_each(|(name, detail)| value[name] = detail.clone());
        value["notes"] = json!(self.notes);
    }
}

/// A class and how well it was predicted.
struct Class<'a> {
    name: &'a String,
    figures: ClassFigures,
    auc: Option<f64>,
    average_precision: Option<f64>,
}

impl Class<'_> {
    fn json(&self) -> Value {
        json!({
            "class": self.name,
            "precision": self.figures.precision,
            "recall": self.figures.recall,
            "f1": self.figures.f1,
            "support": self.figures.support,
            "predicted": self.figures.predicted,
            "auc": self.auc,
            "average-precision": self.average_precision,
        })
    }
}

/// Mean of those that could be measured.
fn mean(values: &[Option<f64>]) -> Option<f64> {
    let known: Vec<f64> = values.iter().flatten().copied().collect();
    (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64)
}

fn class_notes(classes: &[Class]) -> Vec<String> {
    let named = |fits: fn(&ClassFigures) -> bool| {
        let names: Vec<&str> = classes.iter().filter(|c| fits(&c.figures)).map(|c| c.name.as_str()).collect();
        let more = if names.len() > 5 { format!(" and {} more", names.len() - 5) } else { String::new() };
        let some = names.iter().take(5).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        (!names.is_empty()).then(|| some + &more)
    };
    let absent = named(|f| f.support == 0)
        .map(|names| format!("there is no row of {names} here: the means are over the other classes"));
    let never = named(|f| f.support > 0 && f.predicted == 0).map(|names| format!("no row was taken for {names}"));
    absent.into_iter().chain(never).collect()
}

/// Columns of [`class_table`] that hold numbers.
const CLASS_NUMBERS: [usize; 7] = [1, 2, 3, 4, 5, 6, 7];

/// The classes with most rows, in their own order.
fn class_table(classes: &[Class]) -> Vec<Vec<String>> {
    let mut largest: Vec<usize> = (0..classes.len()).collect();
    largest.sort_by_key(|k| std::cmp::Reverse(classes[*k].figures.support));
    largest.truncate(LISTED);
    largest.sort_unstable();
    let head = ["class", "rows", "predicted", "precision", "recall", "f1", "auc", "average precision"];
    let known = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), figure);
    let row = |k: usize| {
        let Class { name, figures: f, auc, average_precision } = &classes[k];
        let counts = [count(f.support), count(f.predicted)];
        let shares = [f.precision, f.recall, f.f1].map(figure).into_iter();
        [(*name).clone()].into_iter().chain(counts).chain(shares).chain([known(*auc), known(*average_precision)])
    };
    let rows = largest.into_iter().map(|k| row(k).collect());
    std::iter::once(head.map(str::to_owned).to_vec()).chain(rows).collect()
}

/// How many rows of each class (down) were taken for each class (across); of many classes the most frequent errors.
fn confusion(counts: ArrayView2<usize>, classes: &[String]) -> (Vec<Vec<String>>, Vec<usize>) {
    let k = classes.len();
    if k <= SHOWN {
        let head = std::iter::once("is / taken for".to_owned()).chain(classes.iter().cloned());
        let row = |(name, row): (&String, ndarray::ArrayView1<usize>)| {
            std::iter::once(name.clone()).chain(row.iter().map(|n| count(*n))).collect()
        };
        let rows = classes.iter().zip(counts.outer_iter()).map(row);
        return (std::iter::once(head.collect()).chain(rows).collect(), (1..=k).collect());
    }
    let mut errors: Vec<(usize, usize, usize)> =
        counts.indexed_iter().filter(|((t, p), n)| t != p && **n > 0).map(|((t, p), n)| (*n, t, p)).collect();
    errors.sort_by_key(|(n, t, p)| (std::cmp::Reverse(*n), *t, *p));
    let head = ["is", "taken for", "rows"].map(str::to_owned).to_vec();
    let row = |(n, t, p): (usize, usize, usize)| vec![classes[t].clone(), classes[p].clone(), count(n)];
    (std::iter::once(head).chain(errors.into_iter().take(SHOWN).map(row)).collect(), vec![2])
}

/// How often the model is right where it says a probability.
fn reliability(p: &Array2<f32>, labels: &[u32]) -> Result<Vec<Block>> {
    let bins = calibration::reliability(p.view(), labels, 15, Scheme::EqualWidth)?;
    let point = |x: f64, y: f64| [x, y, y, y];
    let said = bins.iter().filter(|bin| bin.count > 0).map(|bin| point(bin.confidence, bin.accuracy)).collect();
    let plot = Plot {
        title: "Reliability".to_owned(),
        x: "confidence".to_owned(),
        y: "share that is right".to_owned(),
        log_x: false,
        log_y: false,
        series: vec![
            Series { name: "the model".to_owned(), points: said },
            Series {
                name: "as it should be".to_owned(),
                points: (0..=4).map(|i| point(f64::from(i) / 4.0, f64::from(i) / 4.0)).collect(),
            },
        ],
    };
    let caption = "Above the line the model is less sure than it could be, below it is too sure.".to_owned();
    Ok(vec![Block::Figure { drawing: svg::curves(&plot)?, caption }])
}

/// More points than these only make the page large.
const POINTS: usize = 2400;

/// What is left over of each row, against what was said of it.
fn residuals(wanted: &[f64], said: &[f64]) -> Result<Vec<Block>> {
    let rows = Seed(0).stream("residuals").rng(0).sample(wanted.len(), POINTS);
    let points: Vec<[f64; 2]> = rows.into_iter().map(|i| [said[i], wanted[i] - said[i]]).collect();
    let drawing = svg::residuals(&points, "predicted", "true value less the predicted one")?;
    let mut caption = "A good model leaves a band of even width around the line, without a slope or a bend.".to_owned();
    if wanted.len() > POINTS {
        caption.push_str(" A random part of the rows is drawn.");
    }
    Ok(vec![Block::Figure { drawing, caption }])
}
