//! A trained network in its folder.

use super::form::Form;
use super::points::{Beside, Points, Rows};
use quadrat::diffusion::{NetworkDenoiser, Plan};
use quadrat::{Error, Progress, Result};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The file within a model's folder.
const WEIGHTS: &str = "model.safetensors";

/// What is kept of the data beside a network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    pub form: Form,
    /// Names of the classes; none where there are none.
    #[serde(default)]
    pub classes: Vec<String>,
    /// The columns that a sample is drawn given; none where there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conditions: Option<Form>,
    /// The plan that it was fine-tuned for, which is then the only one that it is good for.
    #[serde(default, rename = "finetuned_for")]
    pub plan: Option<Plan>,
}

impl Kept {
    /// A network and what was kept beside it.
    pub fn load(folder: &Path) -> Result<(NetworkDenoiser, Kept)> {
        let path = folder.join(WEIGHTS);
        let (denoiser, notes) = NetworkDenoiser::load(&path)?;
        let wrong = |e: serde_json::Error| {
            Error::data(path.display().to_string(), None, format!("not made by diffuse train: {e}"))
        };
        Ok((denoiser, serde_json::from_value(notes).map_err(wrong)?))
    }

    /// Writes a network and this beside it into a folder.
    pub fn save(&self, denoiser: &NetworkDenoiser, folder: &Path) -> Result<()> {
        denoiser.save(&folder.join(WEIGHTS), crate::output::json(self)?)
    }

    /// The columns of a file that the model knows, on its scale.
    pub fn rows(&self, points: &Points, out: Option<&Path>, progress: &dyn Progress) -> Result<Rows> {
        rows_of(&self.form, points, out, progress)
    }

    /// The columns of a file that samples are drawn given, on the model's scale.
    pub fn told(&self, points: &Points, progress: &dyn Progress) -> Result<Rows> {
        match &self.conditions {
            Some(form) => rows_of(form, points, None, progress),
            None => {
                let want = "one that `diffuse train --conditions` made";
                Err(Error::input("--model", "a model without conditions", want))
            }
        }
    }

    /// The place of a class.
    pub fn class(&self, name: &str) -> Result<u32> {
        match self.classes.iter().position(|class| class == name) {
            Some(place) => Ok(place as u32),
            None if self.classes.is_empty() => {
                Err(Error::input("--class", format!("`{name}`"), "nothing: the model was trained without classes"))
            }
            None => Err(Error::input("--class", format!("`{name}`"), format!("one of {}", self.classes.join(", ")))),
        }
    }
}

/// Columns of this form from a file, on the form's scale.
fn rows_of(form: &Form, points: &Points, out: Option<&Path>, progress: &dyn Progress) -> Result<Rows> {
    let Form::Table(columns) = form else {
        return Err(Error::input("--in", "a table", "images: the model was trained on some"));
    };
    if !points.features.is_empty() {
        return Err(Error::input("--features", "with a model", "nothing: the model says which columns it knows"));
    }
    let features = columns.iter().map(|column| column.name.clone()).collect();
    let points = Points { input: points.input.clone(), features, reading: points.reading.clone() };
    let mut rows = points.read(Beside::default(), out, progress)?;
    rows.x = form.scaled(rows.form.unscaled(&rows.x));
    rows.form = form.clone();
    Ok(rows)
}
