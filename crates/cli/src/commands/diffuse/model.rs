//! `--model`: the exact denoiser of a normal around each row, or a network that `diffuse train` made.

use super::form::Form;
use super::points::{Beside, Points, Rows};
use clap::{Args, ValueEnum};
use quadrat::diffusion::{Differentiable, Grid, MixtureDenoiser, Plan, Schedule};
use quadrat::{Error, Progress, Result};
use serde_json::{Value, json};
use std::path::Path;

#[derive(Args, Debug)]
pub struct ModelOf {
    #[command(flatten)]
    pub points: Points,
    /// The model: a folder that `diffuse train` made; or a normal around each row of --in, without training: kernel:WIDTH has its
    /// width in standard deviations of the columns, kernel alone chooses it
    #[arg(long, value_name = "FOLDER|kernel[:WIDTH]", default_value = "kernel")]
    pub model: String,
    /// How noise grows [default: linear; of a folder exploding]
    #[arg(long, value_enum)]
    pub schedule: Option<Noise>,
}

/// Noise schedules by name.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum Noise {
    /// Variance preserving, rates growing linearly
    Linear,
    /// Variance preserving, as latent diffusion has it
    ScaledLinear,
    /// Variance preserving, signal falling as a cosine
    Cosine,
    /// Variance exploding, noise from 0.002 to 80
    Exploding,
    /// Straight paths from noise to data
    Flow,
}

impl From<Noise> for Schedule {
    fn from(noise: Noise) -> Self {
        match noise {
            Noise::Linear => Schedule::linear(),
            Noise::ScaledLinear => Schedule::scaled_linear(),
            Noise::Cosine => Schedule::Cosine,
            Noise::Exploding => Schedule::edm(),
            Noise::Flow => Schedule::Flow,
        }
    }
}

/// Grids by name.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spread {
    /// Evenly in time
    Uniform,
    /// Evenly in the square root of time
    Quadratic,
    /// Evenly in the logarithm of the signal-to-noise ratio
    LogSnr,
    /// As Karras et al.
    Karras,
}

impl From<Spread> for Grid {
    fn from(spread: Spread) -> Self {
        match spread {
            Spread::Uniform => Grid::Uniform,
            Spread::Quadratic => Grid::Quadratic,
            Spread::LogSnr => Grid::LogSnr,
            Spread::Karras => Grid::Karras,
        }
    }
}

/// A model that was opened.
pub struct Opened {
    pub denoiser: Box<dyn Differentiable>,
    /// What its samples are.
    pub form: Form,
    /// The rows of --in, on the model's scale.
    pub rows: Option<Rows>,
    pub schedule: Schedule,
    /// The width of a kernel.
    pub width: Option<f64>,
    /// The plan that a network was fine-tuned for, which is then the only one that it is good for.
    pub plan: Option<Plan>,
    /// What it is, in words.
    pub what: String,
    json: Value,
    /// What a user should know.
    note: Option<String>,
}

impl ModelOf {
    /// Opens it, a model of classes for one of them; `out` is where samples will be written.
    pub fn open(&self, class: Option<&str>, out: Option<&Path>, progress: &dyn Progress) -> Result<Opened> {
        let name = self.model.split(':').next().unwrap_or_default();
        if name != "kernel" {
            return self.of_folder(class, out, progress);
        }
        let given = kernel_width(&self.model)?;
        if class.is_some() {
            return Err(Error::input("--class", "with a kernel", "a folder that `diffuse train --classes` made"));
        }
        let rows = self.points.read(Beside::default(), out, progress)?;
        let (n, d) = rows.x.dim();
        let width = given.unwrap_or_else(|| (n as f64).powf(-1.0 / (d as f64 + 4.0)));
        Ok(Opened {
            denoiser: Box::new(MixtureDenoiser::kernel(rows.x.view(), width)?),
            form: rows.form.clone(),
            schedule: self.schedule.unwrap_or(Noise::Linear).into(),
            what: format!("a normal of {} standard deviations around each row", crate::output::figure(width)),
            json: json!({ "kernel_width": width }),
            width: Some(width),
            plan: None,
            note: None,
            rows: Some(rows),
        })
    }

    #[cfg(not(feature = "networks"))]
    fn of_folder(&self, _: Option<&str>, _: Option<&Path>, _: &dyn Progress) -> Result<Opened> {
        let want = "kernel, or kernel:WIDTH: this build has no networks";
        Err(Error::input("--model", format!("`{}`", self.model), want))
    }

    #[cfg(feature = "networks")]
    fn of_folder(&self, class: Option<&str>, out: Option<&Path>, progress: &dyn Progress) -> Result<Opened> {
        use super::network::Kept;
        let folder = Path::new(&self.model);
        if !folder.is_dir() {
            let want =
                "a folder that `diffuse train` made; or kernel, kernel:WIDTH with a number above 0, such as kernel:0.2";
            return Err(Error::input("--model", format!("`{}`", self.model), want));
        }
        let (mut denoiser, kept) = Kept::load(folder)?;
        let rows = match &self.points.input {
            Some(_) => Some(kept.rows(&self.points, out, progress)?),
            None => None,
        };
        if let Some(class) = class {
            denoiser = denoiser.of_class(kept.class(class)?)?;
        }
        let numbers: usize = denoiser.parameters().iter().map(|p| p.values().len()).sum();
        let least = denoiser.purpose().least;
        let [low, high] = Schedule::edm().times();
        let schedule = match self.schedule {
            Some(noise) => noise.into(),
            None => Schedule::Exploding { sigma: [low.max(least), high] },
        };
        let note = (least > 0.0).then(|| {
            format!(
                "all rows that the model learnt from were noisy, the cleanest by {} of a deviation: it cannot know what lies below, and \
                 samples are as smooth as that",
                crate::output::figure(least)
            )
        });
        let mut json = json!({ "model": self.model, "parameters": numbers });
        if let Some(class) = class {
            json["class"] = json!(class);
        }
        let of_class = class.map(|class| format!(", class {class}")).unwrap_or_default();
        Ok(Opened {
            what: format!("a network of {} numbers, {}{of_class}", crate::output::count(numbers), folder.display()),
            json,
            denoiser: Box::new(denoiser),
            form: kept.form,
            rows,
            schedule,
            width: None,
            plan: kept.plan,
            note,
        })
    }
}

/// The width after `kernel:`.
fn kernel_width(model: &str) -> Result<Option<f64>> {
    let want = "kernel, or kernel:WIDTH with a number above 0, such as kernel:0.2";
    let number = |text: &str| text.parse().ok().filter(|width: &f64| *width > 0.0 && width.is_finite());
    match model.split_once(':') {
        None => Ok(None),
        Some((_, text)) => match number(text) {
            Some(width) => Ok(Some(width)),
            None => Err(Error::input("--model", format!("`{model}`"), want)),
        },
    }
}

impl Opened {
    /// What the samples are like: the rows' file, or the model.
    pub fn like(&self) -> String {
        match &self.rows {
            Some(rows) => format!("{} of {}", crate::output::count(rows.x.nrows()), rows.input.name()),
            None => self.what.clone(),
        }
    }

    /// That it says what noised samples were: after fine-tuning a network only draws by its plan.
    pub fn check_denoiser(&self) -> Result<()> {
        match &self.plan {
            Some(_) => {
                let want = "one that `diffuse train` made: after fine-tuning a model draws by its own plan and does nothing else";
                Err(Error::input("--model", "a model that was fine-tuned for its plan", want))
            }
            None => Ok(()),
        }
    }

    /// Numbers in a sample.
    pub fn dims(&self) -> usize {
        self.denoiser.dims()
    }

    /// Writes samples, on the model's scale, with a column beside them.
    pub fn write(&self, x: &ndarray::Array2<f64>, added: super::form::Added, out: &Path) -> Result<()> {
        self.form.write(&self.form.unscaled(x), added, self.rows.as_ref().map(|rows| &rows.input), out)
    }

    /// What was opened, in words and in JSON.
    pub fn tell(&self, text: &mut String, value: &mut Value) {
        for (key, more) in self.json.as_object().into_iter().flatten() {
            value[key] = more.clone();
        }
        if let Some(note) = &self.note {
            text.push_str(&crate::output::wrap(note, 2, 100));
            value["note"] = json!(note);
        }
        if let Some(rows) = &self.rows {
            rows.tell(text, value);
        }
    }
}
