//! Numbers of a fixed width, packed without gaps into bytes, lowest bits first.

/// How many numbers are unpacked together: so many of `width` bits are `4 * width` whole bytes.
const GROUP: usize = 32;

/// Bits that are needed for every number up to `largest`.
pub(super) const fn width(largest: u32) -> u8 {
    (u32::BITS - largest.leading_zeros()) as u8
}

/// The bytes that `count` numbers of `width` bits take.
pub(super) const fn packed_len(count: usize, width: u8) -> usize {
    (count * width as usize).div_ceil(8)
}

/// Appends numbers, each of which fits into `width` bits.
pub(super) fn pack(numbers: impl Iterator<Item = u32>, width: u8, bytes: &mut Vec<u8>) {
    let (mut waiting, mut bits) = (0_u64, 0_u32);
    for number in numbers {
        waiting |= u64::from(number) << bits;
        bits += u32::from(width);
        while bits >= 8 {
            bytes.push(waiting as u8);
            waiting >>= 8;
            bits -= 8;
        }
    }
    if bits > 0 {
        bytes.push(waiting as u8);
    }
}

/// Reads `numbers.len()` numbers of `width` bits, at most 32, from exactly the bytes that they take,
/// and adds `least` to each. `None` when there are more or fewer bytes.
pub(super) fn unpack(bytes: &[u8], width: u8, least: u32, numbers: &mut [u32]) -> Option<()> {
    macro_rules! of_width {
        ($($w:literal)*) => {
            match width {
                0 => numbers.fill(least),
                $($w => groups::<$w>(bytes, least, numbers),)*
                _ => return None,
            }
        };
    }
    if width > 32 || bytes.len() != packed_len(numbers.len(), width) {
        return None;
    }
    of_width!(1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32);
    Some(())
}

fn groups<const WIDTH: usize>(bytes: &[u8], least: u32, numbers: &mut [u32]) {
    let whole = numbers.len() / GROUP;
    let (bytes, rest) = bytes.split_at(whole * 4 * WIDTH);
    let (numbers, last) = numbers.split_at_mut(whole * GROUP);
    for (bytes, numbers) in bytes.chunks_exact(4 * WIDTH).zip(numbers.as_chunks_mut().0) {
        group::<WIDTH>(bytes, least, numbers);
    }
    let (mut padded, mut unpacked) = ([0; 4 * GROUP], [0; GROUP]);
    padded[..rest.len()].copy_from_slice(rest);
    group::<WIDTH>(&padded[..4 * WIDTH], least, &mut unpacked);
    last.copy_from_slice(&unpacked[..last.len()]);
}

/// The width is known at compile time, so that the loop has no branches and is unrolled.
#[inline(always)]
fn group<const WIDTH: usize>(bytes: &[u8], least: u32, numbers: &mut [u32; GROUP]) {
    let mut words = [0_u64; GROUP + 1];
    for (word, bytes) in words.iter_mut().zip(bytes.chunks_exact(4)).take(WIDTH) {
        *word = u64::from(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]));
    }
    let mask = u64::from(u32::MAX >> (32 - WIDTH));
    for (at, number) in numbers.iter_mut().enumerate() {
        let bit = at * WIDTH;
        let pair = words[bit / 32] | (words[bit / 32 + 1] << 32);
        *number = (((pair >> (bit % 32)) & mask) as u32).wrapping_add(least);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_width_and_length_survives() {
        for bits in 0..=32_u8 {
            let largest = if bits == 0 { 0 } else { u32::MAX >> (32 - bits) };
            assert_eq!(width(largest), bits);
            for count in [0, 1, 31, 32, 33, 64, 100] {
                let numbers: Vec<u32> = (0..count).map(|at| 0x9e37_79b9_u32.wrapping_mul(at + 1) & largest).collect();
                let mut bytes = Vec::new();
                pack(numbers.iter().copied(), bits, &mut bytes);
                assert_eq!(bytes.len(), packed_len(numbers.len(), bits));
                let mut read = vec![7; numbers.len()];
                unpack(&bytes, bits, 0, &mut read).unwrap();
                assert_eq!(read, numbers, "{bits} bits");
            }
        }
    }

    #[test]
    fn other_lengths_and_widths_are_refused() {
        assert_eq!(unpack(&[1, 2], 8, 0, &mut [0; 3]), None);
        assert_eq!(unpack(&[1, 2, 3, 4], 8, 0, &mut [0; 3]), None);
        assert_eq!(unpack(&[0; 5], 33, 0, &mut [0; 1]), None);
    }
}
