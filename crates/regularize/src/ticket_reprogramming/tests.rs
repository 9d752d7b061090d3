use super::*;
use proptest::prelude::*;
use quadrat_core::Seed;
use quadrat_nn::{At, ConvNet, Loss, gradients};

fn samples(width: usize, classes: u32, seed: u64) -> Samples {
    let mut rng = Seed(seed).rng(0);
    let labels: Vec<u32> = (0..48).map(|i| i % classes).collect();
    let inputs = Array2::from_shape_fn((48, width), |(i, j)| {
        let bright = if j as u32 % classes == labels[i] { 0.6 } else { 0.0 };
        (bright + 0.4 * rng.uniform()) as f32
    });
    Samples::classes(inputs, labels, classes as usize).unwrap()
}

fn network() -> ConvNet {
    ConvNet { filters: vec![4, 6], hidden: 16, norm: true, ..ConvNet::new([1, 8, 8], 6) }
}

fn trainer() -> Trainer {
    Trainer { epochs: 2, batch: 16, rate: 5e-3, seed: Seed(4), ..Trainer::default() }
}

fn alive(masks: &[(String, Vec<bool>)]) -> usize {
    masks.iter().flat_map(|(_, mask)| mask).filter(|alive| **alive).count()
}

/// Keeps what the first batch of a training starts from.
struct Start(Option<Parameters>);

impl TrainMethod for Start {
    fn name(&self) -> &str {
        "start"
    }
    fn gradients(&mut self, at: At, parameters: &Parameters, _: &mut [Vec<f32>]) -> Result<()> {
        if at.step == 0 {
            self.0 = Some(parameters.clone());
        }
        Ok(())
    }
}

#[test]
fn each_round_leaves_its_share_and_dead_weights_are_zero() {
    let (network, data) = (network(), samples(64, 6, 1));
    for global in [true, false] {
        let maker = TicketMaker { rounds: 4, rewind: Rewind::Step(2), global, ..TicketMaker::default() };
        let tickets = maker.run(&trainer(), &network, &data, &Silent).unwrap();
        assert_eq!(tickets.len(), 5);
        let all: usize = tickets[1].masks.iter().map(|(_, mask)| mask.len()).sum();
        for (r, ticket) in tickets.iter().enumerate() {
            let exact = all as f64 * 0.8f64.powi(r as i32);
            let kept = ticket.density * all as f64;
            // A weight for each round and, layer by layer, for each of the four layers.
            let slack = r as f64 * if global { 1.0 } else { 4.0 };
            assert!((kept - exact).abs() <= slack, "round {r}: {kept} of {exact}");
            for (name, mask) in &ticket.masks {
                let weights = ticket.parameters.get(name).unwrap().values();
                assert!(weights.iter().zip(mask).all(|(w, alive)| *alive == (*w != 0.0)), "{name} in round {r}");
            }
        }
        for pair in tickets[1..].windows(2) {
            let subset = pair[0]
                .masks
                .iter()
                .zip(&pair[1].masks)
                .all(|((_, old), (_, new))| old.iter().zip(new).all(|(old, new)| *old || !*new));
            assert!(subset, "what is pruned stays pruned");
        }
    }
}

#[test]
fn no_round_is_dense_training_bit_for_bit() {
    let (network, data) = (network(), samples(64, 6, 1));
    let dense = trainer().fit(&network, &data, None, &mut [], &Silent).unwrap().parameters;
    for rewind in [Rewind::Init, Rewind::Step(3)] {
        let maker = TicketMaker { rounds: 0, rewind, ..TicketMaker::default() };
        let tickets = maker.run(&trainer(), &network, &data, &Silent).unwrap();
        assert_eq!(tickets[0].parameters.fingerprint(), dense.fingerprint());
        assert_eq!((tickets.len(), tickets[0].density), (1, 1.0));
    }
}

/// θₖ by hand: a ticket is the training of θₖ with the mask, and that starts from θₖ at the survivors and 0 elsewhere.
/// Statistics are rewound with the rest.
#[test]
fn survivors_are_set_back_to_the_rewind_step() {
    let (network, data) = (network(), samples(64, 6, 1));
    for (rewind, k) in [(Rewind::Init, 0), (Rewind::Step(1), 1), (Rewind::Step(4), 4)] {
        let maker = TicketMaker { rounds: 2, rewind, ..TicketMaker::default() };
        let tickets = maker.run(&trainer(), &network, &data, &Silent).unwrap();
        let mut snapshot = Snapshot { step: k, taken: None };
        trainer().fit(&network, &data, None, &mut [&mut snapshot], &Silent).unwrap();
        let fresh = initialise(&network, trainer().seed.stream("parameters")).unwrap();
        let theta = snapshot.taken.unwrap_or(fresh);
        for ticket in &tickets[1..] {
            let (mut pattern, mut start) = (FixedMask { masks: ticket.masks.clone() }, Start(None));
            let mut methods: [&mut dyn TrainMethod; 2] = [&mut pattern, &mut start];
            let again = trainer().fit_from(&network, theta.clone(), &data, None, &mut methods, &Silent).unwrap();
            assert_eq!(again.parameters.fingerprint(), ticket.parameters.fingerprint(), "{rewind:?}");
            let start = start.0.unwrap();
            for (name, mask) in &ticket.masks {
                let (set, theta) = (start.get(name).unwrap().dense(), theta.get(name).unwrap().dense());
                let expected = theta.iter().zip(mask).map(|(w, alive)| if *alive { *w } else { 0.0 });
                assert!(set.iter().copied().eq(expected), "{name}");
            }
        }
    }
}

#[test]
fn pruning_ranks_survivors_only_and_leaves_out_what_it_is_told_to() {
    let mut parameters = Parameters::default();
    let weights = |values: &[f32]| (vec![1, values.len()], Role::Weight, values.to_vec());
    for (name, values) in [("a", &[0.1f32, -0.2, 3.0, 0.0][..]), ("b", &[-5.0, 0.3, 0.25, 9.0]), ("c", &[1e-9; 4])] {
        let (shape, role, values) = weights(values);
        parameters.add_values(name.into(), shape, role, values).unwrap();
    }
    let exclude = ["c".to_owned()];
    let masks = global_masks(&parameters, &[], 0.25, true, &exclude).unwrap();
    assert_eq!(masks, [("a".to_owned(), vec![false, true, true, false]), ("b".to_owned(), vec![true; 4])]);
    let masks = global_masks(&parameters, &masks, 0.5, true, &exclude).unwrap();
    let expected = [vec![false, false, true, false], vec![true, false, false, true]];
    assert_eq!([masks[0].1.clone(), masks[1].1.clone()], expected);
    let masks = global_masks(&parameters, &[], 0.5, false, &exclude).unwrap();
    assert_eq!([alive(&masks[..1]), alive(&masks[1..])], [2, 2]);
    let error = global_masks(&parameters, &[], 0.7, true, &[]).unwrap_err().to_string();
    assert!(error.contains("`c` would be empty"), "{error}");
}

#[test]
fn wrong_tickets_are_refused() {
    let (network, data) = (network(), samples(64, 6, 1));
    let refused = |maker: TicketMaker| maker.run(&trainer(), &network, &data, &Silent).unwrap_err().to_string();
    for rate in [0.0, 1.0, -0.1, f64::NAN] {
        assert!(refused(TicketMaker { rate, ..TicketMaker::default() }).contains("between 0 and 1"));
    }
    let error = refused(TicketMaker { rewind: Rewind::Step(100), ..TicketMaker::default() });
    assert!(error.contains("step 100"), "{error}");
    let error = refused(TicketMaker { rate: 0.99, rounds: 9, rewind: Rewind::Init, ..TicketMaker::default() });
    assert!(error.contains("would be empty"), "{error}");
    let mut wrong = FixedMask { masks: vec![("fc1.weight".into(), vec![true; 3])] };
    assert!(trainer().fit(&network, &data, None, &mut [&mut wrong], &Silent).is_err());
}

/// All entries from the largest count down, first come first among equals; each is taken if row and column are free.
fn sorted_mapping(counts: &Array2<usize>) -> Vec<usize> {
    let (old, new) = counts.dim();
    let mut entries: Vec<(usize, usize)> = (0..old).flat_map(|i| (0..new).map(move |j| (i, j))).collect();
    entries.sort_by_key(|(i, j)| (std::cmp::Reverse(counts[[*i, *j]]), i * new + j));
    let mut mapping = vec![usize::MAX; new];
    for (i, j) in entries {
        if mapping[j] == usize::MAX && !mapping.contains(&i) {
            mapping[j] = i;
        }
    }
    mapping
}

proptest! {
    #[test]
    fn mapping_is_greedy_and_one_to_one(
        (counts, old, new) in (1usize..6).prop_flat_map(|new| (new..8).prop_flat_map(move |old| {
            (prop::collection::vec(0usize..5, old * new), Just(old), Just(new))
        }))
    ) {
        let counts = Array2::from_shape_vec((old, new), counts).unwrap();
        let mapping = greedy_mapping(&counts);
        prop_assert_eq!(&mapping, &sorted_mapping(&counts));
        let mut taken = mapping.clone();
        taken.sort_unstable();
        taken.dedup();
        prop_assert_eq!(taken.len(), new);
        prop_assert!(taken.iter().all(|i| *i < old));
    }
}

const TARGET: [usize; 3] = [1, 5, 4];

/// A trained network of six classes behind a border for 5 x 4 images of four classes.
fn prompted() -> (ConvNet, Parameters, Samples) {
    let network = network();
    let backbone = trainer().fit(&network, &samples(64, 6, 1), None, &mut [], &Silent).unwrap().parameters;
    (network, backbone, samples(20, 4, 2))
}

#[test]
fn images_stand_in_the_middle_of_a_grey_border() {
    struct Image;
    impl Network for Image {
        fn inputs(&self) -> usize {
            64
        }
        fn outputs(&self) -> usize {
            64
        }
        fn parameters(&self) -> Vec<Spec> {
            Vec::new()
        }
        fn forward(&self, _: &mut Forward, inputs: &Inputs) -> Result<Tensor<2>> {
            Ok(inputs.numbers())
        }
    }
    let prompt = Prompt::new(&Image, [1, 8, 8], TARGET, 4).unwrap().unmapped();
    let parameters = initialise(&prompt, Seed(0)).unwrap();
    let image = Array2::from_shape_fn((1, 20), |(_, i)| i as f32 / 20.0);
    let seen = predict(&prompt, &parameters, image.view(), &[]).unwrap();
    // (8 - 5 + 1) / 2 rows above, (8 - 4 + 1) / 2 columns on the left.
    for i in 0..64 {
        let (y, x) = (i / 8, i % 8);
        let inside = (2..7).contains(&y) && (2..6).contains(&x);
        let expected = if inside { image[[0, (y - 2) * 4 + x - 2]] } else { 0.5 };
        assert_eq!(seen[[0, i]], expected, "row {y}, column {x}");
    }
}

#[test]
fn the_program_learns_on_the_border_only_and_along_its_gradient() {
    let (network, backbone, data) = prompted();
    let prompt = Prompt::new(&network, [1, 8, 8], TARGET, 4).unwrap();
    let mut parameters = backbone.clone();
    parameters.iter_mut().for_each(|p| p.trainable = false);
    for spec in prompt.parameters().into_iter().skip(backbone.len()) {
        parameters.add(spec, Seed(0)).unwrap();
    }
    parameters.get_mut(ASSIGNMENT).unwrap().trainable = false;
    set_mapping(&mut parameters, &[3, 0, 5, 1]).unwrap();
    let batch = data.batch(At { epoch: 0, step: 0 }, &(0..48).collect::<Vec<_>>());
    let loss = |parameters: &Parameters| gradients(&prompt, parameters, Loss::CrossEntropy, &batch, Seed(0)).unwrap();
    let (_, slope) = loss(&parameters);
    let place = parameters.position(PROGRAM).unwrap();
    assert!(slope[..place].iter().all(Vec::is_empty), "no gradient of what is frozen");
    let slope = &slope[place];
    let moved = |i: usize, step: f32| {
        let mut moved = parameters.clone();
        moved.get_mut(PROGRAM).unwrap().update(|p| p[i] += step);
        loss(&moved).0
    };
    let (mut apart, mut length) = (0.0, 0.0);
    for i in 0..64 {
        if prompt.frame[i] == 0.0 {
            assert_eq!(slope[i], 0.0);
            continue;
        }
        let (difference, slope) = ((moved(i, 2e-2) - moved(i, -2e-2)) / 4e-2, f64::from(slope[i]));
        apart += (difference - slope).powi(2);
        length += slope.powi(2);
    }
    // Rectifiers bend the loss within a step, and it is in single precision.
    assert!(apart < 1e-3 * length, "{apart} of {length}");
    assert!(slope.iter().filter(|g| **g != 0.0).count() > 30);
}

#[test]
fn adaptation_leaves_the_backbone_alone() {
    let (network, backbone, data) = prompted();
    let prompt = Prompt::new(&network, [1, 8, 8], TARGET, 4).unwrap();
    let before = backbone.fingerprint();
    for mapping in [Mapping::Random, Mapping::Frequency, Mapping::Iterative] {
        let method = VisualPrompt { mapping, epochs: 3, ..VisualPrompt::default() };
        let fitted = method.fit(&prompt, &backbone, &data, Seed(1), &Silent).unwrap();
        for (own, after) in backbone.iter().zip(fitted.iter()) {
            assert_eq!(own.name, after.name);
            assert!(own.values().iter().zip(after.values()).all(|(a, b)| a.to_bits() == b.to_bits()), "{}", own.name);
        }
        assert!(fitted.get(PROGRAM).unwrap().values().iter().any(|p| *p != 0.0));
        let assigned = fitted.get(ASSIGNMENT).unwrap().values();
        assert!(assigned.chunks(6).all(|row| row.iter().sum::<f32>() == 1.0));
        let scores = predict(&prompt, &fitted, data.inputs.view(), &[]).unwrap();
        assert_eq!(scores.dim(), (48, 4));
    }
    let data = samples(64, 4, 2);
    let probe = LinearProbe::fit(&network, &backbone, &data, Seed(1)).unwrap();
    let scores = probe.predict(&network, &backbone, data.inputs.view()).unwrap();
    assert!(accuracy(&scores, data.labels().unwrap()) > 0.7, "the probe learns");
    assert_eq!(backbone.fingerprint(), before);
}

/// Steps of one batch an epoch are the fewest there can be; they suffice to make pixels nearly black and nearly white.
#[test]
fn the_border_reaches_black_and_white() {
    let (network, backbone, data) = prompted();
    let prompt = Prompt::new(&network, [1, 8, 8], TARGET, 4).unwrap();
    let fitted = VisualPrompt::default().fit(&prompt, &backbone, &data, Seed(1), &Silent).unwrap();
    let free = fitted.get(PROGRAM).unwrap().values();
    let shades = free.iter().map(|p| 1.0 / (1.0 + (-p).exp()));
    let (dark, bright) = shades.fold((1.0f32, 0.0f32), |(d, b), v| (d.min(v), b.max(v)));
    assert!(dark < 0.05 && bright > 0.95, "{dark} to {bright}");
}

/// A program that stands still is mapped the same before every epoch.
#[test]
fn iterative_mapping_of_a_frozen_program_is_the_mapping_by_frequency() {
    let (network, backbone, data) = prompted();
    let prompt = Prompt::new(&network, [1, 8, 8], TARGET, 4).unwrap();
    let fitted = |mapping| {
        let mut parameters = backbone.clone();
        parameters.iter_mut().for_each(|p| p.trainable = false);
        for spec in prompt.parameters().into_iter().skip(backbone.len()) {
            parameters.add(spec, Seed(0)).unwrap();
        }
        parameters.get_mut(ASSIGNMENT).unwrap().trainable = false;
        parameters.get_mut(PROGRAM).unwrap().rate = 0.0;
        let mut relabel = Relabel { mapping, epochs: 4, unmapped: prompt.unmapped(), data: &data };
        let trainer = Trainer { epochs: 4, ..adaptation(Seed(1)) };
        trainer.fit_from(&prompt, parameters, &data, None, &mut [&mut relabel], &Silent).unwrap().parameters
    };
    assert_eq!(fitted(Mapping::Iterative).fingerprint(), fitted(Mapping::Frequency).fingerprint());
    let once = |mapping| {
        let method = VisualPrompt { mapping, epochs: 1, ..VisualPrompt::default() };
        method.fit(&prompt, &backbone, &data, Seed(1), &Silent).unwrap().fingerprint()
    };
    assert_eq!(once(Mapping::Iterative), once(Mapping::Frequency));
}

#[test]
fn wrong_prompts_are_refused() {
    let (network, backbone, data) = prompted();
    let source = [1, 8, 8];
    for (target, classes, said) in [
        ([1, 9, 4], 4, "at most 8 x 8"),
        ([1, 4, 9], 4, "at most 8 x 8"),
        ([3, 4, 4], 4, "1 channels"),
        ([1, 4, 4], 7, "the network has 6 outputs"),
    ] {
        let error = Prompt::new(&network, source, target, classes).err().unwrap().to_string();
        assert!(error.contains(said), "{error}");
    }
    let prompt = Prompt::new(&network, source, TARGET, 4).unwrap();
    let refused = |data: &Samples| {
        VisualPrompt::default().fit(&prompt, &backbone, data, Seed(1), &Silent).unwrap_err().to_string()
    };
    let mut bright = data.clone();
    bright.inputs[[3, 3]] = 1.5;
    assert!(refused(&bright).contains("from 0 to 1"));
    let some: Vec<u32> = (0..48).filter(|i| i % 4 != 2).collect();
    assert!(refused(&data.select(&some)).contains("no image of class 2"));
    let numbers = Samples::values(data.inputs.clone(), Array2::zeros((48, 4))).unwrap();
    assert!(refused(&numbers).contains("classes"));
    assert!(LinearProbe::fit(&network, &backbone, &data, Seed(1)).is_err(), "images of another size");
}
