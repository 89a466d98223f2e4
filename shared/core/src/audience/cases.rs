//! Files of every kind, right and wrong, and what is read of them.

use std::io::Write;

use flate2::{Compression as Level, write::GzEncoder};

use super::{
    FileError, Kind, Limits, Start,
    support::{Seen, read, read_as, resume, types},
};

const CSV: &str = "qaid,id.MOBILE,tag.name\nu1,+4915123456,Ann\nu2,,\"Lee, Bob\"\n";
const NDJSON: &str = r#"{"qaid":"u1","ids":{"MOBILE":["+4915123456"]},"tags":{"name":"Ann"}}
{"qaid":"u2","tags":{"name":"Lee, Bob"}}
"#;

pub(super) fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Level::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

pub(super) fn zstd(content: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    // As the program `zstd` writes it.
    encoder.include_checksum(true).unwrap();
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn a_file_gives_the_same_records_in_every_form() {
    let expected = ["u1 MOBILE=+4915123456 name=Ann", "u2 name=Lee, Bob"];
    for content in [CSV, NDJSON] {
        let bom = format!("\u{feff}{content}");
        let crlf = content.replace('\n', "\r\n");
        let open = content.trim_end();
        let blank = format!("\n \n{content}\n\n");
        for content in [content, &bom, &crlf, open, &blank] {
            for file in [content.as_bytes().to_vec(), gzip(content.as_bytes()), zstd(content.as_bytes())] {
                let seen = read(&file);
                assert_eq!(seen.records(), expected, "{content}");
                assert_eq!((seen.bad(), seen.error), (vec![], None), "{content}");
            }
        }
    }
}

#[test]
fn counts_tell_records_from_lines() {
    let seen = read(b"\nqaid,tag.name\nu1,\"a\nb\"\n\nu2\nu3,x");
    let counts = seen.counts;
    assert_eq!(
        (counts.lines, counts.records, counts.good, counts.bad, counts.blank, counts.header),
        (7, 6, 2, 1, 2, 1)
    );
    assert_eq!(seen.lines(), [3, 6, 7], "records and bad rows are named by the line that they begin on");
}

#[test]
fn a_qaid_a_line_stays_opaque() {
    let seen = read("__proto__\r\n1e5\n x \n🎟\n{not json\n".as_bytes());
    assert_eq!(seen.records(), ["__proto__", "1e5", " x ", "🎟", "{not json"]);
}

#[test]
fn a_lone_header_makes_a_csv_file_of_one_column() {
    let seen = read(b"qaid\n\"u,1\"\nu2\n");
    assert_eq!((seen.records(), seen.counts.header), (vec!["u,1", "u2"], 1));
}

#[test]
fn an_empty_file_has_no_records() {
    for file in [&b""[..], b"\n\n", b"\xEF\xBB\xBF", &gzip(b""), &zstd(b"")] {
        let seen = read(file);
        assert_eq!((seen.items.len(), seen.error), (0, None));
    }
    assert_eq!(read_as(Kind::Profiles, b"").error, None);
}

#[test]
fn tags_are_kept_as_typed_and_empty_ones_are_missing() {
    let seen = read(br#"{"qaid":"u","tags":{"a":1e5,"b":0.10,"c":true,"d":null,"e":"","f":"\u00e9\n"},"ids":{"MOBILE":["","x"]}}"#);
    assert_eq!(seen.bad(), []);
    assert_eq!(seen.records(), ["u MOBILE=x a=1e5 b=0.10 c=true f=é\n"]);
}

#[test]
fn a_repeated_tag_is_found_among_few_and_among_many() {
    for count in [2, 3, 16, 17, 100] {
        let tags = |last: usize| {
            let names: Vec<_> = (0..count - 1).chain([last]).map(|n| format!(r#""t{n}":"x""#)).collect();
            format!(r#"{{"qaid":"u","tags":{{{}}}}}"#, names.join(","))
        };
        assert_eq!(read(tags(count).as_bytes()).bad(), []);
        let expected = (1, format!("`tags.t{}` is there twice", count / 2 - 1));
        assert_eq!(read(tags(count / 2 - 1).as_bytes()).bad(), [expected]);
    }
}

#[test]
fn every_bad_row_is_named_by_line_and_reason() {
    let rows: [(&[u8], &str); 24] = [
        (b"{\"qaid\":\"\xFF\"}", "it is not UTF-8 (byte 10)"),
        (b"{\"qaid\":\"a\0\"}", "it is no JSON: control character"),
        (br#"{"qaid":"a","tags":{"t":"\u0000"}}"#, "it holds NUL"),
        (
            "{\"qaid\":\"a\",\"tags\":{\"t\":\"\u{fffe}\"}}".as_bytes(),
            "it holds NUL or a character that Unicode reserves",
        ),
        (br#"{"qaid":"\ud800"}"#, "it is no JSON: "),
        (br#"{"qaid":"a","tags":{"t":"\ud800x"}}"#, "a tag has a broken escape"),
        (br#"{"qaid":"a","qaid":"b"}"#, "a field is there twice"),
        (br#"{"qaid":"a","tags":{"t":"1","t":"2"}}"#, "`tags.t` is there twice"),
        (br#"{"qaid":"a","ids":{"MOBILE":["1"],"MOBILE":["2"]}}"#, "an ID type is there twice"),
        (br#"{"qaid":"a","ids":{"FAX":["1"]}}"#, "a name in `ids` is no ID type"),
        (br#"{"qaid":"a","ids":{"MOBILE":"1"}}"#, "a list of texts for an ID type is expected"),
        (br#"{"qaid":"a","ids":{"MOBILE":[13800138000]}}"#, "a text as ID is expected"),
        (br#"{"qaid":"a","ids":{"MOBILE":["md5:12"]}}"#, "`id.MOBILE` must be"),
        (br#"{"qaid":"a","tags":{"t":{"x":1}}}"#, "a tag must be a text, a number or a boolean"),
        (br#"{"qaid":"a","tags":{"":"x"}}"#, "`tags` must have names"),
        (br#"{"qaid":"a","name":"x"}"#, "a field is none of"),
        (br#"{"qaid":1}"#, "a text in `qaid` is expected"),
        (br#"{"qaid":""}"#, "`qaid` must be 1 to"),
        (br#"{"qaid":"a\n"}"#, "`qaid` must be 1 to"),
        (br#"{"tags":{}}"#, "`qaid` is missing"),
        (br#"{"qaid":"a"} x"#, "it is no JSON: trailing characters"),
        (br#"{"qaid":"a""#, "it is no JSON: EOF"),
        (br#"["a"]"#, "an object is expected"),
        (br#"{"qaid":"a","source":"crm"}"#, "a field is none of"),
    ];
    let mut file = b"{\"qaid\":\"first\"}\n".to_vec();
    for (row, _) in rows {
        file.extend_from_slice(row);
        file.extend_from_slice(b"\n{\"qaid\":\"good\"}\n");
    }
    let seen = read(&file);
    assert_eq!(seen.records().len(), rows.len() + 1);
    for ((line, reason), (at, (row, expected))) in seen.bad().into_iter().zip(rows.into_iter().enumerate()) {
        assert_eq!(line, 2 * at as u64 + 2);
        assert!(reason.starts_with(expected), "{} is bad: {reason}", row.escape_ascii());
    }
    assert_eq!(seen.bad().len(), rows.len());
}

#[test]
fn every_bad_row_of_csv_is_named_by_line_and_reason() {
    let rows: [(&[u8], &str); 8] = [
        (b"u,x", "it has 2 cells, the header has 3"),
        (b"u,x,y,z", "it has 4 cells, the header has 3"),
        (b",+49,x", "`qaid` must be 1 to"),
        (b"u,+49,\xC3\x28", "it is not UTF-8 (byte 7)"),
        (b"u,+49,a\0b", "it holds NUL"),
        (b"u,\"+49\"1,x", "a quoted cell goes on after its closing quote"),
        (b"\"u\" ,+49,x", "a quoted cell goes on after its closing quote"),
        (b"u,sha256:zz,x", "`id.MOBILE` must be"),
    ];
    let mut file = b"qaid,id.MOBILE,tag.name\n".to_vec();
    for (row, _) in rows {
        file.extend_from_slice(row);
        file.extend_from_slice(b"\ngood,,\n");
    }
    let seen = read(&file);
    assert_eq!(seen.records(), vec!["good"; rows.len()]);
    for ((line, reason), (at, (_, expected))) in seen.bad().into_iter().zip(rows.into_iter().enumerate()) {
        assert_eq!(line, 2 * at as u64 + 2);
        assert!(reason.starts_with(expected), "{reason}");
    }
    assert_eq!(seen.bad().len(), rows.len());
}

#[test]
fn a_stray_quote_costs_its_own_line_only() {
    let seen = read(b"qaid,tag.name\nu1,\"Ann\nu2,Bob\nu3,5\" pipe\n");
    assert_eq!(seen.records(), ["u2 name=Bob", "u3 name=5\" pipe"]);
    assert_eq!((seen.bad().len(), seen.bad()[0].0), (1, 2));
    let open = read(b"qaid,tag.name\nu1,\"Ann\nu2,Bob\n");
    assert_eq!(open.records(), ["u2 name=Bob"]);
    assert!(open.bad()[0].1.contains("not closed"), "{:?}", open.bad());
}

#[test]
fn a_record_over_64_kib_is_bad_and_reading_goes_on() {
    let limit = Limits::default().record;
    let longest = "x".repeat(limit - r#"{"qaid":"a","tags":{"t":""}}"#.len());
    for (extra, good) in [("", 3), ("y", 2)] {
        let file = format!(
            "{{\"qaid\":\"1\"}}\n{{\"qaid\":\"a\",\"tags\":{{\"t\":\"{longest}{extra}\"}}}}\r\n{{\"qaid\":\"3\"}}\n"
        );
        let seen = read(file.as_bytes());
        assert_eq!((seen.counts.good, seen.counts.lines), (good, 3));
        assert_eq!(seen.lines(), [1, 2, 3]);
    }
    let endless = format!("a\n{}", "x".repeat(1 << 20));
    assert_eq!(read(endless.as_bytes()).bad(), [(2, "it is longer than 65536 bytes".to_owned())]);
}

#[test]
fn a_wrong_header_fails_and_names_the_columns() {
    for (file, detail) in [
        ("user_id,id.MOBILE\nu1,x\n", "the column `user_id` is unknown"),
        ("id.MOBILE,tag.x\n", "there is no column `qaid`"),
        ("qaid,id.FAX\n", "`id.FAX` names no ID type"),
        ("qaid,tag.a,tag.a\n", "the column `tag.a` is there twice"),
        ("qaid,tag.\n", "the column `tag.` is unknown"),
        ("qaid,source\n", "the column `source` is unknown"),
        ("QAID\nu1\n", "the column `QAID` is unknown"),
        ("qaid;id.MOBILE\nu1;x\n", "the column `qaid;id.MOBILE` is unknown"),
        ("qaid\tid.MOBILE\nu1\tx\n", "the column `qaid\tid.MOBILE` is unknown"),
        ("u1,u2\n", "the column `u1` is unknown"),
        ("qaid,\"tag.x\n", "the header: a quoted cell is not closed"),
    ] {
        let seen = read(file.as_bytes());
        assert!(seen.items.is_empty());
        let error = seen.error.unwrap();
        assert!(matches!(error, FileError::Header { .. }), "{error}");
        assert!(error.to_string().starts_with(detail), "{error}");
        assert!(
            error.to_string().contains("expected `qaid`, `id.<TYPE>` (of EMAIL, MOBILE), `tag.<name>`"),
            "{error}"
        );
    }
    let error = read(b"qaid,phone\n").error.unwrap();
    assert!(error.to_string().contains("found the columns `qaid`, `phone`"), "{error}");
}

#[test]
fn a_profile_file_says_who_says_so_and_as_of_when() {
    let csv = b"qaid,source,updated,id.EMAIL\nu1,crm,2026-11-24T08:00:00+08:00,a@b.c\nu2,,,\nu3,CRM,,\nu4,shop,soon,\n";
    let ndjson = br#"{"qaid":"u1","source":"crm","updated":"2026-11-24T00:00:00Z","ids":{"EMAIL":["a@b.c"]}}
{"qaid":"u2"}
{"qaid":"u3","source":"CRM"}
{"qaid":"u4","source":"shop","updated":"soon"}"#;
    for file in [&csv[..], ndjson] {
        let seen = read_as(Kind::Profiles, file);
        assert_eq!(seen.records(), ["u1 EMAIL=a@b.c @crm 2026-11-24T00:00:00.000Z"]);
        let reasons: Vec<_> = seen.bad().into_iter().map(|(_, reason)| reason).collect();
        assert!(reasons[0].starts_with("`source` is missing"), "{reasons:?}");
        assert!(reasons[1].starts_with("`source` must be"), "{reasons:?}");
        assert!(reasons[2].starts_with("`updated` must be"), "{reasons:?}");
    }
    for file in [&b"u1\nu2\n"[..], b"qaid,id.EMAIL\n"] {
        assert!(matches!(read_as(Kind::Profiles, file).error, Some(FileError::Header { .. })));
    }
}

#[test]
fn what_is_no_such_file_is_named() {
    let mut workbook = b"PK\x03\x04".to_vec();
    workbook.resize(30, 0);
    let mut tar = b"audience.csv".to_vec();
    tar.resize(257, 0);
    for (file, found) in [
        (&b"PK\x03\x04\x14\0"[..], "a ZIP archive"),
        (&[&workbook[..], b"[Content_Types].xml"].concat(), "an Excel workbook"),
        (b"PAR1\x15\x04", "a Parquet file"),
        (b"ORC\x0A\x03\0", "an ORC file"),
        (b"Obj\x01\x04", "an Avro file"),
        (b"BZh91AY&SY\x01", "a bzip2 file"),
        (b"\xFD7zXZ\0", "an xz file"),
        (b"\xFF\xFEq\0a\0", "text in UTF-16; UTF-8 is expected"),
        (&[&tar[..], b"ustar\0"].concat(), "a tar archive"),
        (b"[\n{\"qaid\":\"u\"}]", "a JSON array; an object a line is expected"),
        (&gzip(&gzip(b"u1\n")), "compressed twice"),
        (&gzip(b"PAR1\x15\x04"), "a Parquet file"),
    ] {
        assert_eq!(read(file).error, Some(FileError::Unsupported { found }));
    }
    assert_eq!(read(b"PAR1\nORC\nBZh1\nPK\n").records(), ["PAR1", "ORC", "BZh1", "PK"]);
}

#[test]
fn a_compressed_file_may_have_several_members() {
    let file = [gzip(b"u1\nu"), gzip(b""), gzip(b"2\n"), vec![0; 512]].concat();
    assert_eq!(read(&file).records(), ["u1", "u2"]);
    let skippable = b"\x50\x2A\x4D\x18\x02\0\0\0xx";
    let file = [&skippable[..], &zstd(b"u1\nu"), skippable, &zstd(b"2\n")].concat();
    assert_eq!(read(&file).records(), ["u1", "u2"]);
}

#[test]
fn a_truncated_file_fails_at_its_end_and_what_came_before_holds() {
    use std::fmt::Write;
    let mut content = String::new();
    for user in 0..100_000_u64 {
        writeln!(content, "u{:x}", user.wrapping_mul(0x9E37_79B9_7F4A_7C15)).unwrap();
    }
    for (file, name) in [(gzip(content.as_bytes()), "gzip"), (zstd(content.as_bytes()), "zstd")] {
        for cut in [1, 5, file.len() / 2] {
            let seen = read(&file[..file.len() - cut]);
            let error = seen.error.clone().unwrap();
            assert!(matches!(error, FileError::Truncated { .. }), "{name}: {error}");
            assert!(
                seen.counts.good > if cut < 10 { 90_000 } else { 10_000 },
                "{name}: {}",
                seen.counts.good
            );
        }
        let mut damaged = file.clone();
        let middle = file.len() / 2;
        damaged[middle..middle + 64].fill(0xA5);
        let error = read(&damaged).error.unwrap();
        assert!(matches!(error, FileError::Corrupt { .. }), "{name}: {error}");
        let trailing = [&file[..], b"trailing"].concat();
        assert!(matches!(read(&trailing).error, Some(FileError::Corrupt { .. })), "{name}");
    }
}

#[test]
fn a_compressed_file_with_too_much_inside_is_refused_with_a_hint() {
    let limits = Limits { unpacked: 1 << 20, ..Limits::default() };
    let content = "u1\n".repeat(1 << 19);
    for file in [gzip(content.as_bytes()), zstd(content.as_bytes())] {
        let error = Seen::of(Kind::Audience, limits, &file, None).error.unwrap();
        assert!(matches!(error, FileError::TooLarge { .. }));
        assert!(error.to_string().contains("upload it plain"), "{error}");
    }
    assert_eq!(Seen::of(Kind::Audience, limits, content.as_bytes(), None).error, None);
}

#[test]
fn a_file_uploaded_again_goes_on_only_where_its_beginning_is_the_same() {
    let content = "qaid,tag.name\nu1,Ann\nu2,Bob\nu3,Eve\n";
    let file = gzip(content.as_bytes());
    let commit = Seen::of(Kind::Audience, Limits::default(), &file, Some(2)).commit;
    assert_eq!(commit.offset, content.find("u3").unwrap() as u64);
    for same in [content.as_bytes().to_vec(), gzip(content.as_bytes()), zstd(content.as_bytes())] {
        assert_eq!(resume(&commit, &same, Start::Beginning).records(), ["u3 name=Eve"]);
    }
    let longer = format!("{content}u4,Kim\n");
    assert_eq!(
        resume(&commit, longer.as_bytes(), Start::Beginning).records(),
        ["u3 name=Eve", "u4 name=Kim"]
    );
    for other in [content.replace("Ann", "Amy"), content[..20].to_owned(), String::new()] {
        let seen = resume(&commit, &zstd(other.as_bytes()), Start::Beginning);
        assert_eq!(seen.error, Some(FileError::Changed { offset: commit.offset }));
        assert!(seen.items.is_empty());
        assert_eq!(seen.commit.offset, commit.offset, "a failure moves nothing");
    }
    assert!(types().len() == 2, "the cases above name these types");
}
