use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn list_of(postings: &BTreeMap<u32, u32>) -> (Vec<u8>, Bound) {
    let (docs, values): (Vec<u32>, Vec<u32>) = postings.iter().map(|(d, v)| (*d, *v)).unzip();
    let mut bytes = Vec::new();
    let bound = encode(&docs, &values, |doc| doc % 7 + 1, &mut bytes);
    (bytes, bound)
}

proptest! {
    #[test]
    fn what_is_written_is_read(postings in prop::collection::btree_map(0_u32..5000, 1_u32..300, 1..700), wide in any::<bool>(),
                               targets in prop::collection::vec(0_u32..5100, 1..20)) {
        let stretch = if wide { 800_000 } else { 1 };
        let postings: BTreeMap<u32, u32> = postings.into_iter().map(|(d, v)| (d * stretch, v)).collect();
        let (bytes, bound) = list_of(&postings);
        let list = List::new(&bytes, postings.len(), bound).unwrap();
        prop_assert!(list.is_sound(5000 * stretch));
        let mut cursor = Cursor::new(list);
        for (doc, value) in &postings {
            prop_assert_eq!((cursor.doc(), cursor.value()), (*doc, *value));
            cursor.advance();
        }
        prop_assert_eq!(cursor.doc(), END);
        let at_or_after = |doc: u32| postings.range(doc..).next().map_or(END, |(doc, _)| *doc);
        for &target in &targets {
            cursor.rewind(target * stretch);
            prop_assert_eq!(cursor.doc(), at_or_after(target * stretch));
        }
        let mut sorted = targets;
        sorted.sort_unstable();
        let mut cursor = Cursor::new(list);
        for target in sorted {
            cursor.seek(target * stretch);
            prop_assert_eq!(cursor.doc(), at_or_after(target * stretch));
        }
        for head in list.blocks() {
            prop_assert!(head.bound.most <= bound.most && head.bound.least >= bound.least);
        }
    }

    #[test]
    fn damage_is_seen_or_harmless(postings in prop::collection::btree_map(0_u32..5000, 1_u32..300, 1..400),
                                  at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let (mut bytes, bound) = list_of(&postings);
        let place = at.index(bytes.len());
        bytes[place] = byte;
        let list = List::new(&bytes, postings.len(), bound).unwrap();
        if list.is_sound(5000) {
            let mut cursor = Cursor::new(list);
            for _ in 0..postings.len() + 1 {
                cursor.advance();
            }
        }
    }
}

#[test]
fn numbers_of_all_widths() {
    for number in [0, 1, 127, 128, 16_383, 16_384, u32::MAX - 1, u32::MAX] {
        let mut bytes = Vec::new();
        push_number(number, &mut bytes);
        assert_eq!(take_number(&mut bytes.as_slice()), Some(number));
    }
    assert_eq!(take_number(&mut &[0x80_u8, 0x80][..]), None);
}
