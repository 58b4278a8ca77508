//! How many partitions are a worker's share.

/// The share of `worker` among those `present` (in alphabetical order): all shares together are
/// `partitions`, and no two differ by more than one. A worker that is not among them has none.
pub(crate) fn of(worker: &str, present: &[String], partitions: u16) -> usize {
    let (workers, partitions) = (present.len(), usize::from(partitions));
    let Some(rank) = present.iter().position(|name| name == worker) else { return 0 };
    partitions / workers + usize::from(rank < partitions % workers)
}

/// The partitions in the order in which a worker tries to take them: each begins elsewhere, so that
/// workers that start together do not all reach for the same ones.
pub(crate) fn order(worker: &str, present: &[String], partitions: u16) -> impl Iterator<Item = u16> + use<> {
    let rank = present.iter().position(|name| name == worker).unwrap_or_default();
    let first = u16::try_from(rank * usize::from(partitions) / present.len().max(1)).unwrap_or_default();
    (0..partitions).map(move |p| (p + first) % partitions)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_even_and_add_up() {
        for workers in 1..40usize {
            let present: Vec<String> = (0..workers).map(|w| format!("w{w:02}")).collect();
            let shares: Vec<usize> = present.iter().map(|w| of(w, &present, 16)).collect();
            assert_eq!(shares.iter().sum::<usize>(), 16);
            assert!(shares.iter().max().unwrap() - shares.iter().min().unwrap() <= 1, "{shares:?}");
        }
        assert_eq!(of("stranger", &["w".to_owned()], 16), 0);
        assert_eq!(of("stranger", &[], 16), 0);
    }

    #[test]
    fn each_begins_elsewhere_and_tries_all() {
        let present = ["a", "b", "c", "d"].map(str::to_owned);
        let firsts: Vec<u16> = present.iter().filter_map(|w| order(w, &present, 16).next()).collect();
        assert_eq!(firsts, [0, 4, 8, 12]);
        let mut tried: Vec<u16> = order("c", &present, 16).collect();
        tried.sort_unstable();
        assert_eq!(tried, (0..16).collect::<Vec<u16>>());
    }
}
