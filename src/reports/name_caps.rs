//! Bounds how many cells a quarter of an hour has. Callers may invent models and the values of tags; what is
//! too much counts as [`OTHER`], so that nothing is missing from a sum.

use std::collections::{BTreeMap, BTreeSet};

use super::cell::{Cell, OTHER};

/// How many models of a provider are kept apart.
const MAX_MODELS: usize = 200;
/// How many values of a tag are kept apart.
const MAX_TAG_VALUES: usize = 100;
/// How many cells tell models and tags apart. Further ones tell keys, owners and providers apart,
/// which only operators name.
const MAX_CELLS: usize = 10_000;

/// The names of one quarter of an hour that are kept apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NameCaps {
    models: BTreeMap<String, BTreeSet<String>>,
    tags: BTreeMap<String, BTreeSet<String>>,
    cells: BTreeSet<Cell>,
}

impl NameCaps {
    /// The names of the cells that a quarter already has.
    pub fn of(cells: impl IntoIterator<Item = Cell>) -> Self {
        let mut caps = Self::default();
        cells.into_iter().for_each(|cell| caps.know(cell));
        caps
    }

    /// The cell in which a cell of this quarter counts: itself, or one with fewer names.
    pub fn admit(&mut self, mut cell: Cell) -> Cell {
        if self.cells.contains(&cell) {
            return cell;
        }
        cap(&mut cell.model, self.models.get(&cell.provider), MAX_MODELS);
        for (name, value) in &mut cell.tags {
            cap(value, self.tags.get(name), MAX_TAG_VALUES);
        }
        if self.cells.len() >= MAX_CELLS && !self.cells.contains(&cell) {
            OTHER.clone_into(&mut cell.model);
            cell.tags.values_mut().for_each(|value| OTHER.clone_into(value));
        }
        self.know(cell.clone());
        cell
    }

    fn know(&mut self, cell: Cell) {
        if cell.model != OTHER {
            self.models.entry(cell.provider.clone()).or_default().insert(cell.model.clone());
        }
        for (name, value) in cell.tags.iter().filter(|(_, value)| *value != OTHER) {
            self.tags.entry(name.clone()).or_default().insert(value.clone());
        }
        self.cells.insert(cell);
    }
}

/// Replaces a name by [`OTHER`] that is not known, if as many are known as are kept apart.
fn cap(name: &mut String, known: Option<&BTreeSet<String>>, max: usize) {
    let is_full = known.is_some_and(|known| known.len() >= max && !known.contains(&*name));
    if is_full && !name.is_empty() {
        OTHER.clone_into(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(model: &str, team: &str) -> Cell {
        let tags = BTreeMap::from([("team".to_owned(), team.to_owned())]);
        Cell { provider: "p".into(), model: model.into(), tags, ..Cell::default() }
    }

    #[test]
    fn invented_models_count_as_others() {
        let mut caps = NameCaps::default();
        let admitted: BTreeSet<Cell> = (0..1_000).map(|n| caps.admit(cell(&format!("m{n}"), "a"))).collect();
        assert_eq!(admitted.len(), MAX_MODELS + 1);
        assert!(admitted.contains(&cell(OTHER, "a")));
        assert_eq!(caps.admit(cell("m7", "a")), cell("m7", "a"), "a known model stays itself");
    }

    #[test]
    fn invented_values_of_tags_count_as_others() {
        let mut caps = NameCaps::default();
        let admitted: BTreeSet<Cell> = (0..1_000).map(|n| caps.admit(cell("m", &format!("t{n}")))).collect();
        assert_eq!(admitted.len(), MAX_TAG_VALUES + 1);
        assert!(admitted.contains(&cell("m", OTHER)));
    }

    #[test]
    fn cells_are_bounded_by_keys_and_providers() {
        let mut caps = NameCaps::default();
        for model in 0..150 {
            for team in 0..90 {
                caps.admit(cell(&format!("m{model}"), &format!("t{team}")));
            }
        }
        assert_eq!(caps.cells.len(), MAX_CELLS + 1);
        let (key_id, owner) = ("vk_2".to_owned(), "ann".to_owned());
        let late = Cell { key_id: key_id.clone(), owner: owner.clone(), ..cell("m1", "t1") };
        assert_eq!(caps.admit(late), Cell { key_id, owner, ..cell(OTHER, OTHER) });
    }

    #[test]
    fn a_store_that_is_opened_again_keeps_the_same_names() {
        let mut caps = NameCaps::default();
        let admitted: BTreeSet<Cell> = (0..300).map(|n| caps.admit(cell(&format!("m{n}"), "a"))).collect();
        let mut reopened = NameCaps::of(admitted);
        for n in 0..400 {
            let next = cell(&format!("m{n}"), "a");
            assert_eq!(reopened.admit(next.clone()), caps.admit(next));
        }
    }
}
