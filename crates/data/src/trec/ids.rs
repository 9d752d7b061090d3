//! Texts by number.

use std::hash::{BuildHasher, RandomState};

/// Distinct texts, numbered from 0 in the order in which they came. All stand in one buffer: beside its own bytes a text
/// takes 8 bytes, and 16 to 32 to be found again.
#[derive(Debug, Clone, Default)]
pub struct Ids {
    text: String,
    ends: Vec<usize>,
    /// Open addressing, at most half full: where a text belongs or the next free place. Hash and number + 1, or 0.
    slots: Vec<(u32, u32)>,
    hasher: RandomState,
}

impl Ids {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The text with a number, which must be below [`Ids::len`].
    pub fn get(&self, number: u32) -> &str {
        let number = number as usize;
        let start = if number == 0 { 0 } else { self.ends[number - 1] };
        &self.text[start..self.ends[number]]
    }

    /// All texts in their order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.len() as u32).map(|number| self.get(number))
    }

    /// The number of a text that is there.
    pub fn find(&self, id: &str) -> Option<u32> {
        if self.is_empty() {
            return None;
        }
        let (_, (_, number)) = self.place(id, self.hash(id));
        number.checked_sub(1)
    }

    /// The number of a text, a new one for a new text. There is room for 2^32 - 1.
    pub fn number(&mut self, id: &str) -> u32 {
        if self.slots.len() < 2 * (self.len() + 1) {
            self.grow();
        }
        let hash = self.hash(id);
        let (at, (_, number)) = self.place(id, hash);
        if let Some(number) = number.checked_sub(1) {
            return number;
        }
        self.text.push_str(id);
        self.ends.push(self.text.len());
        self.slots[at] = (hash, self.ends.len() as u32);
        self.ends.len() as u32 - 1
    }

    fn hash(&self, id: &str) -> u32 {
        self.hasher.hash_one(id) as u32
    }

    /// The slot of a text, or the free one where it belongs.
    fn place(&self, id: &str, hash: u32) -> (usize, (u32, u32)) {
        let mask = self.slots.len() - 1;
        let mut at = hash as usize & mask;
        loop {
            let slot = self.slots[at];
            if slot.1 == 0 || (slot.0 == hash && self.get(slot.1 - 1) == id) {
                return (at, slot);
            }
            at = (at + 1) & mask;
        }
    }

    fn grow(&mut self) {
        let size = (2 * self.slots.len()).max(16);
        let old = std::mem::replace(&mut self.slots, vec![(0, 0); size]);
        for slot in old.into_iter().filter(|slot| slot.1 > 0) {
            let mut at = slot.0 as usize & (size - 1);
            while self.slots[at].1 > 0 {
                at = (at + 1) & (size - 1);
            }
            self.slots[at] = slot;
        }
    }
}
