//! `--method`: draws that are steered, by an exponent of the law or by a reward.

use super::model::Opened;
use crate::commands::line_program::{Program, Said};
use crate::output::{count, figure};
use crate::process::{self, CommandLine};
use clap::Args;
use ndarray::{Array1, Array2};
use quadrat::diffusion::svdd::{Svdd, Value};
use quadrat::diffusion::{AncestralKernel, FeynmanKac, Grid, MinorityGuidance, Solver, Target, stack};
use quadrat::{Error, Method, Params, Progress, Result, Seed, Settings, stats};
use serde_json::{Map, Value as Json, json};
use std::sync::{Mutex, PoisonError};

#[derive(Args, Debug)]
pub struct Steering {
    /// Steer the draws: feynman-kac (the law to a power, by weighted particles), svdd (by a reward) or minority-guidance (to rare
    /// samples; it takes KEY=VALUE behind a colon)
    #[arg(long, value_name = "NAME", conflicts_with_all = ["solver", "plan"])]
    pub method: Option<String>,
    /// With feynman-kac: the exponent of the law; above 1 is colder, below hotter [default: 2]
    #[arg(long, value_name = "NUMBER")]
    pub power: Option<f64>,
    /// With minority-guidance: its strength [default: 3.5]
    #[arg(long, value_name = "NUMBER")]
    pub weight: Option<f64>,
    /// With feynman-kac: particles [default: 1024]
    #[arg(long, value_name = "N")]
    pub particles: Option<String>,
    /// With svdd: a program that reads a row as a line {"COLUMN": number, ..} and prints its reward, a number
    #[arg(long, value_name = "COMMAND")]
    pub reward: Option<String>,
    /// With svdd: candidates of a row at each step [default: 10]
    #[arg(long, value_name = "N")]
    pub candidates: Option<String>,
    /// With svdd: temperature in the reward's unit; 0 keeps the best candidate [default: 0]
    #[arg(long, value_name = "NUMBER")]
    pub alpha: Option<String>,
    /// With svdd: how long one answer of the program may take
    #[arg(long, value_name = "SECONDS", default_value_t = 30.0)]
    pub timeout: f64,
}

/// Rows that were drawn, on the scale of the model.
pub struct Drawn {
    pub rows: Array2<f64>,
    /// A column beside them.
    pub more: Option<(&'static str, Vec<f64>)>,
    /// How, in words.
    pub how: String,
    pub json: Json,
}

/// Which method steers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    FeynmanKac,
    Svdd,
    Minority,
}

impl Steering {
    /// The method, where there is one; options of another are refused.
    pub fn method(&self) -> Result<Option<Way>> {
        let kac = [("power", self.power.is_some()), ("particles", self.particles.is_some())];
        let svdd = [
            ("reward", self.reward.is_some()),
            ("candidates", self.candidates.is_some()),
            ("alpha", self.alpha.is_some()),
        ];
        let stray = |options: &[(&str, bool)], of: &str| match options.iter().find(|(_, given)| *given) {
            Some((name, _)) => {
                Err(Error::input("option", format!("`--{name}`"), format!("it belongs to --method {of}")))
            }
            None => Ok(()),
        };
        let method = match self.method.as_deref() {
            None => None,
            Some(name) if FeynmanKac::CARD.is_called(name) => Some(Way::FeynmanKac),
            Some(name) if Svdd::CARD.is_called(name) => Some(Way::Svdd),
            Some(name) if MinorityGuidance::CARD.is_called(name.split(':').next().unwrap_or_default()) => {
                Some(Way::Minority)
            }
            Some(other) => {
                let want = "feynman-kac, svdd or minority-guidance, or leave it out to draw with a solver alone";
                return Err(Error::input("--method", format!("`{other}`"), want));
            }
        };
        if !matches!(method, Some(Way::FeynmanKac)) {
            stray(&kac, "feynman-kac")?;
        }
        if !matches!(method, Some(Way::Svdd)) {
            stray(&svdd, "svdd")?;
        }
        if !matches!(method, Some(Way::Minority)) {
            stray(&[("weight", self.weight.is_some())], "minority-guidance")?;
        }
        Ok(method)
    }

    /// Weighted particles of the law to a power: all of them with their weights, or `rows` drawn in proportion.
    pub fn particles(
        &self,
        opened: &Opened,
        grid: &Grid,
        steps: Option<usize>,
        rows: Option<usize>,
        seed: Seed,
        progress: &dyn Progress,
    ) -> Result<Drawn> {
        let power = self.power.unwrap_or(2.0);
        let given = [("particles", self.particles.clone()), ("steps", steps.map(|steps| steps.to_string()))];
        let typed = given.into_iter().filter_map(|(name, value)| Some((name, value?)));
        let settings = FeynmanKac::from_params(&typed.collect::<Params>())?;
        let target = Target::annealing(&*opened.denoiser, power);
        let found = settings.run(&target, &opened.schedule, grid, seed, progress)?;
        let least = found.ess.iter().copied().fold(f64::INFINITY, f64::min);
        let how = format!(
            "feynman-kac: {} particles in {} steps for the law to the power {}; effective {} at the end, {} at the least",
            count(settings.particles),
            settings.steps,
            figure(power),
            figure(found.ess.last().copied().unwrap_or(f64::NAN)),
            figure(least)
        );
        let json = json!({
            "method": FeynmanKac::CARD.slug,
            "power": power,
            "particles": settings.particles,
            "steps": settings.steps,
            "log_z": found.log_z,
            "effective": found.ess,
            "calls": found.calls,
        });
        Ok(match rows {
            Some(rows) => Drawn { rows: found.draw(rows, seed)?, more: None, how, json },
            None => {
                let n = found.x.nrows() as f64;
                let weights = found.shares().iter().map(|share| share * n).collect();
                Drawn { rows: found.x, more: Some(("weight", weights)), how, json }
            }
        })
    }

    /// Rows with a high reward.
    pub fn rewarded(
        &self,
        opened: &Opened,
        grid: &Grid,
        steps: usize,
        rows: usize,
        seed: Seed,
        progress: &dyn Progress,
    ) -> Result<Drawn> {
        let Some(command) = &self.reward else {
            let want = "a program that reads a row as JSON and prints a number, such as --reward './reward'";
            return Err(Error::input("--reward", "nothing", want));
        };
        let typed = [("candidates", &self.candidates), ("alpha", &self.alpha)];
        let typed = typed.into_iter().filter_map(|(name, value)| Some((name, value.clone()?)));
        let settings = Svdd::from_params(&typed.collect::<Params>())?;
        let limit = process::limit("--timeout", self.timeout)?;
        let line = CommandLine::parse("--reward", command)?;
        let program = Mutex::new(Program::new("--reward", line, limit, progress));
        let reward = |states: &[Vec<f64>]| {
            let mut program = program.lock().unwrap_or_else(PoisonError::into_inner);
            states.iter().map(|state| ask(&mut program, opened, state)).collect::<Result<Vec<f64>>>()
        };
        let plan = Solver::Ddpm.plan(opened.schedule.clone(), grid, steps)?;
        let kernel = AncestralKernel::new(&*opened.denoiser, &plan)?;
        let found = settings.draw(&kernel, Value::PosteriorMean, &reward, rows, seed, progress)?;
        let how = format!(
            "svdd: {} candidates at each of {steps} steps, alpha {}; mean reward {}, {} rewards asked",
            settings.candidates,
            figure(settings.alpha),
            figure(stats::mean(&found.rewards)),
            count(found.value_calls)
        );
        let json = json!({
            "method": Svdd::CARD.slug,
            "candidates": settings.candidates,
            "alpha": settings.alpha,
            "steps": steps,
            "mean_reward": stats::mean(&found.rewards),
            "reward_calls": found.value_calls,
            "calls": found.model_calls,
            "forbidden": found.forbidden,
        });
        Ok(Drawn { rows: stack(&found.samples), more: Some(("reward", found.rewards)), how, json })
    }
}

/// The reward of one row, on the scale of the file.
fn ask(program: &mut Program, opened: &Opened, state: &[f64]) -> Result<f64> {
    let row = opened.form.unscaled(&Array1::from(state.to_vec()).insert_axis(ndarray::Axis(0)));
    let fields: Map<String, Json> = opened.form.names().into_iter().zip(row.iter().map(|v| json!(v))).collect();
    let line = Json::from(fields).to_string();
    let want = "a number a line, the reward of the row that was read; -inf forbids it";
    let said = match program.say(&format!("{line}\n"))? {
        Said::Line(said) => said,
        Said::Fault(why) => return Err(Error::input("--reward", why, format!("{want}; asked was {line}"))),
    };
    let number: Option<f64> = said.trim().parse().ok().filter(|number: &f64| !number.is_nan());
    number.ok_or_else(|| Error::input("--reward", format!("`{}`", said.trim()), format!("{want}; asked was {line}")))
}
