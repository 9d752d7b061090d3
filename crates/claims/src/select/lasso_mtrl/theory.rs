//! Data as the theory has it: what a purchase is worth, against what the formulas say.

use super::{exact, l1, squares};
use crate::Trial;
use ndarray::{Array1, Array2};
use quadrat_core::{Evidence, Plot, Relation, Result, Seed, Series, Silent, checkpoint, stats};
use quadrat_numeric::linalg;
use quadrat_select::{LinearMtl, Rule, Task, TaskAllocator};
use rayon::prelude::*;

const COLUMNS: usize = 40;
const RANK: usize = 5;
const SOURCES: usize = 50;
const TARGET_ROWS: usize = 50;
/// What the heads of two sources are multiplied by: relevance becomes concentrated.
const STRENGTHS: [f64; 3] = [1.0, 2.0, 4.0];
const ARMS: [&str; 5] = ["uniform", "l2 known", "l1 known", "l2", "l1"];

pub(super) struct Plan {
    seeds: u64,
    budgets: &'static [usize],
}

/// What is known of a purchase beforehand or found afterwards.
#[derive(Clone)]
struct Outcome {
    arm: &'static str,
    strength: f64,
    budget: usize,
    /// Of the best head on the representation.
    representation: f64,
    /// Of the head from the target's labels.
    risk: f64,
    /// What the exact formula says of the first.
    predicted: f64,
}

fn metric(what: &str, strength: f64, budget: usize) -> String {
    format!("{what}/strength {strength}/N={budget}")
}

impl Plan {
    pub fn of(trial: &Trial) -> Self {
        trial.at(
            Plan { seeds: 2, budgets: &[2000] },
            Plan { seeds: 5, budgets: &[2000, 20_000] },
            Plan { seeds: 20, budgets: &[500, 2000, 5000, 20_000] },
        )
    }

    fn largest(&self) -> usize {
        self.budgets.last().copied().unwrap_or_default()
    }

    pub fn describe(&self) -> String {
        format!(
            "A: {SOURCES} sources in {COLUMNS} Gaussian columns with a shared representation of {RANK} dimensions, noise 1; \
             heads are Gaussian, those of two sources 1, 2 or 4 times as large; the target is their sum and a tenth of \
             something else, with {TARGET_ROWS} labels. N up to {} rows are bought: with the heads known (at least {RANK} \
             rows of every source), or with a quarter of N bought from all sources alike to estimate them. The \
             representation's excess risk is that of the best head on it. {} seeds.",
            self.largest(),
            self.seeds
        )
    }

    /// Said before anything is measured.
    pub fn expect(&self, evidence: &mut Evidence) {
        let mean = format!("log excess risk of the representation/mean of strengths/N={}", self.largest());
        for (says, arm, rival) in [
            ("with the heads known, a better representation than by the l2 rule", "l1 known", "l2 known"),
            ("with estimated heads, a better representation than by the l2 rule", "l1", "l2"),
            ("with estimated heads, a better representation than from all sources alike", "l1", "uniform"),
        ] {
            evidence.expect(says, &mean, arm, Some(rival), Relation::Below(0.0));
        }
        let within = 1.5_f64.ln();
        for strength in STRENGTHS {
            let at = |what| metric(what, strength, self.largest());
            evidence.report(
                &format!(
                    "strength {strength}: excess risk of l2 over l1 follows M |nu2|_2^2 / |nu1|_1^2 within a factor 1.5"
                ),
                &at("log of measured ratio / bounds' ratio"),
                "l2 known over l1 known",
                None,
                Relation::Within(within),
            );
            evidence.report(
                &format!(
                    "strength {strength}: it follows the exact formula, the least sum nu_m^2 / n_m, within a factor 1.5"
                ),
                &at("log of measured ratio / exact ratio"),
                "l2 known over l1 known",
                None,
                Relation::Within(within),
            );
            evidence.report(
                &format!(
                    "strength {strength}: with the target's labels counted in, the risk of l1 is below that of l2"
                ),
                &at("log excess risk"),
                "l1",
                Some("l2"),
                Relation::Below(0.0),
            );
        }
        evidence.notes.push(
            "A: the ratio M |nu2|_2^2 / |nu1|_1^2 compares two upper bounds. The risk of an allocation is the least sum \
             nu_m^2 / n_m over all mixtures, w^T (W diag(n) W^T)^-1 w, which the l1 allocation minimises and attains; for the \
             l2 allocation it is less than M |nu2|_2^2 / N. So we expected, before measuring, that l1 wins by less than the \
             bounds' ratio, and put the exact ratio beside it. The head from the target's 50 labels adds about 5/50 to \
             every arm's risk."
                .into(),
        );
    }

    pub fn run(&self, trial: &Trial, evidence: &mut Evidence) -> Result<()> {
        let cases: Vec<(u64, f64)> =
            (0..self.seeds).flat_map(|seed| STRENGTHS.map(|strength| (seed, strength))).collect();
        trial.progress.begin("tasks from the model", Some(cases.len() as u64));
        let one = |(seed, strength): &(u64, f64)| {
            checkpoint(trial.progress)?;
            let world = World::new(trial.seed.stream("theory").stream(&seed.to_string()), *strength)?;
            let outcomes = self.budgets.iter().map(|budget| world.purchases(*budget)).collect::<Result<Vec<_>>>()?;
            trial.progress.advance(1);
            Ok((*seed, world, outcomes.concat()))
        };
        let found = cases.par_iter().map(one).collect::<Result<Vec<_>>>()?;
        for (seed, world, outcomes) in &found {
            for o in outcomes {
                let mut measure = |what, value: f64| {
                    evidence.measure(o.arm, &metric(what, o.strength, o.budget), *seed, value.ln());
                };
                measure("log excess risk of the representation", o.representation);
                measure("log excess risk", o.risk);
                measure("log of measured / exact formula", o.representation / o.predicted);
            }
            let of = |arm: &str| outcomes.iter().find(|o| o.arm == arm && o.budget == self.largest());
            if let (Some(l1_arm), Some(l2_arm)) = (of("l1 known"), of("l2 known")) {
                let ratio = l2_arm.representation / l1_arm.representation;
                let bounds = SOURCES as f64 * squares(&world.nu(Rule::L2)?) / l1(&world.nu(Rule::L1)?).powi(2);
                let exact = l2_arm.predicted / l1_arm.predicted;
                let mut measure = |what, value: f64| {
                    let metric = metric(what, world.strength, self.largest());
                    evidence.measure("l2 known over l1 known", &metric, *seed, value.ln());
                };
                measure("log of measured ratio / bounds' ratio", ratio / bounds);
                measure("log of measured ratio / exact ratio", ratio / exact);
                measure("log of bounds' ratio", bounds);
                measure("log of exact ratio", exact);
            }
        }
        for arm in ARMS {
            for seed in 0..self.seeds {
                let logs: Vec<f64> = found
                    .iter()
                    .filter(|(of, _, _)| *of == seed)
                    .flat_map(|(_, _, outcomes)| outcomes)
                    .filter(|o| o.arm == arm && o.budget == self.largest())
                    .map(|o| o.representation.ln())
                    .collect();
                let metric = format!("log excess risk of the representation/mean of strengths/N={}", self.largest());
                evidence.measure(arm, &metric, seed, stats::mean(&logs));
            }
        }
        for strength in [STRENGTHS[0], STRENGTHS[2]] {
            let plot = self.plot(evidence, strength);
            evidence.plots.push(plot);
        }
        Ok(())
    }

    fn plot(&self, evidence: &Evidence, strength: f64) -> Plot {
        let series = ARMS.map(|arm| {
            let point = |budget: &usize| {
                let metric = metric("log excess risk of the representation", strength, *budget);
                let logs: Vec<f64> = evidence.values(arm, &metric).into_iter().map(|(_, v)| v).collect();
                let interval = stats::t_interval(&logs, 0.95, 0.0);
                [*budget as f64, interval.mean.exp(), interval.low.exp(), interval.high.exp()]
            };
            Series { name: arm.to_owned(), points: self.budgets.iter().map(point).collect() }
        });
        Plot {
            title: format!(
                "Excess risk of the best head on the representation, two sources {strength} times as strong"
            ),
            x: "rows bought from all sources".into(),
            y: "excess risk".into(),
            log_x: true,
            log_y: true,
            series: series.into(),
        }
    }
}

/// A representation, heads and the rows that can be bought.
struct World {
    strength: f64,
    b: Array2<f64>,
    heads: Array2<f64>,
    target: Vec<f64>,
    seed: Seed,
}

impl World {
    fn new(seed: Seed, strength: f64) -> Result<Self> {
        let mut rng = seed.stream("model").rng(0);
        let b = linalg::orthonormal(Array2::from_shape_fn((COLUMNS, RANK), |_| rng.normal()).view())?;
        let mut heads = Array2::from_shape_fn((RANK, SOURCES), |_| rng.normal());
        let sum = &heads.column(0) + &heads.column(1);
        let rest = Array1::from_shape_fn(RANK, |_| rng.normal());
        let size = |v: &Array1<f64>| v.dot(v).sqrt();
        let target = &sum + &(&rest * (0.1 * size(&sum) / size(&rest)));
        let target = &target * ((RANK as f64).sqrt() / size(&target));
        for source in 0..2 {
            heads.column_mut(source).mapv_inplace(|v| v * strength);
        }
        Ok(World { strength, b, heads, target: target.to_vec(), seed })
    }

    fn nu(&self, rule: Rule) -> Result<Vec<f64>> {
        Ok(exact(rule, 0).relevance(self.heads.view(), &self.target)?.nu)
    }

    /// The first `n` rows of a task: the same for all arms. The target is the task after the last source.
    fn rows(&self, task: usize, n: usize) -> Task {
        let mut rng = self.seed.stream("rows").rng(task as u64);
        let head = if task == SOURCES { Array1::from(self.target.clone()) } else { self.heads.column(task).to_owned() };
        let direction = self.b.dot(&head);
        let mut task = Task { x: Array2::zeros((n, COLUMNS)), y: Vec::with_capacity(n) };
        for mut row in task.x.outer_iter_mut() {
            row.iter_mut().for_each(|v| *v = rng.normal());
            task.y.push(row.dot(&direction) + rng.normal());
        }
        task
    }

    fn purchases(&self, budget: usize) -> Result<Vec<Outcome>> {
        let mtl = LinearMtl { rank: RANK, centre: false, ..LinearMtl::default() };
        let buy = |rows: &[usize]| -> Vec<Task> { rows.iter().enumerate().map(|(m, n)| self.rows(m, *n)).collect() };
        let first = budget / 4 / SOURCES;
        let target = self.rows(SOURCES, TARGET_ROWS);
        let estimate = mtl.fit(&buy(&[first; SOURCES]), &Silent)?;
        let head = estimate.head(&target)?.w;
        let known = |rule| {
            let allocator = exact(rule, RANK);
            allocator.allocate(&allocator.relevance(self.heads.view(), &self.target)?, budget)
        };
        let estimated = |rule| {
            let allocator = TaskAllocator { rule, ..TaskAllocator::default() };
            let found = allocator.relevance(estimate.heads.view(), &head)?;
            let mut rows = allocator.allocate(&found, budget - SOURCES * first)?;
            rows.iter_mut().for_each(|rows| *rows += first);
            Ok(rows)
        };
        let outcome = |arm: &'static str| {
            let rows = match arm {
                "l2 known" => known(Rule::L2),
                "l1 known" => known(Rule::L1),
                "l2" => estimated(Rule::L2),
                "l1" => estimated(Rule::L1),
                _ => known(Rule::Uniform),
            }?;
            let fit = mtl.fit(&buy(&rows), &Silent)?;
            let truth = self.b.dot(&Array1::from(self.target.clone()));
            let basis = linalg::orthonormal(fit.b.view())?;
            let missed = &truth - &basis.dot(&basis.t().dot(&truth));
            let found = Array1::from(fit.head(&target)?.coefficients) - &truth;
            Ok(Outcome {
                arm,
                strength: self.strength,
                budget,
                representation: missed.dot(&missed),
                risk: found.dot(&found),
                predicted: self.predicted(&rows)?,
            })
        };
        ARMS.into_iter().map(outcome).collect()
    }

    /// (d - k) w^T (W diag(n) W^T)^-1 w: the noise of B along the target's head, outside B's own span.
    fn predicted(&self, rows: &[usize]) -> Result<f64> {
        let weighted = Array2::from_shape_fn(self.heads.dim(), |(i, m)| self.heads[[i, m]] * rows[m] as f64);
        let column = Array2::from_shape_fn((RANK, 1), |(i, _)| self.target[i]);
        let solved = linalg::solve(weighted.dot(&self.heads.t()).view(), column.view())?;
        Ok((COLUMNS - RANK) as f64 * solved.iter().zip(&self.target).map(|(a, b)| a * b).sum::<f64>())
    }
}
