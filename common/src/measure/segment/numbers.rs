//! A column of numbers, most of which are small or zero.
//!
//! ```text
//! column := 0 blocks                      all numbers, one after another
//!         | 1 count blocks blocks         distances between the numbers that are not zero, then these numbers
//! blocks := block…                        1,024 numbers each, the last has the rest
//! block  := width:u8 least numbers        each number less the least one, in `width` bits
//! ```
//! The shorter of the two forms is written. A column of zeros is left out of the segment.

use super::Damaged;
use super::bits::{pack, packed_len, unpack, width};
use super::bytes::{Reader, put};

const DENSE: u8 = 0;
const SPARSE: u8 = 1;
const BLOCK: usize = 1_024;

/// The bytes of a column.
pub(super) fn encode(numbers: &[u32]) -> Vec<u8> {
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

/// Reads a column of exactly `count` numbers from exactly these bytes.
pub(super) fn decode(bytes: &[u8], count: usize, numbers: &mut Vec<u32>) -> Result<(), Damaged> {
    let mut reader = Reader(bytes);
    match reader.byte()? {
        DENSE => {
            resize(numbers, count);
            read_blocks(&mut reader, numbers)?;
        }
        SPARSE => {
            let used: usize = reader.number_as()?;
            if used > count {
                return Err(Damaged);
            }
            let (mut gaps, mut values) = (vec![0; used], vec![0; used]);
            read_blocks(&mut reader, &mut gaps)?;
            read_blocks(&mut reader, &mut values)?;
            numbers.clear();
            numbers.resize(count, 0);
            let mut next = 0_usize;
            for (gap, value) in gaps.into_iter().zip(values) {
                let at = next.checked_add(gap as usize).ok_or(Damaged)?;
                *numbers.get_mut(at).ok_or(Damaged)? = value;
                next = at + 1;
            }
        }
        _ => return Err(Damaged),
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
            let bytes = encode(&numbers);
            let mut read = vec![9; 10];
            decode(&bytes, numbers.len(), &mut read).unwrap();
            prop_assert_eq!(&read, &numbers);
            prop_assert!(decode(&bytes[..bytes.len() - 1], numbers.len(), &mut read).is_err());
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
