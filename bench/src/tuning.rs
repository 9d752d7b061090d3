//! Strengths of regularisation tuned in one run, and the single runs that a search asks for; peer: `bench/tuning.py`.

use crate::{Figures, Settings, Workload, measure};
use ndarray::Axis;
use quadrat_core::{Error, Result, Seed, Silent};
use quadrat_data::builtin;
use quadrat_nn::{Mlp, Optimizer, Parameters, Samples, Schedule, Trainer, mean_loss, predict};
use quadrat_regularize::{Hyper, SelfTuningNetwork, Strength, Strengths, Validation};
use serde_json::json;

/// The workloads of tuning.
pub fn workloads() -> Vec<Workload> {
    vec![("tune", tune), ("tune-trial", trial)]
}

const SITES: [&str; 3] = ["input", "fc1", "fc2"];

/// `seed=N`: dropout at three sites and input noise tuned while one network trains.
fn tune(settings: &Settings) -> Result<Figures> {
    let task = Task::new(settings)?;
    let mut hypers = SITES.map(Hyper::dropout).to_vec();
    hypers.push(Hyper::input_noise());
    let validation = Validation::Rows(task.validation.clone());
    let mut method = SelfTuningNetwork { hypers, validation, ..SelfTuningNetwork::default() };
    let (fitted, mut figures) =
        measure(|| task.trainer.fit(&task.network, &task.train, None, &mut [&mut method], &Silent))?;
    figures.insert("validation".into(), json!(method.tuned.best().map(|best| best.loss)));
    figures.insert("test".into(), json!(task.test_loss(&fitted.parameters)?));
    let strengths = method.tuned.strengths();
    figures.insert("strengths".into(), json!(strengths.iter().map(|(_, value)| *value).collect::<Vec<_>>()));
    Ok(figures)
}

/// `seed=N strengths=A,B,C,D epochs=N`: one training with three given rates and a given noise; the lowest validation loss,
/// after how many epochs, and the test loss at the end.
fn trial(settings: &Settings) -> Result<Figures> {
    let task = Task::new(settings)?;
    let text = settings.text("strengths", "0,0,0,0");
    let given: Vec<f64> = text.split(',').filter_map(|word| word.parse().ok()).collect();
    let [rates @ .., noise] = &given[..] else { return Err(Error::input("strengths", text, "four numbers")) };
    let names = SITES.into_iter().map(|site| Strength::Dropout(site.into()));
    let all = names.zip(rates.iter().copied()).chain([(Strength::InputNoise, *noise)]);
    let mut method = Strengths::constant(all);
    let (fitted, mut figures) =
        measure(|| task.trainer.fit(&task.network, &task.train, Some(&task.validation), &mut [&mut method], &Silent))?;
    let losses = fitted.curve.iter().enumerate().filter_map(|(i, epoch)| Some((epoch.validation_loss?, i + 1)));
    let (loss, epoch) = losses.min_by(|a, b| a.0.total_cmp(&b.0)).unwrap_or((f64::NAN, 0));
    figures.insert("validation".into(), json!(loss));
    figures.insert("epoch".into(), json!(epoch));
    figures.insert("test".into(), json!(task.test_loss(&fitted.parameters)?));
    Ok(figures)
}

/// `fashion-mnist` in three parts, drawn anew for each seed, and what is trained on them.
struct Task {
    train: Samples,
    validation: Samples,
    test: Samples,
    network: Mlp,
    trainer: Trainer,
}

impl Task {
    fn new(settings: &Settings) -> Result<Self> {
        let seed = Seed(settings.number("seed", 1)? as u64);
        let (x, y, classes) = builtin::labelled("fashion-mnist")?;
        let mut rows: Vec<usize> = (0..y.len()).collect();
        seed.stream("split").rng(0).shuffle(&mut rows);
        let part = |rows: &[usize]| {
            let inputs = x.select(Axis(0), rows).mapv(|v| (v / 255.0) as f32);
            Samples::classes(inputs, rows.iter().map(|row| y[*row]).collect(), classes.len())
        };
        Ok(Task {
            train: part(&rows[..3_000])?,
            validation: part(&rows[3_000..4_000])?,
            test: part(&rows[4_000..])?,
            network: Mlp::new(784, &[256, 256], classes.len()),
            trainer: Trainer {
                epochs: settings.number("epochs", 30)?,
                optimizer: Optimizer::adamw(0.0),
                schedule: Schedule::Constant,
                seed,
                ..Trainer::default()
            },
        })
    }

    fn test_loss(&self, parameters: &Parameters) -> Result<f64> {
        let scores = predict(&self.network, parameters, self.test.inputs.view(), &[])?;
        Ok(mean_loss(self.trainer.loss, &scores, &self.test))
    }
}
