//! Cuts blocks for subnets out of the range of a VPC: always the first that are free, so that the same network gets
//! the same blocks.

use std::cell::RefCell;

use ipnet::Ipv4Net;

use crate::ops::Error;

/// EC2 takes no smaller subnets.
const LONGEST_PREFIX: u8 = 28;

/// A VPC's range, what of it is taken, and how long blocks are. Shared by creations that are under way together.
pub struct Range {
    whole: Ipv4Net,
    prefix_length: u8,
    taken: RefCell<Vec<Ipv4Net>>,
}

/// How long a block is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Length {
    Prefix(u8),
    /// Longer than the prefix of the range by so much.
    NewBits(u8),
    /// Sixteen blocks, or as many as there can be.
    Default,
}

impl Range {
    pub fn new(whole: Ipv4Net, length: Length, taken: Vec<Ipv4Net>) -> Self {
        let prefix_length = match length {
            Length::Prefix(length) => length,
            Length::NewBits(bits) => whole.prefix_len().saturating_add(bits),
            Length::Default => whole.prefix_len().saturating_add(4).min(LONGEST_PREFIX),
        };
        Self { whole, prefix_length, taken: RefCell::new(taken) }
    }

    pub fn prefix_length(&self) -> u8 {
        self.prefix_length
    }

    /// Takes the first free block.
    ///
    /// # Errors
    /// If there is none.
    pub fn carve(&self) -> Result<Ipv4Net, Error> {
        let mut taken = self.taken.borrow_mut();
        let free = |block: &Ipv4Net| !taken.iter().any(|other| other.contains(block) || block.contains(other));
        let blocks = self.whole.subnets(self.prefix_length).into_iter().flatten();
        let length = self.prefix_length;
        let block = { blocks }.find(free).filter(|_| length <= LONGEST_PREFIX).ok_or_else(|| {
            let message =
                format!("{} has no free block of /{length}; choose other lengths, or give `cidr_blocks`", self.whole);
            Error::option("", message)
        })?;
        taken.push(block);
        Ok(block)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(whole: &str, length: Length, taken: &[&str]) -> Range {
        let net = |text: &str| text.parse().expect("a range");
        Range::new(net(whole), length, taken.iter().map(|text| net(text)).collect())
    }

    fn carve(range: &Range) -> Option<String> {
        range.carve().ok().map(|block| block.to_string())
    }

    #[test]
    fn the_first_free_blocks_are_taken() {
        let first = range("10.0.0.0/16", Length::Prefix(20), &["10.0.0.0/24", "10.0.32.0/19"]);
        let carved: Vec<String> = (0..3).filter_map(|_| carve(&first)).collect();
        assert_eq!(carved, ["10.0.16.0/20", "10.0.64.0/20", "10.0.80.0/20"]);
        let gaps = range("10.0.0.0/16", Length::NewBits(8), &["10.0.0.0/24", "10.0.32.0/19"]);
        assert_eq!(carve(&gaps).as_deref(), Some("10.0.1.0/24"));
    }

    #[test]
    fn a_full_range_has_nothing_left() {
        let full = range("10.0.0.0/24", Length::NewBits(1), &["10.0.0.0/25"]);
        assert_eq!(carve(&full).as_deref(), Some("10.0.0.128/25"));
        assert_eq!(carve(&full), None);
        assert_eq!(carve(&range("10.0.0.0/24", Length::Prefix(20), &[])), None, "larger than the range");
        assert_eq!(carve(&range("10.0.0.0/24", Length::Prefix(29), &[])), None, "smaller than EC2 takes");
        assert_eq!(carve(&range("10.0.0.0/26", Length::Default, &[])).as_deref(), Some("10.0.0.0/28"));
    }
}
