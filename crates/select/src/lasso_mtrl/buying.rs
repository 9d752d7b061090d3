//! Both stages, for somebody who buys the labels in between.

use super::{Head, LinearMtl, Relevance, Representation, Task, TaskAllocator};
use ndarray::ArrayView2;
use quadrat_core::{Error, Progress, Result};

/// A purchase of labels in two stages: ask how many rows to buy of which source, buy them, tell, ask again, tell, finish.
///
/// The state of a run is the rows that were told: to take a run up again later, tell them again.
///
/// ```
/// use ndarray::Array2;
/// use quadrat_core::{Seed, Silent};
/// use quadrat_select::{LinearMtl, Task, TaskAllocator, TaskBuying};
/// // Three sources in six columns; the target is the first of them.
/// let label = |task: usize, x: &[f64]| if task == 3 { x[0] } else { x[task] };
/// let rows = |task: usize, n: usize, stage: u64| {
///     let mut rng = Seed(stage).rng(task as u64);
///     let x = Array2::from_shape_fn((n, 6), |_| rng.normal());
///     let y = x.rows().into_iter().map(|x| label(task, x.as_slice().unwrap())).collect();
///     Task { x, y }
/// };
/// let mtl = LinearMtl { rank: 3, ..LinearMtl::default() };
/// let mut buying = TaskBuying::new(TaskAllocator::default(), mtl, 3, rows(3, 20, 0), 240, 0.25)?;
/// for stage in 1..=2 {
///     for (task, count) in buying.ask(&Silent)? {
///         let bought = rows(task, count, stage);
///         buying.tell(task, bought.x.view(), &bought.y)?;
///     }
/// }
/// assert_eq!(buying.relevance().unwrap().support, [0]);
/// let predictor = buying.finish(&Silent)?;
/// assert!((predictor.target.coefficients[0] - 1.0).abs() < 0.1);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct TaskBuying {
    allocator: TaskAllocator,
    mtl: LinearMtl,
    target: Task,
    /// What was told of each source.
    sources: Vec<Task>,
    /// Rows of each source that were asked for so far.
    asked: Vec<usize>,
    /// What the second stage may cost.
    left: usize,
    relevance: Option<Relevance>,
}

/// What comes out of a purchase.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskPredictor {
    /// From the rows of both stages.
    pub representation: Representation,
    /// Predicts the target.
    pub target: Head,
}

impl TaskBuying {
    /// A purchase from `sources` tasks for `budget`, of which the share `first` is spent equally on all of them.
    ///
    /// # Errors
    /// A target without rows; a share outside 0..1; a budget whose share does not buy one row of every source; costs as
    /// in [`TaskAllocator::relevance`].
    pub fn new(
        allocator: TaskAllocator,
        mtl: LinearMtl,
        sources: usize,
        target: Task,
        budget: usize,
        first: f64,
    ) -> Result<Self> {
        if target.y.is_empty() {
            return Err(Error::input(
                "target task",
                "no labelled rows",
                "give at least a few: relevance is measured on them",
            ));
        }
        if sources == 0 {
            return Err(Error::input("source tasks", 0, "there must be at least one"));
        }
        if !(first > 0.0 && first < 1.0) {
            return Err(Error::input(
                "share of the first stage",
                first,
                "use a share above 0 and below 1, such as 0.25",
            ));
        }
        let once: f64 = allocator.costs_of(sources)?.iter().sum();
        let each = (first * budget as f64 / once).floor();
        if each < 1.0 {
            let want = format!("{} buys one row of every source in the first stage", (once / first).ceil());
            return Err(Error::input("budget", budget, want));
        }
        Ok(TaskBuying {
            sources: vec![Task::empty(target.x.ncols()); sources],
            asked: vec![each as usize; sources],
            left: (budget as f64 - each * once).floor() as usize,
            allocator,
            mtl,
            target,
            relevance: None,
        })
    }

    /// Sources and rows of them that are to be told before anything else can happen. Once the first stage is told, this
    /// fits the representation and plans the second one.
    ///
    /// # Errors
    /// As [`LinearMtl::fit`] and [`TaskAllocator::relevance`]; cancelled.
    pub fn ask(&mut self, progress: &dyn Progress) -> Result<Vec<(usize, usize)>> {
        if self.relevance.is_none() && self.open().is_empty() {
            let representation = self.mtl.fit(&self.sources, progress)?;
            let head = representation.head(&self.target)?;
            let relevance = self.allocator.relevance(representation.heads.view(), &head.w)?;
            let more = self.allocator.allocate(&relevance, self.left)?;
            self.asked.iter_mut().zip(more).for_each(|(asked, more)| *asked += more);
            self.relevance = Some(relevance);
        }
        Ok(self.open())
    }

    /// Rows of a source that were bought; fewer than asked for, in parts, or more.
    ///
    /// # Errors
    /// An unknown source, rows of another width, labels of another number, values that are not finite.
    pub fn tell(&mut self, source: usize, x: ArrayView2<f64>, y: &[f64]) -> Result<()> {
        let sources = self.sources.len();
        let Some(task) = self.sources.get_mut(source) else {
            return Err(Error::input("source task", source, format!("there are {sources}, counted from 0")));
        };
        task.append(x, y)
    }

    /// How relevant the sources were found after the first stage.
    pub fn relevance(&self) -> Option<&Relevance> {
        self.relevance.as_ref()
    }

    /// The representation from all rows told, and the target's head on it. May be called before all is told, with what
    /// there is.
    ///
    /// # Errors
    /// As [`LinearMtl::fit`]; a source of which nothing was told; cancelled.
    pub fn finish(&self, progress: &dyn Progress) -> Result<TaskPredictor> {
        let representation = self.mtl.fit(&self.sources, progress)?;
        let target = representation.head(&self.target)?;
        Ok(TaskPredictor { representation, target })
    }

    fn open(&self) -> Vec<(usize, usize)> {
        let missing = |(asked, task): (&usize, &Task)| asked.saturating_sub(task.y.len());
        let missing = self.asked.iter().zip(&self.sources).map(missing);
        missing.enumerate().filter(|(_, rows)| *rows > 0).collect()
    }
}
