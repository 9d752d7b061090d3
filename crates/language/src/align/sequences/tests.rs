use super::*;
use crate::align::{Matrix, Vote};
use ndarray::array;
use quadrat_core::Silent;
use quadrat_nn::{Vars, initialise};

const END: u32 = 3;

fn small() -> (Transformer, Parameters) {
    let network = Transformer::llama(4, 12, 16, [2, 2], 32, 1);
    let parameters = initialise(&network, Seed(3)).unwrap();
    (network, parameters)
}

fn prompts() -> Vec<Vec<u32>> {
    vec![vec![0], vec![1, 2], vec![2]]
}

type Score = fn(&[u32], &[u32]) -> f64;

/// Prefers what has more zeros.
fn judge() -> Vote<Score> {
    let zeros: Score = |_, y| y.iter().filter(|t| **t == 0).count() as f64;
    Vote(vec![zeros])
}

fn settings(method: Way) -> OnlinePreferences {
    OnlinePreferences { method, tau: 0.2, beta: 0.25, completions: 4, rate: 1e-2, steps: 40 }
}

fn run(method: Way, beside: &mut [&mut dyn TrainMethod]) -> (Task<'static>, Parameters, Aligned) {
    let (network, anchor) = small();
    let (network, prompts, judge) =
        (Box::leak(Box::new(network)), Box::leak(Box::new(prompts())), Box::leak(Box::new(judge())));
    let task = Task { network, ends: &[END], prompts, tokens: 5, batch: 4, judge };
    let aligned = settings(method).align(&task, &anchor, beside, Seed(1), &Silent).unwrap();
    (task, anchor, aligned)
}

#[test]
fn every_method_learns_what_the_judge_likes() {
    // A policy that learnt nothing is preferred half of the time, within 0.03 (one standard error) of 300 prompts.
    for (method, least) in [
        (Way::OnlineIpo, 0.7),
        (Way::IpoMd, 0.62),
        (Way::NashMdPg, 0.58),
        (Way::OnlineDpo, 0.58),
        (Way::OnlineSlic, 0.58),
        (Way::OfflineIpo, 0.58),
        (Way::OfflineDpo, 0.58),
        (Way::OfflineSlic, 0.58),
    ] {
        let (task, anchor, aligned) = run(method, &mut []);
        let many: Vec<Vec<u32>> = prompts().into_iter().cycle().take(300).collect();
        let wins = win_rate(&Task { prompts: &many, ..task }, [&aligned.parameters, &anchor], Seed(7)).unwrap();
        let mean = wins.iter().sum::<f64>() / wins.len() as f64;
        assert!(mean > least, "{method:?} {mean}");
        assert_eq!((aligned.path.len(), aligned.asymmetry), (40, 0.0));
        // The first step is taken at the anchor.
        assert!(aligned.path[0].log_ratio.abs() < 1e-4, "{method:?}");
        assert!(aligned.path.iter().all(|step| step.loss.is_finite() && step.tokens >= 1.0));
    }
}

#[test]
fn same_seed_same_bits_at_any_number_of_threads() {
    let of = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| run(Way::IpoMd, &mut []).2)
    };
    let (one, two) = (of(1), of(2));
    assert_eq!(one.path, two.path);
    assert_eq!(one.parameters.fingerprint(), two.parameters.fingerprint());
}

/// Trains one number by which the scores are stretched, in the place of everything else.
struct Stretch(bool);

impl TrainMethod for Stretch {
    fn name(&self) -> &str {
        "stretch"
    }

    fn begin(&mut self, _: &Run<'_>, parameters: &mut Parameters) -> Result<()> {
        parameters.iter_mut().for_each(|parameter| parameter.trainable = false);
        parameters.add_values("stretch".into(), vec![1], quadrat_nn::Role::Other, vec![0.0])
    }

    fn reparametrise(&self, vars: &mut Vars) -> Result<()> {
        let stretch = vars.flat("stretch")?;
        vars.replace("head.weight", |weight| weight.clone() * (stretch + 1.0))
    }

    fn finish(&mut self, _: &mut Parameters) -> Result<()> {
        self.0 = true;
        Ok(())
    }
}

#[test]
fn other_methods_may_train_in_the_place_of_the_policy() {
    let mut stretch = Stretch(false);
    let (_, anchor, aligned) = run(Way::OnlineIpo, &mut [&mut stretch]);
    assert!(stretch.0);
    // What is drawn is what the network computes with: the policy has moved though its own parameters have not.
    assert!(aligned.path.iter().skip(5).any(|step| step.log_ratio.abs() > 1e-3));
    let kept = |p: &Parameters| p.get("head.weight").unwrap().values();
    assert_eq!(kept(&aligned.parameters), kept(&anchor));
}

#[test]
fn bad_tasks_and_judges_are_refused() {
    let (network, anchor) = small();
    let (judge, prompts) = (judge(), prompts());
    let task = Task { network: &network, ends: &[END], prompts: &prompts, tokens: 5, batch: 2, judge: &judge };
    let ipo = settings(Way::OnlineIpo);
    let error = |task: &Task<'_>, ipo: OnlinePreferences| {
        ipo.align(task, &anchor, &mut [], Seed(1), &Silent).unwrap_err().to_string()
    };
    let empty = vec![vec![]];
    let matrix = Matrix(array![[0.5, 0.9], [0.2, 0.5]]);
    for (task, part) in [
        (Task { prompts: &[], ..task }, "0 prompts"),
        (Task { tokens: 0, ..task }, "0 tokens"),
        (Task { prompts: &empty, ..task }, "no tokens"),
        (Task { tokens: 30, ..task }, "at most 13"),
        (Task { judge: &matrix, ..task }, "one token, a row of the matrix"),
    ] {
        let said = error(&task, ipo);
        assert!(said.contains(part), "{said}");
    }
    assert!(error(&task, OnlinePreferences { tau: -1.0, ..ipo }).contains("tau: got -1"));
    for completions in [0, 1] {
        assert!(error(&task, OnlinePreferences { completions, ..ipo }).contains("at least 2"));
    }
    assert!(error(&task, OnlinePreferences { beta: 1.5, ..ipo }).contains("beta: got 1.5"));
    let both = Transformer { causal: false, ..network.clone() };
    assert!(error(&Task { network: &both, ..task }, ipo).contains("causal"));
}
