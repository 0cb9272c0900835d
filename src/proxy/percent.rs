//! Percent-encoded text (RFC 3986, 2.1): undoes the encoding, and says where a
//! decoded byte stands, so that a finding can be replaced in its place.

/// In which way a text is encoded.
#[derive(Debug, Clone, Copy)]
pub(super) struct Encoding {
    /// Whether `+` is a space.
    plus: bool,
    /// Whether bytes outside ASCII are decoded; else they stay as they are.
    high: bool,
}

/// The decoded bytes are no UTF-8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NotUtf8;

impl Encoding {
    /// That of a path.
    pub(super) const PATH: Self = Self { plus: false, high: true };
    /// That of queries and forms (`application/x-www-form-urlencoded`).
    pub(super) const FORM: Self = Self { plus: true, high: true };
    /// What is left where only ASCII is surely encoded so.
    pub(super) const ASCII: Self = Self { plus: false, high: false };

    /// Whether nothing in `raw` is encoded.
    pub(super) fn is_absent(self, raw: &str) -> bool {
        let percent = memchr::memchr2(b'%', if self.plus { b'+' } else { b'%' }, raw.as_bytes());
        percent.is_none()
    }

    /// The decoded text.
    pub(super) fn decode(self, raw: &str) -> Result<String, NotUtf8> {
        String::from_utf8(self.decode_bytes(raw)).map_err(|_| NotUtf8)
    }

    fn decode_bytes(self, raw: &str) -> Vec<u8> {
        let mut decoded = Vec::with_capacity(raw.len());
        let mut rest = raw.as_bytes();
        while let Some((byte, length)) = self.unit(rest) {
            decoded.push(byte);
            rest = rest.get(length..).unwrap_or_default();
        }
        decoded
    }

    /// The first byte of the decoded text, and how many bytes stand for it.
    fn unit(self, raw: &[u8]) -> Option<(u8, usize)> {
        let (&first, rest) = raw.split_first()?;
        Some(match (first, rest) {
            (b'%', [high, low, ..]) => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) if self.high || high < 8 => (high << 4 | low, 3),
                _ => (first, 1),
            },
            (b'+', _) if self.plus => (b' ', 1),
            _ => (first, 1),
        })
    }
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

/// Goes through a text once and tells the places of decoded bytes, which must
/// be asked for in order.
#[derive(Clone)]
pub(super) struct Places<'r> {
    encoding: Encoding,
    rest: &'r [u8],
    raw: usize,
    decoded: usize,
}

impl<'r> Places<'r> {
    pub(super) fn new(encoding: Encoding, raw: &'r str) -> Self {
        Self { encoding, rest: raw.as_bytes(), raw: 0, decoded: 0 }
    }

    /// Where in the raw text the decoded byte at `offset` stands.
    pub(super) fn of(&mut self, offset: usize) -> usize {
        while self.decoded < offset
            && let Some((_, length)) = self.encoding.unit(self.rest)
        {
            self.rest = self.rest.get(length..).unwrap_or_default();
            self.raw += length;
            self.decoded += 1;
        }
        self.raw
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_no_escape_stays() {
        assert_eq!(Encoding::PATH.decode("a%20b+c").unwrap(), "a b+c");
        assert_eq!(Encoding::FORM.decode("a%20b+c%2B").unwrap(), "a b c+");
        for same in ["", "%", "%4", "100%", "%zz", "%-1", "50%\u{e9}a"] {
            assert_eq!(Encoding::PATH.decode(same).unwrap(), same);
        }
        assert_eq!(Encoding::PATH.decode("%C3%a9%E2%82%ac").unwrap(), "é€");
        assert_eq!(Encoding::PATH.decode("M%FCller"), Err(NotUtf8));
        assert_eq!(Encoding::ASCII.decode("M%FCller%40x").unwrap(), "M%FCller@x");
    }

    proptest! {
        #[test]
        fn places_lead_back_to_what_was_decoded(raw in "[a-c%+0-9A-F\u{e9}]{0,24}", plus: bool, high: bool) {
            let encoding = Encoding { plus, high };
            let buffer = encoding.decode_bytes(&raw);
            // Byte by byte, as a decoded text may be no UTF-8.
            let mut places = Places::new(encoding, &raw);
            for (offset, byte) in buffer.iter().enumerate() {
                let (from, to) = (places.of(offset), places.of(offset + 1));
                let unit = encoding.unit(&raw.as_bytes()[from..]);
                prop_assert_eq!(unit, Some((*byte, to - from)));
            }
            prop_assert_eq!(places.of(buffer.len()), raw.len());
            if encoding.is_absent(&raw) {
                prop_assert_eq!(buffer, raw.into_bytes());
            }
        }
    }
}
