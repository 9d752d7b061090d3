//! What must hold whatever the data, and what is known of these.

use super::films::Films;
use crate::Trial;
use crate::trial::Quiet;
use quadrat_core::{Evidence, Lists, Result};
use quadrat_retrieval::recommend::{
    Estimator, Features, Field, ManyValues, Masking, Model, Recommender, Regulariser, SslItems, Task,
    mutual_information,
};

pub fn add(evidence: &mut Evidence, films: &Films, trial: &Trial) -> Result<()> {
    let seed = trial.seed.stream("identities");
    let mut rng = seed.rng(0);
    let codes: Vec<[usize; 3]> = (0..400).map(|_| [rng.below(12), rng.below(4), rng.below(6)]).collect();
    let field =
        |name: &str, of: &dyn Fn(&[usize; 3]) -> usize| Field::of(name, codes.iter().map(|c| [of(c).to_string()]));
    let fields =
        vec![field("a", &|c| c[0]), field("a mod 4", &|c| c[0] % 4), field("b", &|c| c[1]), field("c", &|c| c[2])];
    let made = Features::new(400, fields, None)?;
    let information = |features: &Features| mutual_information(features, Estimator::Plugin, ManyValues::Spread, seed);
    let table = information(&made);
    evidence.identity(
        "what a tells of a function of a is that function's entropy, nats",
        table[[0, 1]],
        table[[1, 1]],
        1e-9,
    );

    let masking = Masking::Correlated { information: table, n: 1 };
    let (mut hidden, mut twice) = (0, 0);
    for _ in 0..100 {
        let [one, other] = masking.draw(4, &mut rng);
        hidden += one.iter().filter(|hidden| **hidden).count();
        twice += one.iter().zip(&other).filter(|(one, other)| one == other).count();
    }
    evidence.identity("features hidden by 100 first masks of n + 1 = 2", hidden as f64, 200.0, 0.0);
    evidence.identity("features that both masks hide, or none", twice as f64, 0.0, 0.0);

    let small = SslItems { dims: 2, hidden: 4, width: 4, epochs: 1, ..SslItems::default() };
    let vectors = |regulariser| {
        let task = Task { interactions: &films.log, items: Some(&films.items), users: None };
        let method = SslItems { regulariser, alpha: 0.0, ..small };
        Ok(method.fit(&task, seed.stream("model"), &Quiet(trial.progress))?.model)
    };
    if let (Model::Vectors { items: one, .. }, Model::Vectors { items: other, .. }) =
        (vectors(Regulariser::Cfm { n: None })?, vectors(Regulariser::SpreadOut)?)
    {
        let gap = (&one - &other).iter().fold(0.0_f32, |most, d| most.max(d.abs()));
        evidence.identity(
            "alpha = 0 is the plain two towers: largest difference of film vectors",
            f64::from(gap),
            0.0,
            0.0,
        );
    }
    if films.real {
        known(evidence, films, &information)?;
    }
    Ok(())
}

/// Information of MovieLens-100k's films as computed by another program, to two digits: of a field of several values its first one counts,
/// of the classes all together.
fn known(
    evidence: &mut Evidence,
    films: &Films,
    information: &dyn Fn(&Features) -> ndarray::Array2<f64>,
) -> Result<()> {
    let first = |field: &Field| {
        let values: Lists =
            field.values.iter().map(|values| values.iter().copied().take(1).collect::<Vec<_>>()).collect();
        Field { values, ..field.clone() }
    };
    let all = films.items.fields();
    let class = Field::of("class", all[0].values.iter().map(|values| [format!("{values:?}")]));
    let fields = std::iter::once(class).chain(all[1..].iter().map(first)).collect();
    let table = information(&Features::new(films.items.rows(), fields, None)?);
    let place = |name: &str| all.iter().position(|field| field.name == name).unwrap_or(0);
    for (one, other, expected) in [
        ("class", "class", 3.78),
        ("country", "language", 0.57),
        ("class", "decade", 0.31),
        ("director", "writer", 5.53),
        ("decade", "country", 0.05),
    ] {
        let name = format!("information of {one} and {other}, nats");
        evidence.identity(&name, table[[place(one), place(other)]], expected, 0.005);
    }
    Ok(())
}
