//! A small profile photo, drawn in code: a PNG (RFC 2083) with stored, uncompressed image data.

use uuid::Uuid;

/// A square PNG of `size` pixels: a face-like disc whose colours come from `seed`.
pub(crate) fn png(seed: Uuid, size: u32) -> Vec<u8> {
    let size = size.clamp(1, 648);
    let mut header = Vec::from(size.to_be_bytes());
    header.extend(size.to_be_bytes());
    // 8 bits a channel, RGB, deflate, adaptive filters, no interlace.
    header.extend([8, 2, 0, 0, 0]);
    let mut out = vec![0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a];
    chunk(&mut out, *b"IHDR", &header);
    chunk(&mut out, *b"IDAT", &zlib_stored(&pixels(seed, size)));
    chunk(&mut out, *b"IEND", &[]);
    out
}

/// Rows of RGB pixels, each row after its filter byte.
fn pixels(seed: Uuid, size: u32) -> Vec<u8> {
    let [red, green, blue, ..] = *seed.as_bytes();
    let ground = [red | 0x80, green | 0x80, blue | 0x80];
    let figure = [red & 0x7f, green & 0x7f, blue & 0x7f];
    let mut rows = Vec::new();
    for y in 0..size {
        rows.push(0);
        for x in 0..size {
            rows.extend(if is_figure(x, y, size) { figure } else { ground });
        }
    }
    rows
}

/// Head and shoulders.
fn is_figure(x: u32, y: u32, size: u32) -> bool {
    let inside = |centre_x: u32, centre_y: u32, radius: u32| {
        let (dx, dy) = (x.abs_diff(centre_x), y.abs_diff(centre_y));
        dx * dx + dy * dy <= radius * radius
    };
    inside(size / 2, size * 2 / 5, size / 5) || inside(size / 2, size, size * 2 / 5)
}

fn chunk(out: &mut Vec<u8>, kind: [u8; 4], data: &[u8]) {
    let length = u32::try_from(data.len()).unwrap_or(u32::MAX);
    out.extend(length.to_be_bytes());
    let checked = [&kind, data].concat();
    out.extend(&checked);
    out.extend(crc32(&checked).to_be_bytes());
}

/// A zlib stream of stored blocks (RFC 1950, RFC 1951 section 3.2.4).
fn zlib_stored(data: &[u8]) -> Vec<u8> {
    let mut out = vec![0x78, 0x01];
    let mut blocks = data.chunks(0xffff).peekable();
    while let Some(block) = blocks.next() {
        let length = u16::try_from(block.len()).unwrap_or(u16::MAX);
        out.push(u8::from(blocks.peek().is_none()));
        out.extend(length.to_le_bytes());
        out.extend((!length).to_le_bytes());
        out.extend(block);
    }
    out.extend(adler32(data).to_be_bytes());
    out
}

/// The CRC of PNG and gzip (ISO 3309), bit by bit: photos are small.
pub(crate) fn crc32(data: &[u8]) -> u32 {
    let step = |crc: u32, byte: &u8| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { 0xedb8_8320 ^ (crc >> 1) } else { crc >> 1 })
    };
    !data.iter().fold(u32::MAX, step)
}

fn adler32(data: &[u8]) -> u32 {
    const MODULUS: u32 = 65_521;
    let (low, high) = data.iter().fold((1_u32, 0_u32), |(low, high), byte| {
        let low = (low + u32::from(*byte)) % MODULUS;
        (low, (high + low) % MODULUS)
    });
    (high << 16) | low
}
