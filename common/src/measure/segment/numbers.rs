//! A column of numbers, most of which are small or zero.
//!
//! ```text
//! column := 0 blocks                      all numbers, one after another
//!         | 1 count blocks blocks         distances between the numbers that are not zero, then these numbers
//!         | 2 byte…                       all numbers, in one byte each
//!         | 3 short…                      all numbers, in two bytes each
//! blocks := block…                        1,024 numbers each, the last has the rest
//! block  := width:u8 least numbers        each number less the least one, in `width` bits
//! ```
//! The shorter of the first two forms is written. Columns that are read often are written in one of the
//! others if that takes at most two or three times as many bytes: they are read where they are, without being unpacked.
//! A column of zeros is left out of the segment.

use std::ops::Range;

use super::Damaged;
use super::bits::{pack, packed_len, unpack, width};
use super::bytes::{Reader, put};
use crate::measure::columns::Numbers;

const DENSE: u8 = 0;
const SPARSE: u8 = 1;
const BYTES: u8 = 2;
const SHORTS: u8 = 3;
const BLOCK: usize = 1_024;

/// The bytes of a column.
pub(in crate::measure) fn encode(numbers: &[u32]) -> Vec<u8> {
    let mut dense = vec![DENSE];
    put_blocks(numbers, &mut dense);
    let used = numbers.iter().filter(|number| **number != 0).count();
    if used > numbers.len() / 2 {
        return dense;
    }
    let (mut gaps, mut values, mut next) = (Vec::with_capacity(used), Vec::with_capacity(used), 0);
    for (at, number) in numbers.iter().enumerate().filter(|(_, number)| **number != 0) {
        gaps.push((at - next) as u32);
        values.push(*number);
        next = at + 1;
    }
    let mut sparse = vec![SPARSE];
    put(used as u64, &mut sparse);
    put_blocks(&gaps, &mut sparse);
    put_blocks(&values, &mut sparse);
    if sparse.len() < dense.len() { sparse } else { dense }
}

/// The bytes of a column that is read often: at most so many times as many as the shortest form takes.
pub(super) fn encode_often(numbers: &[u32], times: usize) -> Vec<u8> {
    let shortest = encode(numbers);
    let largest = numbers.iter().copied().max().unwrap_or(0);
    let of_width = |form: u8, width: usize| {
        let numbers = numbers.iter().flat_map(|number| number.to_le_bytes().into_iter().take(width));
        std::iter::once(form).chain(numbers).collect()
    };
    match largest {
        0..=0xff if numbers.len() < times * shortest.len() => of_width(BYTES, 1),
        0..=0xffff if 2 * numbers.len() < times * shortest.len() => of_width(SHORTS, 2),
        _ => shortest,
    }
}

/// A column of exactly `count` numbers where it is, if it was written so.
pub(super) fn flat(bytes: &[u8], count: usize) -> Result<Option<Numbers<'_>>, Damaged> {
    let (form, numbers) = bytes.split_first().ok_or(Damaged)?;
    let numbers = match *form {
        BYTES => Numbers::Bytes(numbers),
        SHORTS => Numbers::Shorts(numbers.as_chunks().0),
        _ => return Ok(None),
    };
    let length = match numbers {
        Numbers::Bytes(_) => count,
        _ => 2 * count,
    };
    if bytes.len() == 1 + length { Ok(Some(numbers)) } else { Err(Damaged) }
}

/// Reads a column of exactly `count` numbers from exactly these bytes.
pub(in crate::measure) fn decode(bytes: &[u8], count: usize, numbers: &mut Vec<u32>) -> Result<(), Damaged> {
    if let Some(flat) = flat(bytes, count)? {
        numbers.clear();
        match flat {
            Numbers::Bytes(flat) => numbers.extend(flat.iter().map(|number| u32::from(*number))),
            Numbers::Shorts(flat) => numbers.extend(flat.iter().map(|number| u32::from(u16::from_le_bytes(*number)))),
            Numbers::Words(flat) => *numbers = flat,
        }
        return Ok(());
    }
    let mut reader = Reader(bytes);
    match reader.byte()? {
        DENSE => {
            resize(numbers, count);
            read_blocks(&mut reader, numbers)?;
        }
        SPARSE => {
            numbers.clear();
            numbers.resize(count, 0);
            return each(bytes, count, |at, number| numbers[at] = number);
        }
        _ => return Err(Damaged),
    }
    reader.end()
}

/// Calls `each` with the place and the number of those that are not zero.
pub(in crate::measure) fn each(bytes: &[u8], count: usize, mut each: impl FnMut(usize, u32)) -> Result<(), Damaged> {
    let mut reader = Reader(bytes);
    if reader.byte()? != SPARSE {
        let mut all = Vec::new();
        decode(bytes, count, &mut all)?;
        all.iter().enumerate().filter(|(_, number)| **number != 0).for_each(|(at, number)| each(at, *number));
        return Ok(());
    }
    let used: usize = reader.number_as()?;
    if used > count {
        return Err(Damaged);
    }
    let (mut gaps, mut values) = (vec![0; used], vec![0; used]);
    read_blocks(&mut reader, &mut gaps)?;
    read_blocks(&mut reader, &mut values)?;
    let mut next = 0_usize;
    for (gap, value) in gaps.into_iter().zip(values) {
        let at = next.checked_add(gap as usize).filter(|at| *at < count).ok_or(Damaged)?;
        each(at, value);
        next = at + 1;
    }
    reader.end()
}

/// Gives a buffer that is used again the right length; what is in it is overwritten.
fn resize(numbers: &mut Vec<u32>, count: usize) {
    numbers.truncate(count);
    numbers.resize(count, 0);
}

fn put_blocks(numbers: &[u32], bytes: &mut Vec<u8>) {
    for block in numbers.chunks(BLOCK) {
        let least = block.iter().copied().min().unwrap_or(0);
        let largest = block.iter().copied().max().unwrap_or(0);
        let width = width(largest - least);
        bytes.push(width);
        put(least.into(), bytes);
        pack(block.iter().map(|number| number - least), width, bytes);
    }
}

fn read_blocks(reader: &mut Reader<'_>, numbers: &mut [u32]) -> Result<(), Damaged> {
    for block in numbers.chunks_mut(BLOCK) {
        let width = reader.byte()?;
        let least = reader.number_as()?;
        let packed = reader.take(packed_len(block.len(), width))?;
        unpack(packed, width, least, block).ok_or(Damaged)?;
    }
    Ok(())
}

/// Reads some numbers of a column of `count` numbers: those at the `places`, which ascend and do not
/// overlap, one after another. Blocks without any of them are passed over.
pub(in crate::measure) fn decode_some(
    bytes: &[u8],
    count: usize,
    places: impl Iterator<Item = Range<usize>>,
    numbers: &mut Vec<u32>,
) -> Result<(), Damaged> {
    numbers.clear();
    let mut reader = Reader(bytes);
    if reader.byte()? != DENSE {
        let mut all = Vec::new();
        decode(bytes, count, &mut all)?;
        places.for_each(|places| numbers.extend_from_slice(&all[places]));
        return Ok(());
    }
    let (mut places, mut block) = (places.filter(|places| places.start < places.end).peekable(), [0; BLOCK]);
    for start in (0..count).step_by(BLOCK) {
        let block = &mut block[..BLOCK.min(count - start)];
        let end = start + block.len();
        let width = reader.byte()?;
        let least = reader.number_as()?;
        let packed = reader.take(packed_len(block.len(), width))?;
        if places.peek().is_none_or(|places| places.start >= end) {
            continue;
        }
        unpack(packed, width, least, block).ok_or(Damaged)?;
        while let Some(wanted) = places.peek_mut().filter(|places| places.start < end) {
            let own = wanted.start..wanted.end.min(end);
            numbers.extend_from_slice(&block[own.start - start..own.end - start]);
            wanted.start = own.end;
            if own.end == end && wanted.end > end {
                break;
            }
            places.next();
        }
    }
    reader.end()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn numbers() -> impl Strategy<Value = Vec<u32>> {
        let number = prop_oneof![6 => Just(0), 2 => 0_u32..10, 1 => any::<u32>()];
        prop_oneof![prop::collection::vec(number, 0..3_000), prop::collection::vec(5_u32..9, 0..3_000)]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn columns_survive(numbers in numbers()) {
            for bytes in [encode(&numbers), encode_often(&numbers, 2)] {
                let mut read = vec![9; 10];
                decode(&bytes, numbers.len(), &mut read).unwrap();
                prop_assert_eq!(&read, &numbers);
                prop_assert!(decode(&bytes[..bytes.len() - 1], numbers.len(), &mut read).is_err());
            }
            prop_assert!(encode_often(&numbers, 2).len() <= 2 * encode(&numbers).len());
        }

        #[test]
        fn columns_that_are_read_often_are_read_where_they_are(
            bytes in prop::collection::vec(0_u32..=0xff, 1_000),
            shorts in prop::collection::vec(0_u32..=0xffff, 1_000),
        ) {
            for numbers in [bytes, shorts] {
                let bytes = encode_often(&numbers, 2);
                let flat = flat(&bytes, numbers.len()).unwrap().unwrap();
                let read: Vec<u32> = (0..numbers.len()).map(|place| flat.get(place)).collect();
                prop_assert_eq!(read, numbers);
            }
        }

        #[test]
        fn some_numbers_of_a_column_are_read_alone(numbers in numbers(), cuts in prop::collection::btree_set(0_usize..3_000, 0..40)) {
            let cuts: Vec<usize> = cuts.into_iter().filter(|cut| *cut <= numbers.len()).collect();
            let places = || cuts.windows(2).step_by(2).map(|pair| pair[0]..pair[1]);
            let expected: Vec<u32> = places().flat_map(|places| numbers[places].to_vec()).collect();
            for bytes in [encode(&numbers), encode_often(&numbers, 2)] {
                let mut read = vec![9];
                decode_some(&bytes, numbers.len(), places(), &mut read).unwrap();
                prop_assert_eq!(&read, &expected);
            }
        }

        #[test]
        fn damaged_columns_are_errors_or_numbers(bytes in prop::collection::vec(any::<u8>(), 0..200), count in 0_usize..4_000) {
            let mut read = Vec::new();
            if decode(&bytes, count, &mut read).is_ok() {
                prop_assert_eq!(read.len(), count);
            }
        }
    }

    #[test]
    fn rare_numbers_are_cheap() {
        let mut numbers = vec![0; 100_000];
        for at in (0..100_000).step_by(1_000) {
            numbers[at] = 1;
        }
        assert!(encode(&numbers).len() < 200);
        assert!(encode(&vec![7; 100_000]).len() < 300);
    }
}
