//! What is trained on observations, and for comparison on signals.

use super::world::{Context, EACH, Rows, World};
use super::{LEARNT, ORACLE, OURS, PLAIN, REGRESSION};
use ndarray::{Array2, Axis, concatenate};
use quadrat_core::{Error, Progress, Result, Seed, Within};
use quadrat_diffusion::forward_models::{
    ForwardDenoiser, ForwardModels, Observations, Projection, Seen, SignalNetwork, SignalSampler,
};
use quadrat_diffusion::{
    Denoising, Grid, MixtureDenoiser, NetworkDenoiser, Noising, Plan, Schedule, Solver, integrate, noise,
};

#[derive(Clone, Copy)]
pub(super) struct Course {
    pub signals: usize,
    pub width: usize,
    pub steps: usize,
    pub calls: usize,
}

/// Rows of a step.
const BATCH: usize = 128;

pub(super) struct Arms<'a> {
    world: &'a World,
    course: Course,
    seed: Seed,
    progress: Within<'a>,
    networks: Vec<(String, SignalNetwork)>,
    diffusions: Vec<(String, NetworkDenoiser)>,
}

impl<'a> Arms<'a> {
    pub fn new(world: &'a World, course: Course, seed: Seed, progress: &'a dyn Progress) -> Self {
        Arms { world, course, seed, progress: Within(progress), networks: Vec::new(), diffusions: Vec::new() }
    }

    fn forward(&self) -> Projection {
        Projection { signal: self.world.dims(), observed: 1 }
    }

    fn plan(&self) -> Result<Plan> {
        Solver::Dpmpp2m.plan(Schedule::Cosine, &Grid::LogSnr, self.course.calls)
    }

    /// Trains an arm; all see the same observations.
    pub fn train(&mut self, arm: &str, rate: f64) -> Result<()> {
        let Course { signals, width, steps, .. } = self.course;
        let rows = self.world.rows(signals, self.seed.stream("rows"))?;
        let hidden = [width; 3];
        let epochs = |n: usize| (steps * BATCH).div_ceil(n);
        if arm == OURS || arm == PLAIN {
            let method = ForwardModels {
                epochs: epochs(signals),
                batch: BATCH,
                rate,
                without: 0.0,
                novel: arm == OURS,
                ..ForwardModels::default()
            };
            let Rows { signals, parameters, observed, .. } = &rows;
            let data = Observations { signals, parameters: parameters.view(), observed: observed.view() };
            let seed = self.seed.stream("training");
            let (network, _) = method.fit(&self.forward(), data, &hidden, seed, &self.progress)?;
            self.networks.push((arm.to_owned(), network));
            return Ok(());
        }
        let condition = concatenate(Axis(1), &[rows.observed.view(), rows.parameters.view()]);
        let condition = condition.map_err(|e| Error::numeric("observations", e.to_string()))?;
        let data = Array2::from_shape_fn(rows.parameters.dim(), |(row, j)| {
            if arm == ORACLE {
                return rows.truth[[row / EACH, j]];
            }
            // Along the signal's next observation.
            let next = row / EACH * EACH + (row + 1) % EACH;
            rows.parameters[[next, j]] * rows.observed[[next, 0]]
        });
        let mut network = NetworkDenoiser::conditional_mlp(
            self.world.dims(),
            &hidden,
            [0, condition.ncols()],
            self.seed.stream(arm),
        )?;
        let noising = Noising { condition: Some(condition.view()), without: 0.0, ..Noising::of(data.view()) };
        let course = Denoising { epochs: epochs(data.nrows()), batch: BATCH, rate };
        course.fit(&mut network, noising, None, self.seed.stream("training"), &self.progress)?;
        self.diffusions.push((arm.to_owned(), network));
        Ok(())
    }

    /// Draws of an arm given a context, if it was trained.
    pub fn draw(
        &self,
        arm: &str,
        context: &Context,
        exact: &MixtureDenoiser,
        n: usize,
        seed: Seed,
    ) -> Result<Option<Array2<f64>>> {
        let (plan, forward) = (self.plan()?, self.forward());
        let row = |v: &ndarray::Array1<f64>| v.clone().insert_axis(Axis(0));
        if arm == REGRESSION {
            let mixture = exact.mixture();
            let mean = mixture.weights.dot(&mixture.means);
            return Ok(Some(Array2::from_shape_fn((n, mean.len()), |(_, j)| mean[j])));
        }
        let observed = Array2::from_elem((1, 1), context.observed);
        let seen = [Seen { parameters: row(&context.phi), observed: observed.clone() }];
        let across = row(&context.across);
        if let (LEARNT, Some((_, model))) = (arm, self.networks.first()) {
            // All noise tells nothing.
            let denoiser = ForwardDenoiser::new(model, &forward, across.view(), &seen, 1.0)?;
            return Ok(Some(denoiser.signals(noise(&plan, n, 1, seed).view(), &plan.levels()[0])?));
        }
        if let Some((_, model)) = self.networks.iter().find(|(name, _)| name == arm) {
            let sampler = SignalSampler { model, forward: &forward, plan: &plan, guidance: 1.0, temperature: 1.0 };
            return Ok(Some(sampler.draw(&seen, across.view(), n, seed, &self.progress)?.signals));
        }
        let Some((_, model)) = self.diffusions.iter().find(|(name, _)| name == arm) else { return Ok(None) };
        let condition = concatenate(Axis(1), &[observed.view(), seen[0].parameters.view()]);
        let condition = condition.map_err(|e| Error::numeric("observations", e.to_string()))?;
        let model = model.given(condition.view())?;
        let start = noise(&plan, n, self.world.dims(), seed);
        Ok(Some(integrate(&plan, &model, start, seed, &self.progress)?))
    }
}
