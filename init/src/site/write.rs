//! Text into a buffer of fixed length: numbers, dates, percent-encoding.

/// A buffer that is filled from the front. What does not fit is noticed, not written.
#[derive(Debug)]
pub(crate) struct Buffer<'a> {
    bytes: &'a mut [u8],
    length: usize,
    overflowed: bool,
}

impl<'a> Buffer<'a> {
    pub(crate) fn new(bytes: &'a mut [u8]) -> Self {
        Self { bytes, length: 0, overflowed: false }
    }

    pub(crate) fn clear(&mut self) {
        self.length = 0;
        self.overflowed = false;
    }

    /// What was written; nothing when it was too much.
    pub(crate) fn written(&self) -> Option<&[u8]> {
        (!self.overflowed).then_some(&self.bytes[..self.length])
    }

    pub(crate) fn put(&mut self, text: &[u8]) {
        match self.bytes.get_mut(self.length..self.length + text.len()) {
            Some(target) => {
                target.copy_from_slice(text);
                self.length += text.len();
            }
            None => self.overflowed = true,
        }
    }

    pub(crate) fn all(&mut self, texts: &[&[u8]]) {
        for text in texts {
            self.put(text);
        }
    }

    pub(crate) fn number(&mut self, mut number: u64) {
        let mut digits = [0; 20];
        let mut at = digits.len();
        loop {
            at -= 1;
            digits[at] = b'0' + digit(number % 10);
            number /= 10;
            if number == 0 {
                break;
            }
        }
        self.put(&digits[at..]);
    }

    /// Writes what may stand in an address, and all else as `%41`.
    pub(crate) fn encoded(&mut self, text: &[u8]) {
        for byte in text {
            if byte.is_ascii_alphanumeric() || b"-._~/!$&'()*+,;=:@".contains(byte) {
                self.put(&[*byte]);
            } else {
                self.escaped(b"%", *byte);
            }
        }
    }

    /// Writes a line of text, with what is no printable ASCII as `\x41`.
    pub(crate) fn printable(&mut self, text: &[u8]) {
        for byte in text {
            if (b'!'..=b'~').contains(byte) && *byte != b'\\' {
                self.put(&[*byte]);
            } else {
                self.escaped(b"\\x", *byte);
            }
        }
    }

    fn escaped(&mut self, prefix: &[u8], byte: u8) {
        const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
        self.all(&[prefix, &[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]]);
    }

    fn padded(&mut self, number: u64) {
        self.put(&[b'0' + digit(number / 10), b'0' + digit(number % 10)]);
    }

    /// `Sun, 06 Nov 1994 08:49:37 GMT` of seconds since 1970
    /// (<https://www.rfc-editor.org/rfc/rfc9110#name-date-time-formats>).
    pub(crate) fn date(&mut self, seconds: u64) {
        const DAYS: [&[u8]; 7] = [b"Thu", b"Fri", b"Sat", b"Sun", b"Mon", b"Tue", b"Wed"];
        const MONTHS: [&[u8]; 12] =
            [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];
        let days = seconds / 86400;
        let (year, month, day) = civil(days);
        let pick =
            |names: &[&'static [u8]], at: u64| usize::try_from(at).ok().and_then(|at| names.get(at).copied());
        self.all(&[pick(&DAYS, days % 7).unwrap_or_default(), b", "]);
        self.padded(day);
        self.all(&[b" ", pick(&MONTHS, month - 1).unwrap_or_default(), b" "]);
        self.number(year);
        self.put(b" ");
        self.padded(seconds / 3600 % 24);
        self.put(b":");
        self.padded(seconds / 60 % 60);
        self.put(b":");
        self.padded(seconds % 60);
        self.put(b" GMT");
    }
}

fn digit(number: u64) -> u8 {
    (number % 10).to_le_bytes()[0]
}

/// Year, month and day of a number of days since 1970. Years are counted from March, so that the day of a leap year
/// is its last.
fn civil(days: u64) -> (u64, u64, u64) {
    const ERA: u64 = 146_097;
    let days = days + 719_468;
    let (era, day) = (days / ERA, days % ERA);
    let year = (day - day / 1460 + day / 36524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (era * 400 + year + u64::from(month <= 2), month, day_of_year - (153 * shifted + 2) / 5 + 1)
}
