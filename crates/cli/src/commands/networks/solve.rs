//! `quadrat solve`: a differential equation -> its solution on a grid, by a network and points that move.

use crate::args::Run;
use crate::commands::work;
use crate::output::{Reply, check_place, count, figure, seconds};
use crate::parameters::Declared;
use crate::report::{Block, Page, svg};
use clap::Args;
use ndarray::Array3;
use quadrat::data::images::encode;
use quadrat::inverse::pde::{Errors, Gridded, Pde, Pinn, Problem, Solution, ready};
use quadrat::{Error, Method, Plot, Progress, Result, Seed, Series};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::Instant;

#[derive(Args, Debug)]
pub struct Solve {
    /// The problem: a TOML file with the equation, its domain and its boundary; or builtin:NAME of poisson, helmholtz,
    /// advection-diffusion, reaction, burgers, peak, two-peaks and peak-10d
    #[arg(long, value_name = "FILE")]
    pub problem: String,
    #[command(flatten)]
    pub pinn: Declared<Pinn>,
    /// Places along each of the first three coordinates at which the solution is written [default: 101; with three coordinates 41]
    #[arg(long, value_name = "N")]
    pub grid: Option<usize>,
    /// Output file: .npz for NumPy, or .vtu for ParaView
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Write a self-contained HTML page about the run
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    #[command(flatten)]
    pub run: Run,
}

/// Reads the problem, solves it, writes the solution.
pub fn run(args: &Solve, parameters: &[(String, String)], progress: &dyn Progress) -> Result<Reply> {
    work::method::<Solve>("solve", Pinn::CARD.slug, parameters)?;
    let pinn = args.pinn.settings()?;
    args.pinn.check_effect()?;
    if let Some(out) = &args.out {
        check_ending(out)?;
    }
    [&args.out, &args.report].into_iter().flatten().try_for_each(|path| check_place(path))?;
    let pde = problem(&args.problem)?;
    let places = args.grid.unwrap_or(if pde.domain().dims() < 3 { 101 } else { 41 });
    let started = Instant::now();
    let solution = pinn.solve(&*pde, Seed(args.run.seed), progress)?;
    let took = started.elapsed().as_secs_f64();
    let grid = solution.on_grid(&*pde, places)?;
    let errors = solution.errors(&*pde, grid.points.view())?;
    if let Some(out) = &args.out {
        grid.save(out)?;
    }
    let done = Done { args, pde: &*pde, solution: &solution, grid: &grid, errors, took };
    if let Some(report) = &args.report {
        done.page()?.finish(report, Some(&Pinn::CARD))?;
    }
    Ok(Reply::new(done.text(), done.value()))
}

/// Before the work: that the output's ending is one that can be written.
fn check_ending(out: &Path) -> Result<()> {
    let ending = out.extension().map(|ending| ending.to_string_lossy().to_lowercase());
    match ending.as_deref() {
        Some("npz" | "vtu") => Ok(()),
        _ => Err(Error::input("--out", format!("`{}`", out.display()), "a name that ends in .npz or .vtu")),
    }
}

fn problem(name: &str) -> Result<Box<dyn Pde>> {
    match name.strip_prefix("builtin:") {
        Some(name) => ready(name),
        None => Ok(Box::new(Problem::open(Path::new(name))?)),
    }
}

/// A finished run.
struct Done<'a> {
    args: &'a Solve,
    pde: &'a dyn Pde,
    solution: &'a Solution,
    grid: &'a Gridded,
    errors: Option<Errors>,
    took: f64,
}

impl Done<'_> {
    fn text(&self) -> String {
        let (args, last) = (self.args, self.solution.history.last().copied().unwrap_or_default());
        let mut text = format!(
            "{}: {} steps by {} in {} (seed {})\n  squared residual {} on average, {} on the boundary; {} residuals were computed\n",
            args.problem,
            count(last.step),
            args.pinn.value("method"),
            seconds(self.took),
            args.run.seed,
            figure(last.residual),
            figure(last.boundary),
            count(self.solution.evaluations as usize),
        );
        if let Some(Errors { square, relative, largest }) = self.errors {
            text.push_str(&format!(
                "  against the exact solution on the grid: mean squared error {}, relative error {}, largest {}\n",
                figure(square),
                figure(relative),
                figure(largest)
            ));
        }
        for path in [&args.out, &args.report].into_iter().flatten() {
            text.push_str(&format!("wrote {}\n", path.display()));
        }
        if args.out.is_none() && args.report.is_none() {
            text.push_str("nothing was written: add --out FILE\n");
        }
        text
    }

    fn value(&self) -> Value {
        let (args, last) = (self.args, self.solution.history.last().copied().unwrap_or_default());
        let errors = self.errors.map(|e| json!({"square": e.square, "relative": e.relative, "largest": e.largest}));
        json!({
            "problem": args.problem,
            "method": args.pinn.value("method"),
            "steps": last.step,
            "residual": last.residual,
            "boundary": last.boundary,
            "loss": last.loss,
            "evaluations": self.solution.evaluations,
            "errors": errors,
            "dimensions": self.pde.domain().dims(),
            "grid": self.grid.axes.iter().map(ndarray::Array1::len).collect::<Vec<_>>(),
            "seed": args.run.seed,
            "seconds": self.took,
            "out": args.out,
            "report": args.report,
        })
    }

    fn page(&self) -> Result<Page> {
        let mut page = Page::new(
            format!("The solution of {}", self.args.problem),
            format!("By {}, a network and points that move.", self.args.pinn.value("method")),
        );
        let facts = self.text();
        let facts = facts.lines().filter(|line| !line.starts_with("wrote")).map(|line| Block::Text(line.trim().into()));
        page.blocks.extend(facts);
        page.section("Solution", self.pictures()?);
        let history = &self.solution.history;
        let curve = |name: &str, of: &dyn Fn(&quadrat::inverse::pde::Epoch) -> f64| {
            let points = history.iter().map(|epoch| [epoch.step as f64, of(epoch), of(epoch), of(epoch)]);
            Series { name: name.into(), points: points.filter(|p| p[1] > 0.0).collect() }
        };
        let loss = Plot {
            title: "Loss".into(),
            x: "step".into(),
            y: "mean square".into(),
            log_x: false,
            log_y: true,
            series: vec![curve("residual", &|e| e.residual), curve("boundary", &|e| e.boundary)],
        };
        let even = Plot {
            title: "How uneven it is".into(),
            x: "step".into(),
            y: "variance of the squared residual over its squared mean".into(),
            log_x: false,
            log_y: true,
            series: vec![curve("at the points", &|e| e.spread)],
        };
        let caption = |text: &str| text.to_owned();
        page.section(
            "How it went",
            [
                Block::Figure {
                    drawing: svg::curves(&loss)?,
                    caption: caption(
                        "Mean squared residual at the points of an epoch, and of the boundary's conditions.",
                    ),
                },
                Block::Figure {
                    drawing: svg::curves(&even)?,
                    caption: caption("A method that moves points well brings this down: the residual becomes even."),
                },
            ],
        );
        page.section("Points", self.points()?);
        Ok(page)
    }

    /// The solution, the squared residual's logarithm and the error as pictures, or curves in one dimension.
    fn pictures(&self) -> Result<Vec<Block>> {
        let names = self.pde.domain().names();
        if self.grid.axes.len() == 1 {
            let of = |name: &str, values: &[f64]| {
                let points = self.grid.axes[0].iter().zip(values).map(|(x, u)| [*x, *u, *u, *u]);
                Series { name: name.into(), points: points.collect() }
            };
            let mut series = vec![of("u", &self.grid.values)];
            series.extend(self.grid.exact.as_ref().map(|exact| of("exact", exact)));
            let plot =
                Plot { title: "u".into(), x: names[0].clone(), y: "u".into(), log_x: false, log_y: false, series };
            return Ok(vec![Block::Figure { drawing: svg::curves(&plot)?, caption: "The solution.".into() }]);
        }
        let range = |values: &[f64]| {
            values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(*v), high.max(*v)))
        };
        let told = |what: &str, values: &[f64]| {
            let (low, high) = range(values);
            format!(
                "{what}: from {} (dark) to {} (light); {} to the right, {} upwards.",
                figure(low),
                figure(high),
                names[0],
                names[1]
            )
        };
        let mut blocks = vec![self.picture(&self.grid.values, told("u", &self.grid.values))?];
        if let Some(exact) = &self.grid.exact {
            let off: Vec<f64> = self.grid.values.iter().zip(exact).map(|(u, exact)| (u - exact).abs()).collect();
            blocks.push(self.picture(&off, told("Distance to the exact solution", &off))?);
        }
        let logs: Vec<f64> = self.grid.squares.iter().map(|square| square.max(1e-300).log10()).collect();
        blocks.push(self.picture(&logs, told("Logarithm (base 10) of the squared residual", &logs))?);
        Ok(blocks)
    }

    /// The plane of the first two coordinates, through the middle of the third.
    fn picture(&self, values: &[f64], caption: String) -> Result<Block> {
        let (nx, ny) = (self.grid.axes[0].len(), self.grid.axes[1].len());
        let depth = self.grid.axes.get(2).map_or(1, ndarray::Array1::len);
        let at = |i: usize, j: usize| values[(i * ny + j) * depth + depth / 2];
        let all = (0..nx).flat_map(|i| (0..ny).map(move |j| (i, j))).map(|(i, j)| at(i, j));
        let (low, high) = all.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
        let zoom = 400usize.div_ceil(nx.max(ny));
        let image = Array3::from_shape_fn((3, ny * zoom, nx * zoom), |(channel, row, column)| {
            let v = (at(column / zoom, ny - 1 - row / zoom) - low) / (high - low).max(f64::MIN_POSITIVE);
            shade(v, channel)
        });
        Ok(Block::Picture { png: encode(image.view())?, caption })
    }

    /// Where the last points are, in the plane of the first two coordinates.
    fn points(&self) -> Result<Vec<Block>> {
        /// More only make the page large.
        const SHOWN: usize = 2000;
        let x = &self.solution.points.x;
        if x.ncols() < 2 {
            let values: Vec<f64> = x.iter().map(|x| f64::from(*x)).collect();
            let drawing = svg::histogram(&values, &self.pde.domain().names()[0])?;
            return Ok(vec![Block::Figure { drawing, caption: "The points of the last epoch.".into() }]);
        }
        let place = |row: usize| [f64::from(x[[row, 0]]), f64::from(x[[row, 1]])];
        let points: Vec<[f64; 2]> = (0..x.nrows().min(SHOWN)).map(place).collect();
        let caption = format!("{} of the {} points of the last epoch.", count(points.len()), count(x.nrows()));
        let layer = svg::Layer { name: "points".into(), points, colour: 1, radius: 5 };
        Ok(vec![Block::Figure { drawing: svg::scatter(&[layer])?, caption }])
    }
}

/// A channel of a colour scale from dark blue over green to yellow, for 0 to 1; its lightness grows evenly.
fn shade(v: f64, channel: usize) -> f32 {
    const STOPS: [[f64; 3]; 5] = [
        [0.267, 0.005, 0.329],
        [0.230, 0.322, 0.546],
        [0.128, 0.567, 0.551],
        [0.369, 0.789, 0.383],
        [0.993, 0.906, 0.144],
    ];
    let at = v.clamp(0.0, 1.0) * (STOPS.len() - 1) as f64;
    let i = (at as usize).min(STOPS.len() - 2);
    let part = at - i as f64;
    (STOPS[i][channel] * (1.0 - part) + STOPS[i + 1][channel] * part) as f32
}
