//! Data as the theory has it: what a purchase is worth, against what the formulas say.

use super::{exact, l1, squares};
use crate::{Figure, Repetitions, Trial};
use ndarray::{Array1, Array2};
use quadrat_core::{By, Evidence, Plot, Relation, Result, Seed, Series, Silent, stats};
use quadrat_numeric::linalg;
use quadrat_select::{LinearMtl, Rule, Task, TaskAllocator};

const COLUMNS: usize = 40;
const RANK: usize = 5;
const SOURCES: usize = 50;
const TARGET_ROWS: usize = 50;
/// What the heads of two sources are multiplied by: relevance becomes concentrated.
const STRENGTHS: [f64; 3] = [1.0, 2.0, 4.0];
const ARMS: [&str; 5] = ["uniform", "l2 known", "l1 known", "l2", "l1"];

pub(super) struct Plan {
    most: usize,
    budgets: &'static [usize],
}

/// What is known of a purchase beforehand or found afterwards.
struct Outcome {
    arm: &'static str,
    /// Of the best head on the representation.
    representation: f64,
    /// Of the head from the target's labels.
    risk: f64,
    /// What the exact formula says of the first.
    predicted: f64,
}

const REPRESENTATION: &str = "excess risk of the representation";
const RATIO: &str = "risk of l2 over l1, measured over exact formula";
const BOUNDS: &str = "risk of l2 over l1, measured over the bounds' ratio";

fn at(what: &str, budget: usize) -> String {
    format!("{what}/N={budget}")
}

impl Plan {
    pub fn of(trial: &Trial) -> Self {
        trial.at(
            Plan { most: 2, budgets: &[2000] },
            Plan { most: 24, budgets: &[20_000] },
            Plan { most: 40, budgets: &[20_000, 40_000] },
        )
    }

    /// The budget that decides: 20,000 rows.
    fn decides(&self) -> usize {
        self.budgets.iter().copied().filter(|n| *n <= 20_000).max().unwrap_or_default()
    }

    pub fn describe(&self) -> String {
        format!(
            "A: {SOURCES} sources in {COLUMNS} Gaussian columns with a shared representation of {RANK} dimensions, noise 1; \
             heads are Gaussian, those of two sources 1, 2 or 4 times as large (a repetition is one world of each, and the \
             geometric mean over them); the target is their sum and a tenth of something else, with {TARGET_ROWS} labels. N \
             of {:?} rows are bought: with the heads known (at least {RANK} rows of every source), or with a quarter of N \
             bought from all sources alike to estimate them. The representation's excess risk is that of the best head on it.",
            self.budgets,
        )
    }

    /// Said before anything is measured.
    pub fn expect(&self, evidence: &mut Evidence) {
        let metric = at(REPRESENTATION, self.decides());
        let says = "with estimated heads, a better representation than by the l2 rule";
        evidence.expect(says, &metric, "l1", Some("l2"), Relation::Below(1.0)).by(By::Ratio).matters(1.15);
        let says = "with estimated heads, half the excess risk of buying from all sources alike";
        evidence.expect(says, &metric, "l1", Some("uniform"), Relation::Below(0.5)).by(By::Ratio).matters(1.25);
        let says = "with the heads known, a better representation than by the l2 rule";
        evidence.report(says, &metric, "l1 known", Some("l2 known"), Relation::Below(1.0)).by(By::Ratio);
        for budget in self.budgets.iter().filter(|n| **n != self.decides()) {
            let says = format!("N = {budget}: with estimated heads, a better representation than by the l2 rule");
            let metric = at(REPRESENTATION, *budget);
            evidence.report(&says, &metric, "l1", Some("l2"), Relation::Below(1.0)).by(By::Ratio);
        }
        let says = "N as decides: with the target's labels counted in, the risk of l1 is below that of l2";
        evidence.report(says, &at("excess risk", self.decides()), "l1", Some("l2"), Relation::Below(1.0)).by(By::Ratio);
        for (says, what) in [
            ("heads known: risk of l2 over l1 follows M |nu2|_2^2 / |nu1|_1^2 within a factor 1.5", BOUNDS),
            ("heads known: it follows the exact formula, the least sum nu_m^2 / n_m, within a factor 1.5", RATIO),
        ] {
            evidence.report(says, &at(what, self.decides()), "known", None, Relation::Within(1.5)).by(By::Ratio);
        }
        evidence.notes.push(
            "A: the ratio M |nu2|_2^2 / |nu1|_1^2 compares two upper bounds. The risk of an allocation is the least sum \
             nu_m^2 / n_m over all mixtures, w^T (W diag(n) W^T)^-1 w, which the l1 allocation minimises and attains; for the \
             l2 allocation it is less than M |nu2|_2^2 / N. So l1 wins by less than the bounds' ratio, and the exact ratio \
             stands beside it. The head from the target's 50 labels adds about 5/50 to every arm's risk, which hides most of \
             what a better representation gains."
                .into(),
        );
    }

    pub fn run(&self, trial: &Trial, evidence: &mut Evidence) -> Result<()> {
        let worlds = Repetitions { part: "worlds", pilot: 6, most: self.most };
        trial.repeat(evidence, worlds, |seed| self.repetition(seed))?;
        let plot = self.plot(evidence);
        evidence.plots.push(plot);
        Ok(())
    }

    /// Geometric means over the strengths.
    fn repetition(&self, seed: Seed) -> Result<Vec<Figure>> {
        let mut logs: Vec<(&str, String, f64)> = Vec::new();
        for strength in STRENGTHS {
            let world = World::new(seed.stream("world"), strength)?;
            for &budget in self.budgets {
                let outcomes = world.purchases(budget)?;
                for o in &outcomes {
                    logs.push((o.arm, at(REPRESENTATION, budget), o.representation.ln()));
                    logs.push((o.arm, at("excess risk", budget), o.risk.ln()));
                }
                let of = |arm: &str| outcomes.iter().find(|o| o.arm == arm);
                if let (Some(l1_arm), Some(l2_arm)) = (of("l1 known"), of("l2 known")) {
                    let ratio = l2_arm.representation / l1_arm.representation;
                    let bounds = SOURCES as f64 * squares(&world.nu(Rule::L2)?) / l1(&world.nu(Rule::L1)?).powi(2);
                    logs.push(("known", at(BOUNDS, budget), (ratio / bounds).ln()));
                    logs.push(("known", at(RATIO, budget), (ratio * l1_arm.predicted / l2_arm.predicted).ln()));
                }
            }
        }
        let mut found: Vec<Figure> = Vec::new();
        for (arm, metric, _) in &logs {
            if !found.iter().any(|(a, m, _)| a == arm && m == metric) {
                let same = logs.iter().filter(|(a, m, _)| a == arm && m == metric).map(|(_, _, v)| *v);
                found.push(((*arm).to_owned(), metric.clone(), stats::mean(&same.collect::<Vec<_>>()).exp()));
            }
        }
        Ok(found)
    }

    fn plot(&self, evidence: &Evidence) -> Plot {
        let series = ARMS.map(|arm| {
            let point = |budget: &usize| {
                let logs: Vec<f64> =
                    evidence.values(arm, &at(REPRESENTATION, *budget)).into_iter().map(|(_, v)| v.ln()).collect();
                let interval = stats::t_interval(&logs, 0.95, 0.0);
                [*budget as f64, interval.mean.exp(), interval.low.exp(), interval.high.exp()]
            };
            Series { name: arm.to_owned(), points: self.budgets.iter().map(point).collect() }
        });
        Plot {
            title: "Excess risk of the best head on the representation".into(),
            x: "rows bought from all sources".into(),
            y: "excess risk (geometric mean over strengths)".into(),
            log_x: true,
            log_y: true,
            series: series.into(),
        }
    }
}

/// A representation, heads and the rows that can be bought.
struct World {
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
        Ok(World { b, heads, target: target.to_vec(), seed })
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
