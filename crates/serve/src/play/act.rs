//! What a method makes of a picture.

use super::kernel::Kernel;
use super::limits::{MOST_CLASSES, MOST_MADE, MOST_POINTS, Patience, told};
use super::tools::Act;
use crate::line::typed;
use ndarray::{Array2, ArrayView1};
use quadrat::numeric::Points;
use quadrat::robust::{Labelled, Origin, Resampled, Strategy};
use quadrat::select::Pool;
use quadrat::{Error, Params, Result, Seed, Settings};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Instant;

/// Names of the classes, in the files that the page saves too.
const NAMES: [&str; MOST_CLASSES] = ["a", "b", "c", "d", "e"];

/// Points, and what shall become of them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Picture {
    points: Vec<[f64; 2]>,
    /// One a point.
    classes: Vec<usize>,
    act: Act,
    method: String,
    /// The method's own.
    #[serde(default)]
    parameters: BTreeMap<String, String>,
    /// Points to choose.
    #[serde(default)]
    budget: usize,
    #[serde(default)]
    seed: u64,
}

/// What became of them.
#[derive(Debug, Default, Serialize)]
pub struct Outcome {
    /// Points that were chosen or kept, by number; one that was repeated stands there as often.
    kept: Vec<usize>,
    /// One a chosen point, where the method weighs.
    weights: Option<Vec<f64>>,
    /// New points.
    made: Vec<[f64; 2]>,
    /// The class of each new point; none where new points have none.
    made_classes: Vec<usize>,
    /// What a user should know, in sentences.
    notes: Vec<String>,
    /// The command line that does the same to the picture, saved as points.csv.
    command: String,
    /// How long it took.
    milliseconds: f64,
}

impl Picture {
    /// Lets the method act.
    ///
    /// # Errors
    /// A picture beyond the limits, and whatever the method refuses.
    pub fn act(&self) -> Result<Outcome> {
        self.check()?;
        let started = Instant::now();
        let outcome = match self.act {
            Act::Select => self.select(),
            Act::Balance => self.balance(),
            Act::Diffuse => self.draw(),
        };
        let mut outcome = outcome.map_err(told)?;
        outcome.milliseconds = started.elapsed().as_secs_f64() * 1000.0;
        Ok(outcome)
    }

    fn check(&self) -> Result<()> {
        let (points, classes) = (self.points.len(), self.classes.len());
        if points == 0 || points > MOST_POINTS {
            return Err(Error::input("points", points, format!("draw 1 to {MOST_POINTS}")));
        }
        if classes != points {
            return Err(Error::input("classes", classes, format!("one a point, that is {points}")));
        }
        if let Some(class) = self.classes.iter().find(|class| **class >= MOST_CLASSES) {
            return Err(Error::input("class", class, format!("use 0 to {}", MOST_CLASSES - 1)));
        }
        Ok(())
    }

    fn params(&self) -> Params {
        self.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }

    fn matrix(&self) -> Array2<f64> {
        Array2::from_shape_fn((self.points.len(), 2), |(i, j)| self.points[i][j])
    }

    /// The classes that are there, and each point's place among them: a file would not tell of others.
    fn present(&self) -> (Vec<usize>, Vec<u32>) {
        let present: Vec<usize> = (0..MOST_CLASSES).filter(|class| self.classes.contains(class)).collect();
        let place = |class: &usize| present.iter().take_while(|other| *other < class).count() as u32;
        let places = self.classes.iter().map(place).collect();
        (present, places)
    }

    fn select(&self) -> Result<Outcome> {
        let selector = quadrat::select::build(&self.method, &self.params())?;
        let pool = Pool::of_points(Points::F64(self.matrix())).with_classes(self.present().1);
        let chosen = selector.select(&pool, self.budget, Seed(self.seed), &Patience::new())?;
        let target = if selector.needs().classes { " --target class" } else { "" };
        let words = format!("select {FILE} --standardise no{target} --budget {}", self.budget);
        Ok(Outcome {
            kept: chosen.indices,
            weights: chosen.weights,
            notes: chosen.notes.iter().map(|(name, value)| format!("{name}: {value}.")).collect(),
            command: line(&words, &self.typed(), self.seed),
            ..Outcome::default()
        })
    }

    fn balance(&self) -> Result<Outcome> {
        let params = self.params();
        let resampler = quadrat::robust::build(&self.method, &params)?;
        let (present, y) = self.present();
        let classes = present.iter().map(|class| NAMES[*class].to_owned()).collect();
        let data = Labelled { x: self.matrix(), y, classes, columns: Vec::new(), categorical: Vec::new() };
        check_made(&params, &data)?;
        let Resampled { origin, synthetic, y, notes } = resampler.resample(&data, Seed(self.seed), &Patience::new())?;
        let (mut kept, mut made_classes) = (Vec::new(), Vec::new());
        for (origin, class) in origin.iter().zip(y) {
            match origin {
                Origin::Kept(row) => kept.push(*row),
                Origin::Synthetic { .. } | Origin::Drawn { .. } => made_classes.push(present[class as usize]),
            }
        }
        let command = line(&format!("balance {FILE} --target class"), &self.typed(), self.seed);
        Ok(Outcome { kept, made: pairs(&synthetic), made_classes, notes, command, ..Outcome::default() })
    }

    fn draw(&self) -> Result<Outcome> {
        let kernel = Kernel::named(&self.method, &self.params())?;
        let drawn = kernel.draw(&self.matrix(), Seed(self.seed), &Patience::new())?;
        Ok(Outcome {
            kept: (0..self.points.len()).collect(),
            made: pairs(&drawn),
            command: line(&format!("diffuse sample {FILE}"), &kernel.options(), self.seed),
            ..Outcome::default()
        })
    }

    /// The method and its parameters, as they are typed.
    fn typed(&self) -> Vec<String> {
        let own = self.parameters.iter().flat_map(|(name, value)| [format!("--{name}"), value.clone()]);
        ["--method".to_owned(), self.method.clone()].into_iter().chain(own).collect()
    }
}

/// That over-sampling stays within what a page can show: the wish is read as the method will read it. What it cannot read
/// is the method's to refuse.
fn check_made(params: &Params, data: &Labelled) -> Result<()> {
    let wanted = Strategy::from_params(params).and_then(|strategy| strategy.new_rows(data)).unwrap_or_default();
    let rows: usize = wanted.iter().map(|(_, rows)| rows).sum();
    if rows > MOST_MADE {
        return Err(Error::input("new points", rows, format!("the page makes at most {MOST_MADE}")));
    }
    Ok(())
}

/// The picture as the page saves it.
const FILE: &str = "--in points.csv";

/// A command line as one would type it.
fn line(words: &str, own: &[String], seed: u64) -> String {
    let seed = seed.to_string();
    let words = words.split(' ').chain(own.iter().map(String::as_str));
    typed(words.chain(["--seed", seed.as_str(), "--out", "result.csv"]))
}

fn pairs(rows: &Array2<f64>) -> Vec<[f64; 2]> {
    rows.rows().into_iter().map(|row: ArrayView1<f64>| [row[0], row[1]]).collect()
}

#[cfg(test)]
mod tests;
