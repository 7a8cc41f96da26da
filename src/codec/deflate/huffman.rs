//! Writes RFC 1951 streams of the kind that noisy residuals want: one dynamic Huffman block, whose only matches are
//! runs of zero bytes.
//!
//! Sensor noise has no repetitions to find, so a general compressor spends its time on searching for them. Over the
//! lossless residuals of a noisy 640x480 frame zlib-rs took 7.2 ms at level 6 for 232 kB and 3.2 ms at level 1 for
//! 364 kB, where the whole encoder, prediction and this writer, takes 1.2 ms for 202 kB; with `near` 8 zlib-rs took
//! 0.7 ms at level 1 for 75 kB and 6 ms at level 6 for 40 kB, where the whole encoder takes 0.9 ms for 37 kB. Counting,
//! one code table and one pass of bit packing are all there is. Any inflater reads the result.

/// Literals, the end of the block, and the 29 length codes.
const SYMBOLS: usize = 286;
const END: usize = 256;
/// No literal or length code is longer (RFC 1951 allows 15): four of them and the 7 bits left over then fit one
/// 64-bit word together. Costs nothing measurable, since such symbols are rarer than 1 in 4,096.
const CODE_BITS_MAX: usize = 12;
/// Code lengths are themselves coded with at most 7 bits (RFC 1951 §3.2.7).
const META_BITS_MAX: usize = 7;
const META_SYMBOLS: usize = 19;
/// The order in which the lengths of those codes are sent (RFC 1951 §3.2.7).
const META_ORDER: [usize; META_SYMBOLS] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
/// The longest match (RFC 1951 §3.2.5).
const MATCH_MAX: usize = 258;

/// The code of a match length: symbol, extra bits, and their value (RFC 1951 §3.2.5).
const fn length_code(length: usize) -> (usize, u32, u64) {
    match length {
        3..=10 => (254 + length, 0, 0),
        258 => (285, 0, 0),
        _ => {
            // From 11 on, each power of two is cut into four codes.
            let extra = (length - 3).ilog2() - 2;
            let quarter = ((length - 3) >> extra) & 3;
            (261 + extra as usize * 4 + quarter, extra, ((length - 3) & ((1 << extra) - 1)) as u64)
        }
    }
}

/// A prefix code: for each symbol its bits, in the order in which they are sent, and how many.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Code {
    bits: u16,
    len: u16,
}

/// Compresses residuals; its tables are reused from block to block.
#[derive(Debug)]
pub struct Writer {
    counts: Counts,
    codes: [Code; SYMBOLS],
    tree: Tree,
}

/// How often each symbol occurs. Four tables, since counting one value twice in a row would wait for the store.
#[derive(Debug)]
struct Counts {
    literals: [[u32; 256]; 4],
    others: [u32; SYMBOLS - 256],
}

/// What walks over the residuals twice: once to count, once to write.
trait Sink {
    fn eight(&mut self, literals: &[u8; 8]);
    fn literal(&mut self, literal: u8);
    fn repeat(&mut self, length: usize);
}

fn walk(input: &[u8], sink: &mut impl Sink) {
    let (words, rest) = input.as_chunks::<8>();
    let mut zeros = 0;
    for word in words {
        if *word == [0; 8] {
            zeros += 8;
        } else {
            end_run(&mut zeros, sink);
            sink.eight(word);
        }
    }
    end_run(&mut zeros, sink);
    for byte in rest {
        sink.literal(*byte);
    }
}

/// A run is a zero and its repetitions: matches at distance 1.
fn end_run(zeros: &mut usize, sink: &mut impl Sink) {
    if *zeros == 0 {
        return;
    }
    sink.literal(0);
    *zeros -= 1;
    while *zeros >= 3 {
        let length = (*zeros).min(MATCH_MAX);
        sink.repeat(length);
        *zeros -= length;
    }
    while *zeros > 0 {
        sink.literal(0);
        *zeros -= 1;
    }
}

impl Sink for Counts {
    fn eight(&mut self, literals: &[u8; 8]) {
        for (i, byte) in literals.iter().enumerate() {
            self.literals[i & 3][usize::from(*byte)] += 1;
        }
    }
    fn literal(&mut self, literal: u8) {
        self.literals[0][usize::from(literal)] += 1;
    }
    fn repeat(&mut self, length: usize) {
        self.others[length_code(length).0 - 256] += 1;
    }
}

/// Packs bits, the first into the lowest of a byte (RFC 1951 §3.1.1), into a buffer that is long enough.
struct Emit<'a> {
    codes: &'a [Code; SYMBOLS],
    out: &'a mut [u8],
    at: usize,
    word: u64,
    held: u32,
}

impl Emit<'_> {
    /// Adds bits; between two flushes there is room for 57.
    fn add(&mut self, bits: u64, count: u32) {
        self.word |= bits << self.held;
        self.held += count;
    }

    fn symbol(&mut self, symbol: usize) {
        let code = self.codes[symbol];
        self.add(u64::from(code.bits), u32::from(code.len));
    }

    /// Writes the whole bytes out; at most 7 bits stay.
    fn flush(&mut self) {
        self.out[self.at..self.at + 8].copy_from_slice(&self.word.to_le_bytes());
        let bytes = self.held / 8;
        self.at += bytes as usize;
        // 7 bytes at most: `held` never reaches 64.
        self.word >>= bytes * 8;
        self.held &= 7;
    }
}

impl Sink for Emit<'_> {
    fn eight(&mut self, literals: &[u8; 8]) {
        for half in literals.as_chunks::<4>().0 {
            for byte in half {
                self.symbol(usize::from(*byte));
            }
            self.flush();
        }
    }
    fn literal(&mut self, literal: u8) {
        self.symbol(usize::from(literal));
        self.flush();
    }
    fn repeat(&mut self, length: usize) {
        let (symbol, extra, value) = length_code(length);
        self.symbol(symbol);
        self.add(value, extra);
        // Distance 1 is the only distance there is, and its code one zero bit.
        self.add(0, 1);
        self.flush();
    }
}

impl Writer {
    /// Ready for any number of blocks.
    pub fn new() -> Writer {
        Writer {
            counts: Counts { literals: [[0; 256]; 4], others: [0; SYMBOLS - 256] },
            codes: [Code::default(); SYMBOLS],
            tree: Tree::new(),
        }
    }

    /// Appends `input` to `out` as one complete raw deflate stream.
    pub fn compress(&mut self, input: &[u8], out: &mut Vec<u8>) {
        self.counts.literals = [[0; 256]; 4];
        self.counts.others = [0; SYMBOLS - 256];
        walk(input, &mut self.counts);
        let mut frequencies = [0; SYMBOLS];
        let [a, b, c, d] = &self.counts.literals;
        for (n, frequency) in frequencies[..256].iter_mut().enumerate() {
            *frequency = a[n] + b[n] + c[n] + d[n];
        }
        frequencies[256..].copy_from_slice(&self.counts.others);
        frequencies[END] = 1;
        // A code of one symbol only is a corner that not every inflater takes.
        frequencies[0] = frequencies[0].max(1);
        let mut lengths = [0; SYMBOLS];
        self.tree.lengths(&frequencies, CODE_BITS_MAX, &mut lengths);
        assign(&lengths, &mut self.codes);

        let bits: usize = lengths.iter().zip(&frequencies).map(|(l, f)| usize::from(*l) * *f as usize).sum();
        // Each match has up to 5 extra bits and one of distance.
        let matches: usize = self.counts.others[1..].iter().map(|n| *n as usize * 6).sum();
        // The header is at most 14 + 19 × 3 + 287 × 14 bits; 8 bytes are what one flush touches.
        let start = out.len();
        out.resize(start + (bits + matches) / 8 + 600 + 8, 0);
        let mut emit = Emit { codes: &self.codes, out: &mut out[start..], at: 0, word: 0, held: 0 };
        header(&lengths, &mut self.tree, &mut emit);
        walk(input, &mut emit);
        emit.symbol(END);
        emit.flush();
        let end = start + emit.at + usize::from(emit.held > 0);
        out.truncate(end);
    }
}

/// Writes the block's header: final, dynamic, and the code lengths (RFC 1951 §3.2.7).
fn header(lengths: &[u8; SYMBOLS], tree: &mut Tree, emit: &mut Emit<'_>) {
    let used = lengths.iter().rposition(|l| *l > 0).map_or(257, |last| (last + 1).max(257));
    // The lengths of the literal codes, then of the one distance code.
    let mut all = [0; SYMBOLS + 1];
    all[..used].copy_from_slice(&lengths[..used]);
    all[used] = 1;
    let all = &all[..=used];
    let mut frequencies = [0; META_SYMBOLS];
    runs(all, |symbol, _, _| frequencies[symbol] += 1);
    let mut meta_lengths = [0; META_SYMBOLS];
    tree.lengths(&frequencies, META_BITS_MAX, &mut meta_lengths);
    let mut meta = [Code::default(); META_SYMBOLS];
    assign(&meta_lengths, &mut meta);
    let sent = META_ORDER.iter().rposition(|n| meta_lengths[*n] > 0).map_or(4, |last| (last + 1).max(4));
    emit.add(0b101, 3);
    emit.add(used as u64 - 257, 5);
    emit.add(0, 5);
    emit.add(sent as u64 - 4, 4);
    emit.flush();
    for n in &META_ORDER[..sent] {
        emit.add(u64::from(meta_lengths[*n]), 3);
        emit.flush();
    }
    runs(all, |symbol, extra, count| {
        emit.add(u64::from(meta[symbol].bits), u32::from(meta[symbol].len));
        emit.add(extra, count);
        emit.flush();
    });
}

/// Tells code lengths as symbols 0–18, each with the value and number of its extra bits (RFC 1951 §3.2.7).
fn runs(lengths: &[u8], mut tell: impl FnMut(usize, u64, u32)) {
    let mut at = 0;
    while at < lengths.len() {
        let value = lengths[at];
        let mut run = lengths[at..].iter().take_while(|l| **l == value).count();
        at += run;
        if value != 0 {
            tell(usize::from(value), 0, 0);
            run -= 1;
        }
        while run >= 3 {
            let most = if value == 0 { 138 } else { 6 };
            let n = run.min(most);
            match (value, n) {
                (0, 11..) => tell(18, n as u64 - 11, 7),
                (0, _) => tell(17, n as u64 - 3, 3),
                _ => tell(16, n as u64 - 3, 2),
            }
            run -= n;
        }
        for _ in 0..run {
            tell(usize::from(value), 0, 0);
        }
    }
}

/// Gives each symbol its canonical code (RFC 1951 §3.2.2), bits reversed as they are sent.
fn assign(lengths: &[u8], codes: &mut [Code]) {
    let mut counts = [0u16; 16];
    for len in lengths.iter().filter(|l| **l > 0) {
        counts[usize::from(*len)] += 1;
    }
    let mut next = [0u16; 16];
    for len in 1..16 {
        next[len] = (next[len - 1] + counts[len - 1]) << 1;
    }
    for (code, len) in codes.iter_mut().zip(lengths) {
        let len = u16::from(*len);
        *code = Code::default();
        if len > 0 {
            let bits = next[usize::from(len)];
            next[usize::from(len)] += 1;
            *code = Code { bits: bits.reverse_bits() >> (16 - len), len };
        }
    }
}

/// Scratch for building code lengths.
#[derive(Debug)]
struct Tree {
    /// Used symbols, by rising frequency.
    leaves: Vec<(u32, u16)>,
    /// Weight of each inner node, in the order they were made, which is rising too.
    weights: Vec<u32>,
    /// Parent of each leaf (first) and inner node.
    parents: Vec<u16>,
}

impl Tree {
    fn new() -> Tree {
        Tree {
            leaves: Vec::with_capacity(SYMBOLS),
            weights: Vec::with_capacity(SYMBOLS),
            parents: Vec::with_capacity(2 * SYMBOLS),
        }
    }

    /// Huffman code lengths for `frequencies`, none longer than `most`. Leaves of the tree and inner nodes are two
    /// queues that are both sorted already, so joining the two lightest is a matter of looking at two heads.
    fn lengths(&mut self, frequencies: &[u32], most: usize, lengths: &mut [u8]) {
        lengths.fill(0);
        let used = frequencies.iter().enumerate().filter(|(_, f)| **f > 0);
        self.leaves.clear();
        self.leaves.extend(used.map(|(symbol, f)| (*f, symbol as u16)));
        self.leaves.sort_unstable();
        let n = self.leaves.len();
        if n < 2 {
            if let Some((_, symbol)) = self.leaves.first() {
                lengths[usize::from(*symbol)] = 1;
            }
            return;
        }
        self.weights.clear();
        self.parents.clear();
        self.parents.resize(2 * n - 1, 0);
        let (mut leaf, mut inner) = (0, 0);
        for made in 0..n - 1 {
            let mut weight = 0;
            for _ in 0..2 {
                let take_leaf = leaf < n && (inner >= self.weights.len() || self.leaves[leaf].0 <= self.weights[inner]);
                let node = if take_leaf {
                    weight += self.leaves[leaf].0;
                    leaf += 1;
                    leaf - 1
                } else {
                    weight += self.weights[inner];
                    inner += 1;
                    n + inner - 1
                };
                self.parents[node] = (n + made) as u16;
            }
            self.weights.push(weight);
        }
        self.depths(most, lengths);
    }

    /// Turns parents into depths, counts them, and flattens what is too deep.
    fn depths(&mut self, most: usize, lengths: &mut [u8]) {
        let n = self.leaves.len();
        // From the root down, each parent's depth is known before its children ask; depths replace parents in place.
        let root = 2 * n - 2;
        self.parents[root] = 0;
        let mut counts = [0u32; 64];
        for node in (0..root).rev() {
            let depth = self.parents[usize::from(self.parents[node])] + 1;
            self.parents[node] = depth;
            if node < n {
                counts[usize::from(depth).min(most)] += 1;
            }
        }
        // Kraft's sum in units of the longest code. While it is too big, a longest code goes, and a shorter one is
        // split to make room for it: each round takes one unit away.
        let mut sum: u64 = (1..=most).map(|len| u64::from(counts[len]) << (most - len)).sum();
        while sum > 1 << most {
            let Some(len) = (1..most).rev().find(|len| counts[*len] > 0) else { break };
            counts[most] -= 1;
            counts[len] -= 1;
            counts[len + 1] += 2;
            sum -= 1;
        }
        // The rarest get the longest.
        let mut leaves = self.leaves.iter();
        for len in (1..=most).rev() {
            for (_, symbol) in leaves.by_ref().take(counts[len] as usize) {
                lengths[usize::from(*symbol)] = len as u8;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    //! Goal: every inflater reads what is written here. Method: zlib-rs reads random and nasty inputs back.
    use super::*;
    use proptest::prelude::*;

    fn inflate(bytes: &[u8], len: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(len + 1);
        let mut inflater = flate2::Decompress::new(false);
        let status = inflater.decompress_vec(bytes, &mut out, flate2::FlushDecompress::Finish).unwrap();
        assert_eq!(status, flate2::Status::StreamEnd);
        assert_eq!(inflater.total_in() as usize, bytes.len(), "nothing is left over");
        out
    }

    fn check(input: &[u8]) -> usize {
        let mut out = vec![7];
        Writer::new().compress(input, &mut out);
        assert_eq!(out[0], 7, "what stood there is kept");
        assert_eq!(inflate(&out[1..], input.len()), input);
        out.len() - 1
    }

    proptest! {
        #[test]
        fn anything_comes_back(input in proptest::collection::vec(any::<u8>(), 0..5_000)) {
            check(&input);
        }

        #[test]
        fn runs_of_zeros_of_any_length_come_back(parts in proptest::collection::vec((0usize..700, any::<u8>()), 0..40)) {
            let input: Vec<u8> = parts.iter().flat_map(|(n, byte)| core::iter::repeat_n(0, *n).chain([*byte])).collect();
            check(&input);
        }

        #[test]
        fn lopsided_frequencies_stay_within_the_code_limit(ranks in proptest::collection::vec(0u32..28, 2..256)) {
            // Powers of two are the worst case: unlimited, they make a code of one more bit each.
            let mut frequencies = [0; SYMBOLS];
            for (f, rank) in frequencies.iter_mut().zip(&ranks) {
                *f = 1 << rank;
            }
            let mut lengths = [0; SYMBOLS];
            Tree::new().lengths(&frequencies, CODE_BITS_MAX, &mut lengths);
            let kraft: u32 = lengths.iter().filter(|l| **l > 0).map(|l| 1 << (CODE_BITS_MAX - usize::from(*l))).sum();
            prop_assert!(kraft <= 1 << CODE_BITS_MAX);
            prop_assert!(frequencies.iter().zip(&lengths).all(|(f, l)| (*f > 0) == (*l > 0)));
        }
    }

    #[test]
    fn every_match_length_has_the_code_of_the_standard() {
        for (length, code) in [
            (3, (257, 0, 0)),
            (10, (264, 0, 0)),
            (11, (265, 1, 0)),
            (18, (268, 1, 1)),
            (19, (269, 2, 0)),
            (257, (284, 5, 30)),
            (258, (285, 0, 0)),
        ] {
            assert_eq!(length_code(length), code, "{length}");
        }
    }

    #[test]
    fn zeros_cost_next_to_nothing_and_noise_its_entropy() {
        assert!(check(&[0; 100_000]) < 160);
        // Four bits of entropy each; the end of the block makes one of the 16 codes a bit longer.
        let input: Vec<u8> = (0..40_000u64).map(|n| (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 60) as u8).collect();
        assert!(check(&input) < 40_000 / 2 * 102 / 100 + 100);
    }
}
