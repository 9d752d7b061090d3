//! New points like those drawn, by the exact denoiser of a normal around each, as `quadrat diffuse sample` has it.

use super::limits::MOST_MADE;
use ndarray::{Array2, Axis};
use quadrat::diffusion::{Grid, MixtureDenoiser, Schedule, Solver, integrate, noise};
use quadrat::{Area, Card, Choice, Error, Method, Params, Progress, Result, Seed, Settings};

/// How points are drawn.
#[derive(Debug, Clone, PartialEq, Settings)]
pub struct Kernel {
    /// Points to draw.
    #[param(default = 200, from = 1, to = MOST_MADE)]
    rows: usize,
    /// Width of the normal around each point, in standard deviations of the picture.
    #[param(none = "auto", above = 0)]
    width: Option<f64>,
    /// How noise becomes points.
    #[param(default = Solver::Dpmpp2m, text = "dpmpp-2m")]
    solver: Solver,
    /// Calls of the model for each new point.
    #[param(default = 10, from = 1, to = 200)]
    steps: usize,
}

/// The kernel is a model of `quadrat diffuse sample`, no method of the catalogue: its card is the playground's own.
impl Method for Kernel {
    const CARD: Card = Card {
        slug: "kernel",
        aliases: &[],
        title: "A normal around each point",
        paper: "",
        area: Area::Diffusion,
        verbs: &["diffuse sample"],
        summary: "New points from noise, through the exact model of yours: a normal around each. Nothing is trained.",
        useful_when: "",
        cost: "",
        params: Self::PARAMS,
    };
}

impl Kernel {
    /// The model of this name, of which there is one.
    pub fn named(name: &str, params: &Params) -> Result<Self> {
        match name {
            "kernel" => {
                params.check_names(&Self::CARD)?;
                Kernel::from_params(params)
            }
            other => Err(Error::input("method", format!("`{other}`"), "use kernel")),
        }
    }

    /// Draws points like `x`.
    pub fn draw(&self, x: &Array2<f64>, seed: Seed, progress: &dyn Progress) -> Result<Array2<f64>> {
        let Some(mean) = x.mean_axis(Axis(0)) else {
            return Err(Error::input("points", 0, "there must be at least one to draw like"));
        };
        let deviation = x.std_axis(Axis(0), 0.0);
        let scaled = (x - &mean) / deviation.mapv(|d| if d > 0.0 { d } else { 1.0 });
        let (n, d) = x.dim();
        let width = self.width.unwrap_or_else(|| (n as f64).powf(-1.0 / (d as f64 + 4.0)));
        let denoiser = MixtureDenoiser::kernel(scaled.view(), width)?;
        let plan = self.solver.plan(Schedule::linear(), &Grid::LogSnr, self.steps)?;
        let drawn = integrate(&plan, &denoiser, noise(&plan, self.rows, d, seed), seed, progress)?;
        Ok(drawn * &deviation + &mean)
    }

    /// The options of `quadrat diffuse sample` that draw the same.
    pub fn options(&self) -> Vec<String> {
        let model = self.width.map_or_else(|| "kernel".to_owned(), |width| format!("kernel:{width}"));
        let (rows, steps) = (self.rows.to_string(), self.steps.to_string());
        let words: [&str; 8] = ["--model", &model, "--solver", self.solver.name(), "--steps", &steps, "--rows", &rows];
        words.map(str::to_owned).to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quadrat::Silent;

    #[test]
    fn new_points_lie_where_the_old_ones_do() {
        let x = Array2::from_shape_fn((100, 2), |(i, j)| if j == 0 { i as f64 / 10.0 } else { -3.0 });
        let kernel = Kernel::from_params(&Params::from([("rows", "500"), ("width", "0.1")])).unwrap();
        let drawn = kernel.draw(&x, Seed(1), &Silent).unwrap();
        assert_eq!(drawn.dim(), (500, 2));
        assert!((drawn.column(0).mean().unwrap() - 4.95).abs() < 0.5);
        assert!(drawn.column(1).iter().all(|v| *v == -3.0), "a constant column stays constant");
        assert_eq!(drawn, kernel.draw(&x, Seed(1), &Silent).unwrap());
        assert!(kernel.draw(&Array2::zeros((0, 2)), Seed(1), &Silent).is_err());
    }

    #[test]
    fn settings_are_checked() {
        for (name, value) in [("rows", "0"), ("rows", "99999999"), ("width", "-1"), ("solver", "magic"), ("stps", "3")]
        {
            assert!(Kernel::named("kernel", &Params::from([(name, value)])).is_err(), "{name}={value}");
        }
    }
}
