//! Times as logs write them.
//!
//! Read are `17/May/2015:10:05:03 +0000`, `2015-05-17T10:05:03.125+00:00`, seconds or milliseconds
//! since 1970, and what stands between them: other separators, months by number or by their name
//! in a number of languages, fractions, zones with and without a colon. A time without a zone is
//! UTC.

use common::time::{Day, HOUR, SECOND, Timestamp};

/// Beginnings of the months' names, in lower case.
const MONTHS: [&[&str]; 12] = [
    &["jan", "gen", "ene", "янв", "sty", "led", "oca", "ian"],
    &["feb", "fév", "fev", "фев", "lut", "úno", "şub"],
    &["mar", "mär", "mrz", "mrt", "мар", "már", "bře"],
    &["apr", "avr", "abr", "апр", "kwi", "ápr", "dub", "nis"],
    &["may", "mai", "mag", "mei", "maj", "май", "мая", "máj", "kvě"],
    &["jun", "juin", "giu", "июн", "cze", "jún", "čvn", "haz", "iun"],
    &["jul", "juil", "lug", "июл", "lip", "júl", "čvc", "tem", "iul"],
    &["aug", "aoû", "aou", "ago", "авг", "sie", "srp", "ağu"],
    &["sep", "set", "сен", "wrz", "sze", "zář", "eyl"],
    &["oct", "okt", "ott", "out", "окт", "paź", "říj", "eki"],
    &["nov", "ноя", "lis", "kas", "noi"],
    &["dec", "déc", "dez", "dic", "des", "дек", "gru", "pro", "ara"],
];

/// Parses a time; `None` when it is none. A leap second counts as the second after it.
pub(super) fn parse(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    if let Some(time) = epoch(text) {
        return Some(time);
    }
    // `Sat, 28 Nov 2026 08:15:30 GMT`
    let text =
        text.split_once(", ").filter(|(day, _)| day.chars().all(char::is_alphabetic)).map_or(text, |(_, rest)| rest);
    let is_separator = |letter: char| matches!(letter, '/' | '-' | ' ' | '.' | '年' | '月');
    let (first, rest) = number(text)?;
    let (middle, rest) = rest.strip_prefix(is_separator)?.split_once(['/', '-', ' ', '月'])?;
    let month = month(middle)?;
    let (last, rest) = number(rest)?;
    let (year, day) = if first > 31 { (first, last) } else { (last, first) };
    let day = Day::parse(&format!("{year:04}-{month:02}-{day:02}"))?;

    let rest = rest.strip_prefix('日').unwrap_or(rest);
    let rest = rest.strip_prefix([':', 'T', 't', ' ', '_', ','])?.trim_start();
    let (hour, rest) = number(rest).filter(|(hour, _)| *hour <= 23)?;
    let (minute, rest) = number(rest.strip_prefix(':')?).filter(|(minute, _)| *minute <= 59)?;
    let (second, rest) = match rest.strip_prefix(':') {
        Some(rest) => number(rest).filter(|(second, _)| *second <= 60)?,
        None => (0, rest),
    };
    let (millis, rest) = match rest.strip_prefix(['.', ',']) {
        Some(rest) => {
            let end = rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(rest.len());
            let digits = &rest[..end.min(3)];
            (digits.parse::<i64>().ok()? * 10_i64.pow(3 - digits.len() as u32), &rest[end..])
        }
        None => (0, rest),
    };
    let of_day = (hour * 3_600 + minute * 60 + second) * SECOND + millis;
    Some(day.start().plus(of_day - offset(rest.trim_start())?))
}

/// Seconds since 1970, with or without a fraction, or more digits of a finer unit.
fn epoch(text: &str) -> Option<Timestamp> {
    if !text.bytes().all(|byte| byte.is_ascii_digit() || b".eE+".contains(&byte)) {
        return None;
    }
    let number: f64 = text.parse().ok()?;
    // Ten digits are seconds until the year 2286.
    let millis = match number {
        1e8..1e11 => number * 1e3,
        1e11..1e14 => number,
        1e14..1e17 => number / 1e3,
        1e17..1e20 => number / 1e6,
        _ => return None,
    };
    Some(Timestamp::from_millis(millis as i64))
}

/// Milliseconds that a zone is ahead of UTC: `+0130`, `+01:30`, `+01`, `Z`, `UTC`, or nothing.
fn offset(zone: &str) -> Option<i64> {
    if zone.is_empty() {
        return Some(0);
    }
    let (ahead, digits) = match zone.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return matches!(zone, "Z" | "z" | "UTC" | "GMT").then_some(0),
    };
    let (hours, minutes) = match digits.len() {
        2 => (digits, "0"),
        4 => digits.split_at_checked(2)?,
        5 => digits.split_once(':')?,
        _ => return None,
    };
    let within = |text: &str, most: i64| number(text).filter(|(n, rest)| *n <= most && rest.is_empty()).map(|(n, _)| n);
    Some(ahead * (within(hours, 23)? * HOUR + within(minutes, 59)? * 60 * SECOND))
}

fn month(name: &str) -> Option<i64> {
    if let Some((month, "")) = number(name) {
        return (1..=12).contains(&month).then_some(month);
    }
    let name = name.to_lowercase();
    let at = MONTHS.iter().position(|beginnings| beginnings.iter().any(|beginning| name.starts_with(beginning)))?;
    Some(at as i64 + 1)
}

/// The number of at most four digits that `text` begins with, and the rest.
fn number(text: &str) -> Option<(i64, &str)> {
    let end = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let number = text[..end].parse().ok().filter(|_| end <= 4)?;
    Some((number, &text[end..]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_instant_in_many_spellings() {
        for text in [
            "28/Nov/2026:08:15:30 +0000",
            "28/nov./2026:08:15:30 +0000",
            "28/Nov/2026:08:15:30.000 +0000",
            "28/Nov/2026:08:15:30,000 +0000",
            "28/Nov/2026:08:15:30 +00:00",
            "28/Nov/2026:08:15:30",
            "28/Nov/2026:09:45:30 +0130",
            "28/Nov/2026:03:15:30 -05",
            "28/Nov/2026 08:15:30",
            "28/11/2026:08:15:30 +0000",
            "28-Nov-2026 08:15:30 UTC",
            "Sat, 28 Nov 2026 08:15:30 GMT",
            "2026-11-28T08:15:30+00:00",
            "2026-11-28T08:15:30Z",
            "2026-11-28T08:15:30.000000000Z",
            "2026-11-28 08:15:30",
            "2026-11-28  08:15:30.0",
            "2026/11/28 08:15:30",
            "1795853730",
            "1795853730.000",
            "1795853730000",
            "1795853730000000",
            "1.79585373e9",
            "28/ноя/2026:08:15:30 +0000",
        ] {
            let time = parse(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(time.to_string(), "2026-11-28T08:15:30.000Z", "{text}");
        }
        assert_eq!(parse("1795853730.638059").unwrap().to_string(), "2026-11-28T08:15:30.638Z");
        assert_eq!(parse("28/Nov/2026:08:15:30.12").unwrap().to_string(), "2026-11-28T08:15:30.120Z");
        assert_eq!(parse("01/févr./2026:08:15:30").unwrap().to_string(), "2026-02-01T08:15:30.000Z");
        assert_eq!(parse("01/Dez/2026:08:15:60").unwrap().to_string(), "2026-12-01T08:16:00.000Z");
    }

    #[test]
    fn what_is_no_time() {
        for text in [
            "",
            "-",
            "99/Foo/2026:08:15:30 +0000",
            "31/Feb/2026:08:15:30 +0000",
            "28/Nov/1969:08:15:30 +0000",
            "28/Nov/2026:24:15:30 +0000",
            "28/Nov/2026:08:15:30 *0000",
            "28/Nov/2026:08:15:30 Mars",
            "28/13/2026:08:15:30",
            "2026-11-28",
            "12345",
            "198.18.0.5",
            "1e400",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(text in "\\PC{0,30}|[0-9/:T.+ -]{0,30}") {
            let _ = parse(&text);
        }
    }
}
