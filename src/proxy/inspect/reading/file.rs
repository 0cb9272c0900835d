//! Names of files, in which words have no blanks between them and an ending
//! stands behind the last.

use super::Kind;
use memchr::memchr_iter;
use std::ops::Range;

/// What members and parameters are called that hold the name of a file.
const FILE_NAMES: [&str; 6] = ["filename", "file_name", "fileName", "originalName", "original_name", "displayName"];

/// And what they are called that may hold one.
const TITLES: [&str; 4] = ["name", "title", "file", "document_title"];

/// No ending of a file is shorter or longer that people send one another.
const SHORTEST_ENDING: usize = 2;
const LONGEST_ENDING: usize = 4;

/// Those endings, filled up.
const ENDINGS: [[u8; LONGEST_ENDING]; 30] = [
    *b"pdf\0", *b"doc\0", *b"docx", *b"odt\0", *b"rtf\0", *b"txt\0", *b"md\0\0", *b"xls\0", *b"xlsx", *b"ods\0",
    *b"csv\0", *b"ppt\0", *b"pptx", *b"png\0", *b"jpg\0", *b"jpeg", *b"gif\0", *b"webp", *b"heic", *b"tif\0", *b"tiff",
    *b"bmp\0", *b"svg\0", *b"zip\0", *b"eml\0", *b"msg\0", *b"ics\0", *b"vcf\0", *b"mp3\0", *b"mp4\0",
];

/// A longer word is no name of a file.
const LONGEST: usize = 128;

/// The names of files in a text behind this label, in order: all of it, or
/// words with an ending that is known.
pub(super) fn names(text: &str, label: Option<&str>) -> Vec<Range<usize>> {
    let is_title = || label.is_some_and(|label| TITLES.contains(&label)) && has_ending(text);
    if is_named(label) || is_title() {
        let whole = 0..text.len();
        return vec![whole];
    }
    memchr_iter(b'.', text.as_bytes()).filter_map(|dot| word(text, dot)).collect()
}

/// Whether all that stands behind this label is the name of a file.
pub(super) fn is_named(label: Option<&str>) -> bool {
    label.is_some_and(|label| FILE_NAMES.contains(&label))
}

/// The word with an ending behind this stop, if its parts have no blanks between them.
fn word(text: &str, dot: usize) -> Option<Range<usize>> {
    // Most stops end a sentence, or are those of addresses.
    let behind = text.as_bytes().get(dot + 1..)?;
    let length = behind.iter().take(LONGEST_ENDING + 1).take_while(|b| b.is_ascii_alphanumeric()).count();
    if length < SHORTEST_ENDING {
        return None;
    }
    let ends = |rest: &str| !rest.starts_with(char::is_alphanumeric);
    if !behind.get(..length).is_some_and(is_ending) || !text.get(dot + 1 + length..).is_some_and(ends) {
        return None;
    }
    let before = text.get(dot.saturating_sub(LONGEST)..dot).or_else(|| {
        let start = text.floor_char_boundary(dot.saturating_sub(LONGEST));
        text.get(start..dot)
    })?;
    let is_in_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '+' | '@');
    let stem = before.len() - before.trim_end_matches(is_in_name).len();
    let stem_text = text.get(dot - stem..dot)?;
    let is_written_together = stem_text.contains('_') || stem_text.bytes().filter(u8::is_ascii_digit).count() > 6;
    is_written_together.then_some(dot - stem..dot + 1 + length)
}

/// Whether files that people send one another end so, in any case.
fn is_ending(ending: &[u8]) -> bool {
    let mut small = [0; LONGEST_ENDING];
    small.iter_mut().zip(ending).for_each(|(small, byte)| *small = byte.to_ascii_lowercase());
    ending.len() <= LONGEST_ENDING && ENDINGS.contains(&small)
}

/// Whether a text ends as the name of a file does: `.pdf`.
fn has_ending(text: &str) -> bool {
    let ending = text.rsplit_once('.').map_or("", |(_, ending)| ending);
    (2..=5).contains(&ending.len()) && ending.bytes().all(|b| b.is_ascii_alphanumeric())
}

/// What in the name of a file is to be read otherwise, in order: marks between
/// words, and the stop in front of the ending.
pub(super) fn marks(name: &str) -> impl Iterator<Item = (Range<usize>, &'static str, Kind)> {
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem).len();
    let ending = (stem < name.len()).then_some((stem..stem + 1, " ", Kind::Inline));
    let in_stem = name.char_indices().take_while(move |(at, _)| *at < stem).filter_map(|(at, c)| match c {
        '_' => Some((at..at + 1, " ", Kind::Spelled)),
        '/' => Some((at..at + 1, "\n", Kind::Spelled)),
        // A folder of Windows, or an escape.
        '\\' if name.get(at + 1..)?.starts_with(char::is_alphanumeric) => Some((at..at + 1, "\n", Kind::Spelled)),
        '\\' => Some((at..at + 1, "", Kind::Inline)),
        _ => None,
    });
    in_stem.chain(ending)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_are_found_in_prose() {
        for (text, want) in [
            ("see «Anna_Kowalska.pdf», please", true),
            ("«4111111111111111.TXT»", true),
            ("a (scans/«scan_4111111111111111.png») b", true),
            ("«anna_kowalska.v2.docx».", true),
            ("call my_object.method() or a.b_c.py", false),
            ("www.docs.example and report.pdf", false),
            ("é.pdf .pdf", false),
            ("a_b.pdfé a_b.pdfs a_b.é a_b.p a_b. a_b.jpegs a_b.pdf\u{661}", false),
            ("a_b.é «a_b.JPeg»!", true),
        ] {
            let plain = text.replace(['«', '»'], "");
            let names = names(&plain, None);
            assert_eq!(names.len(), usize::from(want), "{text}");
            if let Some(name) = names.first() {
                let start = text.find('«').unwrap();
                assert_eq!(*name, start..text.find('»').unwrap() - '«'.len_utf8(), "{text}");
            }
        }
        assert_eq!(names("whatever", Some("filename")).len(), 1);
        assert!(names("whatever", Some("name")).is_empty());
    }

    #[test]
    fn words_are_parted_where_folders_and_escapes_are() {
        let read = |name: &str| {
            let (mut out, mut from) = (String::new(), 0);
            for (at, meant, _) in marks(name) {
                out.push_str(&name[from..at.start]);
                out.push_str(meant);
                from = at.end;
            }
            out + &name[from..]
        };
        for (name, want) in [
            ("Anna_Kowalska.pdf", "Anna Kowalska pdf"),
            ("/home/Anna Kowalska/x.txt", "\nhome\nAnna Kowalska\nx txt"),
            ("C:\\Users\\Anna Kowalska\\x.txt", "C:\nUsers\nAnna Kowalska\nx txt"),
            ("Anna\\ Kowalska", "Anna Kowalska"),
            ("", ""),
        ] {
            assert_eq!(read(name), want);
        }
    }
}
