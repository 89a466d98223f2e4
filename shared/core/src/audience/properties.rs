//! What holds for any file, however it is cut into pieces and wherever a worker stops.

use std::fmt::Write;

use proptest::{collection::vec, prelude::*, sample::select};

use super::{
    Commit, Kind, Limits, Reader, Start,
    cases::{gzip, zstd},
    ndjson,
    row::{Row, Types},
    support::{Seen, types},
};
use crate::{recipient::Recipient, time::Millis};

/// Small, so that short files have records that are too long.
const LIMITS: Limits = Limits { record: 48, unpacked: 1 << 20, latest: Millis(u64::MAX) };

/// Pieces of files that matter to one reader or another.
fn content() -> impl Strategy<Value = Vec<u8>> {
    let start = select(vec![
        "",
        "\u{feff}",
        "\n \r\n",
        "qaid\n",
        "qaid,tag.name\n",
        "tag.name,qaid,id.EMAIL\r\n",
        "{\"qaid\":\"u\"}\n",
    ]);
    let pieces = select(vec![
        "u1",
        "u2,x",
        ",",
        "\"",
        "\"\"",
        "\"a,b\"",
        "\"a\nb\"",
        "\n",
        "\n",
        "\r\n",
        "\r",
        " ",
        "é",
        "王",
        "x,y,z",
        "{\"qaid\":\"a\",\"tags\":{\"t\":\"1\"}}\n",
        "{\"qaid\":\"a\"}\n",
        "{\"qaid\":\"\\u00e9\"}\n",
        "{",
        "}",
        "0123456789012345678901234567890123456789012345",
        "\n0123456789012345678901234567890123456789012345678\n",
    ]);
    (start, vec(prop_oneof![20 => pieces.prop_map(|piece| piece.as_bytes().to_vec()), 1 => vec(any::<u8>(), 1..4)], 0..40))
        .prop_map(|(start, pieces)| [start.as_bytes().to_vec(), pieces.concat()].concat())
}

/// Reads a file fed in pieces of that size, with a new reader after each `stop` items.
fn read_in_parts(file: &[u8], piece: usize, stop: usize, start: Start) -> Seen {
    let mut all: Option<Seen> = None;
    loop {
        let (reader, rest) = match &all {
            None => (Reader::new(Kind::Audience, types(), LIMITS), file),
            Some(seen) => {
                // As it is kept between two workers.
                let commit: Commit =
                    serde_json::from_str(&serde_json::to_string(&seen.commit).unwrap()).unwrap();
                let from = if start == Start::Offset { usize::try_from(commit.offset).unwrap() } else { 0 };
                (Reader::resume(Kind::Audience, types(), LIMITS, &commit, start).unwrap(), &file[from..])
            }
        };
        let mut seen = Seen::drain(reader, rest.chunks(piece), Some(stop));
        let stopped = seen.items.len() == stop;
        if let Some(before) = all {
            seen.items.splice(0..0, before.items);
        }
        if !stopped {
            return seen;
        }
        all = Some(seen);
    }
}

proptest! {
    #[test]
    fn neither_pieces_nor_stops_change_what_is_read(content in content(), piece in 1_usize..64, stop in 1_usize..8) {
        let whole = Seen::of(Kind::Audience, LIMITS, &content, None);
        for (file, start) in [
            (content.clone(), Start::Offset),
            (content.clone(), Start::Beginning),
            (gzip(&content), Start::Beginning),
            (zstd(&content), Start::Beginning),
        ] {
            let parts = read_in_parts(&file, piece, stop, start);
            prop_assert_eq!(&parts.items, &whole.items);
            prop_assert_eq!(parts.counts, whole.counts);
            prop_assert_eq!(&parts.error, &whole.error);
            prop_assert_eq!(parts.commit.offset, whole.commit.offset);
        }
        let counts = whole.counts;
        prop_assert_eq!(counts.records, counts.good + counts.bad + counts.blank + counts.header);
        if whole.error.is_none() {
            let lines = content.split_inclusive(|&byte| byte == b'\n').count();
            let bom = content == b"\xEF\xBB\xBF";
            prop_assert_eq!(counts.lines, if bom { 0 } else { lines as u64 }, "every line is accounted for");
        }
    }

    #[test]
    fn csv_gives_back_what_was_written(
        rows in vec(vec("[a-z,\"\r\n é🎟]{0,12}", 2), 0..20),
        quote_all in any::<bool>(),
        line_break in select(vec!["\n", "\r\n"]),
        bom in any::<bool>(),
    ) {
        let mut file = format!("{}qaid,tag.a,tag.b{line_break}", if bom { "\u{feff}" } else { "" });
        let mut expected = Vec::new();
        for (index, row) in rows.iter().enumerate() {
            let written = |cell: &String| {
                let quote = quote_all || cell.contains([',', '"', '\r', '\n']);
                if quote { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell.clone() }
            };
            write!(file, "u{index},{},{}{line_break}", written(&row[0]), written(&row[1])).unwrap();
            let tag = |name: &str, cell: &str| if cell.is_empty() { String::new() } else { format!(" {name}={cell}") };
            expected.push(format!("u{index}{}{}", tag("a", &row[0]), tag("b", &row[1])));
        }
        let seen = Seen::of(Kind::Audience, Limits::default(), file.as_bytes(), None);
        prop_assert_eq!(seen.records(), expected);
        prop_assert_eq!(seen.bad(), vec![]);
    }

    #[test]
    fn no_bytes_make_a_reader_panic(
        magic in select(vec![&b""[..], b"\x1F\x8B\x08", b"\x28\xB5\x2F\xFD", b"{", b"qaid,tag.x\n", b"\xEF\xBB\xBF"]),
        bytes in vec(any::<u8>(), 0..600),
        kind in select(vec![Kind::Audience, Kind::Profiles]),
    ) {
        let _ = Seen::of(kind, LIMITS, &[magic, &bytes].concat(), None);
    }

    #[test]
    fn both_readers_of_json_read_the_same(
        line in concat!(
            r#"\{ ?"qaid":"([a-z]|\\u0061){0,3}""#,
            r#"(,"ids": ?\{("MOBILE":\[("([0-9é]|\\u0031){0,2}",?){0,3}\],?){0,2}\})?"#,
            r#"(,"tags":\{("(a|b|\\u0061){0,2}":("(x|é|\\u00e9|\\n|\\\\|\\ud800|\\u0000|\\|"){0,2}"|1e5|null),?){0,3}\})?\}? ?"#,
        ),
    ) {
        let types = Types(types());
        let (mut fast, mut thorough) = (Row::default(), Row::default());
        let read = ndjson::read(&line, &types, false, &mut fast).and_then(|()| fast.check(&types, false));
        let expected = ndjson::read_thoroughly(&line, &types, false, &mut thorough)
            .and_then(|()| thorough.check_tag_names())
            .and_then(|()| thorough.check(&types, false));
        prop_assert_eq!(&read, &expected);
        if read.is_ok() {
            let lines = [&fast, &thorough].map(|row| {
                let mut line = Vec::new();
                super::Record { line: 1, row, types: &types }.write(&mut line);
                line
            });
            let parsed = lines.each_ref().map(|line| Recipient::parse(line).unwrap());
            prop_assert_eq!(&parsed[0], &parsed[1]);
        }
    }
}
