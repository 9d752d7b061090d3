use super::*;
use proptest::prelude::*;
use quadrat_core::Seed;

fn encoded(table: &Frequencies, message: &[usize]) -> BitString {
    let mut encoder = RangeEncoder::new();
    message.iter().for_each(|symbol| encoder.push(table.interval(*symbol)));
    encoder.finish()
}

fn decoded(table: &Frequencies, chunks: impl Iterator<Item = u16>, n: usize) -> Vec<usize> {
    let mut decoder = RangeDecoder::new(chunks);
    (0..n).map(|_| decoder.pull(table)).collect()
}

fn bits_asked(table: &Frequencies, message: &[usize]) -> f64 {
    message.iter().map(|symbol| -table.interval(*symbol).share().log2()).sum()
}

#[test]
fn tables_give_every_possible_symbol_a_part_and_no_other() {
    let table = Frequencies::of(&[0.0, 1e-300, 0.5, 0.0, 0.5, 0.0]).unwrap();
    let counts: Vec<u32> = (0..6).map(|s| table.interval(s).end - table.interval(s).start).collect();
    assert_eq!(counts, [0, 1, (PARTS - 3) / 2 + 1, 0, (PARTS - 3) / 2 + 2, 0]);
    assert_eq!(counts.iter().sum::<u32>(), PARTS);
    assert_eq!([0, 1, 2, PARTS - 1].map(|part| table.symbol(part)), [1, 2, 2, 4]);
    assert!(table.interval(6).is_empty() && table.interval(usize::MAX).is_empty());
    assert_eq!(Frequencies::of(&[3.0]).unwrap().interval(0), Interval { start: 0, end: PARTS });
}

/// A table with an index gives the symbols of one without.
#[test]
fn the_index_changes_nothing() {
    let mut rng = Seed(4).rng(0);
    for size in [1, 2, 7, 300, 20_000] {
        let weights: Vec<f64> =
            (0..size).map(|_| if rng.below(3) == 0 { 0.0 } else { rng.uniform().powi(9) }).chain([1e-9]).collect();
        let indexed = Frequencies::of(&weights).unwrap();
        let mut plain = Frequencies::default();
        plain.set(&weights).unwrap();
        let edges = indexed.cumulative().iter().flat_map(|sum| [sum.saturating_sub(1), (*sum).min(PARTS - 1)]);
        let parts: Vec<u32> = edges.chain((0..1000).map(|_| rng.below(PARTS as usize) as u32)).collect();
        for part in parts {
            let symbol = indexed.symbol(part);
            assert_eq!(symbol, plain.symbol(part));
            assert!((indexed.interval(symbol).start..indexed.interval(symbol).end).contains(&part));
        }
    }
}

#[test]
fn no_table_of_what_are_no_probabilities() {
    for (wrong, says) in [
        (vec![], "0 above 0"),
        (vec![0.0, 0.0], "0 above 0"),
        (vec![0.5, f64::NAN], "symbol 1: got NaN"),
        (vec![f64::INFINITY], "symbol 0: got inf"),
        (vec![1.0, -0.1], "symbol 1: got -0.1"),
        (vec![f64::MAX, f64::MAX], "sum inf"),
    ] {
        let error = Frequencies::of(&wrong).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
}

/// Powers of two cost their bits, and up to two at the end.
#[test]
fn short_messages_by_hand() {
    let table = Frequencies::of(&[0.5, 0.25, 0.125, 0.125]).unwrap();
    for (message, bits) in [(vec![], 0), (vec![0], 1), (vec![2], 3), (vec![0, 1], 3), (vec![3, 3, 3], 9)] {
        let code = encoded(&table, &message);
        assert!(code.len() >= bits && code.len() <= bits + 2, "{message:?}: {}", code.len());
        assert_eq!(decoded(&table, code.chunks(), message.len()), message);
    }
    let certain = Frequencies::of(&[1.0]).unwrap();
    assert!(encoded(&certain, &[0; 100]).is_empty());
}

/// Symbols of one part in 2^30 beside ones that fill the rest: the widest and the narrowest steps, and long runs of carries.
#[test]
fn extremes_come_back() {
    let mut rng = Seed(1).rng(0);
    for probabilities in [vec![1e-12, 1.0], vec![1.0, 1e-12], vec![1e-12, 1.0, 1e-12], vec![0.0, 1.0, 0.0]] {
        let table = Frequencies::of(&probabilities).unwrap();
        let possible: Vec<usize> = (0..table.len()).filter(|s| !table.interval(*s).is_empty()).collect();
        let message: Vec<usize> = (0..2000).map(|_| possible[rng.below(possible.len())]).collect();
        let code = encoded(&table, &message);
        assert_eq!(decoded(&table, code.chunks(), message.len()), message);
        assert!((code.len() as f64) < bits_asked(&table, &message) + 2.1);
    }
}

#[test]
fn strings_of_bits_know_their_middle() {
    for (bytes, bits, middle) in
        [(vec![], 0, 0.5), (vec![0x80], 1, 0.75), (vec![0xff], 2, 0.875), (vec![0, 1], 16, 1.5 / 65536.0)]
    {
        assert_eq!(BitString::new(bytes, bits).unwrap().middle(), (middle, true));
    }
    let long = BitString::new(vec![0xff; 20], 160).unwrap().middle();
    assert!(long.0 < 1.0 && long.0 > 1.0 - 1e-15 && !long.1);
    assert_eq!(BitString::new(vec![0xff, 0xff], 3).unwrap().bytes(), [0b1110_0000]);
    assert!(BitString::new(vec![0], 9).unwrap_err().to_string().contains("1 bytes hold"));
}

proptest! {
    /// Any message under any table comes back, whatever follows its bits, and costs at most two bits more than its shares.
    #[test]
    fn messages_come_back_whatever_follows(
        weights in prop::collection::vec(prop_oneof![Just(0.0), 1e-9..1.0, 1e-3..1.0], 1..40),
        picks in prop::collection::vec(0usize..40, 0..300),
        tail in prop::collection::vec(any::<u8>(), 8)
    ) {
        prop_assume!(weights.iter().any(|w| *w > 0.0));
        let table = Frequencies::of(&weights).unwrap();
        let possible: Vec<usize> = (0..weights.len()).filter(|s| weights[*s] > 0.0).collect();
        let message: Vec<usize> = picks.iter().map(|pick| possible[pick % possible.len()]).collect();
        let code = encoded(&table, &message);
        prop_assert!(code.len() as f64 <= bits_asked(&table, &message) + 2.0 + 1e-3);
        prop_assert_eq!(&decoded(&table, code.chunks(), message.len()), &message);
        let mut longer = code.bytes().to_vec();
        if let Some(last) = longer.last_mut().filter(|_| !code.len().is_multiple_of(8)) {
            *last |= tail[0] >> (code.len() % 8);
        }
        longer.extend_from_slice(&tail);
        let longer = BitString::new(longer.clone(), 8 * longer.len()).unwrap();
        prop_assert_eq!(&decoded(&table, longer.chunks(), message.len()), &message);
    }

    /// Any string of bits means some message.
    #[test]
    fn any_bits_mean_something(bytes in prop::collection::vec(any::<u8>(), 0..60), edge in any::<bool>()) {
        let bytes = if edge { vec![0xff; bytes.len()] } else { bytes };
        let table = Frequencies::of(&[0.0, 0.3, 1e-12, 0.7, 0.0]).unwrap();
        let code = BitString::new(bytes.clone(), 8 * bytes.len()).unwrap();
        let message = decoded(&table, code.chunks(), 50);
        prop_assert!(message.iter().all(|symbol| !table.interval(*symbol).is_empty()));
    }
}
