//! Many short lists in one vector.

/// One list: where it lies, and how many places it has.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Run {
    start: u32,
    len: u32,
    /// It has room for `1 << class >> 1` items.
    class: u8,
}

impl Run {
    pub(super) const fn start(self) -> u32 {
        self.start
    }

    const fn room(self) -> u32 {
        (1 << self.class) >> 1
    }
}

/// The items of many lists. A list that outgrows its place moves to one twice as large; what it leaves
/// is used again by another. Places that no list has are default items.
#[derive(Debug, Clone)]
pub(super) struct Runs<T> {
    items: Vec<T>,
    free: Vec<Vec<u32>>,
}

impl<T> Default for Runs<T> {
    fn default() -> Self {
        Self { items: Vec::new(), free: vec![Vec::new(); 33] }
    }
}

impl<T: Copy + Default> Runs<T> {
    pub(super) fn push(&mut self, run: &mut Run, item: T) {
        if run.len == run.room() {
            let class = run.class + 1;
            let room = (1_usize << class) >> 1;
            let start = self.free[usize::from(class)].pop().unwrap_or_else(|| {
                let start = self.items.len();
                super::make_room(&mut self.items, room);
                self.items.resize(start + room, T::default());
                start as u32
            });
            let (from, to) = (run.start as usize, start as usize);
            self.items.copy_within(from..from + run.len as usize, to);
            self.items[from..from + run.len as usize].fill(T::default());
            if run.class > 0 {
                self.free[usize::from(run.class)].push(run.start);
            }
            *run = Run { start, class, ..*run };
        }
        self.items[(run.start + run.len) as usize] = item;
        run.len += 1;
    }

    /// Removes the items from `len` on.
    pub(super) fn truncate(&mut self, run: &mut Run, len: usize) {
        let len = run.len.min(len as u32);
        self.items[(run.start + len) as usize..(run.start + run.len) as usize].fill(T::default());
        run.len = len;
    }

    pub(super) fn get(&self, run: Run) -> &[T] {
        &self.items[run.start as usize..][..run.len as usize]
    }

    pub(super) fn get_mut(&mut self, run: Run) -> &mut [T] {
        &mut self.items[run.start as usize..][..run.len as usize]
    }

    /// The items of all lists, and unused ones between them.
    pub(super) fn all(&self) -> &[T] {
        &self.items
    }

    pub(super) fn memory(&self) -> usize {
        self.items.capacity() * size_of::<T>() + self.free.iter().map(|free| 4 * free.capacity()).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_grow_apart_and_use_places_again() {
        let (mut runs, mut lists) = (Runs::default(), [Run::default(); 20]);
        for round in 0..40 {
            for (number, run) in lists.iter_mut().enumerate() {
                if round % (number + 1) == 0 {
                    runs.push(run, (number, round));
                }
            }
        }
        for (number, run) in lists.iter().enumerate() {
            let expected: Vec<_> = (0..40).step_by(number + 1).map(|round| (number, round)).collect();
            assert_eq!(runs.get(*run), expected);
        }
        let used: usize = lists.iter().map(|run| run.len as usize).sum();
        assert!(runs.all().len() < 3 * used);
        // Only the very first item is a default one, and nothing is left behind where a list was.
        let left = |runs: &Runs<(usize, usize)>| runs.all().iter().filter(|item| **item != (0, 0)).count();
        assert_eq!(left(&runs), used - 1);
        runs.truncate(&mut lists[1], 5);
        assert_eq!((lists[1].len, left(&runs)), (5, used - 16));
    }
}
