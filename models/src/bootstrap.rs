//! Intervals of a score or a skill, by drawing whole blocks of time again and again.
//!
//! Errors of one day resemble those of the next and of neighbouring stations, so single cases drawn
//! at random would promise far too narrow intervals. Blocks are drawn within each network, and all
//! stations share the blocks of theirs.

use std::collections::BTreeMap;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::scores;

const SEED: u64 = 3;
/// Draws of an interval.
pub(crate) const DRAWS: usize = 400;

/// The sums of one station in one block.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Block {
    pub(crate) network: usize,
    pub(crate) station: usize,
    pub(crate) block: i64,
    /// Cases.
    pub(crate) n: f64,
    /// Summed losses of the one and of the other.
    pub(crate) ours: f64,
    pub(crate) theirs: f64,
}

/// Where 95 % of the draws fall: of the mean loss, and of the skill over the other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Intervals {
    pub(crate) score: (f64, f64),
    pub(crate) skill: (f64, f64),
    /// Different blocks: few make an interval rough.
    pub(crate) blocks: usize,
}

/// None without at least two blocks.
pub(crate) fn intervals(sums: &[Block]) -> Option<Intervals> {
    let mut blocks: BTreeMap<(usize, i64), usize> = BTreeMap::new();
    let mut stations: BTreeMap<(usize, usize), usize> = BTreeMap::new();
    for sum in sums {
        blocks.entry((sum.network, sum.block)).or_default();
        let next = stations.len();
        stations.entry((sum.network, sum.station)).or_insert(next);
    }
    blocks.values_mut().enumerate().for_each(|(index, block)| *block = index);
    if blocks.len() < 2 {
        return None;
    }
    let indexed: Vec<(usize, usize, &Block)> = sums
        .iter()
        .filter_map(|s| Some((*blocks.get(&(s.network, s.block))?, *stations.get(&(s.network, s.station))?, s)))
        .collect();
    let networks = networks(&blocks);
    let mut rng = StdRng::seed_from_u64(SEED);
    let (mut means, mut skills) = (Vec::with_capacity(DRAWS), Vec::with_capacity(DRAWS));
    for _ in 0..DRAWS {
        let mut times = vec![0.0; blocks.len()];
        for network in &networks {
            network.clone().for_each(|_| times[rng.random_range(network.clone())] += 1.0);
        }
        let (ours, theirs) = draw(&indexed, &times, stations.len());
        means.extend(ours);
        skills.extend(ours.zip(theirs).and_then(|(ours, theirs)| scores::skill(ours, theirs)));
    }
    Some(Intervals { score: middle(means), skill: middle(skills), blocks: blocks.len() })
}

/// The indexes of each network's blocks.
fn networks(blocks: &BTreeMap<(usize, i64), usize>) -> Vec<std::ops::Range<usize>> {
    let mut networks: BTreeMap<usize, std::ops::Range<usize>> = BTreeMap::new();
    for ((network, _), index) in blocks {
        networks.entry(*network).or_insert(*index..*index).end = index + 1;
    }
    networks.into_values().collect()
}

/// Both mean losses, averaged over stations, with every block counted so many times.
fn draw(sums: &[(usize, usize, &Block)], times: &[f64], stations: usize) -> (Option<f64>, Option<f64>) {
    let mut totals = vec![(0.0, 0.0, 0.0); stations];
    for (block, station, sum) in sums {
        let (n, ours, theirs) = &mut totals[*station];
        *n += times[*block] * sum.n;
        *ours += times[*block] * sum.ours;
        *theirs += times[*block] * sum.theirs;
    }
    let known = totals.iter().filter(|(n, ..)| *n > 0.0);
    (scores::mean(known.clone().map(|(n, ours, _)| ours / n)), scores::mean(known.map(|(n, _, theirs)| theirs / n)))
}

/// The middle 95 %.
fn middle(mut values: Vec<f64>) -> (f64, f64) {
    values.sort_by(f64::total_cmp);
    let at = |share: usize| values.get((values.len() * share / 1000).min(values.len().saturating_sub(1)));
    (at(25).copied().unwrap_or(f64::NAN), at(975).copied().unwrap_or(f64::NAN))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(rng: &mut StdRng) -> f64 {
        (0..12).map(|_| rng.random::<f64>()).sum::<f64>() - 6.0
    }

    /// Stations that share the luck of each block.
    fn sums(seed: u64, blocks: i64, difference: f64) -> Vec<Block> {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut sums = Vec::new();
        for block in 0..blocks {
            let luck = 3.0 + 0.3 * noise(&mut rng);
            for station in 0..8 {
                let theirs = 10.0 * (luck + 0.1 * noise(&mut rng));
                sums.push(Block { network: 0, station, block, n: 10.0, ours: theirs * (1.0 - difference), theirs });
            }
        }
        sums
    }

    #[test]
    fn an_interval_holds_the_truth_about_as_often_as_it_says() {
        let holds = (0..60).filter(|seed| {
            let (low, high) = intervals(&sums(*seed, 40, 0.1)).unwrap().score;
            (low..=high).contains(&(3.0 * 0.9))
        });
        let held = holds.count();
        assert!((50..=60).contains(&held), "{held} of 60 at 95 %");
    }

    #[test]
    fn pairs_share_their_luck() {
        let found = intervals(&sums(1, 30, 0.1)).unwrap();
        assert!((found.skill.0 - 0.1).abs() < 1e-9 && (found.skill.1 - 0.1).abs() < 1e-9, "{found:?}");
        assert!(found.score.1 - found.score.0 > 0.05);
        assert_eq!(found.blocks, 30);
        assert_eq!(intervals(&sums(1, 30, 0.1)), Some(found), "the same draws every time");
        assert_eq!(intervals(&sums(1, 1, 0.1)), None);
        assert_eq!(intervals(&[]), None);
    }
}
