//! Options that were given and change nothing, in words.

use super::super::work;
use super::{Select, Standardise};
use quadrat::Card;
use quadrat::select::{Needs, without_effect};

pub fn warnings(args: &Select, card: &Card, parameters: &[(String, String)], needs: Needs) -> Vec<String> {
    let mut found = without_effect(card, &work::params(parameters));
    let slug = card.slug;
    let given = |name: &str| parameters.iter().any(|(option, _)| option.replace('_', "-") == name);
    let mut add = |idle: bool, option: &str, why: &str| {
        if idle {
            found.push(format!("{option} changes nothing: {why}"));
        }
    };
    let columns = &args.columns;
    let reads_points = needs.points || (needs.points_for_labels && columns.labels.is_none());
    let reads_none = format!("{slug} reads no features");
    for (named, option) in [
        (!args.work.features.is_empty(), "--features"),
        (!columns.text.is_empty() && args.score_model.is_none(), "--text"),
        (columns.embedding.is_some(), "--embedding"),
    ] {
        // The report draws a map of them.
        add(named && !reads_points && args.work.report.is_none(), option, &reads_none);
    }
    let vectors = columns.embedding.is_some() || !columns.text.is_empty();
    let why = if reads_points { "embeddings and texts are taken as they are" } else { &reads_none };
    add(args.standardise != Standardise::Auto && (vectors || !reads_points), "--standardise", why);
    let reads_scores = needs.scores || needs.scores_help;
    add(columns.score.is_some() && !reads_scores, "--score", &format!("{slug} reads no score"));
    add(args.score_model.is_some() && !reads_scores, "--score-model", &format!("{slug} reads no score"));
    let reads_labels = needs.labels || needs.label_points;
    add(columns.labels.is_some() && !reads_labels, "--labels", &format!("{slug} reads no labels"));
    let no_graph = format!("{slug} has no graph of labels");
    add(args.label_embedding.is_some() && !needs.label_points, "--label-embedding", &no_graph);
    add(args.label_edges.is_some() && !needs.label_points, "--label-edges", &no_graph);
    if needs.label_points {
        let edges = args.label_edges.is_some();
        add(given("threshold") && edges, "--threshold", "--label-edges says which labels are joined");
        add(given("clusters") && columns.labels.is_some(), "--clusters", "the rows have labels of their own");
    }
    if slug == "diversify-conquer" {
        add(given("rounds") && args.state.is_some(), "--rounds", "with --state every call is a round of its own");
        add(given("judge") && args.state.is_some(), "--judge", "with --state your own scores judge the rows");
    }
    found
}
