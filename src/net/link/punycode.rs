//! Length of a host's label in ASCII (RFC 3492), by which X tells whether a host can be.
//!
//! Here: the length alone. Not here: the encoded form, which nothing needs, and decoding.

const BASE: u32 = 36;
const T_MIN: u32 = 1;
const T_MAX: u32 = 26;
const SKEW: u32 = 38;
const DAMP: u32 = 700;
const INITIAL_BIAS: u32 = 72;

/// Length of a label once encoded, `xn--` included; a label in ASCII stays as it is.
///
/// It takes time with the square of the label, which the caller has to keep short.
pub(super) fn len(label: &str) -> usize {
    let basic = label.chars().filter(char::is_ascii).count();
    let mut points: Vec<u32> = label.chars().filter(|c| !c.is_ascii()).map(u32::from).collect();
    if points.is_empty() {
        return basic;
    }
    points.sort_unstable();
    points.dedup();
    let hyphen = usize::from(basic > 0);
    "xn--".len() + basic + hyphen + digits_of(label, &points, basic)
}

/// Digits that say which other code points the label has, and where.
fn digits_of(label: &str, points: &[u32], basic: usize) -> usize {
    let (mut digits, mut bias, mut delta) = (0, INITIAL_BIAS, 0_u32);
    let (mut handled, mut floor) = (basic, 0x80);
    for &point in points {
        delta = delta.saturating_add((point - floor).saturating_mul(size(handled) + 1));
        for other in label.chars().map(u32::from) {
            if other < point {
                delta = delta.saturating_add(1);
            }
            if other == point {
                digits += integer_len(delta, bias);
                bias = adapted(delta, size(handled) + 1, handled == basic);
                delta = 0;
                handled += 1;
            }
        }
        delta = delta.saturating_add(1);
        floor = point + 1;
    }
    digits
}

/// Digits of one variable-length integer.
fn integer_len(mut value: u32, bias: u32) -> usize {
    let mut digits = 1;
    for k in (BASE..).step_by(36) {
        let threshold = k.saturating_sub(bias).clamp(T_MIN, T_MAX);
        if value < threshold {
            break;
        }
        value = (value - threshold) / (BASE - threshold);
        digits += 1;
    }
    digits
}

/// The bias after a delta, as section 6.1 of the RFC has it.
fn adapted(delta: u32, handled: u32, is_first: bool) -> u32 {
    let mut delta = delta / if is_first { DAMP } else { 2 };
    delta += delta / handled;
    let mut k = 0;
    while delta > (BASE - T_MIN) * T_MAX / 2 {
        delta /= BASE - T_MIN;
        k += BASE;
    }
    k + (BASE - T_MIN + 1) * delta / (delta + SKEW)
}

/// A count of characters, which in a label is far below the limit of the type.
fn size(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX - 1)
}

#[cfg(test)]
mod tests {
    use super::len;

    #[test]
    fn lengths_of_known_labels() {
        let cases = [
            ("example", "example"),
            ("", ""),
            ("münchen", "xn--mnchen-3ya"),
            ("bücher", "xn--bcher-kva"),
            ("☃", "xn--n3h"),
            ("日本語", "xn--wgv71a119e"),
            ("例え", "xn--r8jz45g"),
            ("παράδειγμα", "xn--hxajbheg2az3al"),
            ("рф", "xn--p1ai"),
            ("پاکستان", "xn--mgbai9azgqp6j"),
            ("한국", "xn--3e0b707e"),
            ("中国", "xn--fiqs8s"),
            ("éøüåñœ", "xn--5cahz0au83c"),
            ("ábçdéfgħîjķ", "xn--bdfgj-wqa7br1cx3bsf"),
            ("zürich-ñandú-østfold", "xn--zrich-and-stfold-cub4knb4a"),
            ("あいうえおかきくけこ", "xn--l8jegikgoqsu"),
            ("éü日本ñ語", "xn--9caq6ay327fzlbuz6h"),
            ("aéèêëb", "xn--ab-7iadgg"),
            ("αβγδεζηθικλμνξοπρστυφχψω", "xn--mxacdefghijklmnopqr0btuvwxy"),
            ("😀é中a", "xn--a-9fa4540d3j8u"),
        ];
        for (label, encoded) in cases {
            assert_eq!(len(label), encoded.len(), "{label}");
        }
    }
}
