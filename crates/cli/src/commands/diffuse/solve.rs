//! `quadrat diffuse solve`: measurements and a model -> samples that fit them.

use super::form::{self, Form};
use super::model::{ModelOf, Opened, Spread};
use crate::args::Run;
use crate::commands::work;
use crate::output::{Reply, check_out, check_place, count, figure, seconds};
use crate::parameters::with_parameters;
use crate::report::{Block, Page, sheet, svg};
use clap::Args;
use ndarray::{Array1, Array2, ArrayView2, Axis, concatenate};
use quadrat::data::{Missing, read_matrix};
use quadrat::diffusion::Solver;
use quadrat::diffusion::inverse::{Identity, Inverse, Measurement, Stsl, Way};
use quadrat::numeric::operator::{LinearOp, Mask, Matrix, Separable, operator_fn};
use quadrat::{Error, Method, Plot, Progress, Result, Seed, Series, Settings, checkpoint};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::Instant;

#[derive(Args, Debug)]
pub struct SolveInverse {
    #[command(flatten)]
    pub model: ModelOf,
    /// With a model of classes: this one
    #[arg(long, value_name = "NAME")]
    pub class: Option<String>,
    /// What was measured of a sample: mask:A,B (these columns alone, or numbers of pixels from 0), matrix:FILE.npy (a row for each
    /// number measured), of images also downsample:N (means of N x N pixels) and blur:PIXELS (a normal blur)
    #[arg(long, value_name = "NAME:HOW")]
    pub operator: String,
    /// The measurements, one a row, in the unit of the columns, of images with pixels from 0 to 1: .npy, or a file of numeric columns
    #[arg(long, value_name = "FILE")]
    pub measured: String,
    /// Standard deviation of the noise in a measured number
    #[arg(long, value_name = "NUMBER")]
    pub noise: f64,
    /// How samples are led: covariance (nearest to the exact law with a kernel; as many gradients a step as there are measured numbers;
    /// a network's goes astray), stsl, dps, psld or none [default: covariance with a kernel, stsl with a network]
    #[arg(long, value_name = "NAME[:KEY=VALUE,...]")]
    pub method: Option<String>,
    /// Samples of each measurement
    #[arg(long, value_name = "N", default_value_t = 8)]
    pub draws: usize,
    /// Steps of the solver
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub steps: usize,
    /// Where the steps lie
    #[arg(long, value_enum, default_value_t = Spread::LogSnr)]
    pub grid: Spread,
    /// Output file, whose ending chooses the format, with a column `measurement`. Of images a folder of PNG files, or an .npz file
    #[arg(long, value_name = "FILE", allow_hyphen_values = true)]
    pub out: Option<PathBuf>,
    /// Write a self-contained HTML page about the run
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    #[command(flatten)]
    pub run: Run,
}

/// Solves for each measurement, and writes the samples.
pub fn run(args: &SolveInverse, progress: &dyn Progress) -> Result<Reply> {
    if args.draws == 0 {
        return Err(Error::input("--draws", 0, "at least 1"));
    }
    args.report.as_deref().map_or(Ok(()), check_place)?;
    let opened = args.model.open(args.class.as_deref(), args.out.as_deref(), progress)?;
    opened.check_denoiser()?;
    let check = if matches!(opened.form, Form::Images { .. }) { form::check_images } else { check_out };
    args.out.as_deref().map_or(Ok(()), check)?;
    let method = args.method.as_deref().unwrap_or(if opened.width.is_some() { "covariance" } else { "stsl" });
    let way = way(method)?;
    let operator = operator(&args.operator, &opened.form)?;
    let measured = measured(args, operator.outputs(), &opened.form)?;
    let started = Instant::now();
    let found = solve(args, &way, &opened, &*operator, measured.view(), progress)?;
    let took = started.elapsed().as_secs_f64();
    let numbers: Vec<f64> = (0..found.samples.nrows()).map(|i| (i / args.draws) as f64).collect();
    if let Some(out) = &args.out {
        opened.write(&found.samples, Some(("measurement", &numbers)), out)?;
    }
    let last = found.residuals.last().copied().unwrap_or(f64::NAN);
    let mut text = format!(
        "{} samples of each of {} measurements by {} in {} (seed {})\n  {}\n  {} calls of the model for each sample, {} of them with its \
         gradient\n  they miss the measurement by {} of its noise; 1 is what a sample of the exact law misses it by\n",
        count(args.draws),
        count(measured.nrows()),
        method,
        seconds(took),
        args.run.seed,
        opened.what,
        count(found.calls + found.gradients),
        count(found.gradients),
        figure(last)
    );
    if let Some(path) = &args.report {
        page((args, method), &opened, &*operator, &measured, &found)?.finish(path, Some(&Stsl::CARD))?;
    }
    let mut value = json!({
        "method": method,
        "operator": args.operator,
        "measurements": measured.nrows(),
        "draws": args.draws,
        "steps": args.steps,
        "calls": found.calls,
        "gradients": found.gradients,
        "residuals": found.residuals,
        "seed": args.run.seed,
        "seconds": took,
        "out": args.out,
        "report": args.report,
    });
    for path in [&args.out, &args.report].into_iter().flatten() {
        text.push_str(&format!("wrote {}\n", path.display()));
    }
    if args.out.is_none() && args.report.is_none() {
        text.push_str("nothing was written: add --out FILE\n");
    }
    opened.tell(&mut text, &mut value);
    Ok(Reply::new(text, value))
}

/// What was found of all measurements, on the model's scale.
struct Found {
    samples: Array2<f64>,
    /// After each step, the mean over measurements.
    residuals: Vec<f64>,
    calls: usize,
    gradients: usize,
}

/// The operator sees samples on the scale of the file: A(d x + m) = y becomes (A d) x = y - A m, with the same noise.
fn solve(
    args: &SolveInverse,
    way: &Way,
    opened: &Opened,
    operator: &dyn LinearOp,
    measured: ArrayView2<f64>,
    progress: &dyn Progress,
) -> Result<Found> {
    let (mean, deviation) = scale(&opened.form);
    let row = |values: &Array1<f64>| values.clone().insert_axis(Axis(0));
    let within = operator_fn(
        operator.inputs(),
        operator.outputs(),
        |x: ArrayView2<f64>| operator.forward((&x * &row(&deviation)).view()),
        |y: ArrayView2<f64>| Ok(operator.adjoint(y)? * &row(&deviation)),
    );
    let centre = operator.forward(row(&mean).view())?;
    let plan = Solver::Ddim.plan(opened.schedule.clone(), &args.grid.into(), args.steps)?;
    let (mut samples, mut found) = (Vec::new(), None::<Found>);
    for (i, y) in measured.outer_iter().enumerate() {
        checkpoint(progress)?;
        let y = (&y - &centre.row(0)).to_vec();
        let problem = Inverse {
            measurement: Measurement { op: &within, y: &y, noise: args.noise },
            denoiser: &*opened.denoiser,
            codec: &Identity { dims: opened.dims() },
            plan: &plan,
        };
        let one = problem.solve(way, args.draws, Seed(args.run.seed).stream(&i.to_string()), progress)?;
        samples.push(one.samples);
        let all = found.get_or_insert_with(|| Found {
            samples: Array2::zeros((0, 0)),
            residuals: vec![0.0; one.residuals.len()],
            calls: one.denoiser_calls,
            gradients: one.pullback_calls,
        });
        for (sum, new) in all.residuals.iter_mut().zip(one.residuals) {
            *sum += new / measured.nrows() as f64;
        }
    }
    let views: Vec<_> = samples.iter().map(|rows: &Array2<f64>| rows.view()).collect();
    let joined = concatenate(Axis(0), &views).map_err(|e| Error::numeric("samples", e.to_string()))?;
    let found = found.ok_or_else(|| Error::input("--measured", "no row", "at least one measurement"))?;
    Ok(Found { samples: joined, ..found })
}

/// What a sample is multiplied by and what is added to it on the way out of the model: means, then deviations.
fn scale(form: &Form) -> (Array1<f64>, Array1<f64>) {
    match form {
        Form::Table(columns) => (
            columns.iter().map(|column| column.mean).collect(),
            columns.iter().map(|column| column.deviation).collect(),
        ),
        Form::Images { shape } => {
            let half = Array1::from_elem(shape.iter().product::<usize>(), 0.5);
            (half.clone(), half)
        }
    }
}

/// What `--method` names.
fn way(text: &str) -> Result<Way> {
    let (name, own) = with_parameters("--method", text)?;
    if Stsl::CARD.is_called(name) {
        return Ok(Way::Stsl(Stsl::from_params(&own.into_iter().collect())?));
    }
    let mut settings: Vec<(&str, f64)> = match name {
        "dps" => vec![("zeta", 0.5)],
        "psld" => vec![("omega", 1.0), ("gamma", 0.1)],
        "covariance" | "none" => Vec::new(),
        other => {
            return Err(Error::input("--method", format!("`{other}`"), "stsl, dps, psld, covariance or none"));
        }
    };
    for (key, value) in own {
        let known = settings.iter_mut().find(|(known, _)| *known == key);
        let (Some(setting), Ok(number)) = (known, value.parse()) else {
            let want = "dps:zeta=0.5, psld:omega=1,gamma=0.1, stsl:inner=5, with numbers";
            return Err(Error::input("--method", format!("`{text}`"), want));
        };
        setting.1 = number;
    }
    Ok(match (name, &settings[..]) {
        ("dps", [(_, zeta)]) => Way::Dps { zeta: *zeta },
        ("psld", [(_, omega), (_, gamma)]) => Way::Psld { omega: *omega, gamma: *gamma },
        ("covariance", _) => Way::Covariance,
        _ => Way::Unguided,
    })
}

/// What `--operator` names, of samples on the scale of the file.
fn operator(text: &str, form: &Form) -> Result<Box<dyn LinearOp>> {
    let want = "mask:A,B or matrix:FILE.npy, of images also downsample:2 or blur:1.5";
    let wrong = || Error::input("--operator", format!("`{text}`"), want);
    let (name, how) = text.split_once(':').ok_or_else(wrong)?;
    let names = form.names();
    Ok(match (name, form) {
        ("mask", _) => {
            let place = |one: &str| match form {
                Form::Table(_) => names.iter().position(|name| name == one),
                Form::Images { .. } => one.parse().ok().filter(|pixel| *pixel < names.len()),
            };
            let missing = |one: &str| {
                let want = match form {
                    Form::Table(_) => format!("columns of the model: {}", names.join(", ")),
                    Form::Images { .. } => format!("pixels from 0 to {}", names.len() - 1),
                };
                Error::input("--operator", format!("`{one}`"), want)
            };
            let kept = how.split(',').map(|one| place(one.trim()).ok_or_else(|| missing(one)));
            Box::new(Mask::new(names.len(), kept.collect::<Result<_>>()?)?)
        }
        ("matrix", _) => Box::new(Matrix::new(read_matrix(Path::new(how))?.mapv(f64::from))?),
        ("downsample", Form::Images { shape }) => {
            Box::new(Separable::downsample(*shape, how.parse().map_err(|_| wrong())?)?)
        }
        ("blur", Form::Images { shape }) => Box::new(Separable::blur(*shape, how.parse().map_err(|_| wrong())?)?),
        _ => return Err(wrong()),
    })
}

/// The measurements, one a row.
fn measured(args: &SolveInverse, numbers: usize, form: &Form) -> Result<Array2<f64>> {
    let file = &args.measured;
    let values = if file.ends_with(".npy") || file.ends_with(".npz") {
        read_matrix(Path::new(file))?.mapv(f64::from)
    } else {
        let table = work::read(file, &args.model.points.reading)?;
        let names: Vec<String> = table.numeric_columns().into_iter().map(str::to_owned).collect();
        table.numeric(&names, Missing::Error)?
    };
    let (rows, columns) = values.dim();
    // A single image may be given as it is.
    let values = if matches!(form, Form::Images { .. }) && columns != numbers && rows * columns == numbers {
        values.into_shape_with_order((1, numbers)).map_err(|e| Error::numeric("measurements", e.to_string()))?
    } else {
        values
    };
    if values.ncols() != numbers || values.nrows() == 0 {
        let want = format!("{numbers} numbers in a row, as the operator gives");
        return Err(Error::input("--measured", format!("{rows} rows of {columns}"), want));
    }
    Ok(values)
}

/// Samples beside what was measured.
fn page(
    (args, method): (&SolveInverse, &str),
    opened: &Opened,
    operator: &dyn LinearOp,
    measured: &Array2<f64>,
    found: &Found,
) -> Result<Page> {
    let title = format!("{} samples of each of {} measurements", args.draws, measured.nrows());
    let mut page = Page::new(title, "Samples from a diffusion model that fit what was measured.");
    page.blocks.push(Block::Facts(vec![
        ("Operator".into(), args.operator.clone()),
        ("Method".into(), method.to_owned()),
        ("Model".into(), opened.what.clone()),
        ("Seed".into(), args.run.seed.to_string()),
    ]));
    if let Form::Images { shape } = opened.form {
        let seen = operator.adjoint(measured.view())?;
        let top = seen.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
        page.section("Measured", [sheet::of(&seen.mapv(|v| (v / top).clamp(0.0, 1.0)), shape)?]);
        page.section("Restored", [sheet::of(&opened.form.unscaled(&found.samples), shape)?]);
    }
    let points = found.residuals.iter().zip(1u32..).map(|(v, step)| [f64::from(step), *v, *v, *v]);
    let plot = Plot {
        title: "How far samples are from the measurement".into(),
        x: "step".into(),
        y: "distance in units of the noise".into(),
        log_x: false,
        log_y: true,
        series: vec![Series { name: "mean of all samples".into(), points: points.collect() }],
    };
    let caption = "1 is what a sample of the exact law misses the measurement by; less fits the noise.".into();
    page.section("Fit", [Block::Figure { drawing: svg::curves(&plot)?, caption }]);
    Ok(page)
}
