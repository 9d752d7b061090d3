//! `quadrat holdout plan`: what can be certified, before anything is asked.

use super::{PlanArgs, default_budget};
use crate::output::{self, Reply, count, figure, table};
use quadrat::Result;
use quadrat::estimate::adaptive_data_analysis::{
    self as holdout, Certified, Guarantee, Ladder, Plan, QueryMechanism, Thresholdout,
};
use serde_json::json;

pub fn plan(args: &PlanArgs) -> Result<Reply> {
    let Certified { queries, confidence } = args.certified.settings()?;
    let beta = 1.0 - confidence;
    let plan = holdout::plan(args.rows, queries, beta)?;
    let pmw = args.domain.map(|size| holdout::pmw_plan(args.rows, queries, size, beta)).transpose()?;
    let ladder = Ladder::planned(args.rows, queries, beta)?;
    let budget = default_budget(args.rows);
    let thresholdout = Thresholdout::planned(args.rows, args.rows, queries, budget, beta)?;
    let certified = |guarantee: Guarantee| guarantee.half_width().unwrap_or(1.0);
    let mut widths = vec![
        ("split", plan.split, "fresh rows for each question".to_owned()),
        ("gaussian", plan.gaussian.half_width, format!("standard deviation {}", figure(plan.gaussian.scale))),
        ("laplace", plan.laplace.half_width, format!("scale {}", figure(plan.laplace.scale))),
        ("thresholdout", certified(thresholdout.guarantee()), format!("--certified, --budget {budget}")),
        ("ladder", certified(ladder.guarantee()), "--step planned; of the least loss among all".to_owned()),
    ];
    if let Some(pmw) = &pmw {
        widths.push(("pmw", pmw.half_width, format!("--certified, at most {} updates", pmw.updates)));
    }
    let head = ["method", "certified half-width", ""].map(str::to_owned).to_vec();
    let rows = widths.iter().map(|(name, width, how)| {
        let vacuous = if *width >= holdout::VACUOUS { " (promises nothing)" } else { "" };
        vec![(*name).to_owned(), format!("{}{vacuous}", figure(*width)), how.clone()]
    });
    let mut text = format!(
        "{} adaptive questions about {} held-out rows, all answers valid together with probability {}\n",
        count(queries as usize),
        count(args.rows),
        confidence
    );
    text.push_str(&table(&std::iter::once(head).chain(rows).collect::<Vec<_>>(), &[]));
    text.push_str(&advice(&plan));
    if let Some(pmw) = pmw.filter(|pmw| pmw.vacuous) {
        text.push_str(&format!("pmw promises something from about {} rows on.\n", rows_needed(pmw.rows_needed)));
    }
    let value = json!({
        "plan": output::json(&plan)?,
        "thresholdout": certified(thresholdout.guarantee()),
        "ladder": certified(ladder.guarantee()),
        "pmw": output::json(&pmw)?,
    });
    Ok(Reply::new(text, value))
}

fn advice(plan: &Plan) -> String {
    if plan.vacuous {
        return format!(
            "Nothing can be certified: that takes about {} rows, or fewer questions. The default constants of \
             thresholdout and ladder still prevent most overfitting, as a rule of thumb.\n",
            rows_needed(plan.rows_needed)
        );
    }
    format!("Of noise and fresh rows, {} is narrowest.\n", plan.best)
}

fn rows_needed(rows: f64) -> String {
    if rows.is_finite() { count(rows as usize) } else { "more than 10^15".to_owned() }
}
