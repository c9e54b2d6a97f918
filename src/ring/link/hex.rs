//! Fixed numbers of bytes as hexadecimal digits, for the files of a node. Layer 1.

/// Two digits a byte, in lower case.
pub(super) fn text(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The `N` bytes that these digits name; `None` if they are not exactly `2 * N` digits.
pub(super) fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let [high, low] = [pair[0], pair[1]].map(|digit| char::from(digit).to_digit(16));
        *byte = u8::try_from(high? * 16 + low?).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_right_number_of_digits_is_taken() {
        assert_eq!(bytes("00ffA0"), Some([0, 255, 160]));
        assert_eq!(text(&[0, 255, 160]), "00ffa0");
        for wrong in ["", "00ffa", "00ffa0b", "00ffa00", "+0ffa0", "zzffa0", "é0ffa"] {
            assert_eq!(bytes::<3>(wrong), None, "{wrong}");
        }
    }
}
