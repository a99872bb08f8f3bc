//! Numbers of every width.

/// A number of a column.
pub(super) trait Number: Copy {
    fn value(self) -> u32;

    /// Sets those places that have a number from `first` to `last`.
    fn select(numbers: &[Self], first: u32, last: u32, selected: &mut [bool]);

    /// Adds the places that have such a number, of which there are few.
    fn find(numbers: &[Self], first: u32, last: u32, places: &mut Vec<u32>);
}

/// So many numbers of which none is wanted are passed over together.
const TOGETHER: usize = 32;

/// Comparing numbers in their own width is what lets the compiler compare many at a time.
macro_rules! number {
    ($kept:ty, $own:ty, $read:expr) => {
        impl Number for $kept {
            #[inline(always)]
            fn value(self) -> u32 {
                u32::from($read(self))
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
                let is_wanted = |number: Self| $read(number).wrapping_sub(first) <= last - first;
                let (chunks, rest) = numbers.as_chunks::<TOGETHER>();
                let mut add = |start: usize, numbers: &[Self]| {
                    let wanted = (start as u32..).zip(numbers).filter(|(_, number)| is_wanted(**number));
                    places.extend(wanted.map(|(place, _)| place));
                };
                for (start, chunk) in (0..).step_by(TOGETHER).zip(chunks) {
                    if chunk.iter().fold(0, |any, number| any | <$own>::from(is_wanted(*number))) != 0 {
                        add(start, chunk);
                    }
                }
                add(numbers.len() - rest.len(), rest);
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
