//! Reading bytes that may be damaged: every read is checked, none panics.

use super::Damaged;

/// Appends an unsigned number in 1 to 10 bytes, seven bits in each, lowest first (LEB128).
pub(in crate::measure) fn put(number: u64, bytes: &mut Vec<u8>) {
    let mut rest = number;
    while rest >= 0x80 {
        bytes.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    bytes.push(rest as u8);
}

/// Bytes that are read from front to back.
#[derive(Debug, Clone, Copy)]
pub(in crate::measure) struct Reader<'a>(pub(in crate::measure) &'a [u8]);

impl<'a> Reader<'a> {
    /// The next `count` bytes.
    pub(in crate::measure) fn take(&mut self, count: usize) -> Result<&'a [u8], Damaged> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Damaged)?;
        self.0 = rest;
        Ok(taken)
    }

    /// The next byte.
    pub(in crate::measure) fn byte(&mut self) -> Result<u8, Damaged> {
        Ok(self.take(1)?[0])
    }

    /// The next number that [`put`] wrote.
    pub(in crate::measure) fn number(&mut self) -> Result<u64, Damaged> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(Damaged)
    }

    /// The next number, if it fits.
    pub(in crate::measure) fn number_as<T: TryFrom<u64>>(&mut self) -> Result<T, Damaged> {
        T::try_from(self.number()?).map_err(|_| Damaged)
    }

    /// Checks that nothing is left.
    pub(in crate::measure) fn end(self) -> Result<(), Damaged> {
        if self.0.is_empty() { Ok(()) } else { Err(Damaged) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_survive() {
        for number in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX] {
            let mut bytes = Vec::new();
            put(number, &mut bytes);
            let mut reader = Reader(&bytes);
            assert_eq!(reader.number().unwrap(), number);
            reader.end().unwrap();
        }
    }

    #[test]
    fn what_is_cut_off_or_endless_is_damaged() {
        assert!(Reader(&[0x80]).number().is_err());
        assert!(Reader(&[0xff; 20]).number().is_err());
        assert!(Reader(&[1, 2]).take(3).is_err());
        assert!(Reader(&[0xff, 0xff, 0x03]).number_as::<u8>().is_err());
    }
}
