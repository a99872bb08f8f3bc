//! Numbers of every width.

/// A number of a column.
pub(super) trait Number: Copy {
    fn value(self) -> u32;

    /// Where the run of numbers that are the same as the first one ends.
    fn run(numbers: &[Self]) -> usize;

    /// Sets those places that have a number from `first` to `last`.
    fn select(numbers: &[Self], first: u32, last: u32, selected: &mut [bool]);

    /// Adds the places that have such a number, of which there are few.
    fn find(numbers: &[Self], first: u32, last: u32, places: &mut Vec<u32>);
}

/// So many numbers of which none is wanted are passed over together.
const TOGETHER: usize = 32;

/// Where one is, eight are looked at one by one: a chunk has so many parts of eight.
const PARTS: u32 = TOGETHER as u32 / 8;

/// Adds those places that are chosen, of at most so many. It takes no branches, which would often be mispredicted.
#[inline(always)]
fn append(places: &mut Vec<u32>, most: usize, all: impl Iterator<Item = (u32, bool)>) {
    let mut count = places.len();
    places.resize(count + most, 0);
    for (place, is_chosen) in all {
        places[count] = place;
        count += usize::from(is_chosen);
    }
    places.truncate(count);
}

/// So many numbers are compared together where runs are short.
const NEAR: usize = 16;

/// Comparing numbers in their own width is what lets the compiler compare many at a time.
macro_rules! number {
    ($kept:ty, $own:ty, $read:expr) => {
        impl Number for $kept {
            #[inline(always)]
            fn value(self) -> u32 {
                u32::from($read(self))
            }

            #[inline(always)]
            fn run(numbers: &[Self]) -> usize {
                let Some(first) = numbers.first() else { return 0 };
                let first = $read(*first);
                let is_same =
                    |chunk: &&[Self; NEAR]| chunk.iter().fold(0, |other, number| other | ($read(*number) ^ first)) == 0;
                let same = NEAR * numbers.as_chunks().0.iter().take_while(is_same).count();
                same + numbers[same..].iter().take_while(|number| $read(**number) == first).count()
            }

            fn select(numbers: &[Self], first: u32, last: u32, selected: &mut [bool]) {
                if first > u32::from(<$own>::MAX) {
                    return;
                }
                let (first, last) = (first as $own, last.min(<$own>::MAX.into()) as $own);
                let numbers = selected.iter_mut().zip(numbers);
                if first == last {
                    numbers.for_each(|(selected, number)| *selected |= $read(*number) == first);
                } else {
                    let width = last - first;
                    numbers.for_each(|(selected, number)| *selected |= $read(*number).wrapping_sub(first) <= width);
                }
            }

            fn find(numbers: &[Self], first: u32, last: u32, places: &mut Vec<u32>) {
                if first > u32::from(<$own>::MAX) {
                    return;
                }
                let (first, last) = (first as $own, last.min(<$own>::MAX.into()) as $own);
                let is_wanted = |number: &Self| $read(*number).wrapping_sub(first) <= last - first;
                let has_wanted =
                    |numbers: &[Self]| numbers.iter().fold(0, |any, number| any | <$own>::from(is_wanted(number))) != 0;
                let (chunks, rest) = numbers.as_chunks::<TOGETHER>();
                let parts = numbers.as_chunks::<8>().0;
                // First the chunks that have any, then their parts that do, then the numbers themselves.
                let (mut some, mut few) = (Vec::new(), Vec::new());
                append(&mut some, chunks.len(), (0..).zip(chunks).map(|(at, chunk)| (at, has_wanted(chunk))));
                let of_chunks = some.iter().flat_map(|at| PARTS * at..PARTS * (at + 1));
                let of_chunks = of_chunks.map(|at| (at, has_wanted(&parts[at as usize])));
                append(&mut few, PARTS as usize * some.len(), of_chunks);
                let of_parts = few.iter().flat_map(|at| (8 * at..).zip(&parts[*at as usize]));
                append(places, 8 * few.len(), of_parts.map(|(at, number)| (at, is_wanted(number))));
                let start = numbers.len() - rest.len();
                append(places, rest.len(), (start as u32..).zip(rest).map(|(at, number)| (at, is_wanted(number))));
            }
        }
    };
}

number!(u8, u8, std::convert::identity);
number!([u8; 2], u16, u16::from_le_bytes);
number!(u32, u32, std::convert::identity);

/// Evaluates an expression with the numbers of a column, compiled for each width.
macro_rules! with_numbers {
    ($column:expr, |$numbers:ident| $do:expr) => {
        match $column {
            $crate::measure::columns::Numbers::Bytes($numbers) => $do,
            $crate::measure::columns::Numbers::Shorts($numbers) => $do,
            $crate::measure::columns::Numbers::Words($numbers) => $do,
        }
    };
}
pub(super) use with_numbers;

#[cfg(test)]
mod tests {
    use super::*;

    fn selected<N: Number>(numbers: &[N], first: u32, last: u32) -> Vec<bool> {
        let (mut selected, mut found) = (vec![false; numbers.len()], Vec::new());
        N::select(numbers, first, last, &mut selected);
        N::find(numbers, first, last, &mut found);
        assert!((0..).zip(&selected).filter(|(_, selected)| **selected).map(|(place, _)| place).eq(found));
        selected
    }

    #[test]
    fn runs_of_every_length_end_where_they_end() {
        for count in [1, 2, 15, 16, 17, 40] {
            let words = [vec![7_u32; count], vec![8, 7]].concat();
            let bytes: Vec<_> = words.iter().map(|number| *number as u8).collect();
            let shorts: Vec<_> = words.iter().map(|number| (*number as u16).to_le_bytes()).collect();
            assert_eq!([Number::run(&words), Number::run(&bytes), Number::run(&shorts)], [count; 3]);
            assert_eq!(Number::run(&words[..count]), count);
        }
        assert_eq!(u32::run(&[]), 0);
    }

    #[test]
    fn numbers_of_every_width_are_selected_alike() {
        let numbers = [0_u8, 1, 7, 8, 9, 200, 254, 255].repeat(9);
        let shorts: Vec<_> = numbers.iter().map(|number| u16::from(*number).to_le_bytes()).collect();
        let words: Vec<_> = numbers.iter().map(|number| u32::from(*number)).collect();
        for (first, last) in [(0, 0), (7, 7), (8, 200), (0, 255), (255, 255), (250, 300), (256, 300), (70_000, 80_000)]
        {
            let expected: Vec<_> = words.iter().map(|number| (first..=last).contains(number)).collect();
            assert_eq!(selected(&numbers, first, last), expected, "{first} to {last}");
            assert_eq!(selected(&shorts, first, last), expected, "{first} to {last}");
            assert_eq!(selected(&words, first, last), expected, "{first} to {last}");
        }
    }
}
