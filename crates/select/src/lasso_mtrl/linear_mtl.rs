//! Many linear tasks on one representation, by alternating least squares.
//!
//! The model is `y = w_m . B^T x + noise` for task m, with one B (d x k) for all. The squares are minimised over the heads
//! w_m with B fixed (a k x k system a task), then over B with the heads fixed, and so on. The second step has d k unknowns
//! that all tasks share; its equations are never written out but solved by conjugate gradients, for which a pass over the
//! rows is all it takes. Since all tasks have about the same covariance S of x, the matrix of these equations is about
//! `S (x) sum_m n_m w_m w_m^T`, and with that as preconditioner a handful of passes suffice.

use crate::convex::dot8;
use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis, s};
use quadrat_core::{Error, Progress, Result, Seed, Settings, checkpoint, stats};
use quadrat_numeric::RowMajor;
use quadrat_numeric::lasso::lasso_path;
use quadrat_numeric::linalg;
use rayon::prelude::*;

/// The labelled rows of a task.
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    /// One row a sample; all tasks have the same columns.
    pub x: Array2<f64>,
    /// One label a row: a number, or -1 and 1 for two classes.
    pub y: Vec<f64>,
}

impl Task {
    /// Of that many columns, without any rows.
    pub fn empty(columns: usize) -> Self {
        Task { x: Array2::zeros((0, columns)), y: Vec::new() }
    }

    /// Adds rows.
    ///
    /// # Errors
    /// Rows of another width; labels of another number; values that are not finite.
    pub fn append(&mut self, x: ArrayView2<f64>, y: &[f64]) -> Result<()> {
        check("rows", x, y)?;
        self.x.append(Axis(0), x).map_err(|_| {
            Error::input("rows", format!("{} columns", x.ncols()), format!("the task has {}", self.x.ncols()))
        })?;
        self.y.extend(y);
        Ok(())
    }
}

/// That there is a label for each row, and that all is finite.
fn check(what: &str, x: ArrayView2<f64>, y: &[f64]) -> Result<()> {
    if x.nrows() != y.len() {
        return Err(Error::input(format!("{what}, labels"), y.len(), format!("there are {} rows", x.nrows())));
    }
    for (row, (values, label)) in x.outer_iter().zip(y).enumerate() {
        if let Some(bad) = values.iter().chain([label]).find(|v| !v.is_finite()) {
            return Err(Error::input(format!("{what}, row {row}"), bad, "features and labels must be finite"));
        }
    }
    Ok(())
}

/// The fit of a shared representation.
#[derive(Debug, Clone, Copy, PartialEq, Settings)]
pub struct LinearMtl {
    /// Dimensions of the representation, at most the number of sources and of columns. k of the paper.
    #[param(default = 10, from = 1)]
    pub rank: usize,
    /// Keeps heads of tasks with few rows small: as if each head had been seen to be 0 on this many rows more.
    #[param(default = 1.0, from = 0, unit = "rows")]
    pub ridge: f64,
    /// Most rounds of both steps.
    #[param(fixed = 50)]
    pub sweeps: usize,
    /// Stop when a round lowers the squares by less than this share.
    #[param(fixed = 1e-6)]
    pub tol: f64,
    /// Whether each task's rows are centred and divided by their root mean square, and its labels centred: an intercept
    /// for each task, and tasks with large and small features made comparable. Without, the model has no intercept.
    #[param(fixed = true)]
    pub centre: bool,
}

/// A representation and the tasks' heads on it.
#[derive(Debug, Clone, PartialEq)]
pub struct Representation {
    /// B: columns x k. Over the rows of all tasks the second moments of the features B^T x are the identity, so that
    /// heads are in one unit and their differences are differences of predictions. Has fewer columns than asked for where
    /// the rows span fewer dimensions.
    pub b: Array2<f64>,
    /// W: k x tasks.
    pub heads: Array2<f64>,
    /// Mean squared residual over all rows.
    pub residual: f64,
    /// Rounds taken.
    pub sweeps: usize,
    ridge: f64,
    centre: bool,
}

/// A head with what it takes to predict from rows as they come.
#[derive(Debug, Clone, PartialEq)]
pub struct Head {
    /// On the representation: k values.
    pub w: Vec<f64>,
    /// On the rows themselves: one value a column.
    pub coefficients: Vec<f64>,
    /// Prediction where all columns are 0.
    pub intercept: f64,
}

impl Head {
    /// One prediction a row.
    ///
    /// # Errors
    /// Rows of another width.
    pub fn predict(&self, x: ArrayView2<f64>) -> Result<Vec<f64>> {
        let column = Array2::from_shape_fn((self.coefficients.len(), 1), |(i, _)| self.coefficients[i]);
        Ok(linalg::product(x, column.view())?.into_iter().map(|v| v + self.intercept).collect())
    }
}

impl LinearMtl {
    /// The representation that `tasks` share.
    ///
    /// Cost: rows x columns x (columns + sweeps x (k + passes, some 5)); a copy of the rows (of at most `columns` rows a
    /// task) and columns x columns numbers of memory.
    ///
    /// # Errors
    /// No tasks; a task without rows or of another width; values that are not finite; a rank of 0 or above the number
    /// of tasks or columns; a ridge that is negative or not finite; columns that are all constant.
    ///
    /// ```
    /// use ndarray::array;
    /// use quadrat_core::Silent;
    /// use quadrat_select::{LinearMtl, Task};
    /// let x = array![[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]];
    /// let tasks = [2.0, -1.0].map(|w| Task { y: x.rows().into_iter().map(|x| w * (x[0] + x[1])).collect(), x: x.clone() });
    /// let mtl = LinearMtl { rank: 1, ridge: 0.0, centre: false, ..LinearMtl::default() };
    /// let fit = mtl.fit(&tasks, &Silent)?;
    /// assert!(fit.residual < 1e-12 && (fit.heads[[0, 0]] / fit.heads[[0, 1]] + 2.0).abs() < 1e-6);
    /// # Ok::<(), quadrat_core::Error>(())
    /// ```
    pub fn fit(&self, tasks: &[Task], progress: &dyn Progress) -> Result<Representation> {
        self.check(tasks)?;
        let stack = Stack::new(tasks, self.centre)?;
        let mut b = stack.start(self.rank)?;
        progress.begin("alternating least squares", Some(self.sweeps as u64));
        let inverse = inverse(&stack.second_moments)?;
        let (mut heads, mut objective) = stack.heads(&b, self.ridge)?;
        let mut sweeps = 0;
        while sweeps < self.sweeps {
            checkpoint(progress)?;
            let moved = linalg::orthonormal(stack.best_b(&b, &heads, &inverse)?.view())?;
            if moved.ncols() < b.ncols() {
                // All heads are 0 in some direction: nothing is left to learn of B there.
                break;
            }
            b = moved;
            let before = objective;
            (heads, objective) = stack.heads(&b, self.ridge)?;
            sweeps += 1;
            progress.advance(1);
            if before - objective <= self.tol * before {
                break;
            }
        }
        // The heads' unit: features with the identity as second moments.
        let features = linalg::product(stack.x.view(), b.view())?;
        b = b.dot(&linalg::whitening(features.view(), None)?) * (stack.rows as f64).sqrt();
        if b.ncols() == 0 {
            let want = "every column is constant in every task: there is nothing to learn from";
            return Err(Error::input("tasks", "no variation", want));
        }
        (heads, _) = stack.heads(&b, self.ridge)?;
        let residual = stack.squares(&b, &heads)? / stack.rows as f64;
        Ok(Representation { heads: heads.reversed_axes(), residual, b, sweeps, ridge: self.ridge, centre: self.centre })
    }

    fn check(&self, tasks: &[Task]) -> Result<()> {
        let Some(columns) = tasks.first().map(|task| task.x.ncols()) else {
            return Err(Error::input("tasks", "none", "give the labelled rows of at least one source task"));
        };
        for (m, task) in tasks.iter().enumerate() {
            if task.y.is_empty() || task.x.ncols() != columns {
                let want = format!("every task needs at least one row, of {columns} columns as in the first task");
                return Err(Error::input(format!("task {m}"), format!("{} x {}", task.y.len(), task.x.ncols()), want));
            }
            check(&format!("task {m}"), task.x.view(), &task.y)?;
        }
        let most = columns.min(tasks.len());
        if self.rank == 0 || self.rank > most {
            let want =
                format!("use 1 to {most}: at most the number of tasks ({}) and of columns ({columns})", tasks.len());
            return Err(Error::input("rank", self.rank, want));
        }
        if !(self.ridge >= 0.0 && self.ridge.is_finite()) {
            return Err(Error::input("ridge", self.ridge, "use a finite number of rows, at least 0"));
        }
        Ok(())
    }
}

impl Representation {
    /// The features B^T x of rows: one row each of k values.
    ///
    /// # Errors
    /// Rows of another width.
    pub fn features(&self, x: ArrayView2<f64>) -> Result<Array2<f64>> {
        linalg::product(x, self.b.view())
    }

    /// The head of a further task on this representation, by (ridge) least squares. Only heads of one representation can
    /// be compared.
    ///
    /// # Errors
    /// A task without rows or of another width, values that are not finite.
    pub fn head(&self, task: &Task) -> Result<Head> {
        if task.y.is_empty() {
            return Err(Error::input(
                "target task",
                "no labelled rows",
                "give at least a few: relevance is measured on them",
            ));
        }
        check("target task", task.x.view(), &task.y)?;
        let normal = Normaliser::of(task, self.centre);
        let (x, y) = normal.apply(task);
        let z = self.features(x.view())?;
        let mut solver = HeadSolver::new(self.b.ncols());
        solver.solve(z.view(), &y, y.len() as f64, self.ridge);
        Ok(normal.head(&self.b, solver.w))
    }

    /// The penalty of the Lasso, as a share of the smallest that leaves no source ([`Penalty::Relative`]), whose mixture
    /// of the sources' heads predicts the target's held-out labels best: the largest of those that tie.
    ///
    /// # Errors
    /// Fewer than 2 folds or more than the target has rows; as [`Representation::head`].
    ///
    /// [`Penalty::Relative`]: crate::Penalty::Relative
    pub fn choose_penalty(&self, target: &Task, folds: usize, seed: Seed) -> Result<f64> {
        let n = target.y.len();
        if folds < 2 || folds > n {
            return Err(Error::input("folds", folds, format!("use 2 to {n}, the rows of the target task")));
        }
        let mut order: Vec<usize> = (0..n).collect();
        seed.stream("penalty").rng(0).shuffle(&mut order);
        let shares: Vec<f64> = (0..=20).map(|step| 10.0_f64.powf(-0.15 * f64::from(step))).collect();
        let mut squares = vec![0.0; shares.len()];
        for fold in 0..folds {
            let part = |held_out: bool| -> Task {
                let rows: Vec<usize> = (0..n).filter(|i| (i % folds == fold) == held_out).map(|i| order[i]).collect();
                Task { x: target.x.select(Axis(0), &rows), y: rows.iter().map(|row| target.y[*row]).collect() }
            };
            let (known, held_out) = (part(false), part(true));
            let head = self.head(&known)?;
            let path = lasso_path(self.heads.view(), &head.w, 0.0, None)?;
            let normal = Normaliser::of(&known, self.centre);
            for (share, squares) in shares.iter().zip(&mut squares) {
                let mixed = self.heads.dot(&Array1::from(path.at(share * path.lambda_max())));
                let predicted = normal.head(&self.b, mixed.to_vec()).predict(held_out.x.view())?;
                *squares += predicted.iter().zip(&held_out.y).map(|(p, y)| (p - y).powi(2)).sum::<f64>();
            }
        }
        let best = (0..shares.len()).reduce(|best, at| if squares[at] < squares[best] { at } else { best });
        Ok(best.map_or(1.0, |best| shares[best]))
    }
}

/// What is taken off a task's rows and labels, and what its rows are divided by.
struct Normaliser {
    mean: Array1<f64>,
    scale: f64,
    label: f64,
}

impl Normaliser {
    fn of(task: &Task, centre: bool) -> Self {
        let nothing = Normaliser { mean: Array1::zeros(task.x.ncols()), scale: 1.0, label: 0.0 };
        if !centre {
            return nothing;
        }
        let mean = task.x.mean_axis(Axis(0)).unwrap_or(nothing.mean);
        let rest = task.x.outer_iter().flat_map(|row| row.iter().zip(&mean).map(|(v, m)| v - m).collect::<Vec<_>>());
        // By the largest first, so that squares of huge or tiny values stay in range.
        let rest: Vec<f64> = rest.collect();
        let largest = rest.iter().fold(0.0, |most: f64, v| most.max(v.abs()));
        let scale = match largest > 0.0 {
            true => largest * (rest.iter().map(|v| (v / largest).powi(2)).sum::<f64>() / rest.len() as f64).sqrt(),
            false => 1.0,
        };
        Normaliser { mean, scale, label: stats::mean(&task.y) }
    }

    fn apply(&self, task: &Task) -> (Array2<f64>, Vec<f64>) {
        let x = (&task.x - &self.mean) / self.scale;
        (x, task.y.iter().map(|y| y - self.label).collect())
    }

    fn head(&self, b: &Array2<f64>, w: Vec<f64>) -> Head {
        let coefficients = b.dot(&Array1::from(w.clone())) / self.scale;
        let intercept = self.label - coefficients.dot(&self.mean);
        Head { w, coefficients: coefficients.to_vec(), intercept }
    }
}

/// All tasks' rows, one task after the other. A task of more rows than columns is stood for by as many rows as columns
/// with the same second moments and the same products with the labels (the R of its QR decomposition).
struct Stack {
    x: Array2<f64>,
    y: Vec<f64>,
    /// First row of each task, and the end.
    starts: Vec<usize>,
    /// Rows that each task really has, and all.
    counts: Vec<f64>,
    rows: usize,
    /// Squares of labels that no head can change.
    fixed: f64,
    /// X^T X / rows, over all tasks.
    second_moments: Array2<f64>,
}

/// Groups of tasks that are worked on side by side, whatever the number of threads.
const GROUPS: usize = 16;

impl Stack {
    fn new(tasks: &[Task], centre: bool) -> Result<Self> {
        let d = tasks.first().map_or(0, |task| task.x.ncols());
        let shrink = |task: &Task| {
            let (x, y) = Normaliser::of(task, centre).apply(task);
            if y.len() <= d {
                return (x, y, 0.0);
            }
            let with_labels = Array2::from_shape_fn((y.len(), d + 1), |(i, j)| if j < d { x[[i, j]] } else { y[i] });
            let r = linalg::thin_r(with_labels.view());
            (r.slice(s![..d, ..d]).to_owned(), r.slice(s![..d, d]).to_vec(), r[[d, d]].powi(2))
        };
        let parts: Vec<(Array2<f64>, Vec<f64>, f64)> = tasks.par_iter().map(shrink).collect();
        let height = parts.iter().map(|(_, y, _)| y.len()).sum();
        let mut x = Array2::zeros((height, d));
        let (mut y, mut starts, mut fixed) = (Vec::with_capacity(height), vec![0], 0.0);
        for (part, labels, rest) in parts {
            x.slice_mut(s![y.len()..y.len() + labels.len(), ..]).assign(&part);
            y.extend(labels);
            starts.push(y.len());
            fixed += rest;
        }
        let counts: Vec<f64> = tasks.iter().map(|task| task.y.len() as f64).collect();
        let rows = tasks.iter().map(|task| task.y.len()).sum();
        let second_moments = linalg::gram(x.view(), None)? / rows as f64;
        if second_moments.iter().chain([&fixed]).any(|v| !v.is_finite()) {
            let want = "their squares overflow: bring features and labels to numbers near 1";
            return Err(Error::input("tasks", "values that are too large", want));
        }
        Ok(Stack { x, y, starts, counts, rows, fixed, second_moments })
    }

    fn len(&self) -> usize {
        self.counts.len()
    }

    /// The k strongest left singular vectors of the tasks' own ridge regressions, each weighted by the root of its rows.
    /// The ridge is worth as many rows as there are columns.
    fn start(&self, k: usize) -> Result<Array2<f64>> {
        let d = self.x.ncols();
        let regression = |m: usize| -> Result<Vec<f64>> {
            let rows = self.starts[m]..self.starts[m + 1];
            let (x, y) = (self.x.slice(s![rows.clone(), ..]), &self.y[rows]);
            // In the form with one unknown a row, of which there are never more than columns.
            let mut products = x.dot(&x.t());
            let ridge = products.diag().sum() / self.counts[m];
            if ridge <= 0.0 {
                return Ok(vec![0.0; d]);
            }
            products.diag_mut().mapv_inplace(|v| v + ridge);
            let mut dual = y.to_vec();
            solve_in_place(&mut products.into_raw_vec_and_offset().0, &mut dual);
            let weight = self.counts[m].sqrt();
            Ok(x.t().dot(&Array1::from(dual)).iter().map(|v| v * weight).collect())
        };
        let rows = (0..self.len()).into_par_iter().map(regression).collect::<Result<Vec<_>>>()?;
        let theta = Array2::from_shape_vec((self.len(), d), rows.concat());
        let theta = theta.map_err(|e| Error::numeric("start of the representation", e.to_string()))?;
        let (_, vectors) = linalg::symmetric_eigen(linalg::gram(theta.view(), None)?.view())?;
        Ok(vectors.slice(s![.., ..k]).to_owned())
    }

    /// The best heads (one row a task) on B, and the penalised squares.
    fn heads(&self, b: &Array2<f64>, ridge: f64) -> Result<(Array2<f64>, f64)> {
        let k = b.ncols();
        let z = linalg::product(self.x.view(), b.view())?;
        let mut heads = vec![0.0; self.len() * k];
        let group = self.len().div_ceil(GROUPS);
        let of_group = |solver: &mut HeadSolver, (at, heads): (usize, &mut [f64])| {
            let mut cost = 0.0;
            for (m, head) in (at * group..).zip(heads.chunks_exact_mut(k)) {
                let rows = self.starts[m]..self.starts[m + 1];
                let (z, y) = (z.slice(s![rows.clone(), ..]), &self.y[rows]);
                solver.solve(z, y, self.counts[m], ridge);
                let w = &solver.w;
                head.copy_from_slice(w);
                let fitted = |z: ArrayView1<f64>| z.iter().zip(w).map(|(z, w)| z * w).sum::<f64>();
                cost += z.outer_iter().zip(y).map(|(z, y)| (y - fitted(z)).powi(2)).sum::<f64>();
                cost += w.iter().map(|w| w * w).sum::<f64>() * solver.penalty;
            }
            cost
        };
        let groups = heads.par_chunks_mut(group * k).enumerate();
        let costs: Vec<f64> = groups.map_init(|| HeadSolver::new(k), of_group).collect();
        let heads = Array2::from_shape_vec((self.len(), k), heads);
        let heads = heads.map_err(|e| Error::numeric("heads", e.to_string()))?;
        Ok((heads, self.fixed + costs.iter().sum::<f64>()))
    }

    /// The squares of the residuals.
    fn squares(&self, b: &Array2<f64>, heads: &Array2<f64>) -> Result<f64> {
        let z = linalg::product(self.x.view(), b.view())?;
        let of_task = |m: usize| -> f64 {
            (self.starts[m]..self.starts[m + 1]).map(|i| (self.y[i] - z.row(i).dot(&heads.row(m))).powi(2)).sum()
        };
        Ok(self.fixed + (0..self.len()).map(of_task).sum::<f64>())
    }

    /// Steps of conjugate gradients from `b` towards the B that is best for the heads: each lowers the squares, and
    /// they stop when a hundredth of the first gradient is left, since the heads move next anyway.
    fn best_b(&self, b: &Array2<f64>, heads: &Array2<f64>, inverse_moments: &Array2<f64>) -> Result<Array2<f64>> {
        const STEPS: usize = 20;
        const LEFT: f64 = 1e-4; // of the squared length
        let weighted = Array2::from_shape_fn(heads.dim(), |(m, j)| heads[[m, j]] * self.counts[m]);
        let inverse_heads = inverse(&heads.t().dot(&weighted))?;
        let precondition = |gradient: &Array2<f64>| inverse_moments.dot(gradient).dot(&inverse_heads);
        let mut b = b.clone();
        let mut rest = self.pull(&b, heads, |y, fitted| y - fitted);
        let mut toward = precondition(&rest);
        let mut length = (&rest * &toward).sum();
        let enough = LEFT * length;
        let mut step = toward.clone();
        for _ in 0..STEPS {
            if length <= enough || length <= 0.0 {
                break;
            }
            let image = self.pull(&step, heads, |_, fitted| fitted);
            let curvature = (&step * &image).sum();
            if curvature <= 0.0 {
                break;
            }
            let far = length / curvature;
            b.scaled_add(far, &step);
            rest.scaled_add(-far, &image);
            toward = precondition(&rest);
            let next = (&rest * &toward).sum();
            step = &toward + &(step * (next / length));
            length = next;
        }
        Ok(b)
    }

    /// `sum_m X_m^T e_m w_m^T`, with e of each row from its label and its fitted value under `b`: one pass over the rows.
    fn pull(&self, b: &Array2<f64>, heads: &Array2<f64>, e: impl Fn(f64, f64) -> f64 + Sync) -> Array2<f64> {
        let (d, k) = b.dim();
        let tasks = self.len();
        let groups: Vec<Array2<f64>> = (0..GROUPS)
            .into_par_iter()
            .map(|group| {
                let mut sum = Array2::zeros((d, k));
                let mut gradient = vec![0.0; d];
                for m in group * tasks / GROUPS..(group + 1) * tasks / GROUPS {
                    let direction = b.dot(&heads.row(m)).to_vec();
                    gradient.fill(0.0);
                    let rows = self.x.slice(s![self.starts[m]..self.starts[m + 1], ..]);
                    let rows = RowMajor::of(rows);
                    for (row, y) in rows.values().chunks_exact(d).zip(&self.y[self.starts[m]..]) {
                        let e = e(*y, dot8(row, &direction));
                        gradient.iter_mut().zip(row).for_each(|(g, x)| *g += e * x);
                    }
                    for (mut sum, g) in sum.outer_iter_mut().zip(&gradient) {
                        sum.scaled_add(*g, &heads.row(m));
                    }
                }
                sum
            })
            .collect();
        groups.into_iter().fold(Array2::zeros((d, k)), |total, group| total + group)
    }
}

/// The inverse of a matrix of second moments, with a little added where it is singular.
fn inverse(moments: &Array2<f64>) -> Result<Array2<f64>> {
    let n = moments.nrows();
    let mut moments = moments.clone();
    let little = 1e-10 * moments.diag().sum() / n as f64;
    moments.diag_mut().mapv_inplace(|v| if little > 0.0 { v + little } else { 1.0 });
    linalg::solve(moments.view(), Array2::eye(n).view())
}

/// Ridge regressions on few features, without allocating anew.
struct HeadSolver {
    gram: Vec<f64>,
    w: Vec<f64>,
    /// Of the last solution: what the squares of its head cost.
    penalty: f64,
}

impl HeadSolver {
    fn new(k: usize) -> Self {
        HeadSolver { gram: vec![0.0; k * k], w: vec![0.0; k], penalty: 0.0 }
    }

    /// The head for features `z` and labels `y` that stand for `count` rows; the ridge counts in such rows.
    fn solve(&mut self, z: ArrayView2<f64>, y: &[f64], count: f64, ridge: f64) {
        let k = self.w.len();
        self.gram.fill(0.0);
        self.w.fill(0.0);
        for (z, y) in z.outer_iter().zip(y) {
            for (i, zi) in z.iter().enumerate() {
                self.w[i] += zi * y;
                self.gram[i * k..].iter_mut().zip(z.iter().take(i + 1)).for_each(|(g, zj)| *g += zi * zj);
            }
        }
        let trace: f64 = (0..k).map(|i| self.gram[i * k + i]).sum();
        self.penalty = ridge * trace / (k as f64 * count);
        (0..k).for_each(|i| self.gram[i * k + i] += self.penalty);
        solve_in_place(&mut self.gram, &mut self.w);
    }
}

/// Solves `A x = b` in place of b, by the Cholesky factor in place of A (positive semi-definite, row-major; the lower
/// triangle is read). A direction that A leaves nothing of gets 0.
fn solve_in_place(a: &mut [f64], b: &mut [f64]) {
    let n = b.len();
    for i in 0..n {
        let (done, row) = a.split_at_mut(i * n);
        let row = &mut row[..=i];
        let whole = row[i];
        for j in 0..i {
            let above = &done[j * n..=j * n + j];
            row[j] = (row[j] - dot8(&row[..j], &above[..j])) / above[j];
        }
        let pivot = whole - dot8(&row[..i], &row[..i]);
        row[i] = if pivot > 1e-14 * whole { pivot.sqrt() } else { f64::INFINITY };
        b[i] = (b[i] - dot8(&row[..i], &b[..i])) / row[i];
    }
    for i in (0..n).rev() {
        b[i] /= a[i * n + i];
        let value = b[i];
        b[..i].iter_mut().zip(&a[i * n..i * n + i]).for_each(|(b, a)| *b -= value * a);
    }
}

#[cfg(test)]
mod tests;
